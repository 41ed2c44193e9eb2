"""BioC, as XML and as JSON.

The text of a document is that of its passages with a line break between. An annotation's place is its offset less that
of its passage; its label is the infon ``type`` and its action class the infon ``action``. Infons of the document are
meta. The standard leaves open what offsets count: PubTator's files count characters, others bytes of UTF-8, and what
fits the surfaces in the file is taken, characters first. An annotation in several pieces is an error, or one span with
``--discontinuous``. Relations, other infons and passages without text are left out; all but the latter are counted.

The writer makes one passage a document, with offsets in characters. XML cannot hold control characters: such a text is
an error, and BioC JSON holds it.

XML is read with expat, which fetches nothing from outside; a document type that declares entities is refused, so that
none can be blown up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ..errors import DataError
from ..output import Output
from .document import Document, Span
from .settle import Mention, locate
from .source import (
    Found,
    Notes,
    Offsets,
    ReadOptions,
    Row,
    as_id,
    as_meta,
    numbered,
    parse_json,
    read_text,
    split_label,
)

_CHUNK = 65_536
_TYPE = "type"
_ACTION = "action"
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_json(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a collection in JSON, which is one object and so read whole.

    Args:
        path: The file.
        options: What offsets count, and whether spans in several pieces become one.
        notes: Takes what is left out.

    Raises:
        DataError: Something in it is not of this shape.
    """
    collection = parse_json(read_text(path), path)
    if isinstance(collection, dict):
        if "documents" in collection:
            notes.add("infons of the collection left out", path.name, len(collection.get("infons") or ()))
        collection = Row(collection, path, None).items("documents") if "documents" in collection else [collection]
    if not isinstance(collection, list):
        raise DataError("a BioC collection is an object with 'documents'", path=path)
    for number, item in enumerate(collection, 1):
        row = Row({}, path, None).inner(item, f"document {number}")
        yield _document(row, number, options, notes)


