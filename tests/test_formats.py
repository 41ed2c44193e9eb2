"""The law of all formats: what is written is read again, and nothing is lost unsaid."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drugpolicy_ner.corpus import (
    Document,
    Format,
    Notes,
    Span,
    conll,
    docbin,
    huggingface,
    read_documents,
    tokens,
    write_documents,
)
from drugpolicy_ner.corpus.formats import detect
from drugpolicy_ner.labels import ACTIONS

SUFFIXES = {
    Format.MARKED: ".txt",
    Format.DOCBIN: ".spacy",
    Format.LABEL_STUDIO: ".json",
    Format.CSV: ".csv",
    Format.TSV: ".tsv",
    Format.PARQUET: ".parquet",
    Format.CONLL: ".conll",
    Format.BILOU: ".conll",
    Format.BRAT: "",
    Format.BIOC_XML: ".xml",
    Format.BIOC_JSON: ".json",
    Format.PUBTATOR: ".pubtator",
    Format.HUGGINGFACE: "",
}
ALL = list(Format)
WITHOUT_META = {Format.BRAT, Format.PUBTATOR}
LABELS = ["SUBSTANCE", "INSTITUTION", "POLICY_VERB", "Route-of_entry", "ÉTAT"]
PIECES = st.one_of(
    st.sampled_from(
        ["DEA", " ", "\n", "\n\n", "\r\n", "2C-B.", "don't", "fentanyl-laced", "(b)(1)", '"', ",", "\t", "# "]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
    st.text("aé漢😀 \u00a0\u2028\\|{}-O", max_size=6),
)


@st.composite
def documents(draw, doc_id: str, pieces: st.SearchStrategy[str], letters: str, meta: bool) -> Document:
    text, spans = "", []
    for piece in draw(st.lists(pieces, max_size=8)):
        if piece and piece == piece.strip() and draw(st.booleans()):
            label = draw(st.sampled_from(LABELS))
            action = draw(st.sampled_from(["", *ACTIONS])) if label == "POLICY_VERB" else ""
            spans.append(Span(len(text), len(text) + len(piece), label, action))
        text += piece
    word, value = st.text(letters, min_size=1, max_size=5), st.text(letters, max_size=5)
    fields = draw(st.dictionaries(word, value, max_size=2)) if meta else {}
    return Document(doc_id, text, tuple(spans), fields)


def collections(form: Format) -> st.SearchStrategy[list[Document]]:
    """Collections of documents that a format can hold."""
    names = st.text(string.printable + "é😀", min_size=1, max_size=5)
    pieces = PIECES
    letters = string.printable + "é😀"
    if form is Format.PUBTATOR:  # lines
        names = names.filter(lambda name: name.strip() and not set("|\t\r\n") & set(name))
        pieces = pieces.map(lambda piece: re.sub("[\n\r\t]", " ", piece))
    if form is Format.BIOC_XML:  # no control characters
        letters = "".join(filter(str.isprintable, letters))
        names = st.text(letters, min_size=1, max_size=5)
        pieces = pieces.map(lambda piece: re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", piece))
    one = st.lists(names, min_size=1, max_size=3, unique=True)
    meta = form not in WITHOUT_META
    return one.flatmap(lambda ids: st.tuples(*(documents(i, pieces, letters, meta) for i in ids))).map(list)


@pytest.fixture(scope="module", autouse=True)
def _one_tokenizer():
    with pytest.MonkeyPatch.context() as patch:
        tokenize = tokens.load_tokenizer()
        for module in (conll, docbin, huggingface):
            patch.setattr(module, "load_tokenizer", lambda: tokenize)  # it takes a while, and the law has many cases
        yield


def write(folder: Path, docs: list[Document], form: Format) -> Path:
    path = folder / f"data{SUFFIXES.get(form, '.jsonl')}"
    notes = Notes()
    assert write_documents(docs, path, form, notes=notes) == len(docs)
    return path


@pytest.mark.parametrize("form", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_round_trip_loses_nothing(tmp_path_factory, form: Format, data) -> None:
    docs = data.draw(collections(form))
    path = write(tmp_path_factory.mktemp("formats"), docs, form)
    if form is Format.BRAT:  # a folder has the order of its names
        assert {doc.id: doc for doc in read_documents(path, form)} == {doc.id: doc for doc in docs}
    else:
        assert list(read_documents(path, form, notes=Notes())) == docs


@pytest.mark.parametrize("form", ALL)
def test_written_files_are_recognised(tmp_path: Path, form: Format) -> None:
    text = "The DEA seized fentanyl. It was sold."
    spans = (Span(4, 7, "INSTITUTION"), Span(8, 14, "POLICY_VERB", "ENFORCE"), Span(15, 23, "SUBSTANCE"))
    docs = [Document("a", text, spans), Document("b", "No drug here.")]
    path = write(tmp_path, docs, form)
    assert detect(path) is form
    assert list(read_documents(path)) == docs
