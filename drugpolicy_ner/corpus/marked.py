r"""Marked text: annotated passages that people can read and write in any editor.

A file holds passages, each a header and a body::

    === us-fr-0012
    genre: Federal Register preamble
    jurisdiction: US
    year: 2024

    {{DEA|INSTITUTION}} {{proposes|POLICY_VERB:LEGISLATE}} to place {{bromazolam|SUBSTANCE}} ...

The header is the id line and ``key: value`` lines; a blank line ends it. The body runs to the next id line; blank
lines and spaces at its two ends are not part of the text. A backslash takes the next character literally
(``\{`` ``\}`` ``\\``, ``\=`` at the start of a line, ``\:`` in a key); ``\n`` ``\r`` ``\t`` ``\s`` stand for newline,
carriage return, tab and space, in the header too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import DataError
from ..output import Output
from .document import Document, Span
from .source import Found, Notes, ReadOptions, join_label, read_text

_ID_LINE = re.compile(r"^=== ?(.*)$")
_KEY_LINE = re.compile(r"^((?:[^\s:\\]|\\.)+): ?(.*)$")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "s": " "}
_ESCAPED = {value: key for key, value in _ESCAPES.items()}
_EDGE = " \t\r\n"


def read_marked(path: str | Path, *, scheme: bool = True) -> Iterator[Document]:
    """Read the passages of one file of marked text.

    Args:
        path: The file, UTF-8.
        scheme: Whether labels must be those of the built-in scheme.

    Yields:
        Documents in file order, each checked.

    Raises:
        DataError: With file and line, for whatever breaks the format.
    """
    return (document for _, document in _passages(Path(path), scheme))


def _passages(path: Path, scheme: bool) -> Iterator[tuple[int, Document]]:
    """Yield the line of each passage and the passage."""
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    starts = [i for i, line in enumerate(lines) if _ID_LINE.match(line)]
    first = starts[0] if starts else len(lines)
    for i in range(first):
        if lines[i].strip():
            raise DataError("text before the first '=== id' line", path=path, line=i + 1)
    seen: dict[str, int] = {}
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        doc = _passage(lines, start, stop, path, scheme)
        if doc.id in seen:
            raise DataError(f"id used before, in line {seen[doc.id]}", path=path, line=start + 1, doc_id=doc.id)
        seen[doc.id] = start + 1
        yield start + 1, doc


def read_marked_path(path: str | Path, *, scheme: bool = True) -> Iterator[Document]:
    """Read a file of marked text, or every ``*.txt`` under a folder in sorted order.

    Args:
        path: The file or folder.
        scheme: Whether labels must be those of the built-in scheme.

    Raises:
        DataError: As `read_marked`; also where a folder holds no such file or two files share an id.
    """
    path = Path(path)
    if not path.is_dir():
        yield from read_marked(path, scheme=scheme)
        return
    files = sorted(path.rglob("*.txt"))
    if not files:
        raise DataError("no *.txt file in this folder", path=path)
    owner: dict[str, Path] = {}
    for file in files:
        for doc in read_marked(file, scheme=scheme):
            if doc.id in owner:
                raise DataError(f"id used before, in {owner[doc.id]}", path=file, doc_id=doc.id)
            owner[doc.id] = file
            yield doc


def write_marked(docs: Iterable[Document], *, scheme: bool = True) -> str:
    """Write documents as marked text; `read_marked` gives the same documents back.

    Args:
        docs: The documents.
        scheme: Whether labels must be those of the built-in scheme.

    Raises:
        DataError: A document that breaks the scheme or has no id.
    """
    return "\n".join(_written(doc, scheme) for doc in docs)


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a file with labels of any scheme.

    Args:
        path: The file.
        options: Not needed here.
        notes: Takes nothing: all is read.

    Raises:
        DataError: As `read_marked`.
    """
    for line, document in _passages(path, False):
        yield Found(document, path, line)


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write documents with labels of any scheme to a stream.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    for i, document in enumerate(documents):
        output.write(("\n" if i else "") + _written(document, False))


def _written(doc: Document, scheme: bool) -> str:
    doc.check(scheme=scheme)
    if not doc.id or "" in doc.meta:
        raise DataError("a header cannot hold an empty id or the name of a field that is empty", doc_id=doc.id)
    header = [f"=== {_header(doc.id)}"]
    for key, value in doc.meta.items():
        name = re.sub(r"\s", lambda white: "\\" + _ESCAPED.get(white[0], white[0]), _header(key)).replace(":", "\\:")
        name = re.sub("^===", r"\\===", name)  # at the start of a line it would begin a passage
        header.append(f"{name}: {_header(value)}" if value else f"{name}:")
    body, cursor = [], 0
    for span in sorted(doc.spans):
        surface = _escape(doc.text[span.start : span.end])
        body += [_escape(doc.text[cursor : span.start]), "{{", surface, "|", join_label(span), "}}"]
        cursor = span.end
    body.append(_escape(doc.text[cursor:]))
    return "\n".join(header) + "\n\n" + _protect("".join(body)) + "\n"


