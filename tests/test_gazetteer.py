from __future__ import annotations

import pytest
import spacy

from drugpolicy_ner.concepts import Alias, Concept, default_store
from drugpolicy_ner.errors import ConceptError
from drugpolicy_ner.gazetteer import Gazetteer


def concept(name, label="SUBSTANCE", *aliases):
    return Concept(f"DP:{name.lower().replace(' ', '-')}", name, label, aliases=aliases or (Alias(name),))


CONCEPTS = [
    concept("fentanyl"),
    concept("acetyl fentanyl"),
    concept("4-ANPP", "PRECURSOR"),
    concept("heroin", "SUBSTANCE", Alias("heroin"), Alias("black tar heroin"), Alias("smack", ambiguous=True)),
    concept("DEA", "INSTITUTION", Alias("DEA", "acronym", "exact")),
    concept("JIATF South", "INSTITUTION", Alias("JIATF South", "acronym", "exact")),
    concept("Congress", "INSTITUTION", Alias("Congress", case="capital")),
    concept("US Attorney's Office", "INSTITUTION", Alias("U.S. Attorney's Office", case="capital")),
    concept("alpha-PVP", "SUBSTANCE", Alias("alpha-PVP"), Alias("α-PVP")),
    concept("1,4-butanediol", "SUBSTANCE"),
    concept("beta-methyl fentanyl", "SUBSTANCE", Alias("[beta]-methyl fentanyl")),
    Concept("DP:act-uk", "Drugs Act", "LEGAL_INSTRUMENT", aliases=(Alias("Drugs Act"),)),
    Concept("DP:act-nz", "Drugs Act", "LEGAL_INSTRUMENT", aliases=(Alias("Drugs Act"),)),
]


@pytest.fixture(scope="module")
def gazetteer():
    filled = Gazetteer()
    filled.add(CONCEPTS)
    return filled


def found(gazetteer, text):
    return [(text[m.start : m.end], m.concept, m.unsure) for m in gazetteer.find(text)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Fentanyl and FENTANYL", ["Fentanyl", "FENTANYL"]),
        ("fentanyl-laced pills", ["fentanyl"]),
        ("anti-fentanyl law", ["fentanyl"]),
        ("heroin-fentanyl mixture", ["heroin", "fentanyl"]),
        ("heroin/fentanyl", ["heroin", "fentanyl"]),
        ("acetyl-fentanyl", ["acetyl-fentanyl"]),
        ("acetyl fentanyl", ["acetyl fentanyl"]),
        ("acetyl-\nfentanyl", ["acetyl-\nfentanyl"]),
        ("acetyl\N{SOFT HYPHEN}fentanyl", ["acetyl\N{SOFT HYPHEN}fentanyl"]),
        ("acetyl\N{NO-BREAK SPACE}fentanyl", ["acetyl\N{NO-BREAK SPACE}fentanyl"]),
        ("butyryl fentanyl", []),
        ("para-fluoro-fentanyl", []),
        ("neither heroin nor fentanyl", ["heroin", "fentanyl"]),
        ("nor-fentanyl", []),
        ("N-fentanyl", []),
        ("2 fentanyl pills", ["fentanyl"]),
        ("fentanyl\n\nheroin", ["fentanyl", "heroin"]),
        ("fentanyls", []),
        ("xfentanyl", []),
        ("acetyl\n\nfentanyl", ["fentanyl"]),
        ("fen-\ntanyl", ["fen-\ntanyl"]),
        ("fen\N{SOFT HYPHEN}tanyl", ["fen\N{SOFT HYPHEN}tanyl"]),
        ("fen-tanyl", []),
        ("fentanyl¹", ["fentanyl"]),
        ("acetyl, fentanyl", ["fentanyl"]),
        ("4-ANPP", ["4-ANPP"]),
        ("4‑ANPP", ["4‑ANPP"]),
        ("on 4 ANPP", []),
        ("the U.S. Attorney's Oﬃce said", ["U.S. Attorney's Oﬃce"]),
        ("DEA's", ["DEA"]),
        ("JIATF South and JIATF-South", ["JIATF South", "JIATF-South"]),
        ("JIATF south", []),
        ("dea", []),
        ("Dea", []),
        ("the Congress", ["Congress"]),
        ("THE CONGRESS", ["CONGRESS"]),
        ("a congress", []),
        ("U.S. Attorney’s Office", ["U.S. Attorney’s Office"]),
        ("U.S. Attorneys Office", []),
        ("α-PVP or Alpha PVP", ["α-PVP", "Alpha PVP"]),
        ("1,4-butanediol", ["1,4-butanediol"]),
        ("1,4\nbutanediol", []),
        ("(heroin)", ["heroin"]),
        ("1, 4-butanediol", ["1, 4-butanediol"]),
        ("14-butanediol", []),
        ("[beta]-methyl fentanyl", ["[beta]-methyl fentanyl"]),
        ("beta-methyl fentanyl", []),
        ("black tar heroin", ["black tar heroin", "heroin"]),
    ],
)
def test_gazetteer_finds_names_and_only_names(gazetteer, text, names):
    assert sorted(name for name, _, _ in found(gazetteer, text)) == sorted(names)


