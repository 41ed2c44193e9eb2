"""JSON Lines of this project: what ``drugpolicy-ner tag --format jsonl`` writes.

A line is ``{"id", "text", "ents": [{"start", "end", "text", "label", "action"}], "meta": {...}}``; offsets count
characters (code points). The concept and the source that `tag` adds to an entity are predictions and not read, which is
counted. Fields beside these become meta.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..output import Output
from .document import Document, Span
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, as_meta, read_rows


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
        mentions = []
        for item in row.items("ents"):
            ent = row.inner(item, "an entity")
            surface = ent.text("text") if "text" in ent.fields else None
            action = ent.fields.get("action") or ""
            span = Span(ent.number("start"), ent.number("end"), ent.text("label"), str(action))
            mentions.append(Mention(span, surface))
            for extra in sorted(set(ent.fields) - {"start", "end", "text", "label", "action"}):
                notes.add(f"field {extra!r} of entities left out", doc_id, int(ent.fields[extra] is not None))
        spans = locate(text, mentions, row, [options.offsets or Offsets.CHARACTERS])
        meta = rest(row.fields, {"id", options.text_field, "ents"}, row)
        yield Found(Document(doc_id, text, spans, meta), path, row.line)


def rest(fields: Mapping[str, Any], known: set[str], row: Row) -> dict[str, str]:
    """Return as meta what stands in the field ``meta`` and in those that are not known.

    Args:
        fields: The fields of a row.
        known: Names of fields that are no meta.
        row: Names the place in errors.
    """
    meta = fields.get("meta")
    inner = {} if meta is None else row.inner(meta, "field 'meta'").fields
    return as_meta({key: value for key, value in fields.items() if key not in known | {"meta"}} | dict(inner))


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a line a document.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    for document in documents:
        ents = []
        for span in document.spans:
            surface = document.text[span.start : span.end]
            ent = {"start": span.start, "end": span.end, "text": surface, "label": span.label}
            ents.append(ent | ({"action": span.action} if span.action else {}))
        row = {"id": document.id, "text": document.text, "ents": ents, "meta": document.meta}
        output.write(json.dumps(row, ensure_ascii=False) + "\n")
