"""JSON Lines of doccano's sequence labelling, and the triples that spaCy users write.

Read are ``"label"``, ``"labels"`` or ``"entities"`` as lists of ``[start, end, label]``, and the objects of projects
with relations (``{"id", "label", "start_offset", "end_offset"}``); relations, comments and categories are left out and
counted. doccano runs in a browser and counts offsets in UTF-16 code units unless a project counts grapheme clusters,
which the file does not say (doccano issue 2290); so do reader and writer here, and the reader says where it matters.
Triples under ``"entities"`` are not doccano's and count characters. ``--offsets characters`` overrides both. A label
holds the action class as in ``POLICY_VERB:ENFORCE``; fields beside these become meta. What a model proposes is written
like annotations: doccano itself keeps what is imported open until someone marks it as done (doccano issue 2193).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..output import Output
from .document import Document, Span
from .jsonl import rest
from .settle import Mention, beyond_utf16, locate, utf16
from .source import Found, Notes, Offsets, ReadOptions, Row, brief, join_label, read_rows, split_label

FIELDS = ("label", "labels", "entities")
_LEFT_OUT = ("relations", "Comments", "comments", "cats")
_ASSUMED = "documents with characters beyond U+FFFF read with offsets in UTF-16, as doccano counts (see --offsets)"


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a file.

    Args:
        path: The file.
        options: What offsets count and where the text stands.
        notes: Takes what is left out.

    Raises:
        DataError: A line that is not of this shape.
    """
    for doc_id, row in read_rows(path):
        text = row.text(options.text_field)
        used = [name for name in FIELDS if row.fields.get(name)]
        if len(used) > 1:
            raise row.fail(f"spans in both {used[0]!r} and {used[1]!r}: remove one of the fields")
        if not any(name in row.fields for name in FIELDS):
            raise row.fail(f"no field {', '.join(map(repr, FIELDS))}: is this another format? (see --from)")
        items = row.items(used[0]) if used else ()
        triples = bool(items) and isinstance(items[0], list)
        mentions = [Mention(_span(row, item)) for item in items]
        unit = options.offsets or (Offsets.CHARACTERS if triples and used == ["entities"] else Offsets.UTF16)
        if mentions and options.offsets is None and unit is Offsets.UTF16:
            notes.add(_ASSUMED, doc_id, int(beyond_utf16(text)))
        spans = locate(text, mentions, row, [unit])
        for name in _LEFT_OUT:
            value = row.fields.get(name)
            notes.add(f"{name.lower()} left out", doc_id, len(value) if isinstance(value, list | dict) else 0)
        yield Found(
            Document(doc_id, text, spans, rest(row.fields, {"id", options.text_field, *FIELDS, *_LEFT_OUT}, row)),
            path,
            row.line,
        )


def _span(row: Row, item: Any) -> Span:
    if isinstance(item, list):
        match item:
            case [int(start), int(end), str(label)]:
                return Span(start, end, *split_label(label))
        raise row.fail(f"{brief(item)} is not [start, end, label]")
    ent = row.inner(item, "an entity")
    return Span(ent.number("start_offset"), ent.number("end_offset"), *split_label(ent.text("label")))


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a line a document, for doccano's import as JSONL.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    for document in documents:
        at = utf16(document.text)
        label = [[at[span.start], at[span.end], join_label(span)] for span in document.spans]
        row = {"id": document.id, "text": document.text, "label": label, "meta": document.meta}
        output.write(json.dumps(row, ensure_ascii=False) + "\n")
