from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from drugpolicy_ner.concepts import Alias, Concept
from drugpolicy_ner.linking import Linker, definitions, find_definitions

ACRONYMS = (Path(__file__).parent / "data/defined_acronyms.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the Bureau of Drug Abuse Control (BDAC) said", [("Bureau of Drug Abuse Control", "BDAC")]),
        ("Servicio Nacional de Drogas (“SENADRO”)", [("Servicio Nacional de Drogas", "SENADRO")]),
        ("SENADRO (Servicio Nacional de Drogas) said", [("Servicio Nacional de Drogas", "SENADRO")]),
        ("Norway's Office of Drug Policy (the ODP)", [("Office of Drug Policy", "ODP")]),
        ("National Directorate for Narcotics Control (DNCE)", [("National Directorate for Narcotics Control", "DNCE")]),
        ("the Coastal Waters Act of 1999 (14 U.S.C. 70 et seq.) (CWA)", [("Coastal Waters Act of 1999", "CWA")]),
        ("They created the Regional Centre for Narcotics (CRCN)", [("Regional Centre for Narcotics", "CRCN")]),
        ("In the words of Mr. Smith (2019)", []),
        ("a rise in use (see Annex II)", []),
        ("The price (in US dollars) rose", []),
    ],
)
def test_linking_definitions(text, expected):
    assert [(text[d.start : d.end], d.acronym) for d in find_definitions(text)] == expected


@given(st.text(alphabet="ABCab (.,)-'’“\n", max_size=120))
def test_linking_definitions_lie_in_the_text(text):
    for definition in find_definitions(text):
        assert 0 <= definition.start < definition.end <= len(text)
        assert text.startswith(definition.acronym, definition.at)


def blank_doc(text: str) -> Doc:
    return spacy.blank("en")(text)


def test_linking_defined_acronyms_are_found_wherever_they_stand():
    doc = blank_doc("The Board of Drug Control (BDC) met. Later BDC, but not BDCs, said so.")
    found = [(doc[start:end].text, label) for start, end, label in definitions(doc, [])]
    assert found == [("Board of Drug Control", "INSTITUTION"), *[("BDC", "INSTITUTION")] * 2]


def test_linking_the_acronym_of_what_is_no_name_has_no_label():
    doc = blank_doc("Opioid Use Disorder (OUD) is treated; OUD kills.")
    assert [(doc[s:e].text, label) for s, e, label in definitions(doc, [])] == [("OUD", ""), ("OUD", "")]


def test_linking_the_entity_before_the_bracket_gives_the_label():
    doc = blank_doc("phenylpropanolamine (PPA) and PPA")
    assert [(doc[s:e].text, label) for s, e, label in definitions(doc, [(0, 1, "PRECURSOR")])] == [
        ("PPA", "PRECURSOR"),
        ("PPA", "PRECURSOR"),
    ]


CONCEPTS = [
    Concept(
        "DP:us-x", "Drug Bureau", "INSTITUTION", aliases=(Alias("Drug Bureau"), Alias("DB")), facts={"country": "US"}
    ),
    Concept(
        "DP:ie-x", "Drugs Board", "INSTITUTION", aliases=(Alias("Drugs Board"), Alias("DB")), facts={"country": "IE"}
    ),
    Concept("DP:us-y", "Treasury", "INSTITUTION", aliases=(Alias("Treasury"),), facts={"country": "US"}),
    Concept("DP:ph", "Phoenix House Foundation", "INSTITUTION", aliases=(Alias("Phoenix House Foundation"),)),
    Concept("DP:pva", "α-PVA", "SUBSTANCE", aliases=(Alias("α-PVA"),)),
]


@pytest.fixture(scope="module")
def linker():
    filled = Linker()
    filled.add(CONCEPTS)
    return filled


