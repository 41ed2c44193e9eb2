"""Writers of tagged documents: one class a format, each opened, given document by document, and closed."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast

from .entity import COLOURS, INK, OTHER_COLOUR, Entity, label_order
from .errors import UsageError
from .output import Output
from .reading import Record
from .webpage import HtmlWriter

if TYPE_CHECKING:
    from rich.text import Text
    from spacy.tokens import Doc

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURFACES: Final = 50_000
_MOST_FREQUENT: Final = 5


class OutputFormat(str, Enum):
    """What tagged documents are written as."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"
    HTML = "html"
    DOCBIN = "docbin"


_SUFFIXES: Final = {
    ".jsonl": OutputFormat.JSONL,
    ".csv": OutputFormat.CSV,
    ".html": OutputFormat.HTML,
    ".spacy": OutputFormat.DOCBIN,
}


class Writer(Protocol):
    """Writes documents in one format."""

    def open(self) -> None:
        """Write what stands before the documents."""

    def write(self, record: Record, doc: Doc) -> None:
        """Write a document."""

    def close(self) -> None:
        """Write what stands behind the documents."""


class JsonlWriter:
    """A JSON object a document."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def open(self) -> None:
        """Write nothing: rows only."""

    def write(self, record: Record, doc: Doc) -> None:
        """Write a line."""
        row = {
            "id": record.id,
            "text": record.text,
            "ents": [self._ent(Entity.of(ent)) for ent in doc.ents],
            "meta": record.meta,
        }
        self._output.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Write nothing: rows only."""

    @staticmethod
    def _ent(entity: Entity) -> dict[str, Any]:
        fields = ["start", "end", "text", "label", "concept", "source"]
        if entity.label == "POLICY_VERB":
            fields.append("action")
        return {field: getattr(entity, field) for field in fields}


class CsvWriter:
    """A row an entity, under a header."""

    def __init__(self, output: Output) -> None:
        # CR LF, as RFC 4180 has it: csv quotes a field for the characters of its own line end only
        self._rows = csv.writer(output, lineterminator="\r\n")

    def open(self) -> None:
        """Write the header."""
        self._rows.writerow(["id", "start", "end", "text", "label", "concept", "action", "source"])

    def write(self, record: Record, doc: Doc) -> None:
        """Write a row an entity; a document without any leaves none."""
        for ent in doc.ents:
            e = Entity.of(ent)
            self._rows.writerow([record.id, e.start, e.end, e.text, e.label, e.concept, e.action, e.source])

    def close(self) -> None:
        """Write nothing: rows only."""


class TextWriter:
    """The documents for a person to read, with coloured entities, and a table of what was found."""

    def __init__(self, output: Output) -> None:
        from rich.console import Console

        self._console = Console(file=cast("IO[str]", output), highlight=False, emoji=False, markup=False)
        self._surfaces: dict[str, Counter[str]] = {}
        self._counts: Counter[str] = Counter()
        self._documents = 0

    def open(self) -> None:
        """Write nothing: the first document begins."""

    def write(self, record: Record, doc: Doc) -> None:
        """Write a document under its id."""
        from rich.text import Text

        body = Text()
        cursor = 0
        for ent in doc.ents:
            e = Entity.of(ent)
            body.append(visible(record.text[cursor : e.start]))
            body.append_text(self._marked(f"[{visible(e.text)} {e.action or e.label}]", e.label))
            self._count(e)
            cursor = e.end
        body.append(visible(record.text[cursor:]).rstrip("\n") + "\n")
        self._console.print(Text(visible(record.id), style="bold"), soft_wrap=True)
        self._console.print(body, soft_wrap=True)
        self._documents += 1

    def close(self) -> None:
        """Write the table."""
        from rich.table import Table
        from rich.text import Text

        entities = self._counts.total()
        table = Table(title=f"{_plural(entities, 'entity', 'entities')} in {_plural(self._documents, 'document')}")
        for heading in ("label", "count", "most frequent"):
            table.add_column(heading, justify="right" if heading == "count" else "left")
        for label in sorted(self._counts, key=label_order):
            frequent = ", ".join(f"{text} ({n})" for text, n in self._surfaces[label].most_common(_MOST_FREQUENT))
            table.add_row(self._marked(label, label), Text(str(self._counts[label])), Text(frequent))
        self._console.print(table)

    def _marked(self, text: str, label: str) -> Text:
        from rich.style import Style
        from rich.text import Text

        return Text(text, style=Style(color=INK, bgcolor=COLOURS.get(label, OTHER_COLOUR)))

    def _count(self, entity: Entity) -> None:
        self._counts[entity.label] += 1
        surfaces = self._surfaces.setdefault(entity.label, Counter())
        surfaces[" ".join(visible(entity.text).split())] += 1
        if len(surfaces) > _SURFACES:  # rare ones cannot come to the top of a table
            self._surfaces[entity.label] = Counter(dict(surfaces.most_common(_SURFACES // 2)))


class DocBinWriter:
    """The documents as spaCy's own DocBin. It is one compressed whole, and so held until the end."""

    def __init__(self, output: Output) -> None:
        from spacy.tokens import DocBin

        self._output = output
        self._bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"], store_user_data=False)

    def open(self) -> None:
        """Write nothing: it all comes at the end."""

    def write(self, record: Record, doc: Doc) -> None:
        """Keep tokens and entities of a document."""
        self._bin.add(doc)

    def close(self) -> None:
        """Write the whole."""
        self._output.write_bytes(self._bin.to_bytes())


def choose_format(asked: OutputFormat | None, path: Path | None, *, terminal: bool) -> OutputFormat:
    """Settle the format of the output.

    Args:
        asked: What the user asked for.
        path: The file to write, or None for standard output.
        terminal: Whether standard output is a terminal.

    Raises:
        UsageError: Format and suffix contradict each other, or the format needs a file.
    """
    suffix = None if path is None else _SUFFIXES.get(path.suffix.lower())
    if path is not None and asked and suffix and asked != suffix:
        raise UsageError(f"{path}: its suffix means {suffix.value}, --format says {asked.value}: change one of them")
    if path is None and asked is OutputFormat.DOCBIN:
        raise UsageError("docbin is binary: name a file with --output")
    return asked or suffix or (OutputFormat.TEXT if path is None and terminal else OutputFormat.JSONL)


@contextmanager
def open_writer(form: OutputFormat, output: Output) -> Iterator[Writer]:
    """Open a writer, and close it unless something failed.

    Args:
        form: The format to write.
        output: What to write to.
    """
    writers: dict[OutputFormat, Callable[[Output], Writer]] = {
        OutputFormat.TEXT: TextWriter,
        OutputFormat.JSONL: JsonlWriter,
        OutputFormat.CSV: CsvWriter,
        OutputFormat.HTML: HtmlWriter,
        OutputFormat.DOCBIN: DocBinWriter,
    }
    writer = writers[form](output)
    writer.open()
    yield writer
    writer.close()


def visible(text: str) -> str:
    """Replace control characters, which would command the terminal."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
