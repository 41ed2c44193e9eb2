"""Quality checks over a set of annotated documents: each returns findings, none changes anything."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from ..errors import AlignmentError
from ..labels import ACTIONS, LABELS
from .document import Document, Span
from .similarity import MANY, NEAR, SHINGLE, WORD, bare, near_duplicates, owners, sequences

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer
    from spacy.tokens import Doc

COMMON: Final = ("POLICY_VERB", "QUANTITY")
"""Labels whose surfaces are common words, which may well stand unmarked."""

_CLOSE: Final = 0.75  # how alike a misspelt label is to what was meant, as difflib has it
_RARE: Final = 5  # how many times more frequent what was meant is
_SHOWN: Final = 3
_WIDTH: Final = 30
_BEGINNING: Final = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend (error) or to look at (review).

    Args:
        kind: Name of the check.
        doc_id: The document it concerns, or the first of them; empty where it concerns none.
        message: What was found, with the text in question.
        error: Whether it must be mended.
        path: The file it stands in.
        line: The line of the document in that file, where the format has lines.
    """

    kind: str
    doc_id: str
    message: str
    error: bool = False
    path: str = ""
    line: int | None = None


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
            raise AlignmentError(_misaligned(document, span, doc), doc_id=document.id)
        ents.append(ent)
    doc.set_ents(ents)
    return doc


def _misaligned(document: Document, span: Span, doc: Doc) -> str:
    outer = doc.char_span(span.start, span.end, alignment_mode="expand") or ()
    return (
        f"span {document.text[span.start : span.end]!r} does not end at token edges (tokens: "
        f"{[token.text for token in outer]}): move the span, or teach the tokenizer"
    )


def check_alignment(documents: Iterable[Document], tokenizer: Callable[[str], Doc]) -> Iterator[Finding]:
    """Yield an error for each span for which `align` would refuse its document."""
    for document in documents:
        doc = tokenizer(document.text)
        for span in document.spans:
            if doc.char_span(span.start, span.end) is None:
                yield Finding("alignment", document.id, _misaligned(document, span, doc), error=True)


def check_overlap(document: Document) -> Iterator[Finding]:
    """Yield an error for each two spans of a document that overlap; the same span twice is one.

    Args:
        document: A document as read, its spans in any order.
    """
    furthest: Span | None = None
    for span in sorted(set(document.spans)):
        if furthest is not None and span.start < furthest.end:
            shown = " and ".join(f"{document.text[s.start : s.end]!r} ({s.label})" for s in (furthest, span))
            yield Finding("overlap", document.id, f"spans {shown} overlap: remove one", error=True)
        if furthest is None or span.end > furthest.end:
            furthest = span


