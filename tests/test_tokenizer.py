"""The golden table says where tokens end; the laws hold for every text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer

from drugpolicy_ner.concepts import default_store
from drugpolicy_ner.tokenizer import build_tokenizer

ESCAPE = re.compile(r"\\(?:([nt])|u([0-9a-f]{4}))")


def unescape(text: str) -> str:
    return ESCAPE.sub(lambda m: {"n": "\n", "t": "\t"}[m[1]] if m[1] else chr(int(m[2], 16)), text)


def read_table() -> list[tuple[str, list[str]]]:
    lines = (Path(__file__).parent / "golden/tokens.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(unescape(text), [unescape(token) for token in tokens.split("·")]) for text, tokens in rows]


TABLE = read_table()
PIECES = [text for text, _ in TABLE] + list(" \n\t()[]{}.,;:-–—/'’\"“”*_§±+|•\u00ad\u00a0\u200b")

TEXTS = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(spacy.blank("en"))


@pytest.fixture(scope="module")
def loaded(tokenizer):
    return Tokenizer(spacy.blank("en").vocab).from_bytes(tokenizer.to_bytes())


@pytest.mark.parametrize(("text", "tokens"), TABLE)
def test_tokenizer_golden(tokenizer, text, tokens):
    assert [token.text for token in tokenizer(text)] == tokens


def test_tokenizer_golden_table_is_large():
    assert len(TABLE) == len({text for text, _ in TABLE}) >= 250


@settings(deadline=None)
@given(text=TEXTS)
def test_tokenizer_never_changes_the_text(tokenizer, text):
    doc = tokenizer(text)
    assert "".join(token.text_with_ws for token in doc) == text


@settings(deadline=None)
@given(text=TEXTS)
def test_tokenizer_is_the_same_after_saving_and_loading(tokenizer, loaded, text):
    assert [token.text for token in loaded(text)] == [token.text for token in tokenizer(text)]


def test_tokenizer_is_what_a_config_asks_for():
    config = {"nlp": {"tokenizer": {"@tokenizers": "drugpolicy.Tokenizer.v1"}}}
    nlp = spacy.blank("en", config=config)
    assert [token.text for token in nlp("pure 2C-B.")] == ["pure", "2C-B", "."]


# What may stand at a name without a space. Each way of writing must leave the name a whole number of tokens.
BEFORE = [
    "",
    "(",
    "[",
    '"',
    "“",
    "'",
    "‘",
    "*",
    "**",
    "_",
    "•",
    "|",
    "/",
    "—",
    "–",
    "$",
    "~",
    "†",
    "x—",
    "x/",
    "x(",
]
AFTER = [
    "",
    ",",
    ";",
    ":",
    ")",
    "]",
    '"',
    "”",
    "'",
    "’",
    "'s",
    "’s",
    ").",
    "—x",
    "–x",
    "-laced",
    "*",
    "|",
    "®",
    "[3]",
]


@pytest.mark.parametrize("before", BEFORE)
def test_tokenizer_leaves_known_names_whole_after(tokenizer, before):
    assert split_names(tokenizer, before, "") == []


@pytest.mark.parametrize("after", AFTER)
def test_tokenizer_leaves_known_names_whole_before(tokenizer, after):
    assert split_names(tokenizer, "", after) == []


def test_tokenizer_leaves_known_names_whole_at_the_end_of_a_sentence(tokenizer):
    # "M.J." and "L." end in a stop of their own
    assert split_names(tokenizer, "", ".", unless=re.compile(r"\.$|[A-Za-z]\d*[A-Z]$")) == []


def split_names(tokenizer, before, after, unless=re.compile(r"^\[|^'|^S\. |!$|^D-")):
    """Return the names of the knowledge base, every seventh, that are not a whole number of tokens."""
    names = sorted({alias.text for concept in default_store() for alias in concept.aliases})[::7]
    bad = []
    for name in names:
        start = len("a ") + len(before)
        if not unless.search(name):
            span = tokenizer(f"a {before}{name}{after}").char_span(start, start + len(name))
            if span is None:
                bad.append(name)
    return bad
