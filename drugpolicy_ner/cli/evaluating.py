"""The command `evaluate`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..corpus.formats import Format, read_documents
from ..corpus.source import Notes
from ..errors import DataError, UsageError
from ..learning import read_log
from ..output import open_output
from ..tagging import choose_labels, load_pipeline
from .shell import AsJson, exit_codes, say, say_at_times, spare

if TYPE_CHECKING:
    from spacy.language import Language

    from ..corpus import Document


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name or folder of a spaCy pipeline.", show_default=False),
    ],
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="Annotated documents: a file or folder, any format.", show_default=False),
    ],
    *,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another pipeline to compare with.", show_default=False)
    ] = None,
    source: Annotated[
        Format | None,
        typer.Option("--from", help="Format of DATA and of --train.", show_default="what suffix and content say"),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="Score these labels only; commas between them, or repeat.", show_default="those that DATA hold"
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="What the model was trained with: scores names seen there apart.", show_default=False
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Training log (.jsonl), for the learning curve.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with plots and texts, in one file.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Documents on that page, the worst first; 0 for all.")] = 100,
    errors: Annotated[int, typer.Option(min=0, help="Errors to show in the terminal.")] = 10,
) -> None:
    """Score a model on annotated documents.

    Labels that DATA do not hold are not scored, as nothing tells right from wrong: they are named on standard error.
    A label of DATA that the model does not know counts as missed.

    Exit codes: 0 all is well, 1 data cannot be read or scored, 2 wrong use, 130 interrupted.
    """
    with exit_codes():
        spare(html, map(str, filter(None, (data, train, log))))
        steps = read_log(log) if log else ()
        documents = _read(data, source)
        held = {span.label for document in documents for span in document.spans}
        if not held and not labels:
            message = (
                f"no span in {len(documents)} documents: annotate them, or name with --labels what counts as wrong"
            )
            raise DataError(message, path=data)
        known = _read(train, source) if train else None
        with open_output(html) if html else nullcontext() as page, open_output(None) as stream:
            from ..evaluation import compare, predict, score, surfaces
            from ..reporting import Outcome, Rival, write_text

            nlp = _load(model)
            chosen = _choose(labels, held, nlp) if labels else frozenset(held)
            seen = None if known is None else surfaces(known)
            with _progress(model, len(documents)) as advance:
                predicted = predict(nlp, documents, advance=advance)
            found = score(documents, predicted, seen=seen, labels=chosen)
            _say_labels(found.unscored, held & chosen, nlp, {span.label for spans in predicted for span in spans})
            rival = None
            if against is not None:
                other = _load(against)
                with _progress(against, len(documents)) as advance:
                    theirs = score(documents, predict(other, documents, advance=advance), labels=chosen)
                rival = Rival(against, compare(found, theirs))
            outcome = Outcome(model, str(data), found, rival, steps, _recorded(nlp))
            if page is not None:
                from ..report_html import write_html

                write_html(outcome, page, limit=limit)
            if as_json:
                stream.write(json.dumps(outcome.as_dict(), ensure_ascii=False, indent=2) + "\n")
            else:
                write_text(outcome, stream, errors=errors)


def _read(path: Path, source: Format | None) -> list[Document]:
    notes = Notes()
    documents = list(read_documents(path, source, notes=notes))
    for note in notes:
        say(f"{path}: {note}")
    if not documents:
        raise DataError("holds no documents", path=path)
    return documents


def _load(model: str) -> Language:
    """Load a pipeline and say what spaCy warns of; where it cannot be loaded, that may be why."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            nlp = load_pipeline(model)
        except UsageError as error:
            raise UsageError(f"{error}{_versions(caught)}") from None
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            say(_one_line(f"{model}: {warning.message}"))
    return nlp


def _versions(caught: list[warnings.WarningMessage]) -> str:
    """Return what spaCy said of versions before loading failed: likely the reason."""
    said = [str(warning.message) for warning in caught if "[W09" in str(warning.message)]
    return _one_line(f" ({said[0]})") if said else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _choose(values: list[str], held: set[str], nlp: Language) -> frozenset[str]:
    """Read --labels: what the data hold, the model gives or the scheme has."""
    wanted = {label.strip() for value in values for label in value.split(",")} - {""}
    others = wanted - held
    return frozenset(wanted & held) | (choose_labels(sorted(others), nlp) if others or not wanted else frozenset())


def _say_labels(unscored: dict[str, int], scored: set[str], nlp: Language, given: set[str]) -> None:
    if unscored:
        left = ", ".join(f"{label} ({count})" for label, count in unscored.items())
        say(f"found but not scored: {left}; name labels with --labels to score them")
    strange = scored - given - {label for names in nlp.pipe_labels.values() for label in names}
    if strange:
        say(f"the model never gives {', '.join(sorted(strange))}: all of them count as missed")


def _recorded(nlp: Language) -> dict[str, float]:
    """Return the scores of entities that the model's meta holds."""
    performance = nlp.meta.get("performance") or {}
    return {name: float(performance[name]) for name in ("ents_p", "ents_r", "ents_f") if performance.get(name)}


@contextmanager
def _progress(model: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how many documents are tagged: a bar for a person, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("tagging", total=total)
            yield lambda: bar.advance(task)
        return
    yield say_at_times(lambda done: f"{model}: {done} of {total} documents")
