"""Statistics and splits of annotated documents as tables for the terminal."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, cast

from .corpus.split import Split
from .corpus.statistics import Lengths, Statistics
from .output import Output
from .writing import visible

if TYPE_CHECKING:
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_WIDTH: Final = 120  # where no terminal says how wide it is
_BAR: Final = 24


def write_statistics(found: Statistics, output: Output) -> None:
    """Write what a collection holds.

    Args:
        found: What was counted.
        output: Where to write it.
    """
    console = _console(output)
    console.print(
        f"{found.documents:,} documents ({found.unmarked:,} without spans), {found.words:,} words, "
        f"{found.characters:,} characters",
        soft_wrap=True,
    )
    console.print(
        f"{found.spans:,} spans, {found.surfaces:,} different, {found.per_1000_words:.1f} in 1,000 words",
        soft_wrap=True,
    )
    console.print(f"words in a document: {_describe(found.document_words)}", soft_wrap=True)
    console.print(f"spans in a document: {_describe(found.document_spans)}\n", soft_wrap=True)
    most = max((label.spans for label in found.labels.values()), default=1)
    table = _table("label", "spans", "", "documents", "different", "in 1,000 words", "words (median, longest)")
    for name, label in found.labels.items():
        table.add_row(
            _plain(name),
            f"{label.spans:,}",
            _bar(label.spans, most),
            f"{label.documents:,}",
            f"{label.surfaces:,}",
            f"{label.per_1000_words:.2f}",
            f"{label.words.median:g}, {label.words.longest}",
        )
    console.print(table)
    if found.actions:
        console.print()
        table = _table("action class", "spans", "")
        for action, count in found.actions.items():
            table.add_row(action or "(none)", f"{count:,}", _bar(count, max(found.actions.values())))
        console.print(table)
    console.print("\nmost frequent")
    for name, label in found.labels.items():
        shown = ", ".join(f"{surface.text} {surface.count:,}" for surface in label.top)
        console.print(_plain(f"  {name}: {shown}"), soft_wrap=True)


def write_split(split: Split, output: Output) -> None:
    """Write how many documents and spans of each label every part has.

    Args:
        split: The parts.
        output: Where to write it.
    """
    counts = split.counts()
    table = _table("", *(column for part in counts for column in (part, "")))
    _add(table, "documents", [len(documents) for documents in split.parts.values()])
    for label in next(iter(counts.values())):
        _add(table, label, [held[label] for held in counts.values()])
    _console(output).print(table)


def _add(table: Table, name: str, counts: list[int]) -> None:
    total = sum(counts) or 1
    table.add_row(_plain(name), *(cell for count in counts for cell in (f"{count:,}", f"{100 * count / total:.1f}%")))


def _describe(lengths: Lengths) -> str:
    return f"{lengths.shortest:,} to {lengths.longest:,}, median {lengths.median:g}, mean {lengths.mean:.1f}"


def _console(output: Output) -> Console:
    from rich.console import Console

    return Console(
        file=cast("IO[str]", output),
        highlight=False,
        emoji=False,
        markup=False,
        width=None if output.isatty() else _WIDTH,
    )


def _table(first: str, *others: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first, overflow="fold")
    for other in others:
        table.add_column(other, justify="right")
    return table


def _bar(value: int, most: int) -> Bar:
    from rich.bar import Bar

    return Bar(most, 0, value, width=_BAR)


def _plain(text: str) -> Text:
    from rich.text import Text

    return Text(visible(text))