def check_empty(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yield an error for each document without text, and what there is of documents without spans."""
    unmarked = []
    for document in documents:
        if not document.text.strip():
            yield Finding("empty", document.id, "has no text: remove it", error=True)
        elif not document.spans:
            unmarked.append(document.id)
    if unmarked and not any(document.spans for document in documents):
        yield Finding("empty", unmarked[0], "no document has a span: nothing can be learned from this", error=True)
    elif unmarked:
        message = f"{len(unmarked)} of {len(documents)} documents have no span ({_some(unmarked)})"
        yield Finding("empty", unmarked[0], f"{message}: right, if there is nothing to mark in them")


def check_labels(documents: Iterable[Document], *, scheme: bool) -> Iterator[Finding]:
    """Yield errors for labels that the scheme does not have, or what looks like a misspelt label.

    Args:
        documents: The whole collection.
        scheme: Whether labels must be those of the scheme. If not, a label is looked at that is rare and close to a
            frequent one, or close to one of the scheme.
    """
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, str]] = {}
    for document in documents:
        for span in document.spans:
            counts[span.label] += 1
            first.setdefault(span.label, (document.id, document.text[span.start : span.end]))
    for label, count in counts.items():
        if label in LABELS:
            continue
        doc_id, surface = first[label]
        shown = f"{label!r} on {surface!r} ({count:,} span{'s' * (count != 1)} in all)"
        if scheme:
            close = closest(label, LABELS)
            hint = f"did you mean {close}? " if close else f"use one of {', '.join(LABELS)}; "
            message = f"unknown label {shown}: {hint}--no-scheme lets labels of your own through"
            yield Finding("format", doc_id, message, error=True)
            continue
        frequent = [other for other, many in counts.items() if other != label and many >= _RARE * count]
        if close := closest(label, [*LABELS, *frequent]):
            message = f"label {shown} looks like {close} ({counts[close]:,}): the same thing under two names?"
            yield Finding("label", doc_id, message)


def closest(label: str, labels: Iterable[str]) -> str | None:
    """Return which of some labels another one is likely meant to be, if any.

    Args:
        label: The label in question; case, hyphens and underscores do not count.
        labels: Those to choose from.
    """
    plain = {_plain(other): other for other in labels}
    close = get_close_matches(_plain(label), plain, 1, _CLOSE)
    return plain[close[0]] if close else None


def _plain(label: str) -> str:
    return re.sub(r"[\W_]", "", label).casefold()


def check_actions(documents: Iterable[Document], *, scheme: bool) -> Iterator[Finding]:
    """Yield what there is of policy verbs without an action class.

    Args:
        documents: What to check.
        scheme: Whether each must have one; if not, one finding says how many have none.
    """
    missing: dict[str, list[str]] = {}
    for document in documents:
        surfaces = [_surface(document, s) for s in document.spans if s.label == "POLICY_VERB" and not s.action]
        if surfaces:
            missing[document.id] = surfaces
    if not scheme and missing:
        count = sum(map(len, missing.values()))
        message = f"{count:,} POLICY_VERB span{'s' * (count != 1)} without an action class ({_some(list(missing))})"
        yield Finding("action", next(iter(missing)), message)
        return
    for doc_id, surfaces in missing.items():
        shown = ", ".join(map(repr, surfaces))
        message = f"POLICY_VERB {shown} needs an action class of {', '.join(ACTIONS)}"
        yield Finding("action", doc_id, message, error=True)


def check_unmarked(documents: Iterable[Document], ignore: Collection[str] = COMMON) -> Iterator[Finding]:
    """Yield, for review, a surface that is marked in a document and also stands unmarked in it.

    Args:
        documents: What to check.
        ignore: Labels whose surfaces are common words, left out of the comparison.
    """
    for document in documents:
        covered = _covered(document)
        surfaces: dict[str, str] = {}
        for span in document.spans:
            if span.label not in ignore:
                surfaces[document.text[span.start : span.end]] = span.label
        for surface, label in sorted(surfaces.items()):
            for match in re.finditer(rf"(?<!\w){re.escape(surface)}(?!\w)", document.text):
                if not any(covered[match.start() : match.end()]):
                    context = _context(document.text, match.start(), match.end())
                    yield Finding("unmarked", document.id, f"{surface!r} ({label}) is unmarked in {context!r}")


def check_surfaces(documents: Sequence[Document], ignore: Collection[str] = COMMON) -> Iterator[Finding]:
    """Yield, for review, surfaces with several labels, and those that are marked in some documents and not in others.

    Args:
        documents: The whole collection.
        ignore: Labels whose surfaces are common words: where they stand unmarked is not looked at.
    """
    labels: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for document in documents:
        for span in document.spans:
            labels[_surface(document, span)][span.label].append(document.id)
    for surface, uses in sorted(labels.items()):
        if len(uses) > 1:
            ranked = sorted(uses.items(), key=lambda use: (-len(use[1]), use[0]))
            shown = ", ".join(f"{label} {len(ids)} ({_some(sorted(set(ids)))})" for label, ids in ranked)
            yield Finding("labels", ranked[-1][1][0], f"{surface!r} has several labels: {shown}")
    names = {surface: uses for surface, uses in labels.items() if not set(uses) <= set(ignore)}
    rows = []
    for surface, unmarked in _unmarked(documents, names).items():
        marked = len({doc_id for ids in names[surface].values() for doc_id in ids})
        doc_id, context = unmarked[0]
        message = f"{surface!r} ({', '.join(sorted(names[surface]))}) is marked in {marked} and unmarked in "
        message += f"{len(unmarked)} documents ({_some([doc_id for doc_id, _ in unmarked])}): {context!r}"
        rows.append((len(unmarked) / marked, surface, Finding("surface", doc_id, message)))
    for _, _, finding in sorted(rows, key=lambda row: row[:2]):  # the likeliest oversight first
        yield finding


def _unmarked(documents: Sequence[Document], names: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Return, for each name, the documents in which it stands and is never marked, each with the first place."""
    beginnings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: (-len(name), name)):  # the longest name at a place is what stands there
        if word := _BEGINNING.match(name):
            beginnings[word[0]].append(name)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for document in documents:
        covered = _covered(document)
        text = re.sub(r"\s", " ", document.text)
        seen = {_surface(document, span) for span in document.spans}
        cursor = 0
        for word in _BEGINNING.finditer(text):
            start = word.start()
            if start < cursor or _is_word(text[start - 1 : start]):
                continue
            for name in beginnings.get(word[0], ()):
                cursor = start + len(name)
                if text.startswith(name, start) and not _is_word(text[cursor : cursor + 1]):
                    if name not in seen and not any(covered[start:cursor]):
                        seen.add(name)
                        found[name].append((document.id, _context(document.text, start, cursor)))
                    break
            else:
                cursor = start
    return found


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def check_duplicates(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yield errors for documents with the same text, but for case, punctuation and white space.

    Short texts, of fewer words than a sequence has, may well recur: they are for review, if annotated alike.

    Args:
        documents: The whole collection.
    """
    for text, same in _by_text(documents).items():
        first, *others = same
        for document in others:
            if document.id == first.id:  # which is an error of its own
                continue
            message = f"same text as {first.id}"
            differs = document.text == first.text and set(document.spans) != set(first.spans)
            if differs:
                message += ", with other spans"
            error = differs or text.count(" ") >= SHINGLE - 1
            yield Finding("duplicate", document.id, f"{message}: remove one", error=error)


def _by_text(documents: Iterable[Document]) -> dict[str, list[Document]]:
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if document.text.strip():
            groups[bare(document.text)].append(document)
    return groups


def check_repetition(documents: Sequence[Document], most: int = 3, near: float = NEAR) -> Iterator[Finding]:
    """Yield errors for near-duplicate passages and, for review, word sequences that stand in too many passages.

    Args:
        documents: The whole corpus, without duplicates.
        most: Passages in which one sequence of `SHINGLE` words may stand.
        near: Share of the shorter passage's sequences that makes a pair near-duplicates.
    """
    grams = [sequences(document) for document in documents]
    where = owners(grams)
    recurring: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for gram, held in where.items():
        if len(held) > most:
            recurring[tuple(held)].append(gram)
    for places, shared in sorted(recurring.items()):
        more = f" and {len(shared) - 1} more sequences stand" if len(shared) > 1 else " stands"
        yield Finding("repeated", documents[places[0]].id, f"{min(shared)!r}{more} in {len(places)} passages")
    for a, b, count in near_duplicates(grams, where, near):
        message = f"shares {count} sequences with {documents[b].id}"
        yield Finding("near-duplicate", documents[a].id, message, error=True)


def check_openings(documents: Iterable[Document], words: int = 3, most: int = 4) -> Iterator[Finding]:
    """Yield, for review, openings that too many passages share.

    Args:
        documents: The whole corpus.
        words: Words that make an opening.
        most: Passages that may share one.
    """
    where: dict[str, list[str]] = defaultdict(list)
    for document in documents:
        where[" ".join(WORD.findall(document.text.lower())[:words])].append(document.id)
    for opening, ids in sorted(where.items()):
        if len(ids) > most:
            yield Finding("opening", ids[0], f"{opening!r} opens {len(ids)} passages: {_some(ids)}")


def check_leakage(documents: Sequence[Document], others: Sequence[Document], near: float = NEAR) -> Iterator[Finding]:
    """Yield what documents share with others that they must not draw on, such as those of another split.

    The same text and near-duplicates are errors; an id or a few word sequences in common are for review.

    Args:
        documents: The collection.
        others: The documents held apart from it.
        near: Share of the shorter document's sequences that makes a pair near-duplicates.
    """
    ids = {other.id for other in others}
    texts = _by_text(others)
    grams = [sequences(other) for other in others]
    where = owners(grams)
    shared: dict[frozenset[str], list[str]] = defaultdict(list)
    for document in documents:
        if document.id in ids:
            yield Finding("leak", document.id, "its id is that of a document in the other data")
        same = texts.get(bare(document.text))
        if same:
            error = bare(document.text).count(" ") >= SHINGLE - 1
            yield Finding("leak", document.id, f"same text as {same[0].id} of the other data", error=error)
            continue
        own = sequences(document)
        common = own & where.keys()
        alike = {i: len(own & grams[i]) for i in sorted({i for gram in common for i in where[gram][:MANY]})}
        close = [i for i, count in alike.items() if count > near * min(len(own), len(grams[i]))]
        if close:
            nearest = max(close, key=alike.__getitem__)
            message = f"near-duplicate of {others[nearest].id} of the other data: shares {alike[nearest]} sequences"
            yield Finding("leak", document.id, f"{message}, as {min(own & grams[nearest])!r}", error=True)
        elif common:
            shared[frozenset(common)].append(document.id)
    for gathered, holders in shared.items():
        first = min(gathered)
        message = f"shares {len(gathered)} sequence{'s' * (len(gathered) != 1)} with the other data, as {first!r}"
        yield Finding("leak", holders[0], f"{message} in {others[where[first][0]].id}{_too(holders)}")


def _too(ids: Sequence[str]) -> str:
    more = len(ids) - 1
    return f" (and {more:,} more document{'s' * (more > 1)} here)" if more else ""


def _surface(document: Document, span: Span) -> str:
    return " ".join(document.text[span.start : span.end].split())


def _covered(document: Document) -> bytearray:
    """Return a 1 for each character that stands in a span."""
    covered = bytearray(len(document.text))
    for span in document.spans:
        covered[span.start : span.end] = b"\1" * (span.end - span.start)
    return covered


def _context(text: str, start: int, end: int) -> str:
    return text[max(0, start - _WIDTH) : end + _WIDTH]


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
