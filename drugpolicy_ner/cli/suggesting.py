"""The command `suggest`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..concepts import read_own_concepts
from ..corpus.formats import Format, format_of_name, read_documents, write_documents
from ..corpus.source import Notes
from ..corpus.source import ReadOptions as CorpusOptions
from ..errors import DataError, UsageError
from ..output import open_output
from ..reading import InputFormat, Inputs, ReadOptions
from ..tagging import load_pipeline
from ..units import Unit
from .shell import JsonSummary, OwnConcepts, Report, exit_codes, say, say_at_times, spare

if TYPE_CHECKING:
    from ..corpus import Document
    from ..suggest import Suggestion, Tally


def suggest(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXTS",
            help="Unlabelled text: files (.txt, .jsonl, .csv), folders of them, or - for standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="File or folder to annotate: written whole or not at all.", show_default=False
        ),
    ],
    *,
    target: Annotated[
        Format | None,
        typer.Option("--to", help="Format of your annotation tool.", show_default="what the suffix of --output says"),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many to suggest.")] = 200,
    unit: Annotated[Unit, typer.Option(help="What to suggest.")] = Unit.SENTENCE,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            help="Documents annotated or suggested already, in any format that is read: what stands in them is left "
            "out. May be repeated.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name or folder of the pipeline that is to learn.", show_default="the one that comes along"),
    ] = None,
    concepts: OwnConcepts = None,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(help="Format of every input, whatever its suffix.", show_default="by suffix"),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Take each line of plain text for a document.")] = False,
    text_column: Annotated[str, typer.Option(help="Field or column that holds the text (.jsonl, .csv).")] = "text",
    id_column: Annotated[
        str | None,
        typer.Option(help="Field or column that holds the id (.jsonl, .csv).", show_default="id, where there is one"),
    ] = None,
    as_json: JsonSummary = False,
) -> None:
    """Choose the sentences or documents that are most worth annotating next.

    They are those where the model is unsure, where the model and the lists disagree, and where names stand that the
    knowledge base does not have; no two are alike. They are written with what the pipeline finds in them, to be
    corrected (for Label Studio as predictions, for Prodigy without an answer), and say in their meta where they stand
    and why they were chosen (brat and PubTator have no meta).

    Exit codes: 0 all is well, 1 some input failed, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        if lines and input_format not in (None, InputFormat.TXT):
            raise UsageError(f"--lines is for plain text: leave it out for {input_format.value}")
        form = format_of_name(output) if target is None else target
        spare(output, [*paths, *map(str, [*(concepts or ()), *(seen or ())])])
        own = read_own_concepts(concepts) if concepts else ()
        report = Report(to_terminal=False)
        inputs = Inputs(paths, ReadOptions(input_format, lines, text_column, id_column), report, skip=output)
        from ..suggest import Seen, Tally
        from ..suggest import suggest as choose

        taken = CorpusOptions(proposals=True)  # what was suggested before and is being annotated
        annotated = Seen(
            document for path in seen or () for document in read_documents(path, options=taken, notes=Notes())
        )
        nlp = load_pipeline(model)
        if own:
            from ..build import add_concepts

            add_concepts(nlp, own)
        tally, notes = Tally(), Notes()
        chosen: list[Suggestion] = []

        def documents() -> Iterator[Document]:  # begins when the output has been opened
            with report.progress(inputs) as bar:
                advance = bar if sys.stderr.isatty() else say_at_times(lambda done: _counted(done, "document"))
                chosen.extend(
                    choose(nlp, inputs, report, count=count, unit=unit, seen=annotated, tally=tally, advance=advance)
                )
            if not chosen:
                raise DataError(f"nothing to suggest: {_chosen_from(tally, unit)}")
            for suggestion in chosen:
                yield suggestion.document

        name = Path(model or "drugpolicy_ner").absolute().name
        write_documents(documents(), output, form, notes=notes, model=f"{name}-{nlp.meta['version']}")
        for note in notes:
            say(note)
        if as_json:
            with open_output(None) as stream:
                stream.write(json.dumps(_summary(output, form, unit, chosen, tally), indent=2) + "\n")
        else:
            say(f"{output}: {_counted(len(chosen), unit.value)}, chosen from {_chosen_from(tally, unit)}")
        if report.failures:
            raise typer.Exit(1)


def _summary(output: Path, form: Format, unit: Unit, chosen: Sequence[Suggestion], tally: Tally) -> dict[str, Any]:
    """Return for JSON what was suggested and from what."""
    spans = Counter(span.label for suggestion in chosen for span in suggestion.document.spans)
    return {
        "output": str(output),
        "format": form.value,
        "unit": unit.value,
        "suggested": len(chosen),
        "words": sum(len(suggestion.document.text.split()) for suggestion in chosen),
        "spans": dict(sorted(spans.items())),
        "read": asdict(tally),
    }


def _chosen_from(tally: Tally, unit: Unit) -> str:
    """Say what was read and what of it was left out."""
    left_out = {"annotated already": tally.seen, "too short": tally.short, "too long": tally.long}
    rest = ", ".join(f"{number:,} {why}" for why, number in left_out.items() if number)
    what = _counted(tally.documents, "document")
    if unit is Unit.SENTENCE:
        what = f"{_counted(tally.units, 'sentence')} of {what}"
    return f"{what} ({rest} left out)" if rest else what


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
