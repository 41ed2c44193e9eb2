"""What `data check` finds out about annotated documents of any format: every finding of the checks, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .corpus import Document
from .corpus.check import (
    Finding,
    check_actions,
    check_alignment,
    check_duplicates,
    check_empty,
    check_labels,
    check_leakage,
    check_openings,
    check_overlap,
    check_repetition,
    check_surfaces,
    check_unmarked,
)
from .corpus.formats import Format, detect, list_files, read_found
from .corpus.settle import settle
from .corpus.similarity import bare
from .corpus.source import Found, Notes, Overlaps, ReadOptions
from .entity import label_order
from .errors import DataError
from .labels import LABELS
from .writing import visible

if TYPE_CHECKING:
    from spacy.tokens import Doc

KINDS: Final[dict[str, str]] = {
    "format": "What cannot be read or breaks the scheme",
    "empty": "Documents without text or spans",
    "overlap": "Spans that overlap",
    "alignment": "Spans that do not end at token edges",
    "action": "Policy verbs without an action class",
    "duplicate": "The same text twice",
    "near-duplicate": "Near-duplicates",
    "leak": "Leakage from the other data",
    "repeated": "Word sequences in many documents",
    "label": "Labels that look misspelt",
    "labels": "The same words under several labels",
    "surface": "Marked in some documents and not in others",
    "unmarked": "Marked and unmarked in one document",
    "opening": "Openings that many documents share",
    "reading": "Changed or left out in reading",
}
"""Name of each check and its title, in the order of a report."""


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """The outcome of all checks.

    Args:
        findings: What to mend first, then what to look at.
        passages: Number of documents that could be read.
        words: Their words, as white space parts them.
        spans: Their spans by label, in the order of the scheme.
    """

    findings: tuple[Finding, ...]
    passages: int
    words: int
    spans: dict[str, int]

    @property
    def failed(self) -> bool:
        """Whether anything must be mended."""
        return any(finding.error for finding in self.findings)

    def as_text(self) -> str:
        """Return a line a finding, and the counts."""
        lines = [_line(finding) for finding in self.findings]
        lines.append(f"{self.passages} passages, {self.words} words, {sum(self.spans.values())} spans")
        lines += [f"{count:7} {label}" for label, count in self.spans.items()]
        return "".join(f"{visible(line)}\n" for line in lines)


def check_corpus(
    paths: Iterable[str],
    tokenizer: Callable[[str], Doc],
    *,
    source: Format | None = None,
    options: ReadOptions | None = None,
    scheme: bool = True,
    against: Iterable[str] = (),
    advance: Callable[[], None] = lambda: None,
) -> CorpusReport:
    """Run all checks over files and folders, taken as one collection.

    Args:
        paths: Files and folders.
        tokenizer: The tokenizer whose token edges spans must keep to.
        source: Their format; without it, suffix and content decide for each path.
        options: How to read them.
        scheme: Whether labels must be those of the scheme, and policy verbs have an action class.
        against: Files and folders of another split, from which nothing may leak.
        advance: Called after each document that was read.

    Returns:
        The report; a file that cannot be read is a finding in it, and the others are checked.

    Raises:
        UsageError: The format of a path is not clear, or a library that it needs is missing.
    """
    reading = _Reading(source, options or ReadOptions(), advance)
    documents = list(reading.read(paths))
    findings = [
        *check_empty(documents),
        *check_labels(documents, scheme=scheme),
        *check_actions(documents, scheme=scheme),
        *check_alignment(documents, tokenizer),
        *check_duplicates(documents),
        *check_repetition(list({bare(document.text): document for document in reversed(documents)}.values())[::-1]),
        *check_surfaces(documents),
        *check_unmarked(documents),
        *check_openings(documents),
    ]
    findings = [reading.place(finding) for finding in findings] + reading.findings
    if other := list(against):
        held_out = _Reading(source, options or ReadOptions(), advance)
        findings += map(reading.place, check_leakage(documents, list(held_out.read(other))))
        findings += held_out.findings
    return CorpusReport(
        findings=tuple(sorted(findings, key=_order)),
        passages=len(documents),
        words=sum(len(document.text.split()) for document in documents),
        spans=_count(documents, scheme=scheme),
    )


def _line(finding: Finding) -> str:
    level = "error" if finding.error else "review"
    if finding.kind == "format":  # which says its place in its message
        return f"{level} format: {finding.message}"
    who = f"{finding.doc_id}: " if finding.doc_id else ""
    place = ":".join(str(part) for part in (finding.path, finding.line) if part)
    return f"{level} {finding.kind}: {who}{finding.message}{f' ({place})' if place else ''}"


def _order(finding: Finding) -> tuple[bool, int, str, int]:
    place = (finding.path, finding.line or 0) if finding.kind == "format" else ("", 0)
    return (not finding.error, list(KINDS).index(finding.kind), *place)


def _count(documents: Sequence[Document], *, scheme: bool) -> dict[str, int]:
    spans = Counter(span.label for document in documents for span in document.spans)
    return {label: spans[label] for label in sorted({*spans, *(LABELS if scheme else ())}, key=label_order)}


class _Reading:
    """Reads documents and remembers their places and what was wrong with them."""

    def __init__(self, source: Format | None, options: ReadOptions, advance: Callable[[], None]) -> None:
        self.findings: list[Finding] = []
        self._source = source
        self._options = options
        self._advance = advance
        self._owner: dict[str, Found] = {}

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """Yield the documents that can be taken, each file once."""
        notes = Notes()
        seen: set[Path] = set()
        for path in paths:
            try:
                form = detect(path) if self._source is None else self._source
                files = list_files(path, form)
            except DataError as error:
                self._fail(error)
                continue
            for file in files:
                if file.resolve() not in seen:
                    seen.add(file.resolve())
                    yield from self._read_file(file, form, notes)
        self.findings += [Finding("reading", "", note) for note in notes]

    def _read_file(self, file: Path, form: Format, notes: Notes) -> Iterator[Document]:
        empty = True
        try:
            for found in read_found(file, form, self._options, notes):
                empty = False
                document = self._take(found, notes)
                if document is not None:
                    yield document
                self._advance()
        except DataError as error:
            self._fail(error, "; what follows in this file was not checked" if not empty else "")
        else:
            if empty:
                self._fail(DataError("holds no documents", path=file))

    def _take(self, found: Found, notes: Notes) -> Document | None:
        doc_id = found.document.id
        before = self._owner.get(doc_id)
        if before is None:
            self._owner[doc_id] = found
        else:
            self._fail(_failure(found, f"id used before, in {before.path}"))
        options, taken = self._options, notes
        if options.overlaps is Overlaps.ERROR:
            if overlaps := [_placed(finding, found) for finding in check_overlap(found.document)]:
                self.findings += overlaps
                taken = Notes()  # that one of them is left out was said
            options = replace(options, overlaps=Overlaps.LONGEST)
        try:
            return settle(found, options, taken)
        except DataError as error:
            self._fail(error)
            return None

    def _fail(self, error: DataError, more: str = "") -> None:
        message = f"{error}{more}"
        self.findings.append(
            Finding("format", error.doc_id or "", message, error=True, path=error.path or "", line=error.line)
        )

    def place(self, finding: Finding) -> Finding:
        """Return a finding with the place of its document."""
        found = self._owner.get(finding.doc_id)
        return finding if found is None else _placed(finding, found)


def _failure(found: Found, message: str) -> DataError:
    return DataError(message, path=found.path, line=found.line, doc_id=found.document.id)


def _placed(finding: Finding, found: Found) -> Finding:
    """Put a place on a finding; those of the format say it in their message."""
    message = str(_failure(found, finding.message)) if finding.kind == "format" else finding.message
    return replace(finding, message=message, path=str(found.path), line=found.line)
