"""Which documents say the same in the same words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

from .document import Document

WORD: Final = re.compile(r"\w+")
SHINGLE: Final = 8
"""Length in words of the sequences that are compared."""
NEAR: Final = 0.3
"""Share of the shorter document's sequences that makes two documents near-duplicates."""
MANY: Final = 50
"""Documents with a sequence in common, from which on not every pair of them is looked at."""


def shingles(text: str, length: int = SHINGLE) -> set[str]:
    """Return the word sequences of a text, lower-cased, without punctuation.

    Args:
        text: Plain text, without marks.
        length: Words in a sequence.
    """
    words = WORD.findall(text.lower())
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}


def sequences(document: Document) -> set[str]:
    """Return the word sequences of a document, a name as one word: a long name may recur, a long phrase may not."""
    parts, cursor = [], 0
    for span in sorted(document.spans):
        parts += [document.text[cursor : span.start], "_".join(WORD.findall(document.text[span.start : span.end]))]
        cursor = span.end
    return shingles("".join([*parts, document.text[cursor:]]))


def bare(text: str) -> str:
    """Return what two texts share that are the same but for case, punctuation and white space."""
    return " ".join(WORD.findall(text.lower())) or text.strip()


def owners(grams: Iterable[set[str]]) -> dict[str, list[int]]:
    """Return, for each sequence, which documents hold it.

    Args:
        grams: The sequences of each document.
    """
    where: dict[str, list[int]] = defaultdict(list)
    for i, held in enumerate(grams):
        for gram in held:
            where[gram].append(i)
    return dict(where)


def near_duplicates(
    grams: Sequence[set[str]], where: Mapping[str, Sequence[int]], near: float = NEAR
) -> Iterator[tuple[int, int, int]]:
    """Yield pairs of near-duplicates and how many sequences they share.

    Where a sequence stands in very many documents, each is compared with the next only, so a large set of documents
    made from one template gives a chain of pairs and not all of them.

    Args:
        grams: The sequences of each document.
        where: Their `owners`.
        near: Share of the shorter document's sequences that makes a pair.
    """
    shared: Counter[tuple[int, int]] = Counter()
    widespread = [0] * len(grams)
    for held in where.values():
        if len(held) <= MANY:
            shared.update(combinations(held, 2))
            continue
        for i in held:
            widespread[i] += 1
        for pair in pairwise(held):
            shared[pair] += 0
    for (a, b), count in sorted(shared.items()):
        least = near * min(len(grams[a]), len(grams[b]))
        if count + min(widespread[a], widespread[b]) > least:
            common = len(grams[a] & grams[b])
            if common > least:
                yield a, b, common
