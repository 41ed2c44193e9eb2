"""Every name of every official list in three sentences: the right label and a concept that carries the list's control.

``data/official_exceptions.tsv`` names each cell that is not found so, with the reason.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from drugpolicy_ner import concept

ROOT = Path(__file__).parents[1]
EXCEPTIONS = Path(__file__).parent / "data/official_exceptions.tsv"
REGIMES = {
    "us_csa": ("US-CSA", "schedule"),
    "un_1961_yellow_list": ("UN-1961", "schedule"),
    "un_1971_green_list": ("UN-1971", "schedule"),
    "un_1988_red_list": ("UN-1988", "table"),
    "us_listed_chemicals": ("US-LISTED", "list"),
    "eu_precursors": ("EU-PRECURSOR", "category"),
    "uk_misuse": ("UK-MDA", "class"),
}
DRUG = (
    "Police said that {} had been found in the parcel.",
    "The report deals with {}, among other drugs.",
    "Trafficking in {} rose last year.",
)
CHEMICAL = (
    "Officers stopped a shipment of {} at the port.",
    "The list of precursors names {}, among other chemicals.",
    "Diversion of {} rose last year.",
)
CARRIERS = {
    "un_1988_red_list": CHEMICAL,
    "us_listed_chemicals": CHEMICAL,
    "eu_precursors": CHEMICAL,
    "institutions": (
        "A drug report was presented by {} on Monday.",
        "A spokesperson for {} said that seizures had risen.",
        "The drug strategy was drafted by {} and published last year.",
    ),
    "legal_instruments": (
        "The drug was controlled under {}.",
        "Possession of the drug is punishable under {}, the court said.",
        "Parliament debated {} in its session on drugs.",
    ),
    "criminal_orgs": (
        "Members of {} smuggled cocaine into the port.",
        "The indictment names {} as the supplier.",
        "Heroin shipped by {} was seized.",
    ),
    **dict.fromkeys(
        ("us_csa", "un_1961_yellow_list", "un_1971_green_list", "uk_misuse", "nps_recent", "treatment_and_adulterants"),
        DRUG,
    ),
    "street_names": DRUG,
}
LABELS = {
    "institutions": {"INSTITUTION"},
    "legal_instruments": {"LEGAL_INSTRUMENT"},
    "criminal_orgs": {"CRIMINAL_ORG"},
}


class Cell(NamedTuple):
    """A name in a table, with the controls that its row states."""

    table: str
    row: str
    text: str
    controls: tuple[tuple[str, str, str], ...]


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def cells() -> list[Cell]:
    found = {}
    for table in CARRIERS:
        for row in rows(ROOT / f"training/sources/{table}.tsv"):
            if row.get("ambiguous") == "Y":
                continue
            name = row.get("name") or row["slang"]
            controls: tuple[tuple[str, str, str], ...] = ()
            if table in REGIMES:
                regime, column = REGIMES[table]
                controls = tuple((regime, place, row.get("dea_code") or "") for place in row[column].split("|"))
            for text in (
                name,
                row.get("acronym"),
                row.get("short_name"),
                *re.split(r"[|~]", row.get("other_names") or ""),
            ):
                if text and text.strip():
                    cell = Cell(table, name, text.strip(), controls)
                    found[cell[:3], controls] = cell
    return list(found.values())


def fault(cell: Cell, start: int, doc) -> str:
    span = next((e for e in doc.ents if (e.start_char, e.end_char) == (start, start + len(cell.text))), None)
    if span is None:
        return "no such span"
    if span.label_ not in LABELS.get(cell.table, {"SUBSTANCE", "PRECURSOR", "DRUG_CLASS"}):
        return f"label {span.label_}"
    if not span.kb_id_:
        return "no concept"
    stated = {(c.regime, c.schedule, c.code) for c in concept(span.kb_id_).controls}
    stated |= {(regime, schedule, "") for regime, schedule, _ in stated}
    missing = [control for control in cell.controls if control not in stated]
    return f"{span.kb_id_} lacks {missing}" if missing else ""


def faults(nlp) -> dict[tuple[str, str, str], str]:
    work = [(cell, carrier) for cell in cells() for carrier in CARRIERS[cell.table]]
    found: dict[tuple[str, str, str], str] = {}
    for (cell, carrier), doc in zip(work, nlp.pipe(c.format(cell.text) for cell, c in work), strict=True):
        if why := fault(cell, carrier.index("{}"), doc):
            found.setdefault(cell[:3], why)
    return found


@pytest.mark.slow
@pytest.mark.model
def test_official_every_name_is_found_but_for_the_listed_exceptions(nlp):
    excepted = {(row["table"], row["row"], row["text"]) for row in rows(EXCEPTIONS)}
    found = faults(nlp)
    assert {key: why for key, why in found.items() if key not in excepted} == {}


def test_official_exceptions_name_cells_and_reasons():
    known = {cell[:3] for cell in cells()}
    listed = list(rows(EXCEPTIONS))
    assert [row for row in listed if (row["table"], row["row"], row["text"]) not in known or not row["reason"]] == []
    assert max(Counter((row["table"], row["row"], row["text"]) for row in listed).values()) == 1
    assert len(listed) < 0.12 * len(known)
