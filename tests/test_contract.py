"""One contract for every component: saving, loading, pickling, processes, empty texts, the same result twice."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest
import spacy
from spacy.tokens import Doc, Span, Token
from spacy.util import load_model_from_config

from drugpolicy_ner.actions import Verb, default_verbs
from drugpolicy_ner.concepts import Alias, Concept
from drugpolicy_ner.forms import default_forms
from drugpolicy_ner.tagger import Tagger

CONCEPTS = [
    Concept("DP:fentanyl", "fentanyl", "SUBSTANCE", aliases=(Alias("fentanyl"),)),
    Concept("DP:dea", "DEA", "INSTITUTION", aliases=(Alias("DEA", "acronym", "exact"),)),
]
TEXTS = [
    "The DEA seized 40 kilograms of fentanyl under 21 U.S.C. 841.",
    "",
    " \n\t ",
    "Fentanyl-laced pills stay in Schedule II; the DEA banned them.",
    "\N{NO-BREAK SPACE}4-ANPP, αβγ 🙂 {{x|y}} \\ <b>",
]
RULER = [{"label": "POLICY_VERB", "pattern": verb} for verb in ("seized", "banned")]


def tagged_by_rules():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler", config={"ent_id_sep": "||"}).add_patterns(RULER)
    nlp.add_pipe("drugpolicy_gazetteer").add(CONCEPTS)
    nlp.add_pipe("drugpolicy_forms").add(default_forms())
    nlp.add_pipe("drugpolicy_resolver")
    nlp.add_pipe("drugpolicy_actions").train([], default_verbs())
    return nlp


def only_gazetteer():
    nlp = spacy.blank("en")
    nlp.add_pipe("drugpolicy_gazetteer").add(CONCEPTS)
    return nlp


def only_forms():
    nlp = spacy.blank("en")
    nlp.add_pipe("drugpolicy_forms").add(default_forms())
    return nlp


def only_actions():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(RULER)
    nlp.add_pipe("drugpolicy_actions").train([], [Verb("seize", "ENFORCE"), Verb("ban", "CONTROL")])
    return nlp


def only_resolver():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(RULER)
    nlp.add_pipe("drugpolicy_resolver", config={"policy": {"ner": {"*": 1, "SUBSTANCE": 0}}})
    return nlp


def host_with_tagger():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "DEA"}])
    nlp.add_pipe("drugpolicy_tagger", config={"spans_key": "found"})
    nlp.get_pipe("drugpolicy_tagger")._nlp = tagged_by_rules()
    return nlp


BUILDERS = [only_gazetteer, only_forms, only_resolver, only_actions, tagged_by_rules, host_with_tagger]


@pytest.fixture(params=BUILDERS, ids=lambda builder: builder.__name__)
def nlp(request):
    return request.param()


def state(doc):
    """Return all that our components may write."""
    groups = {key: [(s.start, s.end, s.label_, s.kb_id_, s.id_) for s in group] for key, group in doc.spans.items()}
    return doc.text, [(e.start, e.end, e.label_, e.kb_id_, e.id_) for e in doc.ents], groups


def states(nlp, **options):
    return [state(doc) for doc in nlp.pipe(TEXTS, **options)]


def test_contract_finds_something(nlp):
    texts = [nlp(text) for text in TEXTS]
    assert any(doc.ents or any(doc.spans.values()) for doc in texts)


def test_contract_same_result_twice_and_by_pipe(nlp):
    once = [state(nlp(text)) for text in TEXTS]
    assert once == [state(nlp(text)) for text in TEXTS] == states(nlp) == states(nlp, batch_size=1)


def test_contract_disk(nlp, tmp_path):
    nlp.to_disk(tmp_path / "model")
    assert states(spacy.load(tmp_path / "model")) == states(nlp)


def test_contract_bytes(nlp):
    loaded = load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert states(loaded) == states(nlp)


def test_contract_saving_twice_gives_the_same_bytes(nlp):
    assert nlp.to_bytes() == nlp.to_bytes()


def test_contract_pickle(nlp):
    assert states(pickle.loads(pickle.dumps(nlp))) == states(nlp)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_contract_processes(nlp, method, monkeypatch):
    # spaCy starts its workers with the default context
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        assert states(nlp, n_process=2, batch_size=2) == states(nlp)
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_contract_registers_no_extension(nlp):
    nlp(TEXTS[0])
    assert not (Doc._.__dict__ if hasattr(Doc, "__dict__") and not hasattr(Doc, "has_extension") else {})
    for owner in (Doc, Span, Token):
        assert not [name for name in ("drugpolicy", "concept", "source", "action") if owner.has_extension(name)]


def test_contract_tagger_leaves_the_host_as_it_was():
    host = spacy.blank("en")
    host.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "DEA"}])
    before = host(TEXTS[0])
    host.add_pipe("drugpolicy_tagger", config={"spans_key": "found"})
    host.get_pipe("drugpolicy_tagger")._nlp = tagged_by_rules()
    after = host(TEXTS[0])
    assert state(after)[:2] == state(before)[:2]
    assert [token.text for token in after] == [token.text for token in before]
    assert list(after.spans) == ["found"]
    assert ("fentanyl", "DP:fentanyl") in [(span.text, span.kb_id_) for span in after.spans["found"]]


def test_contract_tagger_grows_spans_to_the_tokens_of_the_host():
    host = spacy.blank("en")
    tagger = Tagger("found", tagged_by_rules())
    doc = tagger(host("It stays in Schedule I."))
    assert [span.text for span in doc.spans["found"]] == ["Schedule I."]
