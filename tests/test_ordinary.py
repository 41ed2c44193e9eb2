"""Ordinary sentences whose words also name drugs, laws or acts of policy: nothing may be found in them."""

from __future__ import annotations

from pathlib import Path

import pytest

LINES = (Path(__file__).parent / "data/ordinary_sentences.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.model
def test_ordinary_sentences_give_no_entity(nlp):
    assert len(LINES) >= 300
    assert len(set(LINES)) == len(LINES)
    wrong = [(doc.text, [(e.text, e.label_) for e in doc.ents]) for doc in nlp.pipe(LINES) if doc.ents]
    assert len(wrong) <= 0.01 * len(LINES), wrong
