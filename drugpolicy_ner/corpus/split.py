"""Splitting documents into train, dev and test, so that each part tells the truth about the others.

Documents that belong together (near-duplicates, and those with one value in a field of meta) form a group, and a group
stays on one side. Groups are placed one by one, in an order that a hash of the seed and their ids decides, each where
the shares of labels and documents come closest to what they should be; then single groups move for as long as that
brings them closer. What is placed depends on the documents and the seed, never on the order they came in.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import DataError, UsageError
from .document import Document
from .formats import Format, new_folder, suffix_of, write_documents
from .similarity import bare, near_duplicates, owners, sequences
from .source import Notes

TRAIN: Final = "train"
DEV: Final = "dev"
DOCUMENT: Final = "document"
"""What `by` is where each document is a source of its own."""

_ROUNDS: Final = 20
_LEAST: Final = 1e-12  # gains below are rounding


@dataclass(frozen=True, slots=True)
class _Group:
    """Documents that stay together.

    Args:
        documents: Sorted by id.
        weights: Share of each label's spans, and of the documents (under an empty name), that they have.
    """

    documents: tuple[Document, ...]
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Split:
    """The parts.

    Args:
        parts: Documents of each part, sorted by id; train, and dev and test where they were asked for.
        groups: Number of groups that were placed.
        joined: Documents that share a group with another one.
        keyless: Documents without the field that groups them, each taken for a source of its own.
    """

    parts: dict[str, tuple[Document, ...]]
    groups: int
    joined: int
    keyless: int

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the spans of each part by label, every label in each."""
        labels = sorted({span.label for documents in self.parts.values() for d in documents for span in d.spans})
        found = {
            part: Counter(span.label for document in documents for span in document.spans)
            for part, documents in self.parts.items()
        }
        return {part: {label: counts[label] for label in labels} for part, counts in found.items()}


def split_documents(
    documents: Iterable[Document], *, dev: float = 0.1, test: float = 0.1, seed: int = 0, by: str = DOCUMENT
) -> Split:
    """Split documents.

    Args:
        documents: With ids of their own, in any order.
        dev: Share of the documents in dev; 0 for no dev.
        test: Share of the documents in test; 0 for no test.
        seed: Another number gives another split.
        by: A field of meta whose value keeps documents together, or "document".

    Returns:
        The parts. A label of two groups or more is never missing from train.

    Raises:
        UsageError: Shares that leave nothing, or a field that no document has.
        DataError: Too few groups to fill every part.
    """
    shares = _shares(dev, test)
    ordered = sorted(documents, key=lambda document: document.id)
    sources, keyless = _sources(ordered, by)
    groups = _weigh(_join(ordered, sources), seed)
    if len(groups) < len(shares):
        raise DataError(_too_few(len(ordered), len(groups), shares))
    placed = _place(groups, shares)
    parts: dict[str, list[Document]] = {part: [] for part in shares}
    for group, part in zip(groups, placed, strict=True):
        parts[part] += group.documents
    return Split(
        {part: tuple(sorted(held, key=lambda document: document.id)) for part, held in parts.items()},
        groups=len(groups),
        joined=sum(len(group.documents) for group in groups if len(group.documents) > 1),
        keyless=keyless,
    )


def _shares(dev: float, test: float) -> dict[str, float]:
    if not (0 <= dev < 1 and 0 <= test < 1 and 0 < dev + test < 1):
        raise UsageError(
            f"dev {dev} and test {test} leave nothing to split: give shares whose sum lies between 0 and 1"
        )
    shares = {TRAIN: 1 - dev - test, DEV: dev, "test": test}
    return {part: share for part, share in shares.items() if share > 0}


def _too_few(documents: int, groups: int, shares: Mapping[str, float]) -> str:
    parts = ", ".join(shares)
    return (
        f"{documents} document{'s' * (documents != 1)} in {groups} group{'s' * (groups != 1)} that stay together "
        f"cannot fill {parts}: give more documents, ask for fewer parts, or group by something finer"
    )


def _sources(documents: Sequence[Document], by: str) -> tuple[list[str | None], int]:
    """Return what keeps each document together with others, and how many have no such field."""
    if by == DOCUMENT:
        return [None] * len(documents), 0
    sources = [document.meta.get(by) or None for document in documents]
    if documents and not any(sources):
        fields = sorted({name for document in documents for name in document.meta})
        known = f"fields are {', '.join(fields)}" if fields else "they have none"
        raise UsageError(f"--by {by}: no document has this field of meta: {known}")
    return list(sources), sources.count(None)


