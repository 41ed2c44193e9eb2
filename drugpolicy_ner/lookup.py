"""Showing the knowledge base: what the commands `lookup` and `concepts` find and write."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import IO, Final, cast

from .concepts import REGIMES, Concept, ConceptStore, Control, default_store, write_concepts
from .errors import ConceptError, UsageError
from .labels import LABELS
from .output import Output
from .writing import OutputFormat, choose_format, visible

_CONTROL_COLUMNS: Final = ("regime", "schedule", "code", "since", "source", "as_of", "verified")
_COLUMNS: Final = ("id", "name", "label", "parents", *_CONTROL_COLUMNS, "concept_source", "concept_verified")
_UNVERIFIED: Final = "unverified"


class ListFormat(str, Enum):
    """What a list of concepts is written as."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which concepts are wanted; what is left out does not count.

    Args:
        regime: One of `REGIMES`; with `schedule`, one and the same control must have both.
        schedule: As the regime numbers it.
        label: Entity label.
        under: Id of a concept above.
        country: Country of an institution, an organisation or a law; that of its states counts for ``US``.
    """

    regime: str | None = None
    schedule: str | None = None
    label: str | None = None
    under: str | None = None
    country: str | None = None


Row = tuple[Concept, tuple[Control, ...]]
"""A concept with those of its controls that are wanted."""


def open_store(paths: Iterable[str | Path] = ()) -> ConceptStore:
    """Return the concepts that come with the package, and those of a user's own files.

    Raises:
        ConceptError: As `ConceptStore`.
    """
    paths = tuple(paths)
    return ConceptStore(paths, default_store()) if paths else default_store()


def look_up(store: ConceptStore, name: str) -> tuple[Concept, ...]:
    """Return the concept of an id, or the concepts that a name can mean."""
    return (store.get(name),) if name in store else store.find(name)


def unknown(store: ConceptStore, name: str) -> ConceptError:
    """Return the error for a name that `look_up` does not know, with names spelled much like it."""
    ids = get_close_matches(name, [concept.id for concept in store], cutoff=0.7) if ":" in name else ()
    near = ids or store.suggest(name)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    return ConceptError(f"no concept is called {name!r}{hint}")


def write_json(concepts: Iterable[Concept], output: Output) -> None:
    """Write concepts as one JSON array, every field of each."""
    output.write(json.dumps([asdict(concept) for concept in concepts], ensure_ascii=False, indent=2) + "\n")


def write_entries(concepts: Iterable[Concept], store: ConceptStore, output: Output) -> None:
    """Write all that is known of each concept: for a person on a terminal, else as lines `key: value`."""
    show = _show if output.isatty() else _write_lines
    for number, concept in enumerate(concepts):
        if number:
            output.write("\n")
        show(concept, store, output)


def select(store: ConceptStore, wanted: Filter) -> list[Row]:
    """Return the concepts that a filter lets through, in the order of the store.

    Raises:
        UsageError: The filter names what does not exist, with what comes nearest.
    """
    controls = [control for concept in store for control in concept.controls]
    _known("regime", wanted.regime, REGIMES)
    _known(
        f"schedule of {wanted.regime}" if wanted.regime else "schedule",
        wanted.schedule,
        sorted({control.schedule for control in controls if wanted.regime in (None, control.regime)}),
    )
    _known("label", wanted.label, LABELS)
    _known("id", wanted.under, [concept.id for concept in store], "look the name up with drugpolicy-ner lookup")
    countries = {code for concept in store for code in _countries(concept)}
    _known("country", wanted.country, countries, "use a code such as US, MX, EU or INT")
    below = None if wanted.under is None else {concept.id for concept in store.descendants(wanted.under)}
    rows = []
    for concept in store:
        if (
            wanted.label in (None, concept.label)
            and (below is None or concept.id in below)
            and (wanted.country is None or wanted.country in _countries(concept))
        ):
            found = tuple(
                control
                for control in concept.controls
                if wanted.regime in (None, control.regime) and wanted.schedule in (None, control.schedule)
            )
            if found or (wanted.regime is None and wanted.schedule is None):
                rows.append((concept, found))
    return rows


def choose_list_format(asked: ListFormat | None, path: Path | None, *, terminal: bool) -> ListFormat:
    """Settle the format of a list of concepts, as `choose_format` does.

    Raises:
        UsageError: As `choose_format`, or for a format that only documents have.
    """
    form = choose_format(OutputFormat(asked.value) if asked else None, path, terminal=terminal)
    try:
        return ListFormat(form.value)
    except ValueError:
        names = ", ".join(form.value for form in ListFormat)
        raise UsageError(f"{path}: concepts are not written as {form.value}: use one of {names}") from None


def write_list(form: ListFormat, rows: Iterable[Row], store: ConceptStore, output: Output) -> None:
    """Write concepts as a list.

    Args:
        form: As `choose_list_format` gives it.
        rows: What `select` returned.
        store: Whose facts are the last columns of csv, so that they do not hang on the filter.
        output: What to write to.
    """
    _WRITERS[form](rows, store, output)


def _write_csv(rows: Iterable[Row], store: ConceptStore, output: Output) -> None:
    facts = list(dict.fromkeys(key for concept in store for key in concept.facts))
    table = csv.writer(output, lineterminator="\r\n")
    table.writerow([*_COLUMNS, *(f"fact_{key}" if key in _COLUMNS else key for key in facts)])
    for concept, controls in rows:
        before = [concept.id, concept.name, concept.label, " ".join(concept.parents)]
        after = [concept.source, _yes(concept.verified), *(concept.facts.get(key, "") for key in facts)]
        for cells in [_cells(control) for control in controls] or [[""] * len(_CONTROL_COLUMNS)]:
            table.writerow([*before, *cells, *after])


def _cells(control: Control) -> list[str]:
    return [*(getattr(control, column) for column in _CONTROL_COLUMNS[:-1]), _yes(control.verified)]


def _yes(verified: bool) -> str:
    return "true" if verified else "false"


def _write_jsonl(rows: Iterable[Row], store: ConceptStore, output: Output) -> None:
    output.write(write_concepts(concept for concept, _ in rows))


def _write_text(rows: Iterable[Row], store: ConceptStore, output: Output) -> None:
    for concept, controls in rows:
        places = ", ".join(
            f"{control.regime} {control.schedule}{'' if control.verified else f' ({_UNVERIFIED})'}"
            for control in controls
        )
        output.write("  ".join(filter(None, map(_line, (concept.id, concept.label, concept.name, places)))) + "\n")


_WRITERS: Final = {
    ListFormat.TEXT: _write_text,
    ListFormat.JSONL: _write_jsonl,
    ListFormat.CSV: _write_csv,
}


def _fields(concept: Concept, store: ConceptStore) -> Iterator[tuple[str, str]]:
    """Yield what is known of a concept but for its controls, by key."""
    for lineage in store.lineages(concept.id):
        if len(lineage) > 1:
            yield "parents", " > ".join(above.name for above in lineage)
    kinds: dict[str, list[str]] = {}
    for alias in concept.aliases:
        kinds.setdefault(alias.kind, []).append(f"{alias.text} (ambiguous)" if alias.ambiguous else alias.text)
    for kind, texts in kinds.items():
        yield f"alias {kind}", ", ".join(texts)
    for key, value in concept.facts.items():
        yield f"fact {key}", value
    if concept.source:
        yield "source", concept.source


def _write_lines(concept: Concept, store: ConceptStore, output: Output) -> None:
    lines = [("id", concept.id), ("name", concept.name), ("label", concept.label)]
    lines += [("verified", "yes" if concept.verified else "no"), *_fields(concept, store)]
    for control in concept.controls:
        named = {"code": control.code, "since": control.since, "as of": control.as_of, "source": control.source}
        parts = [f"{control.regime} {control.schedule}", *([] if control.verified else [_UNVERIFIED])]
        parts += [f"{key} {value}" for key, value in named.items() if value]
        lines.append(("control", "; ".join(parts)))
    output.write("".join(f"{key}: {_line(value)}\n" for key, value in lines))


def _show(concept: Concept, store: ConceptStore, output: Output) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=cast("IO[str]", output), highlight=False, emoji=False, markup=False)
    title = Text(_line(concept.name), style="bold")
    title.append(f"  {concept.id}  {concept.label}", style="not bold")
    if not concept.verified:
        title.append(f"  {_UNVERIFIED}", style="yellow")
    console.print(title)
    fields = Table.grid(padding=(0, 2))
    fields.add_column(style="dim", no_wrap=True)
    fields.add_column(overflow="fold")
    for key, value in _fields(concept, store):
        fields.add_row(Text(key), Text(_line(value)))
    console.print(fields)
    if concept.controls:
        rows = [[*_cells(control)[:-1], "" if control.verified else _UNVERIFIED] for control in concept.controls]
        filled = [number for number in range(len(rows[0])) if any(row[number] for row in rows)]
        headings = [*(column.replace("_", " ") for column in _CONTROL_COLUMNS[:-1]), ""]
        table = Table()
        for number in filled:
            table.add_column(headings[number], overflow="fold", style="" if headings[number] else "yellow")
        for row in rows:
            table.add_row(*(Text(_line(row[number])) for number in filled))
        console.print(table)


def _line(text: str) -> str:
    """Keep a text of a file on one line, and from commanding the terminal."""
    return " ".join(visible(text).split())


def _countries(concept: Concept) -> Iterator[str]:
    """Yield the country of a concept, and for a law of ``US-CA`` both that state and ``US``."""
    for key in ("country", "jurisdiction"):
        if code := concept.facts.get(key):
            yield from dict.fromkeys((code, code.split("-")[0]))


def _known(what: str, value: str | None, known: Iterable[str], otherwise: str = "") -> None:
    known = list(known)
    if value is None or value in known:
        return
    near = get_close_matches(value.casefold(), [name.casefold() for name in known], n=1)
    nearest = next((name for name in known if near and name.casefold() == near[0]), None)
    hint = f"did you mean {nearest}?" if nearest else otherwise or f"use one of {', '.join(known)}"
    raise UsageError(f"unknown {what} {value!r}: {hint}")
