"""The command `drugpolicy-ner`: thin commands over plain functions; spaCy is imported only where it is used."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from .annotations import data
from .evaluating import evaluate
from .knowledge import list_concepts, lookup
from .suggesting import suggest
from .tagging import tag
from .training import OVERRIDES, assemble, package, retrain, train

app = typer.Typer(
    name="drugpolicy-ner",
    help="Find substances, institutions, laws, quantities and acts of drug policy in text.",
    no_args_is_help=True,
)
app.command()(tag)
app.command()(evaluate)
app.command()(lookup)
app.command("concepts")(list_concepts)
app.command(context_settings=OVERRIDES)(train)
app.command()(assemble)
app.command()(package)
app.command(context_settings=OVERRIDES)(retrain)
app.command()(suggest)
app.add_typer(data, name="data")


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
        from .. import __version__

        typer.echo(f"drugpolicy-ner {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
