"""The commands under `data`, which work on annotated text."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from ..corpus.convert import convert_documents
from ..corpus.formats import Format, about
from ..corpus.mapping import read_map
from ..corpus.source import Notes, Offsets, Overlaps, ReadOptions
from ..errors import UsageError
from ..output import open_output
from .shell import exit_codes, say, spare

data = typer.Typer(help="Work on annotated text.", no_args_is_help=True)

_EVERY: Final = 10.0
"""Seconds between lines of progress where no bar can be shown."""


@data.command()
def check(
    paths: Annotated[list[str], typer.Argument(help="Files of marked text, or folders of them.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Check marked text: format, token edges, surfaces left unmarked, repetition.

    Exit codes: 0 nothing must be mended, 1 something must, 2 wrong use.
    """
    with exit_codes(), open_output(None) as stream:
        from dataclasses import asdict

        import spacy

        from ..checking import check_corpus
        from ..tokenizer import build_tokenizer

        report = check_corpus(paths, build_tokenizer(spacy.blank("en")))
        if as_json:
            stream.write(json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n")
        else:
            for finding in report.findings:
                level = "error" if finding.error else "review"
                where = f"{finding.doc_id}: " if finding.kind != "format" else ""  # which says it in its message
                stream.write(f"{level} {finding.kind}: {where}{finding.message}\n")
            stream.write(f"{report.passages} passages, {report.words} words, {sum(report.spans.values())} spans\n")
            for label, count in report.spans.items():
                stream.write(f"{count:7} {label}\n")
        if report.failed:
            stream.flush()
            raise typer.Exit(1)


@data.command(epilog="Formats: " + "; ".join(f"{form.value}: {about(form)}" for form in Format) + ".")
def convert(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT... OUTPUT", help="Files or folders to read, and what to write.", show_default=False
        ),
    ],
    *,
    source: Annotated[
        Format | None,
        typer.Option("--from", help="Format of the inputs.", show_default="what suffix and content say"),
    ] = None,
    target: Annotated[
        Format | None, typer.Option("--to", help="Format of the output.", show_default="what the suffix says")
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OLD=NEW|FILE",
            help="Rename a label; OLD= drops its spans; a file holds such lines, or a JSON object. May be repeated.",
            show_default=False,
        ),
    ] = None,
    scheme: Annotated[
        bool, typer.Option("--scheme/--no-scheme", help="Let nothing through but labels of the built-in scheme.")
    ] = False,
    overlaps: Annotated[
        Overlaps, typer.Option(help="What becomes of spans that overlap, of which only one can stay.")
    ] = Overlaps.ERROR,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take white space at a span's edge for an error; else it is trimmed.")
    ] = False,
    discontinuous: Annotated[
        bool, typer.Option("--discontinuous", help="Make a span in several pieces one, from first to last.")
    ] = False,
    offsets: Annotated[
        Offsets | None, typer.Option(help="What offsets in the inputs count.", show_default="as the tool does")
    ] = None,
    text_field: Annotated[str, typer.Option(help="Field or column of the text, in JSON and tables.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output.")] = False,
) -> None:
    """Read annotations in one format and write them in another.

    Several inputs become one collection. The output is written whole or not at all. What the output cannot hold, and
    whatever else was left out or changed, is counted on standard error.

    Exit codes: 0 well, 1 an input cannot be read or converted, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        *inputs, output = paths
        if not inputs:
            raise UsageError(f"{output}: name what to read and then what to write")
        notes = Notes()
        options = ReadOptions(overlaps, strict, discontinuous, offsets, text_field)
        spare(Path(output), inputs)
        with _counting() as advance:
            count = convert_documents(
                inputs,
                output,
                source=source,
                target=target,
                mapping=read_map(maps or ()),
                scheme=scheme,
                options=options,
                notes=notes,
                advance=advance,
            )
        for note in notes:
            say(note)
        if as_json:
            with open_output(None) as stream:
                report = {"output": output, "documents": count, "notes": dict(notes.counts)}
                stream.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
        else:
            say(f"{output}: {count:,} document{'' if count == 1 else 's'}")


@contextmanager
def _counting() -> Iterator[Callable[[], None]]:
    """Show how many documents are done: call what this yields after each."""
    if not sys.stderr.isatty():
        done, said = 0, time.monotonic()

        def count() -> None:
            nonlocal done, said
            done += 1
            if time.monotonic() - said > _EVERY:
                say(f"{done:,} documents")
                said = time.monotonic()

        yield count
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = [SpinnerColumn(), TextColumn("{task.completed:,.0f} documents")]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda: bar.advance(task)
