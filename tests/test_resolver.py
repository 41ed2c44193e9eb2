from __future__ import annotations

import random

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from drugpolicy_ner.candidates import SOURCES
from drugpolicy_ner.errors import DrugPolicyError
from drugpolicy_ner.labels import LABELS
from drugpolicy_ner.resolver import DEFAULT_POLICY, Candidate, Resolver, resolve, separate, trim

candidates = st.lists(
    st.builds(
        lambda start, length, label, source, concept, unsure: Candidate(
            start, start + length, label, source, concept, unsure and source != "ner"
        ),
        st.integers(0, 12),
        st.integers(1, 4),
        st.sampled_from(LABELS),
        st.sampled_from(SOURCES),
        st.sampled_from(["", "DP:a", "DP:b"]),
        st.booleans(),
    ),
    max_size=12,
)


ranks = st.dictionaries(st.sampled_from(["*", *LABELS]), st.integers(0, 3), max_size=4)
policies = st.dictionaries(st.sampled_from(SOURCES), ranks)


@given(candidates, policies)
def test_resolver_chosen_spans_never_overlap(found, policy):
    taken = [i for c in resolve(found, policy) for i in range(c.start, c.end)]
    assert len(taken) == len(set(taken))


@given(candidates, policies, st.randoms(use_true_random=False))
def test_resolver_order_of_the_input_does_not_matter(found, policy, rng: random.Random):
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert resolve(shuffled, policy) == resolve(found, policy)


@given(candidates, policies)
def test_resolver_is_idempotent(found, policy):
    once = resolve(found, policy)
    assert resolve(once, policy) == once


@given(candidates, policies)
def test_resolver_invents_nothing(found, policy):
    chosen = resolve(found, policy)
    assert {c[:4] for c in chosen} <= {c[:4] for c in found}
    assert {c.concept for c in chosen} <= {"", *(c.concept for c in found)}
    assert chosen == sorted(chosen)
    assert not any(c.unsure for c in chosen)


@given(candidates, policies)
def test_resolver_leaves_out_only_what_overlaps_has_no_rank_or_is_unsure(found, policy):
    taken = {i for c in resolve(found, policy) for i in range(c.start, c.end)}
    for c in found:
        ranks_of_source = policy.get(c.source, {})
        if not c.unsure and ranks_of_source.get(c.label, ranks_of_source.get("*", 0)):
            assert not taken.isdisjoint(range(c.start, c.end))


def test_resolver_unsure_counts_only_where_the_ner_agrees():
    unsure = Candidate(0, 1, "SUBSTANCE", "gazetteer", "DP:crack", unsure=True)
    assert resolve([unsure]) == []
    (chosen,) = resolve([unsure, Candidate(0, 1, "SUBSTANCE", "ner")])
    assert (chosen.concept, chosen.source) == ("DP:crack", "gazetteer")
    (other,) = resolve([unsure, Candidate(0, 1, "INSTITUTION", "ner")])
    assert (other.label, other.concept) == ("INSTITUTION", "")


def test_resolver_rank_decides_before_length():
    short = Candidate(1, 2, "SUBSTANCE", "gazetteer")
    long = Candidate(0, 3, "SUBSTANCE", "ner")
    assert resolve([long, short]) == [short]
    assert resolve([long, short], {"ner": {"*": 1}, "gazetteer": {"*": 1}}) == [long]


def test_resolver_rank_zero_leaves_out():
    assert resolve([Candidate(0, 1, "QUANTITY", "ner")], {"ner": {"*": 1, "QUANTITY": 0}}) == []


def test_resolver_ner_without_rank_still_confirms():
    unsure = Candidate(0, 1, "SUBSTANCE", "gazetteer", "DP:crack", unsure=True)
    policy = {"ner": {"*": 0}, "gazetteer": {"*": 1}}
    assert [c.source for c in resolve([unsure, Candidate(0, 1, "SUBSTANCE", "ner")], policy)] == ["gazetteer"]


def test_resolver_equal_candidate_lends_its_concept():
    policy = {"ner": {"*": 3}, "gazetteer": {"*": 1}}
    same = [Candidate(0, 2, "INSTITUTION", "ner"), Candidate(0, 2, "INSTITUTION", "gazetteer", "DP:dea")]
    assert resolve(same, policy) == [Candidate(0, 2, "INSTITUTION", "ner", "DP:dea")]


def test_resolver_label_named_in_the_policy_goes_before_the_star():
    policy = {"ner": {"*": 1, "QUANTITY": 3}, "form": {"*": 2}}
    ner, form = Candidate(0, 2, "QUANTITY", "ner"), Candidate(0, 1, "QUANTITY", "form")
    assert resolve([ner, form], policy) == [ner]


def test_resolver_source_without_policy_is_left_out():
    assert resolve([Candidate(0, 1, "SUBSTANCE", "form")], {"ner": {"*": 1}}) == []


def test_resolver_second_run_leaves_the_entities():
    doc = spacy.blank("en")("The fentanyl ban and the ban on drugs")
    doc.spans["drugpolicy"] = [Span(doc, 1, 2, label="SUBSTANCE", kb_id="DP:fentanyl", span_id="gazetteer")]
    doc.set_ents([Span(doc, 2, 3, label="POLICY_VERB"), Span(doc, 0, 1, label="INSTITUTION")])
    once = [(e.text, e.label_, e.kb_id_, e.id_) for e in Resolver()(doc).ents]
    assert once == [("fentanyl", "SUBSTANCE", "DP:fentanyl", "gazetteer"), ("ban", "POLICY_VERB", "", "ner")]
    assert [(e.text, e.label_, e.kb_id_, e.id_) for e in Resolver()(doc).ents] == once


