"""One annotated document, whatever format it came in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ..errors import DataError
from ..labels import ACTIONS, LABELS

LABEL_FORM: Final = re.compile(r"[^\s:|{}]+")
"""What a label looks like, of whatever scheme."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled stretch of a document's text.

    Args:
        start: Offset of the first character, from 0.
        end: Offset after the last character.
        label: Entity label.
        action: Action class of a POLICY_VERB, else empty.
    """

    start: int
    end: int
    label: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its spans.

    Args:
        id: Unique in its collection.
        text: The text, never changed by reading or writing.
        spans: In the order of the text.
        meta: What else the source said (genre, jurisdiction, year, ...).
    """

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)

    def check(self, *, scheme: bool = True, path: str | None = None, line: int | None = None) -> None:
        """Raise where the spans break the scheme.

        Args:
            scheme: Whether labels and action classes must be those of `labels`; where not, a label is any word
                without ``:|{}`` and the action class of a POLICY_VERB may be missing.
            path: File to name in the error.
            line: Line to name in the error.

        Raises:
            DataError: Unknown label or action class, offsets outside the text, an empty span, white space
                at an edge, or two spans that overlap.
        """

        def fail(message: str) -> None:
            raise DataError(message, path=path, line=line, doc_id=self.id)

        previous: Span | None = None
        for span in sorted(self.spans):
            surface = self.text[span.start : span.end]
            if not 0 <= span.start < span.end <= len(self.text):
                fail(f"span {span.start}-{span.end} lies outside the text of {len(self.text)} characters")
            if surface != surface.strip():
                fail(f"span {surface!r} begins or ends with white space: move its edge")
            if not LABEL_FORM.fullmatch(span.label):
                fail(f"label {span.label!r} on {surface!r}: a label is one word without : | {{ }}")
            if scheme and span.label not in LABELS:
                fail(f"unknown label {span.label!r} on {surface!r}: use one of {', '.join(LABELS)}")
            if span.label == "POLICY_VERB" and span.action not in ACTIONS and (scheme or span.action):
                fail(f"POLICY_VERB {surface!r} needs an action class of {', '.join(ACTIONS)}, not {span.action!r}")
            if span.label != "POLICY_VERB" and span.action:
                fail(f"{span.label} {surface!r} takes no action class, but has {span.action!r}")
            if previous is not None and span.start < previous.end:
                fail(f"span {surface!r} overlaps {self.text[previous.start : previous.end]!r}")
            previous = span
