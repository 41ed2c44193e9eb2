"""brat standoff: a folder of ``.txt`` files, each with an ``.ann`` file beside it.

The id of a document is the name of its files without suffix (with folders, and ``%2F`` and the like decoded), and
documents come in the order of these names. Offsets
count characters (code points) of the file as it stands, carriage returns too. brat writes a span over a line break in
pieces, which are put together again; other spans in several pieces are an error, or one span with
``--discontinuous``. An attribute whose value is an action class is that of its POLICY_VERB. Other attributes,
relations, events, normalisations and notes are left out and counted, and so are texts without an ``.ann`` file, which
nobody has annotated. The format cannot hold meta, which is counted when writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from ..errors import DataError
from ..labels import ACTIONS
from .document import Document, Span
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, decode, read_lines

_LEFT_OUT: Final[Mapping[str, str]] = {
    "A": "attributes that are no action class",
    "M": "attributes that are no action class",
    "R": "relations",
    "*": "relations",
    "E": "events",
    "N": "normalisations",
    "#": "notes",
}
_TEXT_BOUND = re.compile(r"(T\d+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"[AM]\d+\t(\S+) (T\d+) (\S+)")


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a folder, or one pair of files by the name of either.

    Args:
        path: The folder or file.
        options: Whether spans in several pieces become one.
        notes: Takes what is left out.

    Raises:
        DataError: A line that is not of this shape, or a missing file.
    """
    if not path.is_dir():
        yield _document(path.with_suffix(".txt"), path.with_suffix(".ann"), path.stem, options, notes)
        return
    texts = sorted(path.rglob("*.txt"))
    annotations = sorted(path.rglob("*.ann"))
    if not annotations:
        raise DataError("no *.ann file in this folder", path=path)
    if lonely := sorted({file.with_suffix("") for file in annotations} - {file.with_suffix("") for file in texts}):
        raise DataError("the text of these annotations is missing: put the .txt beside it", path=f"{lonely[0]}.ann")
    for text in texts:
        doc_id = unquote(text.relative_to(path).with_suffix("").as_posix())
        annotation = text.with_suffix(".ann")
        if annotation.exists():
            yield _document(text, annotation, doc_id, options, notes)
        else:
            notes.add("texts without an .ann file left out", doc_id)


def _document(text_file: Path, annotation: Path, doc_id: str, options: ReadOptions, notes: Notes) -> Found:
    text = decode(text_file.read_bytes(), text_file)
    mentions: dict[str, Mention] = {}
    actions: dict[str, str] = {}
    attributes = 0
    for number, line in read_lines(annotation):
        if not line.strip():
            continue
        row = Row({}, annotation, number, doc_id)
        if line.startswith("T"):
            name, mention = _text_bound(line, text, row, options, notes)
            if name in mentions:
                raise row.fail(f"{name} stands twice")
            mentions[name] = mention
        elif (attribute := _ATTRIBUTE.fullmatch(line)) and attribute[3] in ACTIONS:
            actions[attribute[2]] = attribute[3]
            attributes += 1
        elif line[0] in _LEFT_OUT:
            notes.add(f"{_LEFT_OUT[line[0]]} left out", doc_id)
        else:
            raise row.fail(f"{line[:40]!r} is no line of brat's: T, R, E, A, M, N, * or #")
    found = []
    for name, (span, surface) in mentions.items():
        action = actions.pop(name, "") if span.label == "POLICY_VERB" else ""
        found.append(Mention(Span(span.start, span.end, span.label, action), surface))
    notes.add("attributes that are no action class left out", doc_id, len(actions))
    spans = locate(text, found, Row({}, annotation, None, doc_id), [options.offsets or Offsets.CHARACTERS])
    return Found(Document(doc_id, text, spans), annotation)


def _text_bound(line: str, text: str, row: Row, options: ReadOptions, notes: Notes) -> tuple[str, Mention]:
    match = _TEXT_BOUND.fullmatch(line)
    if not match:
        raise row.fail(f"{line[:40]!r} is not 'T1<tab>LABEL start end<tab>surface'")
    name, label, places, surface = match.groups()
    pieces = [tuple(map(int, place.split())) for place in places.split(";")]
    span = Span(pieces[0][0], pieces[-1][1], label)
    gaps = [text[one[1] : other[0]] for one, other in pairwise(pieces)]
    if all("\n" in gap and not gap.strip() for gap in gaps):
        return name, Mention(span, surface)
    if not options.discontinuous:
        message = f"{name} ({label}) is in several pieces, {surface!r}"
        raise row.fail(f"{message}: mark one piece, or take all from first to last with data convert --discontinuous")
    notes.add("spans in several pieces taken from first to last", row.doc_id or "")
    return name, Mention(span)


def write_folder(documents: Iterable[Document], folder: Path, notes: Notes) -> None:
    """Write a pair of files a document.

    Args:
        documents: The documents.
        folder: An empty folder.
        notes: Takes meta, which the format cannot hold.
    """
    labels: dict[str, None] = {}
    for document in documents:
        name = re.sub(r"^\.|[*~]", lambda char: f"%{ord(char[0]):02X}", quote(document.id, safe=" "))
        notes.add("fields of meta left out: brat has none", document.id, len(document.meta))
        lines = []
        for i, span in enumerate(document.spans, 1):
            labels[span.label] = None
            surface = document.text[span.start : span.end]
            places = ";".join(f"{span.start + piece.start()} {span.start + piece.end()}" for piece in _pieces(surface))
            shown = " ".join(piece[0] for piece in _pieces(surface))
            lines.append(f"T{i}\t{span.label} {places}\t{shown}\n")
            if span.action:
                lines.append(f"A{i}\tAction T{i} {span.action}\n")
        (folder / f"{name}.txt").write_bytes(document.text.encode())
        (folder / f"{name}.ann").write_bytes("".join(lines).encode())
    (folder / "annotation.conf").write_bytes(_configuration(labels).encode())


def _pieces(surface: str) -> Iterator[re.Match[str]]:
    """Yield the parts of a surface between line breaks, with the white space about the breaks left out."""
    return re.finditer(r"\S(?:[^\n]*[^\s])?", surface)


def _configuration(labels: Iterable[str]) -> str:
    action = f"Action\tArg:POLICY_VERB, Value:{'|'.join(ACTIONS)}\n" if "POLICY_VERB" in labels else ""
    return "[entities]\n" + "".join(f"{label}\n" for label in labels) + f"[relations]\n[events]\n[attributes]\n{action}"