def test_resolver_two_concepts_of_one_span_give_no_id():
    same = [Candidate(0, 1, "SUBSTANCE", "form"), *(Candidate(0, 1, "SUBSTANCE", "form", c) for c in ("DP:a", "DP:b"))]
    assert resolve(same)[0].concept == ""


@pytest.mark.parametrize("policy", [{"oracle": {"*": 1}}, {"ner": {"SUBSTANCES": 1}}])
def test_resolver_policy_with_unknown_names_is_refused(policy):
    with pytest.raises(DrugPolicyError, match="use"):
        Resolver(policy)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["the", "Drug", "Court"], ["Drug", "Court"]),
        (["DEA", "'s"], ["DEA"]),
        (["“", "CSA", "”", ","], ["CSA"]),
        (["Public", "Law", "91", ")"], ["Public", "Law", "91"]),
        (["Act", "(", "Cap", "."], ["Act"]),
        (["Medicines", "(", "Control", ")", "Act"], ["Medicines", "(", "Control", ")", "Act"]),
        (["(", "CSA", ")"], ["CSA"]),
        (["Customs", "on", "Monday"], ["Customs"]),
        (["Monday", "Club"], ["Monday", "Club"]),
        ([",", "the"], []),
    ],
)
def test_resolver_trims_what_no_entity_begins_or_ends_with(words, kept):
    doc = Doc(spacy.blank("en").vocab, words=words)
    start, end = trim(doc, 0, len(doc))
    assert [token.text for token in doc[start:end]] == kept


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("The Senate passed the budget.", []),
        ("The Senate passed the fentanyl budget.", ["passed"]),
        ("The Senate passed the drug budget.", ["passed"]),
        ("The Senate passed the drug budget. " + "It rained all day on the hills. " * 30, []),
        ("The Senate passed the drug budget on drugs. " + "It rained all day on the hills. " * 30, ["passed"]),
    ],
)
def test_resolver_policy_verbs_need_a_text_about_drugs(text, verbs):
    doc = spacy.blank("en")(text)
    doc.spans["drugpolicy"] = [
        Span(doc, token.i, token.i + 1, label="SUBSTANCE", span_id="gazetteer")
        for token in doc
        if token.text == "fentanyl"
    ]
    doc.set_ents([Span(doc, 2, 3, label="POLICY_VERB")])
    assert [ent.text for ent in Resolver()(doc).ents if ent.label_ == "POLICY_VERB"] == verbs


def test_resolver_the_ner_does_not_rename_a_defined_acronym():
    doc = spacy.blank("en")("Opioid use disorder (OUD) and fentanyl: OUD kills, CDSP says.")
    drug = next(token.i for token in doc if token.text == "fentanyl")
    doc.spans["drugpolicy"] = [Span(doc, drug, drug + 1, label="SUBSTANCE", span_id="gazetteer")]
    guesses = [token.i for token in doc if token.text in ("OUD", "CDSP")]
    doc.set_ents([Span(doc, i, i + 1, label="INSTITUTION") for i in guesses])
    assert [ent.text for ent in Resolver()(doc).ents] == ["fentanyl", "CDSP"]


def test_resolver_keeps_every_candidate_in_the_group():
    doc = spacy.blank("en")("Agents seized crack .")
    doc.spans["drugpolicy"] = [Span(doc, 2, 3, label="SUBSTANCE", span_id="gazetteer?")]
    doc.set_ents([Span(doc, 1, 2, label="POLICY_VERB")])
    doc = Resolver()(doc)
    assert [(span.text, span.id_) for span in doc.spans["drugpolicy"]] == [("crack", "gazetteer?"), ("seized", "ner")]


def test_resolver_default_policy_is_that_of_the_assembly_config(root):
    config = spacy.util.load_config(root / "configs/pipeline.cfg")
    assert config["components"]["drugpolicy_resolver"]["policy"] == DEFAULT_POLICY


@pytest.mark.parametrize(
    ("text", "listed", "parts"),
    [
        ("Ministry of Health and Ministry of Interior", (), ["Ministry of Health", "Ministry of Interior"]),
        ("Arrest Team and Judicial Intervention Team", (), ["Arrest Team", "Judicial Intervention Team"]),
        ("University of Kivu and Goma Medical School", (), ["University of Kivu and Goma Medical School"]),
        ("University of Kivu and College of Bunia", (), ["University of Kivu", "College of Bunia"]),
        ("Ministry of Justice and Public Security", (), ["Ministry of Justice and Public Security"]),
        ("Ministry of Interior and Police", (), ["Ministry of Interior and Police"]),
        ("Office of Courts and Prison Service", (), ["Office of Courts and Prison Service"]),
        ("Office of Courts and Prison Service", ((0, 3),), ["Office of Courts", "Prison Service"]),
        ("Office of Courts and Prison Service", ((0, 6),), ["Office of Courts and Prison Service"]),
    ],
)
def test_resolver_parts_two_institutions_with_and_between_them(text, listed, parts):
    doc = spacy.blank("en")(text)
    known = [Candidate(*span, "INSTITUTION", "gazetteer") for span in listed]
    found = separate(doc, [*known, Candidate(0, len(doc), "INSTITUTION", "form")])
    assert [doc[c.start : c.end].text for c in found if c.source == "form"] == parts
    assert [c for c in found if c.source == "gazetteer"] == known
