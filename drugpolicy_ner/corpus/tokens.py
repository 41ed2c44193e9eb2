"""Tokens for the formats that hold nothing else, cut so that every span begins and ends with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .document import Document
from .source import Notes

if TYPE_CHECKING:
    from spacy.tokens import Doc

Tokenize = Callable[[str], "Doc"]

CUT = "tokens cut at the edge of a span, where the pipeline's tokenizer does not"


def load_tokenizer() -> Tokenize:
    """Return the tokenizer of the pipeline."""
    import spacy

    from ..tokenizer import build_tokenizer

    tokenizer: Tokenize = build_tokenizer(spacy.blank("en"))
    return tokenizer


def cut_tokens(document: Document, tokenize: Tokenize, notes: Notes) -> list[tuple[int, int]]:
    """Return where the tokens of a document begin and end, with those parted that span an edge.

    Args:
        document: The document.
        tokenize: The tokenizer.
        notes: Takes the number of tokens that were cut.
    """
    edges = sorted({edge for span in document.spans for edge in (span.start, span.end)})
    tokens, cut, next_edge = [], 0, 0
    for token in tokenize(document.text):
        start, end = token.idx, token.idx + len(token)
        while next_edge < len(edges) and edges[next_edge] < end:
            if edges[next_edge] > start:
                tokens.append((start, edges[next_edge]))
                start = edges[next_edge]
                cut += 1
            next_edge += 1
        tokens.append((start, end))
    notes.add(CUT, document.id, cut)
    return tokens


def words(document: Document, tokenize: Tokenize, notes: Notes) -> list[tuple[int, int]]:
    """Return the tokens of a document without white space: that which stands in none is white space."""
    return [
        (start + match.start(), start + match.end())
        for start, end in cut_tokens(document, tokenize, notes)
        for match in re.finditer(r"\S+", document.text[start:end])
    ]


def tags(document: Document, tokens: list[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """Yield the IOB2 tag and the action class of each token.

    Args:
        document: The document.
        tokens: Its tokens, in the order of the text, cut at the edges of its spans.
    """
    spans = iter(sorted(document.spans))
    span = next(spans, None)
    for start, _ in tokens:
        while span is not None and span.end <= start:
            span = next(spans, None)
        if span is None or start < span.start:
            yield "O", ""
        else:
            yield ("B-" if start == span.start else "I-") + span.label, span.action
