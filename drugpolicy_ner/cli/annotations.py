"""The commands under `data`, which work on annotated text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..corpus.convert import convert_documents
from ..corpus.formats import Format, about, detect, read_documents
from ..corpus.mapping import read_map
from ..corpus.source import Notes, Offsets, Overlaps, ReadOptions
from ..errors import UsageError
from ..output import open_output
from .shell import AsJson, exit_codes, say, say_at_times, spare

if TYPE_CHECKING:
    from ..corpus import Document
    from ..corpus.tokens import Tokenize

data = typer.Typer(help="Work on annotated text.", no_args_is_help=True)

Source = Annotated[
    Format | None,
    typer.Option("--from", help="Format of what is read.", show_default="what suffix and content say"),
]
OverlapChoice = Annotated[
    Overlaps, typer.Option("--overlaps", help="What becomes of spans that overlap, of which only one can stay.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Take white space at a span's edge for an error; else it is trimmed.")
]
Discontinuous = Annotated[
    bool, typer.Option("--discontinuous", help="Make a span in several pieces one, from first to last.")
]
OffsetUnit = Annotated[
    Offsets | None, typer.Option("--offsets", help="What offsets in the inputs count.", show_default="as the tool does")
]
TextField = Annotated[str, typer.Option("--text-field", help="Field or column of the text, in JSON and tables.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page too, in one file.", show_default=False)
]


@data.command()
def check(
    paths: Annotated[list[str], typer.Argument(help="Annotated documents: files or folders.", show_default=False)],
    *,
    source: Source = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA",
            help="Another split, from which nothing may leak into this one; may be repeated.",
            show_default=False,
        ),
    ] = None,
    scheme: Annotated[
        bool, typer.Option("--scheme/--no-scheme", help="Let nothing pass but labels of the built-in scheme.")
    ] = True,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the pipeline whose tokens spans must keep to.", show_default="our tokenizer"
        ),
    ] = None,
    overlaps: OverlapChoice = Overlaps.ERROR,
    strict: Strict = False,
    discontinuous: Discontinuous = False,
    offsets: OffsetUnit = None,
    text_field: TextField = "text",
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """Check annotated documents, and say what must be mended (error) and what to look at (review).

    What is checked: format, labels, action classes, overlaps, token edges, empty and repeated documents, surfaces that
    are marked here and not there, and leakage between splits.

    Exit codes: 0 nothing must be mended, 1 something must, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        spare(html, [*paths, *(against or ())])
        options = ReadOptions(overlaps, strict, discontinuous, offsets, text_field)
        with open_output(html) if html else nullcontext() as page, open_output(None) as stream:
            from ..checking import check_corpus
            from ..corpus.tokens import load_tokenizer

            tokenizer = load_tokenizer() if model is None else _tokenizer(model)
            with _counting() as advance:
                report = check_corpus(
                    paths,
                    tokenizer,
                    source=source,
                    options=options,
                    scheme=scheme,
                    against=against or (),
                    advance=advance,
                )
            if page is not None:
                from ..data_html import write_check

                write_check(report, page, paths)
            if as_json:
                stream.write(json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n")
            else:
                stream.write(report.as_text())
        if report.failed:
            raise typer.Exit(1)


def _tokenizer(model: str) -> Tokenize:
    from ..tagging import load_pipeline

    tokenizer: Tokenize = load_pipeline(model).tokenizer
    return tokenizer


@data.command()
def split(
    path: Annotated[
        Path, typer.Argument(metavar="DATA", help="Annotated documents: a file or folder.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT_DIR", help="Folder to write, new or empty.", show_default=False)
    ],
    *,
    dev: Annotated[float, typer.Option(help="Share of the documents in dev; 0 for none.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the documents in test; 0 for none.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another number gives another split.")] = 0,
    by: Annotated[
        str,
        typer.Option(
            metavar="document|KEY", help="Field of meta whose value keeps documents together, such as their source."
        ),
    ] = "document",
    source: Source = None,
    target: Annotated[
        Format | None, typer.Option("--to", help="Format of the parts.", show_default="that of DATA")
    ] = None,
    overlaps: OverlapChoice = Overlaps.ERROR,
    strict: Strict = False,
    discontinuous: Discontinuous = False,
    offsets: OffsetUnit = None,
    text_field: TextField = "text",
    as_json: AsJson = False,
) -> None:
    """Split annotated documents into train, dev and test, each with its share of every label.

    Near-duplicates stay on one side, and so do documents of one source, with --by. The same documents and seed give
    the same split, in whatever order they come. The folder appears whole or not at all.

    Exit codes: 0 well, 1 the data cannot be read or do not fill the parts, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        from ..corpus.split import split_documents, write_split

        options = ReadOptions(overlaps, strict, discontinuous, offsets, text_field)
        form = detect(path) if source is None else source
        notes = Notes()
        with _counting() as advance:
            documents = _read(path, form, options, notes, advance)
        parted = split_documents(documents, dev=dev, test=test, seed=seed, by=by)
        if parted.keyless:
            say(f"documents without {by!r}, each taken for a source of its own: {parted.keyless:,}")
        if parted.joined:
            say(f"documents kept together with others: {parted.joined:,}")
        files = write_split(parted, output, target or form, notes=notes)
        for note in notes:
            say(note)
        with open_output(None) as stream:
            if as_json:
                counts = parted.counts()
                parts = {
                    part: {"path": str(files[part]), "documents": len(held), "spans": counts[part]}
                    for part, held in parted.parts.items()
                }
                report = {"parts": parts, "groups": parted.groups, "joined": parted.joined, "notes": dict(notes.counts)}
                stream.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
            else:
                from ..data_text import write_split as write_table

                write_table(parted, stream)


@data.command()
def stats(
    path: Annotated[
        Path, typer.Argument(metavar="DATA", help="Annotated documents: a file or folder.", show_default=False)
    ],
    *,
    top: Annotated[int, typer.Option(min=0, help="How many of each label's most frequent surfaces to show.")] = 10,
    source: Source = None,
    overlaps: OverlapChoice = Overlaps.ERROR,
    strict: Strict = False,
    discontinuous: Discontinuous = False,
    offsets: OffsetUnit = None,
    text_field: TextField = "text",
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """Count what annotated documents hold: words, spans of each label, surfaces, lengths, action classes.

    Exit codes: 0 well, 1 the data cannot be read, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        from ..corpus.statistics import count_documents

        spare(html, [str(path)])
        options = ReadOptions(overlaps, strict, discontinuous, offsets, text_field)
        notes = Notes()
        with open_output(html) if html else nullcontext() as page, open_output(None) as stream:
            with _counting() as advance:
                documents = _read(path, source, options, notes, advance)
            found = count_documents(documents, top=top)
            for note in notes:
                say(note)
            if page is not None:
                from ..data_html import write_statistics

                write_statistics(found, page, [str(path)])
            if as_json:
                stream.write(json.dumps(asdict(found), ensure_ascii=False, indent=2) + "\n")
            else:
                from ..data_text import write_statistics as write_table

                write_table(found, stream)


def _read(
    path: Path, source: Format | None, options: ReadOptions, notes: Notes, advance: Callable[[], None]
) -> list[Document]:
    documents = []
    for document in read_documents(path, source, options=options, notes=notes):
        documents.append(document)
        advance()
    return documents


@data.command(epilog="Formats: " + "; ".join(f"{form.value}: {about(form)}" for form in Format) + ".")
def convert(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT... OUTPUT", help="Files or folders to read, and what to write.", show_default=False
        ),
    ],
    *,
    source: Source = None,
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
    overlaps: OverlapChoice = Overlaps.ERROR,
    strict: Strict = False,
    discontinuous: Discontinuous = False,
    offsets: OffsetUnit = None,
    text_field: TextField = "text",
    as_json: AsJson = False,
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
        yield say_at_times(lambda done: f"{done:,} documents")
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = [SpinnerColumn(), TextColumn("{task.completed:,.0f} documents")]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda: bar.advance(task)
