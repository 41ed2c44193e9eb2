"""PubTator: ``id|t|title`` and ``id|a|abstract``, then a line a span, a blank line between documents.

A span is ``id, start, end, surface, label, concept id`` with tabs between; offsets count the characters of title, a
space and abstract, which is the text. Relations and concept ids are left out and counted. The concept id of a
POLICY_VERB is its action class. The format cannot hold meta, which is counted, nor text with line breaks, which is an
error. Where the reader finds an empty abstract, the text is the title; the writer takes the first sentence for the
title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import DataError
from ..labels import ACTIONS
from ..output import Output
from .document import Document, Span
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, read_lines, split_label

PASSAGE = re.compile(r"([^|\t]+)\|([ta])\|(.*)")
_OFFSET = re.compile(r"\d+")


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a file.

    Args:
        path: The file.
        options: What offsets count.
        notes: Takes what is left out.

    Raises:
        DataError: A line that is not of this shape.
    """
    block: list[tuple[int, str]] = []
    for number, line in read_lines(path):
        if line.strip():
            block.append((number, line))
        elif block:
            yield _document(block, path, options, notes)
            block = []
    if block:
        yield _document(block, path, options, notes)


def _document(block: list[tuple[int, str]], path: Path, options: ReadOptions, notes: Notes) -> Found:
    passages: dict[str, str] = {}
    doc_id = ""
    mentions = []
    for number, line in block:
        row = Row({}, path, number, doc_id or None)
        passage = PASSAGE.fullmatch(line)
        if (passage and "t" not in passages) or (passage and passage[1] == doc_id and "a" not in passages):
            doc_id = passage[1]
            passages[passage[2]] = passage[3]
            continue
        if "t" not in passages:
            raise row.fail("a document begins with 'id|t|title'")
        fields = line.split("\t")
        if fields[0] != doc_id:
            raise row.fail(f"expected a line of document {doc_id!r}, got {line[:40]!r}: part documents by a blank line")
        if len(fields) < 5 or not (_OFFSET.fullmatch(fields[1]) and _OFFSET.fullmatch(fields[2])):
            if len(fields) == 4:
                notes.add("relations left out", doc_id)
                continue
            raise row.fail("expected id, start, end, surface and label with tabs between them")
        label, action = split_label(fields[4])
        concept = fields[5] if len(fields) > 5 else ""
        if label == "POLICY_VERB" and concept in ACTIONS:
            action = concept
        else:
            notes.add("concept ids left out", doc_id, int(concept not in ("", "-")))
        notes.add("columns behind the concept id left out", doc_id, len(fields[6:]))
        mentions.append(Mention(Span(int(fields[1]), int(fields[2]), label, action), fields[3]))
    title, abstract = passages.get("t", ""), passages.get("a", "")
    text = f"{title} {abstract}" if abstract else title
    first = Row({}, path, block[0][0], doc_id)
    units = [options.offsets] if options.offsets else [Offsets.CHARACTERS, Offsets.UTF16, Offsets.BYTES]
    return Found(Document(doc_id, text, locate(text, mentions, first, units)), path, block[0][0])


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write documents.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes meta, which the format cannot hold.

    Raises:
        DataError: A text with line breaks, or an id that the format cannot hold.
    """
    for document in documents:
        text = document.text
        if "\n" in text or "\r" in text:
            message = "PubTator holds a title and an abstract of one line each, but the text has line breaks"
            raise DataError(f"{message}: choose another format", doc_id=document.id)
        if not re.fullmatch(r"[^|\t\r\n]*\S[^|\t\r\n]*", document.id):
            raise DataError("a PubTator id holds no bar, tab or line break: choose another format", doc_id=document.id)
        notes.add("fields of meta left out: PubTator has none", document.id, len(document.meta))
        stop = re.search(r"[.!?](?= .)", text)
        cut = stop.end() if stop else len(text)
        lines = [f"{document.id}|t|{text[:cut]}", f"{document.id}|a|{text[cut + 1 :]}"]
        for span in document.spans:
            fields = [document.id, str(span.start), str(span.end), text[span.start : span.end], span.label]
            if "\t" in fields[3]:
                raise DataError(
                    f"PubTator cannot hold the tab in {fields[3]!r}: choose another format", doc_id=document.id
                )
            lines.append("\t".join([*fields, span.action or "-"]))
        output.write("\n".join(lines) + "\n\n")