def link(linker, text, *spans):
    doc = blank_doc(text)
    ents = []
    for surface, label, *given_id in spans:
        for match in re.finditer(rf"\b{re.escape(surface)}(?!\w)", text):
            ents.append(doc.char_span(*match.span(), label=label, kb_id=given_id[0] if given_id else ""))
    doc.set_ents(ents)
    return [(ent.text, ent.kb_id_) for ent in linker(doc).ents]


def test_linking_by_normalised_name(linker):
    assert link(
        linker, "the Alpha-PVA and drug bureau", ("Alpha-PVA", "SUBSTANCE"), ("drug bureau", "INSTITUTION")
    ) == [
        ("Alpha-PVA", "DP:pva"),
        ("drug bureau", "DP:us-x"),
    ]


def test_linking_never_to_another_label(linker):
    assert link(linker, "the Treasury", ("Treasury", "CRIMINAL_ORG")) == [("Treasury", "")]


def test_linking_one_acronym_of_two_concepts_needs_the_document(linker):
    assert link(linker, "DB said", ("DB", "INSTITUTION")) == [("DB", "")]
    assert link(linker, "Treasury and DB said", ("Treasury", "INSTITUTION", "DP:us-y"), ("DB", "INSTITUTION")) == [
        ("Treasury", "DP:us-y"),
        ("DB", "DP:us-x"),
    ]


def test_linking_a_defined_acronym_means_what_its_name_means(linker):
    text = "Drugs Board (DB). DB said. Treasury"
    spans = [("Drugs Board", "INSTITUTION"), ("DB", "INSTITUTION"), ("Treasury", "INSTITUTION", "DP:us-y")]
    assert link(linker, text, *spans)[:3] == [("Drugs Board", "DP:ie-x"), ("DB", "DP:ie-x"), ("DB", "DP:ie-x")]
    unknown = "Dental Bureau (DB). DB said."
    assert link(linker, unknown, ("Dental Bureau", "INSTITUTION"), ("DB", "INSTITUTION", "DP:us-x")) == [
        ("Dental Bureau", ""),
        ("DB", ""),
        ("DB", ""),
    ]


def test_linking_a_shorter_form_after_the_full_name(linker):
    text = "Phoenix House Foundation helps. Phoenix House grew. The House met."
    spans = [("Phoenix House Foundation", "INSTITUTION")]
    doc = blank_doc(text)
    full = doc.char_span(0, 24, label=spans[0][1], kb_id="DP:ph")
    short = doc.char_span(32, 45, label="INSTITUTION")
    house = doc.char_span(56, 61, label="INSTITUTION")
    doc.set_ents([full, short, house])
    assert [(ent.text, ent.kb_id_) for ent in linker(doc).ents] == [
        ("Phoenix House Foundation", "DP:ph"),
        ("Phoenix House", "DP:ph"),
        ("House", ""),
    ]


def test_linking_leaves_spans_labels_and_sources_alone(linker):
    doc = blank_doc("Treasury seized it")
    doc.set_ents(
        [
            Span(doc, 0, 1, label="INSTITUTION", span_id="ner"),
            Span(doc, 1, 2, label="POLICY_VERB", kb_id="ENFORCE", span_id="form"),
        ]
    )
    assert [(e.text, e.label_, e.kb_id_, e.id_) for e in linker(doc).ents] == [
        ("Treasury", "INSTITUTION", "DP:us-y", "ner"),
        ("seized", "POLICY_VERB", "ENFORCE", "form"),
    ]


@pytest.mark.model
def test_linking_foreign_acronyms_in_text(nlp):
    """Institutions that no list holds, each defined with its acronym in the text."""
    rows = [json.loads(line) for line in ACRONYMS]
    assert len(rows) >= 60
    mentions = found = 0
    for row, doc in zip(rows, nlp.pipe(row["text"] for row in rows), strict=True):
        spans = {(ent.start_char, ent.end_char) for ent in doc.ents if ent.label_ == "INSTITUTION"}
        places = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(row['acronym'])}(?!\w)", row["text"])]
        mentions += len(places)
        found += sum(place in spans for place in places)
    assert found >= 0.9 * mentions
