"""The scheme is spelled in one module; whatever repeats it agrees."""

from __future__ import annotations

import re

import pytest
from spacy.util import load_config

import drugpolicy_ner
from drugpolicy_ner.candidates import SOURCES
from drugpolicy_ner.concepts import default_store
from drugpolicy_ner.entity import COLOURS
from drugpolicy_ner.forms import default_forms
from drugpolicy_ner.labels import ACTIONS, LABELS


def test_labels_nine_and_eleven():
    assert (len(LABELS), len(ACTIONS)) == (9, 11)
    assert drugpolicy_ner.LABELS == LABELS


def test_labels_of_the_guidelines(root):
    text = (root / "training/guidelines.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z_]{4,}) \|", text, flags=re.MULTILINE)
    assert set(rows) == {*LABELS, *ACTIONS}


def test_labels_of_the_data():
    assert {concept.label for concept in default_store()} <= set(LABELS)
    assert {form.label for form in default_forms()} <= set(LABELS)


def test_labels_of_the_configs(root):
    for path in (root / "configs").glob("*.cfg"):
        policy = load_config(path).get("components", {}).get("drugpolicy_resolver", {}).get("policy", {})
        assert set(policy) <= set(SOURCES), path
        assert {label for ranks in policy.values() for label in ranks} <= {"*", "+", *LABELS}, path


def test_labels_have_colours():
    assert list(COLOURS) == list(LABELS)


@pytest.mark.model
def test_labels_of_the_model(nlp):
    assert set(nlp.get_pipe("ner").labels) == set(LABELS)
