"""The command `drugpolicy-ner`: thin commands over plain functions; spaCy is imported only where it is used."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .concepts import read_own_concepts
from .errors import DataError, DrugPolicyError, OutputClosed, OutputError, UsageError
from .lookup import (
    Filter,
    ListFormat,
    choose_list_format,
    look_up,
    open_store,
    select,
    unknown,
    write_entries,
    write_json,
    write_list,
)
from .output import open_output
from .reading import STDIN, InputFormat, Inputs, ReadOptions
from .tagging import choose_labels, load_pipeline, tag_records
from .writing import OutputFormat, choose_format, open_writer

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="drugpolicy-ner",
    help="Find substances, institutions, laws, quantities and acts of drug policy in text.",
    no_args_is_help=True,
)
data = typer.Typer(help="Work on annotated text.", no_args_is_help=True)
app.add_typer(data, name="data")

OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write: whole or not at all.", show_default="standard output"),
]
OwnConcepts = Annotated[
    list[Path] | None,
    typer.Option(
        "--concepts",
        metavar="FILE",
        help="Concepts of your own (.jsonl) beside those of the knowledge base; may be repeated.",
        show_default=False,
    ),
]

_REFRESH = 0.1


def main() -> None:
    """Run the command as the console script does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Leave in order, so that a half-written file is taken away."""
    raise SystemExit(128 + number)


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"drugpolicy-ner {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def tag(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATHS...|-]",
            help="Files (.txt, .jsonl, .csv), folders of them, or - for standard input, which is read "
            "too when no path is given and something is piped in.",
            show_default=False,
        ),
    ] = None,
    *,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="Format of the output. Default: what the suffix of --output says; else text on a terminal, jsonl "
            "elsewhere. docbin keeps no document ids and needs --output.",
            show_default=False,
        ),
    ] = None,
    output: OutputFile = None,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            help="Format of every input, whatever its suffix; of folders, only files with this suffix are taken.",
            show_default="by suffix; txt for standard input",
        ),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Take each line of plain text for a document.")] = False,
    text_column: Annotated[str, typer.Option(help="Field or column that holds the text (.jsonl, .csv).")] = "text",
    id_column: Annotated[
        str | None,
        typer.Option(help="Field or column that holds the id (.jsonl, .csv).", show_default="id, where there is one"),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Keep these labels only; commas between them, or repeat.", show_default="all"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name or folder of another spaCy pipeline.", show_default="the one that comes along"),
    ] = None,
    concepts: OwnConcepts = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Documents to tag at a time.")] = 64,
    n_process: Annotated[int, typer.Option(min=1, help="Processes to tag with.")] = 1,
) -> None:
    """Tag documents and write what was found.

    Documents stream through: memory does not grow with the input, except for docbin. Input that cannot be read or
    tagged is named on standard error while the rest goes on.

    Exit codes: 0 all is well, 1 some input failed, 2 wrong use, 130 interrupted.
    """
    with _exit_codes():
        if not paths and (sys.stdin is None or sys.stdin.isatty()):
            raise UsageError("nothing to tag: give files or folders, or pipe text in")
        paths = paths or [STDIN]
        if lines and input_format not in (None, InputFormat.TXT):
            raise UsageError(f"--lines is for plain text: leave it out for {input_format.value}")
        form = choose_format(output_format, output, terminal=sys.stdout.isatty())
        _spare(output, [*paths, *map(str, concepts or ())])
        own = read_own_concepts(concepts) if concepts else ()
        chosen = choose_labels(labels) if labels and model is None else frozenset()
        report = _Report(to_terminal=output is None and sys.stdout.isatty())
        inputs = Inputs(paths, ReadOptions(input_format, lines, text_column, id_column), report, skip=output)
        with open_output(output) as stream:
            nlp = load_pipeline(model)
            if own:
                from .build import add_concepts

                add_concepts(nlp, own)
            if labels and model is not None:
                chosen = choose_labels(labels, nlp)
            tagged = tag_records(nlp, inputs, report, labels=chosen, batch_size=batch_size, n_process=n_process)
            with closing(tagged), report.progress(inputs) as advance, open_writer(form, stream) as writer:
                for record, doc in tagged:
                    writer.write(record, doc)
                    advance()
        if report.failures:
            raise typer.Exit(1)


@app.command()
def lookup(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name of any kind, or a concept id.", show_default=False)
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON array with every field.")] = False,
    concepts: OwnConcepts = None,
) -> None:
    """Show what the knowledge base says of a name.

    What is marked unverified rests on memory and was not read in a source.

    Exit codes: 0 the name is known, 1 it is not, 2 wrong use.
    """
    with _exit_codes(), open_output(None) as stream:
        store = open_store(concepts or ())
        found = look_up(store, name)
        if as_json:
            write_json(found, stream)
        else:
            write_entries(found, store, stream)
        if not found:
            stream.flush()
            raise unknown(store, name)


@app.command("concepts")
def list_concepts(
    *,
    regime: Annotated[str | None, typer.Option(help="Controlled there, as in US-CSA.", show_default=False)] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Controlled in this schedule, list, class, table.", show_default=False)
    ] = None,
    label: Annotated[str | None, typer.Option(help="Of this label, as in SUBSTANCE.", show_default=False)] = None,
    under: Annotated[
        str | None, typer.Option(metavar="ID", help="Below this concept, as in DP:opioids.", show_default=False)
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Bodies, organisations, laws of a country, as in MX.", show_default=False)
    ] = None,
    output_format: Annotated[
        ListFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="Format of the output: csv has a row a concept and control, jsonl is the format of concept files. "
            "Default: what the suffix of --output says; else text on a terminal, jsonl elsewhere.",
            show_default=False,
        ),
    ] = None,
    output: OutputFile = None,
    concepts: OwnConcepts = None,
) -> None:
    """List the concepts of the knowledge base that all the given filters let through.

    Exit codes: 0 all is well, 1 a file of concepts cannot be read, 2 wrong use.
    """
    with _exit_codes():
        form = choose_list_format(output_format, output, terminal=sys.stdout.isatty())
        _spare(output, map(str, concepts or ()))
        store = open_store(concepts or ())
        rows = select(store, Filter(regime, schedule, label, under, country))
        with open_output(output) as stream:
            write_list(form, rows, store, stream)


@data.command()
def check(
    paths: Annotated[list[str], typer.Argument(help="Files of marked text, or folders of them.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Check marked text: format, token edges, surfaces left unmarked, repetition.

    Exit codes: 0 nothing must be mended, 1 something must, 2 wrong use.
    """
    with _exit_codes(), open_output(None) as stream:
        from dataclasses import asdict

        import spacy

        from .checking import check_corpus
        from .tokenizer import build_tokenizer

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


