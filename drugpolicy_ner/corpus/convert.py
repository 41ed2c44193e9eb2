"""From one format to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError
from ..labels import LABELS
from .document import Document
from .formats import Format, format_of_name, read_documents, write_documents
from .mapping import check_map, map_labels
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
    check_map(mapping or {}, taken, scheme=scheme)

    def documents() -> Iterator[Document]:
        for path in inputs:
            for document in read_documents(path, source, options=options, notes=taken):
                yield document
                advance()

    chosen = map_labels(documents(), mapping or {}, taken)
    count = write_documents(_checked(chosen) if scheme else chosen, output, form, notes=taken)
    if notes is None:
        taken.log(output)
    return count


def _checked(documents: Iterator[Document]) -> Iterator[Document]:
    for document in documents:
        for span in document.spans:
            if span.label not in LABELS:
                close = get_close_matches(span.label.upper(), LABELS, 1, 0.5)
                name = close[0] if close else "LABEL"
                message = f"label {span.label!r} is not in the scheme: rename it with --map {span.label}={name}"
                raise DataError(f"{message}, or drop it with --map {span.label}=", doc_id=document.id)
        document.check(scheme=True)
        yield document