def read_xml(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a collection in XML, document by document; arguments and errors as `read_json`."""
    for number, (line, element) in enumerate(_elements(path, notes), 1):
        yield _document(Row(_from_xml(element, path, line), path, line), number, options, notes)


def _elements(path: Path, notes: Notes) -> Iterator[tuple[int, Element]]:
    """Yield the elements called document with their lines."""
    parser = expat.ParserCreate()
    done: list[tuple[int, Element]] = []
    builder: TreeBuilder | None = None
    first = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal builder, first
        if tag == "document" and builder is None:
            builder, first = TreeBuilder(), parser.CurrentLineNumber
        if builder is not None:
            builder.start(tag, attributes)
        elif tag == "infon":
            notes.add("infons of the collection left out", path.name)

    def end(tag: str) -> None:
        nonlocal builder
        if builder is not None:
            element = builder.end(tag)
            if tag == "document":
                done.append((first, element))
                builder = None

    def data(text: str) -> None:
        if builder is not None:
            builder.data(text)

    def refuse(name: str, *_: object) -> None:
        message = f"declares the entity {name!r}: BioC needs none; write the text itself"
        raise DataError(message, path=path, line=parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.EntityDeclHandler = refuse
    with path.open("rb") as handle:
        ended = False
        while not ended:
            chunk = handle.read(_CHUNK)
            ended = not chunk
            try:
                parser.Parse(chunk, ended)
            except expat.ExpatError as error:
                message = f"not XML: {expat.errors.messages[error.code]}; mend it or export again"
                raise DataError(message, path=path, line=error.lineno) from None
            yield from done
            done.clear()


def _from_xml(element: Element, path: Path, line: int) -> dict[str, Any]:
    """Turn an element into what JSON has in its place."""
    fields: dict[str, Any] = dict(element.attrib)
    many = {"infon": "infons", "passage": "passages", "sentence": "sentences", "annotation": "annotations"}
    many |= {"relation": "relations", "location": "locations", "node": "nodes"}
    for child in element:
        if child.tag == "infon":
            fields.setdefault("infons", {})[child.get("key", "")] = child.text or ""
        elif child.tag in many:
            fields.setdefault(many[child.tag], []).append(_from_xml(child, path, line))
        else:
            fields[child.tag] = child.text or ""
    for name in ("offset", "length"):
        if isinstance(fields.get(name), str):
            if not re.fullmatch(r"\s*-?\d+\s*", fields[name]):
                raise DataError(f"{name} is {fields[name]!r}, not a whole number", path=path, line=line)
            fields[name] = int(fields[name])
    return fields


def _document(row: Row, number: int, options: ReadOptions, notes: Notes) -> Found:
    doc_id = as_id(row.fields.get("id")) or numbered(row.path, number)
    row.doc_id = doc_id
    notes.add("relations left out", doc_id, len(row.items("relations")))
    stray = len(row.items("annotations"))
    notes.add("annotations of a whole document, with no passage, left out", doc_id, stray)
    text = ""
    spans: list[Span] = []
    for item in row.items("passages"):
        outer = row.inner(item, "a passage")
        inner = [outer.inner(sentence, "a sentence") for sentence in outer.items("sentences")]
        used, unused = ([outer], inner) if "text" in outer.fields else (inner, [outer])
        lost = sum(len(part.items("annotations")) for part in unused)
        notes.add("annotations of passages or sentences without a text of their own left out", doc_id, lost)
        for part in (outer, *inner):
            notes.add("relations left out", doc_id, len(part.items("relations")))
            notes.add("infons of passages left out", doc_id, len(part.fields.get("infons") or ()))
        for part in used:
            piece = part.text("text")
            text += "\n" if text and piece else ""
            base = part.number("offset")
            mentions = [
                _mention(part.inner(a, "an annotation"), base, options, notes) for a in part.items("annotations")
            ]
            units = [options.offsets] if options.offsets else [Offsets.CHARACTERS, Offsets.BYTES, Offsets.UTF16]
            for span in locate(piece, mentions, part, units):
                spans.append(replace(span, start=span.start + len(text), end=span.end + len(text)))
            text += piece
    infons = row.inner(row.fields.get("infons") or {}, "infons")
    return Found(Document(doc_id, text, tuple(spans), as_meta(infons.fields)), row.path, row.line)


def _mention(row: Row, base: int, options: ReadOptions, notes: Notes) -> Mention:
    infons = row.inner(row.fields.get("infons") or {}, "infons")
    label, action = split_label(infons.text(_TYPE))
    action = action or str(infons.fields.get(_ACTION) or "")
    places = [row.inner(place, "a location") for place in row.items("locations")]
    ends = [(place.number("offset") - base, place.number("length")) for place in places]
    surface = row.fields.get("text")
    if not ends:
        raise row.fail(f"annotation {_named(row)} has no location")
    if len(ends) > 1:
        if not options.discontinuous:
            message = f"annotation {_named(row)} is in several pieces"
            raise row.fail(
                f"{message}: mark one piece, or take all from first to last with data convert --discontinuous"
            )
        notes.add("spans in several pieces taken from first to last", row.doc_id or "")
        surface = None
    other = len(set(infons.fields) - {_TYPE, _ACTION})
    notes.add("infons of annotations left out", row.doc_id or "", other)
    span = Span(min(start for start, _ in ends), max(start + length for start, length in ends), label, action)
    return Mention(span, surface if isinstance(surface, str) else None)


def _named(row: Row) -> str:
    """Name an annotation by what it has: its id and its text."""
    return " ".join(repr(row.fields[name]) for name in ("id", "text") if name in row.fields) or "without id or text"


def _infons(span: Span) -> dict[str, str]:
    return {_TYPE: span.label} | ({_ACTION: span.action} if span.action else {})


def write_json(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a collection in JSON.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    output.write('{"source": "drugpolicy-ner", "date": "", "key": "", "infons": {}, "documents": [')
    for number, document in enumerate(documents):
        annotations = [
            {
                "id": f"T{i}",
                "infons": _infons(span),
                "text": document.text[span.start : span.end],
                "locations": [{"offset": span.start, "length": span.end - span.start}],
            }
            for i, span in enumerate(document.spans, 1)
        ]
        passage = {"offset": 0, "infons": {}, "text": document.text, "sentences": [], "annotations": annotations}
        passage["relations"] = []
        row = {"id": document.id, "infons": document.meta, "passages": [passage], "annotations": [], "relations": []}
        output.write((",\n" if number else "\n") + json.dumps(row, ensure_ascii=False))
    output.write("\n]}\n")


def write_xml(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a collection in XML; arguments as `write_json`.

    Raises:
        DataError: A document with control characters, which XML cannot hold.
    """
    output.write('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE collection SYSTEM "BioC.dtd">\n<collection>')
    output.write("<source>drugpolicy-ner</source><date></date><key></key>\n")
    for document in documents:
        output.write(f"<document><id>{_xml(document.id, document)}</id>{_xml_infons(document.meta, document)}<passage>")
        output.write(f"<offset>0</offset><text>{_xml(document.text, document)}</text>")
        for i, span in enumerate(document.spans, 1):
            surface = _xml(document.text[span.start : span.end], document)
            output.write(
                f'\n<annotation id="T{i}">{_xml_infons(_infons(span), document)}'
                f'<location offset="{span.start}" length="{span.end - span.start}"/><text>{surface}</text></annotation>'
            )
        output.write("</passage></document>\n")
    output.write("</collection>\n")


def _xml_infons(infons: Mapping[str, str], document: Document) -> str:
    from xml.sax.saxutils import quoteattr  # not above: it imports an HTTP client, which every command would wait for

    return "".join(
        f"<infon key={quoteattr(_checked(key, document), _ENTITIES)}>{_xml(value, document)}</infon>"
        for key, value in infons.items()
    )


_ENTITIES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def _xml(text: str, document: Document) -> str:
    from xml.sax.saxutils import escape

    return escape(_checked(text, document), {"\r": "&#13;"})


def _checked(text: str, document: Document) -> str:
    if bad := _NO_XML.search(text):
        message = f"XML cannot hold U+{ord(bad[0]):04X}: choose bioc-json or another format"
        raise DataError(message, doc_id=document.id)
    return text