def _passage(lines: list[str], start: int, stop: int, path: Path, scheme: bool) -> Document:
    match = _ID_LINE.match(lines[start])
    doc_id = _plain(match.group(1).strip(_EDGE)) if match else ""
    if not doc_id:
        raise DataError("a passage needs an id after '==='", path=path, line=start + 1)
    meta: dict[str, str] = {}
    i = start + 1
    while i < stop and lines[i].strip():
        key = _KEY_LINE.match(lines[i])
        if not key:
            raise DataError(
                f"expected 'key: value' or the blank line that ends the header, got {lines[i]!r}",
                path=path,
                line=i + 1,
                doc_id=doc_id,
            )
        name = _plain(key.group(1))
        if name in meta:
            raise DataError(f"header field {name!r} stands twice", path=path, line=i + 1, doc_id=doc_id)
        meta[name] = _plain(key.group(2).strip(_EDGE))
        i += 1
    body = lines[i:stop]
    while body and not body[0].strip(_EDGE):
        body, i = body[1:], i + 1
    text, spans = _parse_body("\n".join(body).strip(_EDGE), path, i + 1, doc_id)
    doc = Document(doc_id, text, spans, meta)
    doc.check(scheme=scheme, path=str(path), line=start + 1)
    return doc


def _parse_body(body: str, path: Path, first_line: int, doc_id: str) -> tuple[str, tuple[Span, ...]]:
    out: list[str] = []
    length = 0
    spans: list[Span] = []
    opened: tuple[int, int] | None = None  # offset in the text, offset in the body
    bar: int | None = None  # index in `out` of the last unescaped bar inside the open mark
    i = 0

    def fail(message: str, at: int) -> DataError:
        return DataError(message, path=path, line=first_line + body.count("\n", 0, at), doc_id=doc_id)

    def put(char: str) -> None:
        nonlocal length
        out.append(char)
        length += len(char)

    while i < len(body):
        char = body[i]
        if char == "\\":
            if i + 1 == len(body):
                raise fail("a backslash at the end of the passage: write \\\\ for a literal one", i)
            put(_ESCAPES.get(body[i + 1], body[i + 1]))
            i += 2
        elif body.startswith("{{", i):
            if opened is not None:
                raise fail("'{{' inside a mark: marks do not nest", i)
            opened, bar = (length, i), None
            i += 2
        elif body.startswith("}}", i):
            if opened is None:
                raise fail("'}}' without '{{': write \\}\\} for a literal one", i)
            if bar is None:
                raise fail("a mark needs a label: {{surface|LABEL}} or {{surface|POLICY_VERB:ACTION}}", opened[1])
            tag = "".join(out[bar + 1 :])
            del out[bar:]
            length -= len(tag) + 1
            label, _, action = tag.partition(":")
            spans.append(Span(opened[0], length, label, action))
            opened = None
            i += 2
        else:
            if char == "|" and opened is not None:
                bar = len(out)
            put(char)
            i += 1
    if opened is not None:
        raise fail("'{{' is never closed", opened[1])
    return "".join(out), tuple(spans)


def _plain(header: str) -> str:
    """Resolve the escapes in a part of the header."""
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), header, flags=re.DOTALL)


def _header(value: str) -> str:
    """Escape what would end a line of the header or be stripped."""
    return _protect_edges(value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"))


def _escape(text: str) -> str:
    return re.sub(r"[\\{}]", r"\\\g<0>", text).replace("\r", "\\r")


def _protect(body: str) -> str:
    """Keep what the reader would strip or take for an id line."""
    return _protect_edges(re.sub(r"^===", r"\\===", body, flags=re.MULTILINE))


def _protect_edges(body: str) -> str:
    """Keep white space at the two ends."""
    head = len(body) - len(body.lstrip(_EDGE))
    tail = len(body.rstrip(_EDGE))
    edges = [body[:head], body[max(head, tail) :]]
    left, right = ("".join(f"\\{_ESCAPED[c]}" for c in edge) for edge in edges)
    return left + body[head : max(head, tail)] + right
