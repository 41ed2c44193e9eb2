"""JSON Lines of Prodigy (``db-out`` and ``db-in``).

A line is ``{"text", "spans": [{"start", "end", "label"}], "answer", "meta"}``; offsets count characters, as spaCy does.
Only accepted answers are read: what was rejected or ignored is left out and counted; what has no answer counts as
accepted, as for ``db-in``, which is said. What a model proposes is written without an answer: what a recipe such as
``ner.manual`` shows to be answered. The action class is a field
``action`` of a span, the id a field ``id`` of the line. Prodigy's own bookkeeping (fields that begin with ``_``, and
``tokens``, which it makes anew) is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..output import Output
from .document import Document, Span
from .jsonl import rest
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, read_rows, split_label

_KNOWN = ("id", "spans", "answer", "tokens")
_LEFT_OUT = ("relations", "options", "accept")


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
        notes.add("documents without an answer taken as accepted", doc_id, int("answer" not in row.fields))
        answer = row.fields.get("answer", "accept")
        if answer not in ("accept", "reject", "ignore"):
            raise row.fail(f"field 'answer' is {answer!r}: accept, reject or ignore")
        if answer != "accept":
            notes.add(f"documents answered with {answer} left out", doc_id)
            continue
        text = row.text(options.text_field)
        mentions = []
        for item in row.items("spans"):
            span = row.inner(item, "a span")
            label, action = split_label(span.text("label"))
            action = action or str(span.fields.get("action") or "")
            surface = span.fields.get("text")
            mention = Span(span.number("start"), span.number("end"), label, action)
            mentions.append(Mention(mention, surface if isinstance(surface, str) else None))
        spans = locate(text, mentions, row, [options.offsets or Offsets.CHARACTERS])
        for name in _LEFT_OUT:
            notes.add(f"{name} left out", doc_id, len(row.items(name)))
        own = {name for name in row.fields if name.startswith("_")}
        meta = rest(row.fields, {options.text_field, *_KNOWN, *_LEFT_OUT, *own}, row)
        yield Found(Document(doc_id, text, spans, meta), path, row.line)


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a line a document, answered with accept.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    for document in documents:
        output.write(json.dumps(_row(document) | {"answer": "accept"}, ensure_ascii=False) + "\n")


def propose(documents: Iterable[Document], output: Output, notes: Notes, model: str) -> None:
    """Write a line a document, for a recipe that asks for the answer.

    Args:
        documents: The documents with what the model finds.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
        model: Its name and version, the source of each span.
    """
    for document in documents:
        row = _row(document)
        for span in row["spans"]:
            span["source"] = model
        output.write(json.dumps(row, ensure_ascii=False) + "\n")


def _row(document: Document) -> dict[str, Any]:
    spans = [
        {"start": span.start, "end": span.end, "label": span.label} | ({"action": span.action} if span.action else {})
        for span in document.spans
    ]
    return {"id": document.id, "text": document.text, "spans": spans, "meta": document.meta}
