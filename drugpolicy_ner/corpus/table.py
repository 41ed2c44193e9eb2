"""Tables of spans: CSV, TSV and Parquet, a row a span.

The columns are ``id``, ``text`` (of the document, in each of its rows), ``start``, ``end``, ``label``, ``action`` and
``meta`` (a JSON object). The rows of a document stand together; a document without spans is one row without a label.
Offsets count characters. Other columns become meta, taken from a document's first row, unless they differ within a
document, which is counted. ``doc_id`` and ``document_id`` name the id too. CSV and TSV stream; Parquet is read and
written in batches and needs pyarrow, which comes with `datasets`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..output import Output
from .document import Document, Span
from .jsonl import rest
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, as_id, decode, numbered, parse_json, split_label

COLUMNS = ("id", "text", "start", "end", "label", "action", "meta")
_IDS = ("id", "doc_id", "document_id")
_BATCH = 10_000
_FIELD_LIMIT = 2**31 - 1


def read_csv(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a table whose columns are parted by commas or semicolons, as the header shows.

    Args:
        path: The file.
        options: What offsets count and where the text stands.
        notes: Takes what is left out.

    Raises:
        DataError: A row that is not of this shape.
    """
    yield from _documents(_separated(path, None), path, options, notes)


def read_tsv(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a table whose columns are parted by tabs; arguments and errors as `read_csv`."""
    yield from _documents(_separated(path, "\t"), path, options, notes)


def read_parquet(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a Parquet file; arguments and errors as `read_csv`.

    Raises:
        UsageError: pyarrow is missing.
    """
    pyarrow, parquet = _arrow()
    try:
        table = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise _no_parquet(path, error) from None
    with table:
        rows = (row for batch in table.iter_batches(_BATCH) for row in batch.to_pylist())
        yield from _documents(((None, row) for row in rows), path, options, notes)


def parquet_columns(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises:
        DataError: The file is none.
        UsageError: pyarrow is missing.
    """
    pyarrow, parquet = _arrow()
    try:
        names: list[str] = parquet.read_schema(path).names
    except pyarrow.ArrowInvalid as error:
        raise _no_parquet(path, error) from None
    return names


def _no_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"not Parquet: {str(error).splitlines()[0]}", path=path)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'drugpolicy-ner[train]'") from None
    return pyarrow, parquet


def _separated(path: Path, delimiter: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    limit = csv.field_size_limit(_FIELD_LIMIT)
    try:
        # a byte that is not UTF-8 becomes a surrogate, so that its line can be named
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as handle:
            first = handle.readline().removeprefix("\ufeff")
            if delimiter is None:
                delimiter = ";" if first.count(";") > first.count(",") else ","
            lines = csv.reader(chain([first], handle), delimiter=delimiter, strict=True)
            header: list[str] = []
            while True:
                number = lines.line_num + 1
                try:
                    fields = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise DataError(f"malformed table: {error}; mend the quotes", path=path, line=number) from None
                decode(",".join(fields).encode("utf-8", "surrogateescape"), path, number)
                if not header:
                    header = fields
                    if twice := next((name for name in header if header.count(name) > 1), None):
                        raise DataError(f"column {twice!r} stands twice in the header", path=path, line=number)
                elif fields:
                    if len(fields) != len(header):
                        message = f"{len(fields)} fields under a header of {len(header)}: quote fields that hold commas"
                        raise DataError(message, path=path, line=number)
                    yield number, dict(zip(header, fields, strict=True))
    finally:
        csv.field_size_limit(limit)


def _documents(
    rows: Iterable[tuple[int | None, dict[str, Any]]], path: Path, options: ReadOptions, notes: Notes
) -> Iterator[Found]:
    """Gather the rows that stand together for one document."""
    first: Row | None = None
    key: object = None
    mentions: list[Mention] = []
    for count, (number, fields) in enumerate(rows, 1):
        row = Row(fields, path, number)
        if count == 1:
            _check_columns(row, options)
        given = next((as_id(fields[name]) for name in _IDS if name in fields), None)
        row.doc_id = given or numbered(path, number or count)
        text = fields.get(options.text_field)
        text = "" if text is None and given else text  # an empty text is null in some tables
        if not isinstance(text, str):
            raise row.fail(f"column {options.text_field!r} holds no text")
        if first is None or key != (given or text):
            if first is not None:
                yield _found(first, mentions, options)
            first, key, mentions = row, given or text, []
            row.fields = dict(fields) | {options.text_field: text}
        elif text != first.fields[options.text_field]:
            raise row.fail("the text is another than in the row before, under the same id")
        else:
            _compare(first, row, options, notes)
        mention = _mention(row)
        if mention is not None:
            mentions.append(mention)
    if first is not None:
        yield _found(first, mentions, options)


def _check_columns(row: Row, options: ReadOptions) -> None:
    columns = ", ".join(map(repr, row.fields))
    if {"concept", "source"} <= set(row.fields):
        raise row.fail("this is what `tag --format csv` writes, which holds no texts: tag with --format jsonl")
    if options.text_field not in row.fields:
        raise row.fail(f"no column {options.text_field!r}: choose one of {columns} with data convert --text-field")
    if missing := [name for name in ("start", "end", "label") if name not in row.fields]:
        raise row.fail(f"no column {', '.join(map(repr, missing))} (columns: {columns})")


def _mention(row: Row) -> Mention | None:
    values = [row.fields.get(name) for name in ("start", "end", "label")]
    if all(value is None or value == "" for value in values):
        return None
    label, action = split_label(row.text("label"))
    action = action or str(row.fields.get("action") or "")
    if not label:
        raise row.fail("a row with offsets needs a label")
    surface = row.fields.get("surface")
    span = Span(_offset(row, "start"), _offset(row, "end"), label, action)
    return Mention(span, surface if isinstance(surface, str) and surface else None)


def _offset(row: Row, name: str) -> int:
    value = row.fields.get(name)
    try:
        number = float(str(value))  # pandas writes a column with gaps as 3.0
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise row.fail(f"column {name!r} is {value!r}, not a whole number")


_SPAN_COLUMNS = frozenset({"start", "end", "label", "action", "surface"})


def _compare(first: Row, row: Row, options: ReadOptions, notes: Notes) -> None:
    for name, value in row.fields.items():
        if name not in _SPAN_COLUMNS and name != options.text_field and value != first.fields.get(name):
            notes.add(f"values of column {name!r} left out: another than in the document's first row", row.doc_id or "")


def _found(row: Row, mentions: list[Mention], options: ReadOptions) -> Found:
    text = row.text(options.text_field)
    spans = locate(text, mentions, row, [options.offsets or Offsets.CHARACTERS])
    fields = {name: value for name, value in row.fields.items() if value not in (None, "")}
    meta = fields.get("meta")
    if isinstance(meta, str):
        fields["meta"] = parse_json(meta, row.path, row.line)
    known = {*_SPAN_COLUMNS, *_IDS, options.text_field}
    return Found(Document(row.doc_id or "", text, spans, rest(fields, known, row)), row.path, row.line)


def _rows(document: Document) -> Iterator[list[Any]]:
    meta = json.dumps(document.meta, ensure_ascii=False) if document.meta else None
    for span in document.spans:
        yield [document.id, document.text, span.start, span.end, span.label, span.action or None, meta]
    if not document.spans:
        yield [document.id, document.text, None, None, None, None, meta]


def write_csv(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a table parted by commas.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """
    _write_separated(documents, output, ",")


def write_tsv(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a table parted by tabs; arguments as `write_csv`."""
    _write_separated(documents, output, "\t")


def _write_separated(documents: Iterable[Document], output: Output, delimiter: str) -> None:
    # CR LF, as RFC 4180 has it: csv quotes a field for the characters of its own line end only
    rows = csv.writer(output, delimiter=delimiter, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for document in documents:
        rows.writerows(_rows(document))


def write_parquet(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write a Parquet file, batch by batch; arguments as `write_csv`.

    Raises:
        UsageError: pyarrow is missing.
    """
    pyarrow, parquet = _arrow()
    types = {"start": pyarrow.int64(), "end": pyarrow.int64()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in COLUMNS])
    batch: list[list[Any]] = []

    def flush() -> None:
        columns = list(zip(*batch, strict=True)) or [() for _ in COLUMNS]
        arrays = [pyarrow.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
        table.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
        batch.clear()

    with pyarrow.PythonFile(_Sink(output), mode="w") as sink, parquet.ParquetWriter(sink, schema) as table:
        for document in documents:
            batch += _rows(document)
            if len(batch) >= _BATCH:
                flush()
        flush()


class _Sink(io.RawIOBase):
    """Hands bytes on to an output and knows how many they were, which Parquet needs for its footer."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._output.write_bytes(raw)
        self._position += len(raw)
        return len(raw)

    def tell(self) -> int:
        return self._position
