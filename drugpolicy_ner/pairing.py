"""Gold spans and predictions of a document in pairs, which every figure of an evaluation counts, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from .corpus import Document, Span

CONTEXT: Final = 50
"""Characters of text on each side of an error."""

CORRECT: Final = "correct"
BOUNDARY: Final = "wrong boundary"
LABEL: Final = "wrong label"
MISSED: Final = "missed"
SPURIOUS: Final = "spurious"
ERRORS: Final = (MISSED, SPURIOUS, LABEL, BOUNDARY)
"""The kinds of errors. A wrong label may have wrong edges too."""


@dataclass(frozen=True, slots=True, order=True)
class Prediction:
    """A span that a pipeline found.

    Args:
        start: Offset of its first character.
        end: Offset after its last character.
        label: Its label.
        action: Action class of a POLICY_VERB, else empty.
        source: What decided, or empty where the pipeline does not say.
        score: How sure the pipeline is, where it says so.
    """

    start: int
    end: int
    label: str
    action: str = ""
    source: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A gold span with the prediction made for it; one of them is missing where there is no other.

    Args:
        gold: What people marked.
        predicted: What the pipeline found.
    """

    gold: Span | None
    predicted: Prediction | None

    @property
    def kind(self) -> str:
        """`CORRECT`, or the kind of error."""
        if self.predicted is None:
            return MISSED
        if self.gold is None:
            return SPURIOUS
        if self.gold.label != self.predicted.label:
            return LABEL
        same = (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end)
        return CORRECT if same else BOUNDARY


@dataclass(frozen=True, slots=True)
class Error:
    """An error in its context.

    Args:
        kind: One of `ERRORS`.
        doc_id: The document.
        gold: What people marked.
        predicted: What the pipeline found.
        before: The text before.
        text: The text that both spans cover.
        after: The text behind.
    """

    kind: str
    doc_id: str
    gold: Span | None
    predicted: Prediction | None
    before: str
    text: str
    after: str

    @classmethod
    def of(cls, pair: Pair, document: Document) -> Error:
        """Cut the context out of the document."""
        spans = [span for span in (pair.gold, pair.predicted) if span is not None]
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        text = document.text
        before, after = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
        return cls(pair.kind, document.id, pair.gold, pair.predicted, before, text[start:end], after)

    @property
    def label(self) -> str:
        """The label that should have been given, or was given where none should."""
        span = self.gold or self.predicted
        return span.label if span else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def pair_spans(gold: Iterable[Span], predicted: Iterable[Prediction]) -> tuple[Pair, ...]:
    """Pair gold spans with predictions, one to one.

    Args:
        gold: What people marked, no two overlapping.
        predicted: What was found, no two overlapping.

    Returns:
        Pairs in the order of the text: as many of one label as can be, then of different labels, then what is left
        alone.
    """
    left, right = sorted(gold), sorted(predicted)
    pairs: list[Pair] = []
    for label in sorted({span.label for span in left}):
        same = [span for span in left if span.label == label], [span for span in right if span.label == label]
        pairs += _overlapping(*same)
    for _ in range(2):  # equal labels are done: now any others, and then none are left
        taken = {pair.gold for pair in pairs}, {pair.predicted for pair in pairs}
        left, right = [s for s in left if s not in taken[0]], [s for s in right if s not in taken[1]]
        pairs += _overlapping(left, right)
    pairs += [Pair(span, None) for span in left] + [Pair(None, span) for span in right]
    return tuple(sorted(pairs, key=_place))


def _overlapping(gold: Sequence[Span], predicted: Sequence[Prediction]) -> Iterator[Pair]:
    """Pair spans that overlap; in their order, this makes as many pairs as there can be."""
    i = j = 0
    while i < len(gold) and j < len(predicted):
        if gold[i].end <= predicted[j].start:
            i += 1
        elif predicted[j].end <= gold[i].start:
            j += 1
        else:
            yield Pair(gold[i], predicted[j])
            i, j = i + 1, j + 1


def _place(pair: Pair) -> tuple[int, int]:
    spans = [span for span in (pair.gold, pair.predicted) if span is not None]
    return min(span.start for span in spans), max(span.end for span in spans)
