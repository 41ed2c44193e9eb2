"""What the pipeline must find, and must not, in the article that the project started from."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.model

FOUND = {
    "opioids": "DRUG_CLASS",
    "synthetic opioids": "DRUG_CLASS",
    "fentanyl": "SUBSTANCE",
    "precursor chemicals": "PRECURSOR",
    "synthetic drugs": "DRUG_CLASS",
    "State Department": "INSTITUTION",
    "Biden-Harris administration": "INSTITUTION",
    "United Nations Commission on Narcotic Drugs": "INSTITUTION",
    "Treasury Department": "INSTITUTION",
    "deterring": "POLICY_VERB",
    "disrupting": "POLICY_VERB",
    "advocate": "POLICY_VERB",
    "vote": "POLICY_VERB",
    "put": "POLICY_VERB",
    "pressing": "POLICY_VERB",
    "coordinating": "POLICY_VERB",
    "apply": "POLICY_VERB",
    "cut down": "POLICY_VERB",
}


@pytest.fixture(scope="module")
def found(nlp, root):
    doc = nlp((root / "tests/data/state-department-2021-04-07.txt").read_text(encoding="utf-8"))
    return {(ent.text, ent.label_) for ent in doc.ents}


@pytest.mark.parametrize(("text", "label"), FOUND.items())
def test_sample_entity_is_found(found, text, label):
    assert (text, label) in found


def test_sample_traps_are_avoided(found):
    texts = {text for text, _ in found}
    assert ("Rx Drug Abuse & Heroin Summit", "INSTITUTION") not in found
    assert "Narcotic" not in texts
    assert "State Department Leveraging Resources" not in texts
