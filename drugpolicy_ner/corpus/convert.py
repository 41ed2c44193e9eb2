"""From one format to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError
from ..labels import LABELS
from .document import Document
from .formats import Format, format_of_name, read_documents, write_documents
from .mapping import LabelMap
from .source import Notes, ReadOptions


def convert_documents(
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    source: Format | None = None,
    target: Format | None = None,
    mapping: Mapping[str, str] | None = None,
    scheme: bool = False,
    options: ReadOptions | None = None,
    notes: Notes | None = None,
    advance: Callable[[], None] = lambda: None,
) -> int:
    """Read annotated documents and write them in another format.

    Args:
        inputs: Files and folders, taken as one collection.
        output: The file or folder to write, whole or not at all.
        source: Format of the inputs; without it, suffix and content decide for each.
        target: Format of the output; without it, its suffix decides.
        mapping: New label by old one, empty to drop it.
        scheme: Whether labels must be those of the scheme in the end.
        options: What to do with what a document cannot hold.
        notes: Takes what was left out or changed; without it, the log says so.
        advance: Called after each document.

    Returns:
        How many documents were written.

    Raises:
        DataError: An input that cannot be read, or a document that cannot be written.
        UsageError: A format or a mapping that does not fit.
        OutputError: It cannot be written.
    """
    form = format_of_name(output) if target is None else target
    taken = Notes() if notes is None else notes
    labels = LabelMap(mapping or {}, taken, scheme=scheme)

    def documents() -> Iterator[Document]:
        before: set[str] = set()
        for path in inputs:
            here = set()
            for document in read_documents(path, source, options=options, notes=taken, rename=labels):
                if document.id in before:  # tools number the documents of each project from 1
                    taken.add("ids used in two inputs, so the name of the file put before them", document.id)
                    document = replace(document, id=f"{Path(path).stem}:{document.id}")
                if scheme:
                    _check_scheme(document)
                here.add(document.id)
                yield document
                advance()
            before |= here
        labels.check_used()

    count = write_documents(documents(), output, form, notes=taken)
    if notes is None:
        taken.log(output)
    return count


def _check_scheme(document: Document) -> None:
    for span in document.spans:
        if span.label not in LABELS:
            close = get_close_matches(span.label.upper(), LABELS, 1, 0.5)
            name = close[0] if close else "LABEL"
            message = f"label {span.label!r} is not in the scheme: rename it with --map {span.label}={name}"
            raise DataError(f"{message}, or drop it with --map {span.label}=", doc_id=document.id)
    document.check(scheme=True)
