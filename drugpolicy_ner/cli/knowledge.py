"""The commands `lookup` and `concepts`, which read the knowledge base."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..lookup import (
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
from ..output import open_output
from .shell import OutputFile, OwnConcepts, exit_codes, spare


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
    with exit_codes(), open_output(None) as stream:
        store = open_store(concepts or ())
        found = look_up(store, name)
        if as_json:
            write_json(found, stream)
        else:
            write_entries(found, store, stream)
        if not found:
            stream.flush()
            raise unknown(store, name)


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
    with exit_codes():
        form = choose_list_format(output_format, output, terminal=sys.stdout.isatty())
        spare(output, map(str, concepts or ()))
        store = open_store(concepts or ())
        rows = select(store, Filter(regime, schedule, label, under, country))
        with open_output(output) as stream:
            write_list(form, rows, store, stream)
