"""What annotated documents hold: counts, lengths and the most frequent surfaces of each label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median

from ..entity import label_order
from ..labels import ACTIONS
from .document import Document


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long some things are.

    Args:
        shortest: The least of them.
        median: As many are longer as shorter.
        mean: Their mean.
        longest: The greatest.
        counts: How many there are of each length or range of lengths, every one from the least to the greatest.
    """

    shortest: int
    median: float
    mean: float
    longest: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Surface:
    """What is marked, as it stands there.

    Args:
        text: The words, with single spaces.
        count: How often it is marked with the label.
    """

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """The spans of a label.

    Args:
        spans: How many there are.
        documents: In how many documents.
        surfaces: How many different ones, case aside.
        per_1000_words: Spans in a thousand words.
        words: How many words they have.
        top: The most frequent surfaces.
    """

    spans: int
    documents: int
    surfaces: int
    per_1000_words: float
    words: Lengths
    top: tuple[Surface, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a collection of documents holds.

    Args:
        documents: How many there are.
        unmarked: How many of them have no span.
        words: Their words, as white space parts them.
        characters: Their characters.
        spans: Their spans.
        surfaces: Different surfaces, case aside, each label's apart.
        per_1000_words: Spans in a thousand words.
        document_words: How many words a document has.
        document_spans: How many spans a document has.
        labels: By label, in the order of the scheme and then of the alphabet.
        actions: POLICY_VERB spans by action class, in the order of the scheme; an empty name for those without.
    """

    documents: int
    unmarked: int
    words: int
    characters: int
    spans: int
    surfaces: int
    per_1000_words: float
    document_words: Lengths
    document_spans: Lengths
    labels: dict[str, LabelStatistics]
    actions: dict[str, int]


def count_documents(documents: Iterable[Document], *, top: int = 10) -> Statistics:
    """Count what documents hold.

    Args:
        documents: At least one.
        top: How many of the most frequent surfaces of each label to name.
    """
    sizes: list[tuple[int, int, int]] = []  # words, characters, spans
    surfaces: dict[str, Counter[str]] = defaultdict(Counter)
    holders: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    for document in documents:
        sizes.append((len(document.text.split()), len(document.text), len(document.spans)))
        holders.update({span.label for span in document.spans})
        for span in document.spans:
            surfaces[span.label][" ".join(document.text[span.start : span.end].split())] += 1
            if span.label == "POLICY_VERB":
                actions[span.action] += 1
    words = sum(size[0] for size in sizes)
    labels = {label: _label(surfaces[label], holders[label], words, top) for label in sorted(surfaces, key=label_order)}
    spans = sum(label.spans for label in labels.values())
    return Statistics(
        documents=len(sizes),
        unmarked=sum(size[2] == 0 for size in sizes),
        words=words,
        characters=sum(size[1] for size in sizes),
        spans=spans,
        surfaces=sum(label.surfaces for label in labels.values()),
        per_1000_words=_density(spans, words),
        document_words=_lengths([size[0] for size in sizes]),
        document_spans=_lengths([size[2] for size in sizes]),
        labels=labels,
        actions={action: actions[action] for action in ("", *ACTIONS) if actions[action]},
    )


def _label(surfaces: Counter[str], documents: int, words: int, top: int) -> LabelStatistics:
    spans = surfaces.total()
    ranked = sorted(surfaces.items(), key=lambda item: (-item[1], item[0]))
    return LabelStatistics(
        spans=spans,
        documents=documents,
        surfaces=len({surface.casefold() for surface in surfaces}),
        per_1000_words=_density(spans, words),
        words=_lengths([len(surface.split()) for surface, count in surfaces.items() for _ in range(count)]),
        top=tuple(Surface(text, count) for text, count in ranked[:top]),
    )


def _density(spans: int, words: int) -> float:
    return round(1000 * spans / words, 2) if words else 0.0


def _lengths(values: list[int]) -> Lengths:
    least, greatest = min(values), max(values)
    return Lengths(least, median(values), round(fmean(values), 2), greatest, _ranges(values, least, greatest))


def _ranges(values: list[int], least: int, greatest: int, most: int = 20) -> dict[str, int]:
    """Count values one by one, or in ranges of a round width where they would be more than some."""
    width = next(
        step * 10**power for power in range(20) for step in (1, 2, 5) if (greatest - least) < most * step * 10**power
    )
    counts = Counter(value // width for value in values)
    return {
        str(i * width) if width == 1 else f"{i * width}-{(i + 1) * width - 1}": counts[i]
        for i in range(least // width, greatest // width + 1)
    }
