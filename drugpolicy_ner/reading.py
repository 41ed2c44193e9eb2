"""Documents to tag, one at a time, out of text, JSON Lines and CSV files, folders and standard input.

Nothing is accumulated: except for a text file that is one document, a file is read as far as it is asked for.
What cannot be read is reported with file and line, and reading goes on behind it.
"""

from __future__ import annotations

import csv
import io
import json
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final

from .errors import DataError
from .paths import flaw

Report = Callable[[DataError], None]
"""Takes each input that fails, so that the others can go on."""

LONGEST: Final = 10_000_000
"""Characters that one document may have."""

STDIN: Final = "-"
"""The path that stands for standard input."""

_BOM: Final = b"\xef\xbb\xbf"
_CSV_FIELD_LIMIT: Final = 2**31 - 1


class InputFormat(str, Enum):
    """How a file holds its documents."""

    TXT = "txt"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Record:
    """One document to tag.

    Args:
        id: As the input names it; need not be unique.
        text: The text, unchanged.
        path: The file it came from, for messages.
        line: Its first line in that file, where a file holds many documents.
        meta: The other fields of its row.
    """

    id: str
    text: str
    path: str = ""
    line: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How inputs are to be read.

    Args:
        input_format: Format of every input; without it, the suffix decides (standard input is text).
        lines: Whether each line of plain text is a document.
        text_column: Field or column that holds the text.
        id_column: Field or column that holds the id; without it, "id" where there is one.
    """

    input_format: InputFormat | None = None
    lines: bool = False
    text_column: str = "text"
    id_column: str | None = None


class Inputs:
    """The documents of files, folders and standard input, in order.

    Args:
        paths: Files, folders and "-".
        options: How to read them.
        report: Takes what cannot be read.
        skip: A file to leave out of folders: the output of this very run.
    """

    def __init__(self, paths: Sequence[str], options: ReadOptions, report: Report, *, skip: Path | None = None) -> None:
        self._options = options
        self._report = report
        written = skip if skip is not None and not flaw(skip) and skip.exists() else None
        self._files = [file for path in paths for file in self._find(path, written)]
        self.position = 0
        """Bytes read so far, of regular files."""

    @property
    def total(self) -> int | None:
        """Bytes in all, or None where an input does not tell its size."""
        total = 0
        for file in self._files:
            try:
                status = None if file == STDIN else Path(file).stat()
            except OSError:
                continue  # reading reports it
            if status is None or not stat.S_ISREG(status.st_mode):
                return None
            total += status.st_size
        return total

    def __iter__(self) -> Iterator[Record]:
        """Read the documents; each call starts anew."""
        self.position = 0
        for file in self._files:
            form = self._options.input_format or (InputFormat.TXT if file == STDIN else _format_of(file))
            if form is None:
                known = ", ".join(f".{known.value}" for known in InputFormat)
                self._report(DataError(f"is neither of {known}: say what it is with --input-format", path=file))
                continue
            try:
                yield from self._read(file, form)
            except OSError as error:
                self._report(DataError(f"cannot be read: {error.strerror or error}", path=_shown(file)))

    def _find(self, path: str, skip: Path | None) -> Iterator[str]:
        if path != STDIN and (wrong := flaw(path)):
            self._report(DataError(f"cannot be read: {wrong}", path=path))
            return
        if path == STDIN or not Path(path).is_dir():
            yield path
            return
        wanted = set(InputFormat) if self._options.input_format is None else {self._options.input_format}
        files = [
            file
            for file in sorted(Path(path).rglob("*"))
            if _format_of(file.name) in wanted and file.is_file() and not (skip and file.samefile(skip))
        ]
        if not files:
            suffixes = ", ".join(f".{form.value}" for form in InputFormat if form in wanted)
            self._report(DataError(f"no file with suffix {suffixes} in this folder", path=path))
        yield from map(str, files)

    def _read(self, file: str, form: InputFormat) -> Iterator[Record]:
        start = self.position
        with nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as handle:
            seekable = file != STDIN and handle.seekable()
            for record in _reader(form, self._options)(handle, file, self._options, self._report):
                if seekable:
                    self.position = start + handle.tell()
                yield record


_Reader = Callable[[BinaryIO, str, ReadOptions, Report], Iterator[Record]]


def _reader(form: InputFormat, options: ReadOptions) -> _Reader:
    if form is InputFormat.TXT:
        return _read_lines if options.lines else _read_text
    return _read_jsonl if form is InputFormat.JSONL else _read_csv


def _read_text(handle: BinaryIO, file: str, options: ReadOptions, report: Report) -> Iterator[Record]:
    raw = handle.read(4 * LONGEST + len(_BOM) + 1)  # no document that may pass is longer in UTF-8
    try:
        if len(raw) > 4 * LONGEST + len(_BOM):
            raise _too_long(file, None)
        yield _checked(Record(file, _decode(raw.removeprefix(_BOM), file, 1), _shown(file)))
    except DataError as error:
        report(error)


def _read_lines(handle: BinaryIO, file: str, options: ReadOptions, report: Report) -> Iterator[Record]:
    for number, line in _lines(handle, file, report):
        try:
            yield _checked(Record(f"{file}:{number}", line, _shown(file), number))
        except DataError as error:
            report(error)


def _read_jsonl(handle: BinaryIO, file: str, options: ReadOptions, report: Report) -> Iterator[Record]:
    for number, line in _lines(handle, file, report):
        if not line.strip():
            continue
        try:
            yield _row(_parse(line, file, number), file, number, options)
        except DataError as error:
            report(error)


def _read_csv(handle: BinaryIO, file: str, options: ReadOptions, report: Report) -> Iterator[Record]:
    # a byte that is not UTF-8 becomes a surrogate, which spoils its row and no other
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        with _long_csv_fields():
            rows = _csv_rows(text, file, report)
            _, header = next(rows, (0, []))
            problem = _header_problem(header, options)
            if problem:
                report(DataError(problem, path=_shown(file), line=1))
                return
            for number, row in rows:
                try:
                    if len(row) != len(header):
                        message = f"{len(row)} fields under a header of {len(header)}: quote fields that hold commas"
                        raise DataError(message, path=_shown(file), line=number)
                    yield _row(dict(zip(header, row, strict=True)), file, number, options)
                except DataError as error:
                    report(error)
    finally:
        text.detach()


def _csv_rows(text: io.TextIOWrapper, file: str, report: Report) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(text, strict=True)
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
            _decode("".join(row).encode("utf-8", "surrogateescape"), file, number)
        except StopIteration:
            return
        except csv.Error as error:
            report(DataError(f"malformed CSV: {error}; mend the quotes", path=_shown(file), line=number))
        except DataError as error:
            report(error)
        else:
            if row:
                yield number, row


@contextmanager
def _long_csv_fields() -> Iterator[None]:
    limit = csv.field_size_limit(_CSV_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _header_problem(header: Sequence[str], options: ReadOptions) -> str:
    columns = ", ".join(map(repr, header))
    if not header:
        return "no header row"
    if twice := next((name for name in header if header.count(name) > 1), None):
        return f"column {twice!r} stands twice in the header: rename one"
    if options.text_column not in header:
        return f"no column {options.text_column!r}: choose one of {columns} with --text-column"
    if options.id_column is not None and options.id_column not in header:
        return f"no column {options.id_column!r}: choose one of {columns} with --id-column"
    return ""


def _lines(handle: BinaryIO, file: str, report: Report) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(handle, 1):
        line = raw.removeprefix(_BOM) if number == 1 else raw
        try:
            text = _decode(line.removesuffix(b"\n").removesuffix(b"\r"), file, number)
        except DataError as error:
            report(error)
        else:
            yield number, text


def _parse(line: str, file: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at character {error.pos + 1}; each line must hold one whole object"
        raise DataError(message, path=_shown(file), line=number) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"JSON beyond what can be read: {error}", path=_shown(file), line=number) from None
    if not isinstance(value, dict):
        raise DataError(f"a JSON object is expected, not {line[:40]!r}", path=_shown(file), line=number)
    return value


def _row(fields: dict[str, Any], file: str, number: int, options: ReadOptions) -> Record:
    id_column = options.id_column or "id"
    meta = {key: value for key, value in fields.items() if key not in (options.text_column, id_column)}
    text = fields.get(options.text_column)
    given = fields.get(id_column)
    if not isinstance(text, str):
        what = f"is {json.dumps(text)[:40]}, not a string" if options.text_column in fields else "is missing"
        message = f"field {options.text_column!r} {what}: choose the text with --text-column"
        raise DataError(message, path=_shown(file), line=number)
    if given is None and options.id_column is not None:
        message = f"field {id_column!r} is missing: choose the id with --id-column"
        raise DataError(message, path=_shown(file), line=number)
    if given is None:
        given = f"{file}:{number}"
    return _checked(Record(given if isinstance(given, str) else json.dumps(given), text, _shown(file), number, meta))


def _checked(record: Record) -> Record:
    if len(record.text) > LONGEST:
        raise _too_long(record.path, record.line)
    try:
        record.text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(record.text[error.start]):04X}"
        message = f"the text holds half a surrogate pair ({half} at character {error.start + 1}): mend its escapes"
        raise DataError(message, path=record.path, line=record.line) from None
    return record


def _too_long(file: str, line: int | None) -> DataError:
    message = f"a document of more than {LONGEST:,} characters: split it, or take each line for a document with --lines"
    return DataError(message, path=_shown(file), line=line)


def _decode(raw: bytes, file: str, line: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8"
        raise DataError(message, path=_shown(file), line=line) from None


def _format_of(file: str) -> InputFormat | None:
    suffix = Path(file).suffix.lower().removeprefix(".")
    return next((form for form in InputFormat if form.value == suffix), None)


def _shown(file: str) -> str:
    return "<standard input>" if file == STDIN else file
