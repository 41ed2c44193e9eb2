from __future__ import annotations

import pytest
import spacy

from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.corpus.check import (
    align,
    check_alignment,
    check_openings,
    check_repetition,
    check_shared,
    check_unmarked,
)
from drugpolicy_ner.errors import AlignmentError
from drugpolicy_ner.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer(spacy.blank("en"))
PHRASE = "the minister said that nobody had asked for it"


def test_check_align_sets_entities_with_their_action():
    doc = align(Document("a", "DEA banned it", (Span(4, 10, "POLICY_VERB", "CONTROL"),)), TOKENIZER)
    assert [(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents] == [("banned", "POLICY_VERB", "CONTROL")]


def test_check_align_misaligned_span_is_an_error_with_id_and_text():
    document = Document("doc-7", "methamphetamine", (Span(0, 4, "SUBSTANCE"),))
    with pytest.raises(AlignmentError, match=r"doc-7.*'meth'.*methamphetamine"):
        align(document, TOKENIZER)
    (finding,) = check_alignment([document], TOKENIZER)
    assert (finding.doc_id, finding.error) == ("doc-7", True)


def test_check_alignment_finds_nothing_in_what_aligns():
    document = Document("a", "2C-B's maker", (Span(0, 4, "SUBSTANCE"),))
    assert list(check_alignment([document, Document("b", "")], TOKENIZER)) == []


def test_check_unmarked_leaves_out_common_words():
    text = "They ban it, a ban of 5 kg and 5 kg"
    spans = (Span(5, 8, "POLICY_VERB", "CONTROL"), Span(22, 26, "QUANTITY"))
    assert list(check_unmarked([Document("a", text, spans)])) == []
    assert {finding.kind for finding in check_unmarked([Document("a", text, spans)], ignore=())} == {"unmarked"}


def test_check_unmarked_lists_a_name_that_stands_unmarked_elsewhere():
    text = "DEA said so, and DEA agents left"
    (finding,) = check_unmarked([Document("a", text, (Span(0, 3, "INSTITUTION"),))])
    assert "'DEA'" in finding.message
    assert not finding.error
    assert not list(check_unmarked([Document("a", "DEA and DEAX", (Span(0, 3, "INSTITUTION"),))]))


def test_check_repetition_finds_shared_sequences_and_near_duplicates():
    four = [Document(str(i), f"{PHRASE} {f'word{i} ' * 30}") for i in range(4)]
    assert {finding.kind for finding in check_repetition(four)} == {"repeated"}
    assert not list(check_repetition(four[:3]))
    assert {finding.kind for finding in check_repetition([Document("a", PHRASE), Document("b", PHRASE)])} == {
        "near-duplicate"
    }


def test_check_repetition_allows_a_long_name_to_recur():
    name = "Advisory Council on the Misuse of Drugs and Alcohol"
    docs = [Document(str(i), f"{i} {name} {i}", (Span(2, 2 + len(name), "INSTITUTION"),)) for i in range(4)]
    assert not list(check_repetition(docs))


def test_check_openings_lists_an_opening_of_many():
    docs = [Document(str(i), f"The ministry said {i}") for i in range(5)]
    assert len(list(check_openings(docs))) == 1
    assert not list(check_openings(docs[:4]))


def test_check_shared_finds_held_out_sequences():
    assert len(list(check_shared([Document("a", f"Then {PHRASE} again")], [PHRASE]))) == 1
    assert not list(check_shared([Document("a", "something else altogether was said there that day")], [PHRASE]))
