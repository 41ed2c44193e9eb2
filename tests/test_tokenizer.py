from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer

from drugpolicy_ner.tokenizer import build_tokenizer

GOLDEN = (Path(__file__).parent / "golden/tokens.tsv").read_text(encoding="utf-8").splitlines()
SIGNS = str.maketrans({"⏎": "\n", "␣": "\N{SOFT HYPHEN}", "°": "\N{NO-BREAK SPACE}"})
TOKENIZER = build_tokenizer(spacy.blank("en"))
PIECES = st.sampled_from(
    [
        "fentanyl",
        "4-ANPP",
        "841(b)(1)",
        "§",
        "U.S.C.",
        "(",
        ")",
        "[",
        "]",
        "-",
        "–",
        "/",
        "'s",
        "’",
        "Δ9",
        ".",
        ",",
        "N-",
    ]
)


@pytest.mark.parametrize("line", [line for line in GOLDEN if not line.startswith("#")])
def test_tokenizer_golden(line):
    text, tokens = line.split("\t")
    assert [token.text for token in TOKENIZER(text.translate(SIGNS))] == [
        token.translate(SIGNS) for token in tokens.split(" ")
    ]


@given(st.text() | st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_tokenizer_never_changes_text(text):
    assert TOKENIZER(text).text == text


@given(st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_tokenizer_is_the_same_when_loaded(text):
    loaded = Tokenizer(TOKENIZER.vocab).from_bytes(TOKENIZER.to_bytes())
    assert [token.text for token in loaded(text)] == [token.text for token in TOKENIZER(text)]


def test_tokenizer_long_chemical_text_is_quick_to_refuse():
    # nested brackets and locants must not make the pattern backtrack without end
    text = "N-(1-(2-" * 40 + "x" * 2000 + "!"
    assert TOKENIZER(text).text == text