class _Report:
    """Says on standard error what failed and how far the work is.

    Args:
        to_terminal: Whether results go to a terminal, where a progress bar would stand between them.
    """

    def __init__(self, *, to_terminal: bool) -> None:
        self.failures = 0
        self._console: Console | None = None
        self._bar = sys.stderr.isatty() and not to_terminal

    def __call__(self, error: DataError) -> None:
        """Count and show an input that failed."""
        self.failures += 1
        _say(str(error), self._console)

    @contextmanager
    def progress(self, inputs: Inputs) -> Iterator[Callable[[], None]]:
        """Show a progress bar, where a person can see it; call what this yields after each document."""
        if not self._bar:
            yield lambda: None
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = [
            TextColumn("{task.fields[documents]:,} documents"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        ]
        # no refreshing thread: worker processes are forked from this one
        with Progress(*columns, console=_stderr(), auto_refresh=False, transient=True) as bar:
            self._console = bar.console
            task = bar.add_task("", total=inputs.total, documents=0)
            documents, shown = 0, 0.0

            def advance() -> None:
                nonlocal documents, shown
                documents += 1
                if time.monotonic() - shown > _REFRESH:
                    bar.update(task, completed=inputs.position, documents=documents, refresh=True)
                    shown = time.monotonic()

            try:
                yield advance
            finally:
                self._console = None


@contextmanager
def _exit_codes() -> Iterator[None]:
    try:
        yield
    except OutputClosed:
        _abandon_stdout()
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        _say("interrupted")
        raise typer.Exit(130) from None
    except DrugPolicyError as error:
        _say(str(error))
        raise typer.Exit(2 if isinstance(error, (UsageError, OutputError)) else 1) from None


def _abandon_stdout() -> None:
    """Let the interpreter flush into nothing when it ends: the reader of standard output has gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _say(message: str, console: Console | None = None) -> None:
    line = f"drugpolicy-ner: {message}"
    if console is None:
        typer.echo(line, err=True)
        return
    from rich.text import Text

    console.print(Text(line), soft_wrap=True)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _spare(output: Path | None, paths: Iterable[str]) -> None:
    """Refuse to write over what is read."""
    if output is not None and any(_same(output, path) for path in paths):
        raise UsageError(f"{output}: is an input too: write to another file")


def _same(output: Path, path: str) -> bool:
    return path != STDIN and output.is_file() and Path(path).is_file() and output.samefile(path)


if __name__ == "__main__":
    main()
