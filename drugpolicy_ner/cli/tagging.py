"""The command `tag`."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from ..concepts import read_own_concepts
from ..errors import UsageError
from ..output import open_output
from ..reading import STDIN, InputFormat, Inputs, ReadOptions
from ..tagging import choose_labels, load_pipeline, tag_records
from ..writing import OutputFormat, choose_format, open_writer
from .shell import OutputFile, OwnConcepts, Report, exit_codes, spare


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
    with exit_codes():
        if not paths and (sys.stdin is None or sys.stdin.isatty()):
            raise UsageError("nothing to tag: give files or folders, or pipe text in")
        paths = paths or [STDIN]
        if lines and input_format not in (None, InputFormat.TXT):
            raise UsageError(f"--lines is for plain text: leave it out for {input_format.value}")
        form = choose_format(output_format, output, terminal=sys.stdout.isatty())
        spare(output, [*paths, *map(str, concepts or ())])
        own = read_own_concepts(concepts) if concepts else ()
        chosen = choose_labels(labels) if labels and model is None else frozenset()
        report = Report(to_terminal=output is None and sys.stdout.isatty())
        inputs = Inputs(paths, ReadOptions(input_format, lines, text_column, id_column), report, skip=output)
        with open_output(output) as stream:
            nlp = load_pipeline(model)
            if own:
                from ..build import add_concepts

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
