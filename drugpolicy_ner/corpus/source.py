"""What the readers of every format share: options, notes on what was left out, lines and JSON with places in errors."""

from __future__ import annotations

import codecs
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from ..errors import DataError
from .document import Document, Span

_LOG: Final = logging.getLogger(__name__)

BOM: Final = codecs.BOM_UTF8


class Overlaps(str, Enum):
    """What becomes of spans that overlap, which a document cannot hold."""

    ERROR = "error"
    LONGEST = "longest"


class Offsets(str, Enum):
    """What offsets count: they differ behind characters such as emoji (UTF-16) or accents (bytes)."""

    CHARACTERS = "characters"
    UTF16 = "utf16"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to take what a document cannot hold.

    Args:
        overlaps: Whether overlapping spans are an error or the longest of them stays.
        strict: Whether white space at the edge of a span is an error; else it is trimmed.
        discontinuous: Whether a span in several pieces becomes one from its first to its last character; else it is
            an error.
        offsets: What offsets count; without it, what the tool counts, or what fits the surfaces that a file holds.
        text_field: Field or column of the text, in JSON and tables.
        proposals: Whether a document that a model has marked and nobody annotated is read with the model's marks; else
            it is left out.
    """

    overlaps: Overlaps = Overlaps.ERROR
    strict: bool = False
    discontinuous: bool = False
    offsets: Offsets | None = None
    text_field: str = "text"
    proposals: bool = False


class Notes:
    """Counts what reading or writing left out or changed, so that it can be said."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, doc_id: str, count: int = 1) -> None:
        """Count something.

        Args:
            what: What happened, as "relations left out".
            doc_id: The document in which it happened.
            count: How often.
        """
        if count:
            self._counts[what] = self._counts.get(what, 0) + count
            self._first.setdefault(what, doc_id)

    def log(self, where: str | Path) -> None:
        """Write the lines to the log, for want of anyone who reads them."""
        for note in self:
            _LOG.warning("%s: %s", where, note)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each thing happened."""
        return dict(self._counts)

    def __iter__(self) -> Iterator[str]:
        """A line for each thing that happened."""
        for what, count in self._counts.items():
            yield f"{what}: {count:,} (first in {self._first[what]})"


@dataclass(frozen=True, slots=True)
class Found:
    """A document as a file holds it, before its spans are looked at.

    Args:
        document: The document.
        path: Its file.
        line: Its line, where the format has lines.
    """

    document: Document
    path: Path
    line: int | None = None


def decode(raw: bytes, path: Path, line: int = 1) -> str:
    """Decode UTF-8.

    Args:
        raw: The bytes.
        path: Their file.
        line: The line in which they begin.

    Raises:
        DataError: They are something else.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8"
        raise DataError(message, path=path, line=line) from None


def read_text(path: Path) -> str:
    """Return the text of a whole file, without a byte order mark.

    Raises:
        DataError: It is not UTF-8.
        OSError: It cannot be read.
    """
    return decode(path.read_bytes().removeprefix(BOM), path)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Read a file line by line.

    Args:
        path: The file; lines end in LF or CR LF.

    Yields:
        Number and text of each line.

    Raises:
        DataError: A line is not UTF-8.
    """
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, 1):
            line = raw.removeprefix(BOM) if number == 1 else raw
            yield number, decode(line.removesuffix(b"\n").removesuffix(b"\r"), path, number)


def parse_json(text: str, path: Path, line: int | None = None) -> Any:
    """Parse JSON.

    Args:
        text: The JSON.
        path: Its file.
        line: Its line, if it is one line of many.

    Raises:
        DataError: It is none; the message says in which line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = error.lineno if line is None else line
        what = "it ends too early" if error.pos >= len(text.rstrip()) else f"{error.msg} at character {error.colno}"
        raise DataError(f"not JSON: {what}; mend it or export again", path=path, line=at) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"JSON beyond what can be read: {error}", path=path, line=line) from None


def as_meta(values: Mapping[str, Any]) -> dict[str, str]:
    """Turn fields of JSON into those of a document: strings stay, null is left out, the rest becomes JSON."""
    return {
        str(key): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value is not None
    }


class Row:
    """Access to the fields of an object that says in errors where the object stands.

    Args:
        fields: The object.
        path: Its file.
        line: Its line.
        doc_id: Its document, once it is known.
    """

    def __init__(self, fields: Mapping[str, Any], path: Path, line: int | None, doc_id: str | None = None) -> None:
        self.fields = fields
        self.path = path
        self.line = line
        self.doc_id = doc_id

    def fail(self, message: str) -> DataError:
        """Return the error to raise."""
        return DataError(message, path=self.path, line=self.line, doc_id=self.doc_id)

    def inner(self, fields: object, what: str) -> Row:
        """Return access to an object inside this one.

        Args:
            fields: What should be that object.
            what: Its name in messages.
        """
        if not isinstance(fields, dict):
            raise self.fail(f"{what} is {brief(fields)}, not an object")
        return Row(fields, self.path, self.line, self.doc_id)

    def text(self, name: str) -> str:
        """Return a string."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            has = f"is {brief(value)}, not a string" if name in self.fields else "is missing"
            raise self.fail(f"field {name!r} {has} (fields: {', '.join(map(str, self.fields)) or 'none'})")
        return value

    def number(self, name: str) -> int:
        """Return a whole number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            has = f"is {brief(value)}, not a whole number" if name in self.fields else "is missing"
            raise self.fail(f"field {name!r} {has}")
        return value

    def items(self, name: str) -> Sequence[Any]:
        """Return a list; a field that is missing or null is an empty one."""
        value = self.fields.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.fail(f"field {name!r} is {brief(value)}, not a list")
        return value


def brief(value: object) -> str:
    """Show a value in a message, cut short."""
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        shown = repr(value)
    return shown if len(shown) <= 40 else shown[:39] + "…"


def as_id(value: object) -> str | None:
    """Return an id that a file gives, or None where it gives none."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def numbered(path: Path, number: int) -> str:
    """Return the id of a document that has none of its own: the name of its file and its place in it."""
    return f"{path.stem}:{number}"


def read_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Read the objects of a file of JSON Lines.

    Args:
        path: The file.

    Yields:
        The id of each document and its object.

    Raises:
        DataError: A line is no JSON object.
    """
    for number, line in read_lines(path):
        if line.strip():
            fields = parse_json(line, path, number)
            if not isinstance(fields, dict):
                raise DataError(f"a JSON object is expected, not {line[:40]!r}", path=path, line=number)
            doc_id = as_id(fields.get("id")) or numbered(path, number)
            yield doc_id, Row(fields, path, number, doc_id)


def split_label(label: str) -> tuple[str, str]:
    """Part a label from the action class that is written behind it, as in ``POLICY_VERB:ENFORCE``."""
    name, colon, action = label.partition(":")
    return (name, action) if colon and name == "POLICY_VERB" else (label, "")


def join_label(span: Span) -> str:
    """Write a label with its action class behind it; `split_label` parts them."""
    return f"{span.label}:{span.action}" if span.action else span.label
