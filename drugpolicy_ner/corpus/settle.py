"""From spans as other tools keep them to spans that a document can hold: offsets, edges, overlaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import NamedTuple

from ..errors import DataError
from .document import LABEL_FORM, Document, Span
from .source import Found, Notes, Offsets, Overlaps, ReadOptions, Row, brief


class Mention(NamedTuple):
    """A span with the surface that its file holds beside it.

    Args:
        span: The span, its offsets as the file counts them.
        surface: What should stand there, or None where the file does not say.
    """

    span: Span
    surface: str | None = None


def settle(found: Found, options: ReadOptions, notes: Notes) -> Document:
    """Return a document whose spans are whole, trimmed, sorted and apart.

    Args:
        found: The document as read.
        options: What to do with what a document cannot hold.
        notes: Takes what was changed.

    Raises:
        DataError: What cannot be settled, with file, line and document.
    """
    document = found.document

    def fail(message: str) -> DataError:
        return DataError(message, path=found.path, line=found.line, doc_id=document.id)

    try:
        document.text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(document.text[error.start]):04X}"
        message = f"the text holds half a surrogate pair ({half} at character {error.start + 1}): mend its escapes"
        raise fail(message) from None
    spans: list[Span] = []
    for span in document.spans:
        if not LABEL_FORM.fullmatch(span.label):
            what = f"label {span.label!r} is not one word without : | {{ }}"
            raise fail(f"{what}: rename it with data convert --map '{span.label}=NEW'")
        if not 0 <= span.start <= span.end <= len(document.text):
            message = f"span {span.start}-{span.end} ({span.label}) lies outside the text of {len(document.text)}"
            raise fail(f"{message} characters: is this the text that was annotated?")
        trimmed = _trim(document.text, span)
        if trimmed != span:
            surface = document.text[span.start : span.end]
            if options.strict:
                raise fail(f"span {surface!r} ({span.label}) begins or ends with white space: move its edge")
            if trimmed is None:
                notes.add("spans of nothing but white space left out", document.id)
                continue
            notes.add("spans trimmed of white space at an edge", document.id)
        spans.append(trimmed or span)
    kept = tuple(sorted(_apart(document, spans, options, notes, fail)))
    settled = replace(document, spans=kept)
    settled.check(scheme=False, path=str(found.path), line=found.line)
    return settled


def _trim(text: str, span: Span) -> Span | None:
    surface = text[span.start : span.end]
    if not surface.strip():
        return None
    start = span.start + len(surface) - len(surface.lstrip())
    return replace(span, start=start, end=start + len(surface.strip()))


def _apart(
    document: Document, spans: Sequence[Span], options: ReadOptions, notes: Notes, fail: Callable[[str], DataError]
) -> list[Span]:
    once = list(dict.fromkeys(spans))
    notes.add("spans that stood twice left out once", document.id, len(spans) - len(once))
    if options.overlaps is Overlaps.LONGEST:
        kept: list[Span] = []
        for span in sorted(once, key=lambda span: (span.start - span.end, span.start)):
            if all(span.end <= other.start or other.end <= span.start for other in kept):
                kept.append(span)
        notes.add("overlapping spans left out for a longer one", document.id, len(once) - len(kept))
        return kept
    ordered = sorted(once)
    for previous, span in pairwise(ordered):
        if span.start < previous.end:
            first, second = (f"{document.text[s.start : s.end]!r} ({s.label})" for s in (previous, span))
            raise fail(
                f"spans {first} and {second} overlap: "
                "remove one, or keep the longest with data convert --overlaps longest"
            )
    return ordered


def locate(text: str, mentions: Sequence[Mention], row: Row, units: Sequence[Offsets]) -> tuple[Span, ...]:
    """Return spans in characters, whatever their offsets count.

    Args:
        text: The text.
        mentions: The spans as the file has them.
        row: Names the place in errors.
        units: What the offsets may count, the likeliest first: the first that fits every surface is taken.

    Raises:
        DataError: Surfaces that stand elsewhere, or offsets outside the text.
    """
    if not mentions:
        return ()
    wrong = ""
    for unit in units:
        position = _positions(text, unit)
        spans = []
        for span, surface in mentions:
            start, end = position(span.start), position(span.end)
            if start is None or end is None:
                problem = f"lies outside the text of {len(text)} characters"
            elif not _fits(text[start:end], surface):
                problem = f"is {brief(text[start:end])}, but should be {brief(surface)}"
            else:
                spans.append(replace(span, start=start, end=end))
                continue
            wrong = wrong or f"span {span.start}-{span.end} ({span.label}) {problem}"
            break
        else:
            return tuple(spans)
    hint = "" if text.isascii() else ", and do offsets count characters (see data convert --offsets)"
    raise row.fail(f"{wrong}: is this the text that was annotated{hint}?")


def _positions(text: str, unit: Offsets) -> Callable[[int], int | None]:
    """Return what turns an offset in a unit into one in characters, or None where there is none or inside of one."""
    if unit is Offsets.CHARACTERS or text.isascii():
        return lambda offset: offset if 0 <= offset <= len(text) else None
    if unit is Offsets.UTF16:
        widths = (2 if char > "\uffff" else 1 for char in text)
    else:
        widths = (len(char.encode("utf-8", "surrogatepass")) for char in text)
    return {offset: i for i, offset in enumerate(accumulate(widths, initial=0))}.get


def _fits(surface: str, given: str | None) -> bool:
    # tools write a line break in a surface as a space, as two characters "\n", or not at all
    return given is None or surface == given or _bare(surface) == _bare(given)


def _bare(surface: str) -> str:
    return "".join(surface.replace("\\n", "").split())


def utf16(text: str) -> list[int]:
    """Return the offset in UTF-16 code units of every character and of the end."""
    return list(accumulate((2 if char > "\uffff" else 1 for char in text), initial=0))


def beyond_utf16(text: str) -> bool:
    """Whether offsets in characters and in UTF-16 differ."""
    return any(char > "\uffff" for char in text)