@pytest.fixture(scope="module")
def real():
    filled = Gazetteer()
    filled.add(default_store())
    return filled


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        (
            "DEA would place xylazine in Schedule III",
            {("DEA", "DP:drug-enforcement-administration"), ("xylazine", "DP:xylazine")},
        ),
        (
            "fentanyl-laced pills from the Sinaloa Cartel",
            {("fentanyl", "DP:fentanyl"), ("Sinaloa Cartel", "DP:sinaloa-cartel")},
        ),
        ("They sold 2C-B.", {("2C-B", "DP:2c-b")}),
        ("the dea said it will ice the deal", set()),
        ("speed limits on the road", set()),
    ],
)
def test_gazetteer_real_data(real, text, sure):
    assert {(name, concept_id) for name, concept_id, unsure in found(real, text) if not unsure} == sure


def test_gazetteer_real_ambiguous_names_need_the_ner(real):
    for name in ("speed", "ice", "blues"):
        assert [unsure for _, _, unsure in found(real, f"the {name} here")] == [True], name


def test_gazetteer_loading_replaces_the_terms(gazetteer):
    other = Gazetteer()
    other.add([concept("kratom")])
    assert found(other.from_bytes(gazetteer.to_bytes()), "kratom and heroin") == [("heroin", "DP:heroin", False)]
    assert len(other) == len(gazetteer)


def test_gazetteer_ambiguous_in_one_concept_only_is_sure():
    filled = Gazetteer()
    filled.add([concept("snow", "SUBSTANCE", Alias("snow", ambiguous=True)), concept("Snow", "SUBSTANCE")])
    assert found(filled, "snow") == [("snow", "DP:snow", False)]


def test_gazetteer_ambiguous_alias_is_unsure(gazetteer):
    assert found(gazetteer, "smack and heroin") == [("smack", "DP:heroin", True), ("heroin", "DP:heroin", False)]


def test_gazetteer_name_of_two_concepts_has_no_id(gazetteer):
    assert found(gazetteer, "the Drugs Act") == [("Drugs Act", "", False)]


def test_gazetteer_alias_without_word_is_refused():
    with pytest.raises(ConceptError, match="neither letter nor digit"):
        Gazetteer().add([concept("***")])


def test_gazetteer_is_saved_and_loaded(gazetteer, tmp_path):
    text = "DEA seized 4-ANPP and smack under the Drugs Act"
    gazetteer.to_disk(tmp_path / "terms")
    assert found(Gazetteer().from_disk(tmp_path / "terms"), text) == found(gazetteer, text)
    assert found(Gazetteer().from_bytes(gazetteer.to_bytes()), text) == found(gazetteer, text)


def test_gazetteer_leaves_out_what_ends_inside_a_token(gazetteer):
    doc = spacy.blank("en")("heroin_v2 and heroin")
    assert [span.text for span in gazetteer(doc).spans["drugpolicy"]] == ["heroin"]


def test_gazetteer_finds_every_sure_alias_of_the_knowledge_base():
    filled = Gazetteer()
    filled.add(default_store())
    missed = []
    for item in default_store():
        for alias in item.aliases:
            text = f"It was about {alias.text}, they said."
            spans = {(text[m.start : m.end], m.label) for m in filled.find(text)}
            if (alias.text, item.label) not in spans:
                missed.append((item.id, alias.text))
    assert missed == []