def _join(documents: Sequence[Document], sources: Sequence[str | None]) -> list[list[Document]]:
    """Return the documents in groups that must not be parted."""
    leader = list(range(len(documents)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    def join(a: int, b: int) -> None:
        a, b = sorted((find(a), find(b)))
        leader[b] = a

    first: dict[tuple[str, str], int] = {}
    for i, (document, source) in enumerate(zip(documents, sources, strict=True)):
        join(i, first.setdefault(("text", bare(document.text)), i))
        if source is not None:
            join(i, first.setdefault(("source", source), i))
    grams = [sequences(document) for document in documents]
    for a, b, _ in near_duplicates(grams, owners(grams)):
        join(a, b)
    groups: dict[int, list[Document]] = defaultdict(list)
    for i, document in enumerate(documents):
        groups[find(i)].append(document)
    return list(groups.values())


def _weigh(groups: Sequence[Sequence[Document]], seed: int) -> list[_Group]:
    """Return the groups in the order of a hash, with what each holds of the whole."""
    held = [Counter(span.label for document in group for span in document.spans) for group in groups]
    totals = sum(held, Counter())
    documents = sum(map(len, groups))
    weighed = [
        _Group(
            tuple(group),
            {"": len(group) / documents} | {label: count / totals[label] for label, count in sorted(counts.items())},
        )
        for group, counts in zip(groups, held, strict=True)
    ]
    return sorted(weighed, key=lambda group: hashlib.sha256(f"{seed}\0{group.documents[0].id}".encode()).digest())


def _place(groups: Sequence[_Group], shares: Mapping[str, float]) -> list[str]:
    """Return the part of each group."""
    filled: dict[str, Counter[str]] = {part: Counter() for part in shares}
    placed: list[str] = [""] * len(groups)

    def cost(part: str, weights: Mapping[str, float], sign: int) -> float:
        """Return by how much the part is further from its share when a group comes (1) or goes (-1)."""
        share, have = shares[part], filled[part]
        return sum(w * (sign * 2 * (have[label] - share) + w) / share for label, w in weights.items())

    def put(i: int, part: str) -> None:
        if placed[i]:
            filled[placed[i]].subtract(groups[i].weights)
        filled[part].update(groups[i].weights)
        placed[i] = part

    for i, group in enumerate(groups):
        put(i, min(shares, key=lambda part: cost(part, group.weights, 1)))
    for _ in range(_ROUNDS):
        moved = False
        for i, group in enumerate(groups):
            weights, here = group.weights, placed[i]
            leaving = cost(here, weights, -1)
            best = min((part for part in shares if part != here), key=lambda part: cost(part, weights, 1))
            if leaving + cost(best, weights, 1) < -_LEAST:
                put(i, best)
                moved = True
        if not moved:
            break
    widespread = Counter(label for group in groups for label in group.weights)

    def needed(i: int) -> bool:
        """Whether train would lose a label with a group, of those that it could have all the same."""
        others = [group.weights for j, group in enumerate(groups) if placed[j] == TRAIN and j != i]
        return any(widespread[label] > 1 and not any(label in held for held in others) for label in groups[i].weights)

    for label in sorted(widespread):
        holders = [i for i, group in enumerate(groups) if label in group.weights]
        if len(holders) > 1 and not any(placed[i] == TRAIN for i in holders):
            put(min(holders, key=lambda i: cost(TRAIN, groups[i].weights, 1)), TRAIN)
    for part in shares:
        if part not in placed:
            sizes = Counter(placed)
            spare = [i for i, here in enumerate(placed) if sizes[here] > 1 and not (here == TRAIN and needed(i))]
            if not spare:
                raise DataError(f"{part} cannot be filled without taking from train all there is of a label: give more")
            put(min(spare, key=lambda i: cost(part, groups[i].weights, 1)), part)
    return placed


def write_split(split: Split, output: str | Path, format: Format, *, notes: Notes) -> dict[str, Path]:
    """Write the parts into a folder, which appears whole or not at all.

    Args:
        split: The parts.
        output: The folder, new or empty.
        format: Their format: a file or a folder each.
        notes: Takes what the format cannot hold.

    Returns:
        The path of each part.

    Raises:
        DataError: A document that the format cannot hold.
        OutputError: It cannot be written.
        UsageError: A library that the format needs is missing.
    """
    names = {part: f"{part}{suffix_of(format)}" for part in split.parts}
    with new_folder(Path(output)) as folder:
        for part, documents in split.parts.items():
            write_documents(documents, folder / names[part], format, notes=notes)
    return {part: Path(output) / name for part, name in names.items()}
