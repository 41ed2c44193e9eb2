"""What the sources hand to the resolver: candidate spans in one span group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from spacy.tokens import Doc

GROUP: Final = "drugpolicy"
"""Key of the span group that holds the candidates of every source."""

SOURCES: Final = ("gazetteer", "nomenclature", "definition", "form", "ner")
"""Who can propose a span, the surest first.

The lists of names, the grammar of chemical names, the acronyms that a document defines, the closed forms, the trained
model.
"""

UNSURE: Final = "?"
"""Suffix of the source of a candidate that counts only where the trained model agrees."""

TOPICAL: Final = "~"
"""Suffix of the source of a candidate that counts only in a document about drugs."""


class Match(NamedTuple):
    """A stretch of text that a rule source proposes.

    Args:
        start: Offset of the first character.
        end: Offset after the last character.
        label: Entity label.
        concept: Concept id, or empty.
        unsure: Whether it counts only where the trained model agrees.
        topical: Whether it counts only in a document about drugs.
    """

    start: int
    end: int
    label: str
    concept: str = ""
    unsure: bool = False
    topical: bool = False


def add_candidates(doc: Doc, source: str, matches: Iterable[Match]) -> None:
    """Add matches to the candidates of a document, leaving out those that end inside a token.

    Args:
        doc: The document; its span group `GROUP` grows.
        source: One of `SOURCES`.
        matches: Offsets into `doc.text`.
    """
    if GROUP not in doc.spans:
        doc.spans[GROUP] = []
    spans = doc.spans[GROUP]
    for match in matches:
        span = doc.char_span(
            match.start,
            match.end,
            label=match.label,
            kb_id=match.concept,
            span_id=source + (UNSURE if match.unsure else TOPICAL if match.topical else ""),
        )
        if span is not None:
            spans.append(span)
