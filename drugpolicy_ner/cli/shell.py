"""What the commands share: options, exit codes, messages and progress on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError, DrugPolicyError, OutputClosed, OutputError, UsageError
from ..paths import flaw
from ..reading import STDIN, Inputs

if TYPE_CHECKING:
    from rich.console import Console

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

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output.")]
JsonSummary = Annotated[bool, typer.Option("--json", help="Write a summary as one JSON object.")]

_REFRESH = 0.1
_EVERY = 10.0


class Report:
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
        say(str(error), self._console)

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
def exit_codes() -> Iterator[None]:
    """Turn the errors of this package into a line on standard error and an exit code."""
    try:
        yield
    except OutputClosed:
        _abandon_stdout()
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(130) from None
    except DrugPolicyError as error:
        say(str(error))
        raise typer.Exit(2 if isinstance(error, (UsageError, OutputError)) else 1) from None


def _abandon_stdout() -> None:
    """Let the interpreter flush into nothing when it ends: the reader of standard output has gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def say(message: str, console: Console | None = None) -> None:
    """Write a line to standard error, above the progress bar where one is shown."""
    line = f"drugpolicy-ner: {message}"
    if console is None:
        typer.echo(line, err=True)
        return
    from rich.text import Text

    console.print(Text(line), soft_wrap=True)


def say_at_times(message: Callable[[int], str]) -> Callable[[], None]:
    """Return what counts documents and now and then says how many are done, where no bar can be shown.

    Args:
        message: Makes the line from the number of documents.
    """
    done, said = 0, time.monotonic()

    def advance() -> None:
        nonlocal done, said
        done += 1
        if time.monotonic() - said > _EVERY:
            say(message(done))
            said = time.monotonic()

    return advance


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def spare(output: Path | None, paths: Iterable[str]) -> None:
    """Refuse to write over what is read."""
    if output is not None and any(_same(output, path) for path in paths):
        raise UsageError(f"{output}: is an input too: write to another file")


def _same(output: Path, path: str) -> bool:
    if path == STDIN or flaw(output) or flaw(path):
        return False
    return output.is_file() and Path(path).is_file() and output.samefile(path)
