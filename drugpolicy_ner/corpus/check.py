"""Quality checks over a set of annotated documents: each returns findings, none changes anything."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import AlignmentError
from .document import Document

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer
    from spacy.tokens import Doc

_WORD = re.compile(r"\w+")
SHINGLE = 8
"""Length in words of the sequences compared between passages."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend (error) or to look at (review).

    Args:
        kind: Name of the check.
        doc_id: The document it concerns.
        message: What was found, with the text in question.
        error: Whether it must be mended.
    """

    kind: str
    doc_id: str
    message: str
    error: bool = False


def align(document: Document, tokenizer: Tokenizer) -> Doc:
    """Tokenize a document and set its spans as entities.

    Args:
        document: The annotated document.
        tokenizer: The tokenizer of the pipeline to train.

    Returns:
        A Doc with `ents` set; the action class of a POLICY_VERB is the `kb_id_` of its span.

    Raises:
        AlignmentError: A span whose edges are not token edges. spaCy would drop it with a warning.
    """
    doc: Doc = tokenizer(document.text)
    ents = []
    for span in document.spans:
        ent = doc.char_span(span.start, span.end, label=span.label, kb_id=span.action)
        if ent is None:
            outer = doc.char_span(span.start, span.end, alignment_mode="expand") or ()
            raise AlignmentError(
                f"span {document.text[span.start : span.end]!r} does not end at token edges (tokens: "
                f"{[token.text for token in outer]}): move the span, or teach the tokenizer",
                doc_id=document.id,
            )
        ents.append(ent)
    doc.set_ents(ents)
    return doc


def check_alignment(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[Finding]:
    """Yield an error for each document that `align` refuses."""
    for document in documents:
        try:
            align(document, tokenizer)
        except AlignmentError as error:
            yield Finding("alignment", document.id, error.message, error=True)


def check_unmarked(
    documents: Iterable[Document], ignore: Sequence[str] = ("POLICY_VERB", "QUANTITY")
) -> Iterator[Finding]:
    """Yield, for review, a surface that is marked in a document and also stands unmarked in it.

    Args:
        documents: What to check.
        ignore: Labels whose surfaces are common words, left out of the comparison.
    """
    for document in documents:
        covered = bytearray(len(document.text))
        surfaces: dict[str, str] = {}
        for span in document.spans:
            covered[span.start : span.end] = b"\1" * (span.end - span.start)
            if span.label not in ignore:
                surfaces[document.text[span.start : span.end]] = span.label
        for surface, label in sorted(surfaces.items()):
            for match in re.finditer(rf"(?<!\w){re.escape(surface)}(?!\w)", document.text):
                if not any(covered[match.start() : match.end()]):
                    context = document.text[max(0, match.start() - 30) : match.end() + 30]
                    yield Finding("unmarked", document.id, f"{surface!r} ({label}) is unmarked in {context!r}")


def shingles(text: str, length: int = SHINGLE) -> set[str]:
    """Return the word sequences of a text, lower-cased, without punctuation.

    Args:
        text: Plain text, without marks.
        length: Words in a sequence.
    """
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}


def _names_joined(document: Document) -> str:
    """Return the text with each annotated name made one word."""
    parts, cursor = [], 0
    for span in sorted(document.spans):
        parts += [document.text[cursor : span.start], "_".join(_WORD.findall(document.text[span.start : span.end]))]
        cursor = span.end
    return "".join([*parts, document.text[cursor:]])


def check_repetition(documents: Sequence[Document], most: int = 3, near: float = 0.3) -> Iterator[Finding]:
    """Yield errors for word sequences that stand in too many passages and for near-duplicate passages.

    Args:
        documents: The whole corpus.
        most: Passages in which one sequence of `SHINGLE` words may stand.
        near: Share of the shorter passage's sequences that makes a pair near-duplicates.
    """
    where: dict[str, list[int]] = defaultdict(list)
    sizes = []
    for i, document in enumerate(documents):
        grams = shingles(_names_joined(document))  # a long name may recur, a long phrase may not
        sizes.append(len(grams))
        for gram in grams:
            where[gram].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for gram, owners in sorted(where.items()):
        if len(owners) > most:
            yield Finding("repeated", documents[owners[0]].id, f"{gram!r} stands in {len(owners)} passages", error=True)
        shared.update((a, b) for i, a in enumerate(owners) for b in owners[i + 1 :])
    for (a, b), count in sorted(shared.items()):
        if count > near * min(sizes[a], sizes[b]):
            yield Finding(
                "near-duplicate", documents[a].id, f"shares {count} sequences with {documents[b].id}", error=True
            )


def check_openings(documents: Iterable[Document], words: int = 3, most: int = 4) -> Iterator[Finding]:
    """Yield, for review, openings that too many passages share.

    Args:
        documents: The whole corpus.
        words: Words that make an opening.
        most: Passages that may share one.
    """
    where: dict[str, list[str]] = defaultdict(list)
    for document in documents:
        where[" ".join(_WORD.findall(document.text.lower())[:words])].append(document.id)
    for opening, ids in sorted(where.items()):
        if len(ids) > most:
            yield Finding("opening", ids[0], f"{opening!r} opens {len(ids)} passages: {', '.join(ids)}")


def check_shared(documents: Iterable[Document], others: Iterable[str]) -> Iterator[Finding]:
    """Yield an error for each document that shares a word sequence with texts it must not draw on.

    Args:
        documents: The corpus.
        others: Texts of the held-out set.
    """
    held_out: set[str] = set()
    for text in others:
        held_out |= shingles(text)
    for document in documents:
        common = shingles(document.text) & held_out
        if common:
            yield Finding(
                "leak", document.id, f"shares {len(common)} sequences with held-out text: {min(common)!r}", error=True
            )
