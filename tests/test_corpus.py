"""The corpus that the model is trained on keeps its own rules."""

from __future__ import annotations

import pytest
import spacy

from drugpolicy_ner.corpus import read_marked_path
from drugpolicy_ner.corpus.check import check_alignment, check_repetition
from drugpolicy_ner.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def splits(root):
    return {split: list(read_marked_path(root / "training/corpus" / split)) for split in ("train", "dev")}


def test_corpus_spans_end_at_token_edges(splits):
    tokenizer = build_tokenizer(spacy.blank("en"))
    assert [f for docs in splits.values() for f in check_alignment(docs, tokenizer)] == []


def test_corpus_passages_do_not_repeat_each_other(splits):
    assert list(check_repetition([*splits["train"], *splits["dev"]])) == []


def test_corpus_splits_share_no_passage(splits):
    ids = [{doc.id for doc in docs} for docs in splits.values()]
    assert not ids[0] & ids[1]
    assert len(ids[1]) >= 0.08 * len(ids[0])


def test_corpus_headers_say_genre_and_jurisdiction(splits):
    for docs in splits.values():
        for doc in docs:
            assert doc.meta.keys() >= {"genre", "jurisdiction"}, doc.id


def test_corpus_is_large_enough(splits):
    assert sum(len(doc.text.split()) for docs in splits.values() for doc in docs) >= 120_000
