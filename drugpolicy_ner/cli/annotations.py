"""The commands under `data`, which work on annotated text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..output import open_output
from .shell import exit_codes

data = typer.Typer(help="Work on annotated text.", no_args_is_help=True)


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
