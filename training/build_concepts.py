"""Build ``drugpolicy_ner/data/*.jsonl`` from the tables in ``training/sources``.

The tables hold what was collected; this script merges their rows into concepts, spells out the written variants by
rule, and writes the files in a fixed order, so that the same tables always give the same bytes. With ``--check`` it
writes nothing and fails where the files on disk differ.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drugpolicy_ner.concepts import DATA_FILES, Alias, Concept, Control, normalise, write_concepts

SOURCES: Final = Path(__file__).parent / "sources"
DATA: Final = Path(__file__).parent.parent / "drugpolicy_ner" / "data"

DRUG_TABLES: Final[tuple[str, ...]] = (
    "drug_classes",
    "ordinary_names",
    "un_1988_red_list",
    "us_listed_chemicals",
    "eu_precursors",
    "treatment_and_adulterants",
    "nps_recent",
    "un_1971_green_list",
    "un_1961_yellow_list",
    "us_csa",
    "uk_misuse",
    "medicines",
)
"""Tables of substances, precursors and classes; the first that knows a concept gives its preferred name."""

NAMED_AS_WRITTEN: Final[frozenset[str]] = frozenset({"drug_classes", "ordinary_names", "medicines"})
"""Tables whose names stand in them as a sentence has them."""

PRECURSOR_TABLES: Final[frozenset[str]] = frozenset({"un_1988_red_list", "us_listed_chemicals", "eu_precursors"})
REGIME: Final[dict[str, tuple[str, str]]] = {
    "un_1988_red_list": ("UN-1988", "table"),
    "us_listed_chemicals": ("US-LISTED", "list"),
    "eu_precursors": ("EU-PRECURSOR", "category"),
    "un_1971_green_list": ("UN-1971", "schedule"),
    "un_1961_yellow_list": ("UN-1961", "schedule"),
    "us_csa": ("US-CSA", "schedule"),
    "uk_misuse": ("UK-MDA", "class"),
}
"""Table of controls -> its regime and the column that holds the schedule."""

NPS_CLASSES: Final[dict[str, str]] = {
    "nitazene": "nitazenes",
    "orphine": "orphines",
    "kratom alkaloid": "kratom alkaloids",
    "fentanyl analogue": "fentanyls",
    "fentanyl precursor": "fentanyl precursors",
    "acylpiperazine opioid": "cinnamylpiperazines",
    "opioid": "synthetic opioids",
    "designer benzodiazepine": "designer benzodiazepines",
    "alpha-2 agonist": "alpha-2 agonists",
    "synthetic cannabinoid": "synthetic cannabinoids",
    "semi-synthetic cannabinoid": "semi-synthetic cannabinoids",
    "cathinone": "synthetic cathinones",
    "dissociative": "dissociatives",
    "psychedelic": "psychedelics",
    "stimulant": "stimulants",
    "depressant": "depressants",
    "etomidate analogue": "etomidate analogues",
}

FILE_OF_LABEL: Final[dict[str, str]] = {
    "SUBSTANCE": "substances.jsonl",
    "PRECURSOR": "precursors.jsonl",
    "DRUG_CLASS": "drug_classes.jsonl",
    "INSTITUTION": "institutions.jsonl",
    "CRIMINAL_ORG": "criminal_orgs.jsonl",
    "LEGAL_INSTRUMENT": "legal_instruments.jsonl",
}
PREFIX_OF_LABEL: Final[dict[str, str]] = {
    "SUBSTANCE": "drug",
    "PRECURSOR": "precursor",
    "DRUG_CLASS": "class",
    "INSTITUTION": "org",
    "CRIMINAL_ORG": "gang",
    "LEGAL_INSTRUMENT": "law",
}

_LATIN: Final[dict[str, str]] = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "delta"}
_GREEK: Final[dict[str, str]] = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "Δ"}
_BRACKET = re.compile(r"^(.*\S) \(([^()]+)\)$")
_QUALIFIER = re.compile(
    r"generic|cis |isomer|equipment|inhalant|turnings|except|limited strength|\bUK\b|source|esters|with |misspelling|"
    r"class\)?$|treatment|agonist|Europe|New Zealand|Sierra Leone|steroids|substituted|third generation|FDA-approved|"
    r"^max |N,N-dimethyl\b",
    re.IGNORECASE,
)
_CHEMICAL = re.compile(
    r"(morphine|azepam|etamine|phetamine|idine|idate|bolone|anolone|phene|codone|amidone|azone|psilocin|barbital|"
    r"barbitone|ethanol|qualone)$"
)
_ADJECTIVE_OF_PLACE = re.compile(r"(District|Division) of |District$")


@dataclass(slots=True)
class Entry:
    """One row of a drug table, read."""

    table: str
    row_name: str
    names: list[str]
    others: list[str] = field(default_factory=list)
    cas: str = ""
    controls: list[Control] = field(default_factory=list)
    label: str = ""
    classes: list[str] = field(default_factory=list)
    source: str = ""


@dataclass(slots=True)
class Corrections:
    """What ``corrections.tsv`` decides by hand, each with its reason."""

    renamed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    extra: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    skipped: set[tuple[str, str]] = field(default_factory=set)
    dropped: set[tuple[str, str, str]] = field(default_factory=set)
    targets: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)
    ambiguous: dict[tuple[str, str], bool] = field(default_factory=dict)
    cases: dict[tuple[str, str], str] = field(default_factory=dict)
    kinds: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Corrections:
        """Read ``corrections.tsv``."""
        made = cls()
        for row in table("corrections"):
            action, where, name, value = row["action"], row["table"], row["name"], row["value"]
            key = (where, name)
            if action == "as":
                made.renamed[key] = value.split("|")
            elif action == "also":
                made.extra[key] = value.split("|")
            elif action == "skip":
                made.skipped.add(key)
            elif action == "drop":
                made.dropped.update((where, name, text) for text in value.split("|"))
            elif action == "target":
                made.targets[name] = value
            elif action == "label":
                made.labels[normalise(name)] = value
            elif action == "apart":
                made.apart.add(value)
            elif action in {"ambiguous", "clear"}:
                made.ambiguous |= {(where, text): action == "ambiguous" for text in value.split("|")}
            elif action == "kind":
                made.kinds |= {(where, text): name for text in value.split("|")}
            elif action == "case":
                made.cases |= {(where, text): name for text in value.split("|")}
            else:
                raise SystemExit(f"corrections.tsv: unknown action {action!r}")
        return made

    def drops(self, where: str, name: str, text: str) -> bool:
        """Say whether another name of a row is left out."""
        return bool(self.dropped & {(where, name, text), (where, "*", text), ("*", "*", text)})

    def decide(self, label: str, alias: Alias) -> Alias:
        """Apply the decisions on kind, case and ambiguity to an alias."""
        flag = self.ambiguous.get((label, alias.text), self.ambiguous.get(("*", alias.text), alias.ambiguous))
        case = self.cases.get((label, alias.text), self.cases.get(("*", alias.text), alias.case))
        kind = self.kinds.get((label, alias.text), alias.kind)
        return Alias(alias.text, kind, case, flag)


def table(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table in ``training/sources``."""
    with (SOURCES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield {key: (value or "").strip() for key, value in row.items()}


def split_list(text: str) -> list[str]:
    """Split a ``|`` or ``~`` list of names."""
    return [part.strip() for part in re.split(r"[|~]", text) if part.strip()]


def balanced(text: str) -> bool:
    """Say whether the brackets of a text pair up."""
    stack = []
    for char in text:
        if char in "([":
            stack.append(char)
        elif char in ")]" and (not stack or "([".index(stack.pop()) != ")]".index(char)):
            return False
    return not stack


def row_names(name: str) -> list[str]:
    """Return the names in the name column: bracketed synonyms are names too, bracketed remarks are not.

    >>> row_names("1-phenyl-2-propanone (BMK)")
    ['1-phenyl-2-propanone', 'BMK']
    >>> row_names("Fentanyl analogues (generic)")
    ['Fentanyl analogues']
    """
    match = _BRACKET.match(name)
    if not match or not balanced(match[1]):
        return [name]
    return [match[1]] if _QUALIFIER.search(match[2]) else [match[1], match[2]]


def clean_other(text: str) -> list[str]:
    """Return the usable names in one other-name cell, which in the official lists can hold several or a remark."""
    text = text.replace(" H-ind", "H-ind").replace("- (", "-(").replace("´", "'")
    text = re.sub(r"\b1 H-", "1H-", text)
    text = re.sub(r"(?<=\d) S,|(?<=\d[a-z]) S,", "S,", re.sub(r"(?<=\d|[a-z]) (S|R)(?=[,)])", r"\1", text))
    parts = [text] if balanced(text) else re.split(r"\) ?\(", text)
    result: list[str] = []
    for part in parts:
        part = re.sub(r"^(also known as |Also known as )", "", part.strip(" ;"))
        part = part.strip()
        if not part or not balanced(part) or part.startswith("Positional"):
            continue
        match = _BRACKET.match(part)
        if match and balanced(match[1]):
            part = match[1]
        if re.fullmatch(r"[A-Za-z][A-Za-z -]+(,[A-Za-z][A-Za-z -]+)+", part):
            result += part.split(",")
        elif "; " in part:
            result += part.split("; ")
        elif re.fullmatch(r"[A-Z0-9-]+ and [A-Z0-9-]+", part):
            result += part.split(" and ")
        else:
            result.append(part)
    return [part.strip() for part in result if part.strip()]


def lower_first(text: str) -> str:
    """Return a chemical name as it stands inside a sentence.

    >>> lower_first("Acetyl Fentanyl"), lower_first("Alpha-PVP"), lower_first("4-Anilino-N-phenethylpiperidine")
    ('acetyl fentanyl', 'alpha-PVP', '4-anilino-N-phenethylpiperidine')
    """
    words = text.split(" ")
    if all(re.fullmatch(r"[A-Z]?[a-z]{2}[a-z'-]*", word) for word in words) and text != "Spice":
        return text.lower()
    prefix = r"(?:(?<=\d)|(?<=\d-)|^)(?:Alpha|Beta|Gamma|Delta|Ortho|Meta|Para|Tert|Sec|Nor)(?=-)"
    stem = r"(?<![^-(\[])[A-Z](?=[a-z]{3,})"
    return re.sub(f"{prefix}|{stem}", lambda match: match[0].lower(), text)


def from_memory(source: str) -> bool:
    """Say whether a row rests on memory alone."""
    return not source or source.startswith("memory")


def control(where: str, row: dict[str, str]) -> list[Control]:
    """Return the controls that a row of a list of controls states."""
    if where not in REGIME:
        return []
    regime, column = REGIME[where]
    source = row["source"]
    dates = re.findall(r"as of (\d{4}-\d\d-\d\d)", source) or re.findall(r"alphabetical (\d{4}-\d\d-\d\d)", source)
    since = re.findall(r"(?:eff\.|in force) (\d{4}-\d\d-\d\d)", source)
    if year := row.get("year_added", ""):
        since = re.findall(r"moved to Table I (\d{4})", year) or [year[:4]]
    doubtful = from_memory(source) or re.search(r"(schedule( number)?|code|year|names)[^;]* from memory", source)
    return [
        Control(
            regime,
            schedule,
            row.get("dea_code", ""),
            since[0] if since else "",
            source,
            dates[0] if dates else "",
            not doubtful,
        )
        for schedule in row[column].split("|")
    ]


def read_entries(fixes: Corrections) -> list[Entry]:
    """Read the drug tables."""
    entries = []
    for where in DRUG_TABLES:
        for row in table(where):
            name = row["name"]
            key = (where, name)
            if key in fixes.skipped:
                continue
            names = fixes.renamed.get(key, [])
            others = [
                text
                for cell in split_list(row.get("other_names", ""))
                for text in ([cell] if where in NAMED_AS_WRITTEN else clean_other(cell))
                if not fixes.drops(where, name, text)
            ]
            if not names and where in NAMED_AS_WRITTEN:
                names = [name]
            elif not names:
                names = [lower_first(text.replace("´", "'")) for text in row_names(name)]
            entry = Entry(
                where,
                name,
                names,
                others,
                "" if key in fixes.renamed and where != "treatment_and_adulterants" else row.get("cas", ""),
                control(where, row),
                row.get("label", ""),
                split_list(row.get("parents", "")),
                row["source"],
            )
            if where == "drug_classes":
                entry.label = "DRUG_CLASS"
            elif where in PRECURSOR_TABLES or row.get("kind") == "precursor-like":
                entry.label = "PRECURSOR"
            elif where == "nps_recent":
                entry.classes = [NPS_CLASSES[row["class"]]]
                entry.label = "PRECURSOR" if row["class"] == "fentanyl precursor" else ""
            elif where == "us_csa" and row["narcotic"] == "Y":
                entry.classes = ["?opioids"]
            entries.append(entry)
            for extra in fixes.extra.get(key, ()):
                entries.append(Entry(where, name, [extra], controls=control(where, row), source=row["source"]))
    return entries


def group(entries: list[Entry], apart: set[str]) -> list[list[Entry]]:
    """Group the rows that name one thing: by CAS number, or because one row's name is a name of the other."""
    parent = list(range(len(entries)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    primary: dict[str, list[int]] = defaultdict(list)
    other: dict[str, list[int]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    for i, entry in enumerate(entries):
        for text in entry.names:
            primary[normalise(text)].append(i)
        for text in entry.others:
            other[normalise(text)].append(i)
        if entry.cas and entry.cas not in apart:
            numbers[entry.cas].append(i)
    sets = [*numbers.values(), *(owners + ([] if key in apart else other[key]) for key, owners in primary.items())]
    for owners in sets:
        for i in owners[1:]:
            a, b = root(owners[0]), root(i)
            parent[max(a, b)] = min(a, b)
    groups: dict[int, list[Entry]] = defaultdict(list)
    for i, entry in enumerate(entries):
        groups[root(i)].append(entry)
    return list(groups.values())


def alias_kind(text: str, where: str, named: bool) -> str:
    """Guess what sort of name a text from a drug table is."""
    letters = [char for char in text if char.isalpha()]
    if len(text) > 17 and re.search(r"[a-z]{4}", text) and re.search(r"[(\[]\d|\d.*[)\]-].*\d.*-", text):
        return "systematic"
    if " " not in text and letters and sum(char.isupper() for char in letters) * 2 > len(letters):
        return "abbreviation"
    if where.startswith("un_19") and named and re.fullmatch(r"[a-z]+", text):
        return "inn"
    if (
        not named
        and where not in {"drug_classes", "un_1988_red_list", "us_listed_chemicals", "eu_precursors"}
        and re.fullmatch(r"[A-Z][a-z]+( [A-Z].*|-.*)?", text)
        and not _CHEMICAL.search(text)
    ):
        return "brand"
    return "name"


def alias_case(text: str, kind: str) -> str:
    """Return the case policy of a name from a drug table."""
    if kind == "street":
        return "capital" if text[0].isupper() else "any"
    if kind in {"abbreviation", "acronym"} and re.fullmatch(r"[A-Za-z&.]{1,6}|\d\d[A-Z]", text):
        return "exact"
    return "any"


def match_key(text: str) -> str:
    """Return what the matcher sees of a text: letter case aside, a hyphen is a space, but for one beside a digit."""
    plain = re.sub(r"(?<!\d)[-‐‑–](?!\d)|[\s\N{SOFT HYPHEN}]+", " ", text)
    return plain.casefold().replace("’", "'")


def variants(text: str, kind: str) -> Iterator[str]:
    """Yield the ways in which people write a drug name that the matcher does not already take for the same."""
    forms = [text]
    if kind not in {"systematic", "brand", "street"}:
        forms += fentanyl_forms(text)
        if match := re.fullmatch(r"(N-(?:desethyl|pyrrolidino|piperidinyl)) ?-?(\w+)", text, re.IGNORECASE):
            forms += [f"{match[1]} {match[2]}", f"{match[1]}{match[2].lower()}", f"{match[1][2:]} {match[2]}"]
        if re.fullmatch(r"[A-Z]{2,}-\d{2,}|2C-[A-Z]|\d-[A-Z]{2,4}", text) and text not in {"4-AD"}:
            forms.append(text.replace("-", ""))
        if match := re.match(r"(ortho|meta|para)-(?!.*fentanyl)", text):
            forms.append(f"{match[1][0]}-{text[match.end() :]}")
        if re.match(r"\d'-", text):
            forms.append(text.replace("'", "", 1))
        if match := re.fullmatch(r"(\d)F-([A-Z].+)", text):
            forms += [f"{match[1]}-F-{match[2]}", f"{match[1]}-fluoro-{match[2]}"]
    if match := re.fullmatch(r"(?:delta|Δ)-?(\d{1,2})[- ](THC|tetrahydrocannabinol)", text, re.IGNORECASE):
        forms += [f"{lead}{match[1]}{gap}{match[2]}" for lead in ("delta-", "delta ", "Δ", "Δ-") for gap in " -"]
    for form in list(dict.fromkeys(forms)):
        yield form
        yield from letters(form)


def fentanyl_forms(text: str) -> Iterator[str]:
    """Yield the joined, spaced and numbered spellings of a fentanyl analogue's name."""
    if not re.search(r"fentanyl$", text, re.IGNORECASE) or len(text) < 12 or "manufactured" in text:
        return
    stem = re.sub(r"[ -]?fentanyl$", "", text, flags=re.IGNORECASE)
    stems = [stem]
    places = {"ortho": ("o", "2"), "meta": ("m", "3"), "para": ("p", "4")}
    if match := re.fullmatch(
        r"(ortho|meta|para)-?((?:fluoro|chloro|bromo|methyl|methoxy)\w*)(.*)", stem, re.IGNORECASE
    ):
        place, rest = match[1].lower(), match[2] + match[3]
        letter, number = places[place]
        heads = [f"{place}-", place, f"{letter}-"]
        if not (rest.startswith("methyl") and place == "meta") and "cyclopropyl" not in rest:
            heads.append(f"{number}-")
        stems = [head + rest for head in heads]
    for stem in stems:
        spaced = re.sub(
            r"^((?:(?:ortho|meta|para|[omp234])-?)?(?:fluoro|chloro|methyl|methoxy))(?=[a-z]{4})", r"\1 ", stem
        )
        for one in dict.fromkeys((stem, spaced)):
            yield f"{one} fentanyl"
            yield f"{one}fentanyl"


def letters(text: str) -> Iterator[str]:
    """Yield a name with its Greek letters spelled out, or its spelled letters in Greek and in brackets."""
    for greek, latin in _LATIN.items():
        if greek in text:
            yield text.replace(greek, latin)
    if match := re.search(r"(?<![a-z])(alpha|beta|gamma|delta)(?=[-'\d]|$)", text, re.IGNORECASE):
        name = match[1].lower()
        start, end = match.span()
        yield text[:start] + _GREEK[name] + text[end:]
        if start == 0 and len(text) < 40 and text[end : end + 1] == "-":
            yield f"[{name}]{text[end:]}"


def english(text: str) -> Iterator[str]:
    """Yield the American spelling of a British one."""
    for british, american in (("analogue", "analog"), ("sulph", "sulf"), ("organisation", "organization")):
        if british in text:
            yield text.replace(british, american)


_NO_CLASS: Final[frozenset[str]] = frozenset({"brand", "street", "systematic", "misspelling", "ordinary"})


class Ids:
    """Readable ids, each given out once."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, name: str, label: str) -> str:
        """Return the id of a name: its slug, with the kind in front where another concept has that slug."""
        slug = slugify(name)
        for candidate in (slug, f"{PREFIX_OF_LABEL[label]}-{slug}", *(f"{slug}-{n}" for n in range(2, 99))):
            if candidate not in self._used:
                self._used.add(candidate)
                return f"DP:{candidate}"
        raise SystemExit(f"no free id for {name!r}")


def slugify(name: str) -> str:
    """Return the ASCII slug of a name."""
    for greek, latin in _LATIN.items():
        name = name.replace(greek, latin)
    name = re.sub(r"(?<=[\da])'(?=[ -]|,)", "-prime", name).replace("'", "").replace("’", "").replace("ß", "ss")
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


class Names:
    """The aliases of one concept, the first of each spelling kept.

    Args:
        label: The concept's label.
        fixes: Decisions by hand.
        doubtful: Texts that are ambiguous whoever adds them.
    """

    def __init__(self, label: str, fixes: Corrections, doubtful: Iterable[str] = ()) -> None:
        self._label = label
        self._fixes = fixes
        self._doubtful = {match_key(text) for text in doubtful}
        self._aliases: dict[str, Alias] = {}

    def add(self, text: str, kind: str, case: str = "any", *, ambiguous: bool = False) -> None:
        """Add an alias, unless the matcher would take one that is there for the same."""
        text = re.sub(r"\s+", " ", text.replace("’", "'")).strip()
        if text and not self._fixes.drops(self._label, "*", text):
            key = match_key(text)
            alias = Alias(text, kind, case, ambiguous or key in self._doubtful)
            self._aliases.setdefault(key, self._fixes.decide(self._label, alias))

    def __contains__(self, text: str) -> bool:
        """Say whether a spelling is there."""
        return match_key(text) in self._aliases

    def all(self) -> tuple[Alias, ...]:
        """Return the aliases in the order of adding."""
        return tuple(self._aliases.values())


def merge_sources(sources: Iterable[str]) -> str:
    """Return the distinct sources, memory last."""
    distinct = list(dict.fromkeys(source for source in sources if source))
    return (
        "; ".join(sorted(distinct, key=from_memory)) if len(distinct) < 4 else f"{len(distinct)} tables, see controls"
    )


def build_drugs(fixes: Corrections, ids: Ids) -> list[Concept]:
    """Build substances, precursors and classes."""
    entries = read_entries(fixes)
    groups = group(entries, fixes.apart)
    owner: dict[str, int] = {}
    for i, members in enumerate(groups):
        for entry in members:
            for text in entry.names:
                owner[normalise(text)] = i
    for i, members in enumerate(groups):
        for entry in members:
            for text in entry.others:
                owner.setdefault(normalise(text), i)
    labels = [drug_label(members, fixes) for members in groups]
    names = [Names(label, fixes) for label in labels]
    generated: list[tuple[int, str, str]] = []
    for i, members in enumerate(groups):
        for named in (True, False):
            for entry in members:
                for text in entry.names if named else entry.others:
                    if owner[normalise(text)] != i and not named and normalise(text) not in fixes.apart:
                        continue
                    kind = alias_kind(text, entry.table, named)
                    short = len(text) < 3 and not re.search(r"\d", text)
                    names[i].add(text, kind, alias_case(text, kind), ambiguous=short)
                    generated.append((i, text, kind))
    taken: dict[str, int] = {}
    for i, made in enumerate(names):
        for alias in made.all():
            taken.setdefault(match_key(alias.text), i)
    for i, text, kind in generated:
        for form in (*variants(text, kind), *english(text)):
            if taken.setdefault(match_key(form), i) == i and form not in names[i]:
                names[i].add(form, "systematic" if kind == "systematic" else "variant", alias_case(form, kind))
    ids_of = [ids.new(members[0].names[0], label) for members, label in zip(groups, labels, strict=True)]
    lookup: dict[str, int] = {}
    for i, made in enumerate(names):
        for alias in made.all():
            lookup.setdefault(normalise(alias.text), i)
    add_street(fixes, names, lookup)
    add_misspellings(names, lookup)
    parents = drug_parents(groups, labels, names, lookup)
    return [
        drug_concept(members, labels[i], ids_of[i], names[i].all(), [ids_of[j] for j in parents[i]])
        for i, members in enumerate(groups)
    ]


def drug_label(members: list[Entry], fixes: Corrections) -> str:
    """Return the label of a group of rows."""
    for entry in members:
        for text in entry.names:
            if label := fixes.labels.get(normalise(text)):
                return label
    given = {entry.label for entry in members}
    if "DRUG_CLASS" in given:
        return "DRUG_CLASS"
    if any(entry.table in PRECURSOR_TABLES for entry in members):
        return "PRECURSOR"
    if members[0].table == "ordinary_names":
        return members[0].label
    return "PRECURSOR" if "PRECURSOR" in given else "SUBSTANCE"


def drug_parents(
    groups: list[list[Entry]], labels: list[str], names: list[Names], lookup: dict[str, int]
) -> list[list[int]]:
    """Return the parents of each group: those its rows name, and those of the class tables."""
    found: list[dict[int, None]] = [{} for _ in groups]

    def link(i: int, name: str) -> None:
        parent = lookup[normalise(name)]
        if parent != i:
            found[i][parent] = None

    for i, members in enumerate(groups):
        for entry in members:
            for name in entry.classes:
                if not name.startswith("?"):
                    link(i, name)
    for row in table("class_members"):
        for name in split_list(row["members"]):
            if normalise(name) not in lookup:
                raise SystemExit(f"class_members.tsv: {name!r} is no concept")
            link(lookup[normalise(name)], row["class"])
    for row in table("class_patterns"):
        pattern = re.compile(row["pattern"])
        but = {lookup[normalise(name)] for name in split_list(row["except"]) if normalise(name) in lookup}
        for i, made in enumerate(names):
            if labels[i] == "SUBSTANCE" and i not in but:
                texts = [alias.text for alias in made.all() if alias.kind not in _NO_CLASS]
                if any(pattern.search(text) for text in texts):
                    link(i, row["class"])
    for i, members in enumerate(groups):
        if not found[i] and labels[i] == "PRECURSOR":
            link(i, "precursors")
        elif not found[i] and labels[i] == "SUBSTANCE":
            if any("?opioids" in entry.classes for entry in members):
                link(i, "opioids")
            elif any(entry.table == "us_csa" and c.code == "4000" for entry in members for c in entry.controls):
                link(i, "anabolic steroids")
    return [nearest(i, found) for i in range(len(groups))]


def nearest(i: int, found: list[dict[int, None]]) -> list[int]:
    """Return the parents of a concept without those that another of its parents already implies."""

    def above(j: int) -> set[int]:
        seen: set[int] = set()
        stack = list(found[j])
        while stack:
            one = stack.pop()
            if one not in seen:
                seen.add(one)
                stack += found[one]
        return seen

    implied = {ancestor for parent in found[i] for ancestor in above(parent)}
    return [parent for parent in found[i] if parent not in implied]


def add_street(fixes: Corrections, names: list[Names], lookup: dict[str, int]) -> None:
    """Add the street names."""
    for where in ("street_names", "street_names_dea_ambiguous_extra", "world_street_names"):
        for row in table(where):
            target = fixes.targets.get(row["substance"], row["substance"])
            i = lookup[normalise(target)]
            for slang in row_names(row["slang"])[:1]:
                if (where, row["slang"]) in fixes.skipped:
                    continue
                names[i].add(slang, "street", alias_case(slang, "street"), ambiguous=row["ambiguous"] == "Y")
                lookup.setdefault(normalise(slang), i)


def add_misspellings(names: list[Names], lookup: dict[str, int]) -> None:
    """Add the misspellings, none of which may be a name of anything: those of the table, then those by rule."""
    rows = [(lookup[normalise(row["name"])], row) for row in table("misspellings")]
    for i, row in rows:
        for text in split_list(row["misspellings"]):
            if text in names[i] or lookup.get(normalise(text)) == i:
                continue
            if normalise(text) in lookup:
                raise SystemExit(f"misspellings.tsv: {text!r} is a name of another concept")
            if not text.isalpha():
                raise SystemExit(f"misspellings.tsv: {text!r} must be of letters alone")
            names[i].add(text, "misspelling")
    slipped: dict[str, set[int]] = defaultdict(set)
    for i, row in rows:
        for text in slips(row["name"]):
            slipped[text].add(i)
    for text in sorted(slipped):
        if len(slipped[text]) == 1 and normalise(text) not in lookup:
            (i,) = slipped[text]
            if text not in names[i]:
                names[i].add(text, "misspelling")


def slips(name: str) -> Iterator[str]:
    """Yield the usual misspellings of a long name of letters alone: one slip each, never in the first letter.

    A letter left out of a pair or of the vowels, two neighbours changed over, a consonant doubled, a vowel or y for
    another, f for ph.

    >>> "oxicodone" in slips("oxycodone"), list(slips("codeine"))
    (True, [])
    """
    if len(name) < 8 or not name.isalpha() or not name.islower():
        return
    for i in range(1, len(name)):
        before, char, after = name[:i], name[i], name[i + 1 :]
        if char in "aeiouy":
            yield before + after
            yield from (before + vowel + after for vowel in "aeiouy" if vowel != char)
        elif name[i - 1] == char:
            yield before + after
        elif char in "cdlmnprst" and i > 1 and not after.startswith(char):
            yield before + char + char + after
        if after and after[0] != char:
            yield before + after[0] + char + after[1:]
        if char == "h" and name[i - 1] == "p":
            yield name[: i - 1] + "f" + after


def drug_concept(
    members: list[Entry], label: str, concept_id: str, aliases: tuple[Alias, ...], parents: list[str]
) -> Concept:
    """Return the concept of a group of rows."""
    controls: dict[tuple[str, str, str], Control] = {}
    for entry in members:
        for one in entry.controls:
            key = (one.regime, one.schedule, one.code)
            if key not in controls or (one.verified, one.as_of) > (controls[key].verified, controls[key].as_of):
                controls[key] = one
    order = sorted(controls, key=lambda key: (list(REGIME_ORDER).index(key[0]), key[1], key[2]))
    facts: dict[str, str] = {}
    numbers = sorted({entry.cas for entry in members if entry.cas})
    if numbers:
        facts["cas"] = "|".join(numbers)
        if not any(entry.cas and not re.search(r"CAS[^;]* from memory|^memory", entry.source) for entry in members):
            facts["cas_source"] = "memory"
    sources = [entry.source for entry in members]
    return Concept(
        concept_id,
        aliases[0].text,
        label,
        tuple(parents),
        aliases,
        tuple(controls[key] for key in order),
        facts,
        merge_sources(sources),
        not all(map(from_memory, sources)),
    )


REGIME_ORDER: Final[tuple[str, ...]] = (
    "US-CSA",
    "US-LISTED",
    "UN-1961",
    "UN-1971",
    "UN-1988",
    "EU-PRECURSOR",
    "UK-MDA",
)


def acronym_case(text: str) -> str:
    """Return the case policy of a name of a body or law."""
    capitals = sum(char.isupper() for char in text)
    if " " not in text and capitals > 1 and capitals * 2 >= len(text):
        return "exact"
    return "capital" if text[0].isupper() or not text[0].isalnum() else "any"


def is_acronym(text: str) -> bool:
    """Say whether a text is an acronym or carries the look of one."""
    return acronym_case(text) == "exact" and len(text) < 12


def plain(text: str) -> str:
    """Return a text without its accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


_FEDERAL = re.compile(
    r"^(Department|Bureau|Federal|Food and Drug|Drug Enforcement|Centers|National Institute|National Drug Intel|"
    r"National Security Council|Office of (Nat|Foreign|Man)|Substance Abuse|Customs|Immigration|Homeland Sec|"
    r"Environmental|Government Acc|Health Resources|Agency for Int|Agency for Health|Internal Revenue|Central Intel|"
    r"Congress$|Senate$|House of Rep|Supreme Court$|Social Security|Small Business|Consumer Product|"
    r"Transportation Sec|Financial Crimes|Indian Health)"
)


def united_states(name: str) -> Iterator[str]:
    """Yield a United States body's name with the country written in the other ways."""
    bare = re.sub(r"^(U\.S\.|United States) ", "", name)
    if bare != name or _FEDERAL.match(name):
        for prefix in ("U.S.", "US", "United States"):
            yield f"{prefix} {bare}"
    if match := re.fullmatch(r"Department of (?:the )?(\w+)", bare):
        yield from (f"{match[1]} Department", f"U.S. {match[1]} Department", f"US {match[1]} Department")


def united_nations(name: str) -> Iterator[str]:
    """Yield a United Nations body's or treaty's name with the organisation written in the other ways."""
    if match := re.match(r"(United Nations|UN|U\.N\.) (?=\w)", name):
        for prefix in ("United Nations", "UN", "U.N."):
            yield f"{prefix} {name[match.end() :]}"


def build_institutions(fixes: Corrections, ids: Ids) -> list[Concept]:
    """Build the institutions and the governments of the world."""
    adjectives = {row["code"]: split_list(row["adjectives"]) for row in table("countries")}
    countries = {row["code"]: split_list(row["names"]) for row in table("countries")}
    concepts = []
    for rows in same_name(("institutions", "more_institutions", "world_institutions"), "country"):
        first = rows[0]
        doubtful = ambiguous_names(rows)
        names = Names("INSTITUTION", fixes, doubtful)
        match = _BRACKET.match(first["name"])
        bare = match[1] if match else first["name"]
        names.add(bare, "name", acronym_case(bare))
        acronyms = [row["acronym"] for row in rows if row["acronym"]]
        others = [text for row in rows for text in split_list(row["other_names"])] + doubtful
        places = adjectives.get(first["country"], [])
        if match:
            for adjective in places:
                names.add(f"{adjective} {bare}", "variant", "capital")
                if ministry := re.fullmatch(r"Ministry of ([A-Z]\w+)", bare):
                    names.add(f"{adjective} {ministry[1]} Ministry", "variant", "capital")
            for country in countries.get(first["country"], [])[:1]:
                names.add(f"{bare} of {country}", "variant", "capital")
        elif re.match(r"(Ministry|National Police)", bare):
            for adjective in places:
                names.add(f"{adjective} {bare}", "variant", "capital")
        for text in acronyms:
            names.add(text, "acronym", "exact", ambiguous=len(text) < 3)
        for text in others:
            text = row_names(text)[0] if not text.startswith("MAOC") else text
            kind = "acronym" if is_acronym(text) else "name"
            ambiguous = bool(_ADJECTIVE_OF_PLACE.search(text)) and "Attorney" not in text
            names.add(text, kind, acronym_case(text), ambiguous=ambiguous)
        for text in [bare, *others]:
            for form in (*united_nations(text), *(united_states(text) if first["country"] == "US" else ())):
                names.add(form, "variant", "capital")
            for form in (plain(text), text.replace(" & ", " and "), *english_names(text)):
                names.add(form, "variant", acronym_case(form))
            if bare.endswith(" administration") and first["country"] == "US" and first["kind"] == "executive":
                names.add(bare.replace("-", "–"), "variant", "capital")
        for text in acronyms:
            if fixes.ambiguous.get(("INSTITUTION", text)):
                continue
            if first["country"] == "US" and first.get("wikidata") and len(text) > 2:
                names.add(f"U.S. {text}", "variant", "exact")
                names.add(f"US {text}", "variant", "exact")
            if re.fullmatch(r"[A-Z]{2,4}", text) and (first.get("wikidata") or text in {"CND", "ATF", "INL"}):
                names.add("".join(f"{char}." for char in text), "acronym", "exact")
        facts = {key: first[key] for key in ("country", "kind") if first[key]}
        if acronyms:
            facts = {"acronym": acronyms[0], **facts}
        if first.get("wikidata"):
            facts["wikidata"] = first["wikidata"]
        concepts.append(named_concept(ids, first["name"], "INSTITUTION", names, facts, [row["source"] for row in rows]))
    for code in sorted(countries):
        concepts.append(government(code, countries[code], adjectives[code], fixes, ids))
    return concepts


_ARTICLE = re.compile(
    r"United|Netherlands|Philippines|Bahamas|Maldives|Gambia|Czech Rep|Russian Fed|Dominican Rep|Republic|U\.S\.|US|UK|"
    r"UAE|Solomon|Central"
)


def english_names(text: str) -> Iterator[str]:
    """Yield British and American spellings of a body's name, and it with the comma before "and" or without."""
    if re.search(r", [^,]+ and ", text):
        yield re.sub(r"(, [^,]+?),? and ", lambda m: f"{m[1]}{'' if m[0].endswith(', and ') else ','} and ", text)
    for one, two in (
        ("Centre", "Center"),
        ("Organisation", "Organization"),
        ("Organised", "Organized"),
        ("Defence", "Defense"),
    ):
        if one in text:
            yield text.replace(one, two)
        if two in text:
            yield text.replace(two, one)


def government(code: str, countries: list[str], adjectives: list[str], fixes: Corrections, ids: Ids) -> Concept:
    """Return the concept of a country's government."""
    names = Names("INSTITUTION", fixes)
    name = f"Government of {'the ' if _ARTICLE.match(countries[0]) else ''}{countries[0]}"
    names.add(name, "name", "capital")
    for country in countries:
        names.add(f"{country} government", "variant", "capital")
        names.add(f"Government of {'the ' if _ARTICLE.match(country) else ''}{country}", "variant", "capital")
    for adjective in adjectives:
        names.add(f"{adjective} government", "variant", "capital")
        names.add(f"{adjective} Parliament", "variant", "exact", ambiguous=True)
    if code == "US":
        for text in ("U.S. federal government", "United States Government", "US federal government", "USG"):
            names.add(text, "variant", acronym_case(text))
    return named_concept(ids, name, "INSTITUTION", names, {"country": code, "kind": "executive"}, ["memory"])


def same_name(tables: Iterable[str], place: str) -> Iterator[list[dict[str, str]]]:
    """Yield the rows of each name in one place, those of the first table first.

    Args:
        tables: Names of tables.
        place: The column with the country.
    """
    merged: dict[tuple[str, str], list[dict[str, str]]] = {}
    for where in tables:
        for row in table(where):
            merged.setdefault((normalise(row["name"]), row[place]), []).append(row)
    yield from merged.values()


def ambiguous_names(rows: list[dict[str, str]]) -> list[str]:
    """Return the names that rows of one concept call ambiguous, but for those which another row gives without doubt."""
    columns = ("name", "acronym", "short_name", "other_names")
    sure = {match_key(text) for row in rows for column in columns for text in split_list(row.get(column, ""))}
    return [text for row in rows for text in split_list(row.get("ambiguous", "")) if match_key(text) not in sure]


def named_concept(ids: Ids, name: str, label: str, names: Names, facts: dict[str, str], sources: list[str]) -> Concept:
    """Return a concept that is neither drug nor class."""
    aliases = names.all()
    return Concept(
        ids.new(name, label),
        aliases[0].text,
        label,
        (),
        aliases,
        (),
        facts,
        merge_sources(sources),
        not all(map(from_memory, sources)),
    )


def build_gangs(fixes: Corrections, ids: Ids) -> list[Concept]:
    """Build the criminal organisations."""
    concepts = []
    for rows in same_name(("criminal_orgs", "more_criminal_orgs", "world_criminal_orgs"), "country"):
        doubtful = ambiguous_names(rows)
        others = [text for row in rows for text in split_list(row["other_names"])]
        names = Names("CRIMINAL_ORG", fixes, doubtful)
        texts = [row_names_of_gang(text) for text in (rows[0]["name"], *others, *doubtful)]
        for text in texts:
            acronym = is_acronym(text)
            names.add(text, "acronym" if acronym else "name", acronym_case(text), ambiguous=len(text) < 3)
        for text in texts:
            names.add(plain(text), "variant", acronym_case(text))
            if "Drug Trafficking Organization" in text:
                names.add(text.replace("Drug Trafficking Organization", "DTO"), "variant", "capital")
                names.add(text.replace("Drug Trafficking Organization", "Organization"), "variant", "capital")
            if " Cartel" in text and not text.startswith("Cartel"):
                names.add(text.replace(" Cartel", " Drug Cartel"), "variant", "capital")
        facts, sources = {"country": rows[0]["country"]}, [row["source"] for row in rows]
        concepts.append(named_concept(ids, rows[0]["name"], "CRIMINAL_ORG", names, facts, sources))
    return concepts


def row_names_of_gang(text: str) -> str:
    """Return a gang's name without its bracketed remark."""
    return re.sub(r" \([^()]*\)$", "", text)


_YEAR_IS_NAME = re.compile(
    r"\d+ U\.S\.C|Directive|Regulation|Law|Ley|Loi|Arrêté|Lei|Decree|Opium Act of|Council|SI|Title|E\.?O"
)


def law_forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield other ways to write a law's name, with their kind."""
    for pattern in (r"(.+ (?:Act|Order|Law|Regulations|Amendments)),? (?:of )?\d{4}", r"(.+),? (?:of )?(?:19|20)\d\d"):
        if (match := re.fullmatch(pattern, text)) and len(match[1].split()) > 1:
            if not _YEAR_IS_NAME.match(text) and not match[1].endswith(" of"):
                yield match[1].rstrip(","), "short"
            break
    if match := re.fullmatch(r"(.+), (\d{4})", text):
        yield f"{match[1]} of {match[2]}", "variant"
        yield f"{match[1]} {match[2]}", "variant"
        yield f"{match[2]} {match[1]}", "variant"
    if match := re.fullmatch(r"(.+ Act) (\d{4})", text):
        yield f"{match[1]} of {match[2]}", "variant"
        yield f"{match[1]}, {match[2]}", "variant"
    if match := re.fullmatch(r"(.+ Act) of (\d{4})", text):
        yield f"{match[1]}, {match[2]}", "variant"
    if match := re.fullmatch(r"Executive Order (\d+)", text):
        for short in ("E.O.", "EO", "Executive Order No.", "Executive Order (E.O.)"):
            yield f"{short} {match[1]}", "short"
    if match := re.fullmatch(r"(\d+) U\.S\.C\. (\d.*)", text):
        for form in (f"{match[1]} U.S.C. § {match[2]}", f"{match[1]} USC {match[2]}"):
            yield form, "variant"
    if match := re.fullmatch(r"(\d+ CFR) [Pp]art (\d+)", text):
        yield f"{match[1]} {match[2]}", "variant"
    for one, two in (("Analogue", "Analog"), (" & ", " and "), ("Organized", "Organised")):
        if one in text:
            yield text.replace(one, two), "variant"
    for form in united_nations(text):
        yield form, "variant"
    if text.startswith("California Proposition ") or text.startswith("Oregon ") or text.startswith("Colorado "):
        short = text.split(" ", 1)[1]
        yield short, "short"
        yield short.replace("Proposition", "Prop"), "short"
        yield short.replace("Proposition", "Prop."), "short"
    yield plain(text), "variant"


def build_laws(fixes: Corrections, ids: Ids) -> list[Concept]:
    """Build the legal instruments."""
    concepts = []
    taken: set[str] = set()
    tables = ("legal_instruments", "more_legal_instruments", "world_legal_instruments")
    for rows in same_name(tables, "jurisdiction"):
        doubtful = ambiguous_names(rows)
        others = [text for row in rows for text in split_list(row["short_name"]) + split_list(row["other_names"])]
        names = Names("LEGAL_INSTRUMENT", fixes, doubtful)
        later = {text for row in rows if "ambiguous" in row for text in (row["name"], *split_list(row["other_names"]))}
        later -= {row["name"] for row in rows if "ambiguous" not in row}
        texts = [
            re.sub(r" \((Canada|Korea|Japan|Germany|France|Switzerland|Mexico|Indonesia|1998)\)$", "", text)
            for text in (rows[0]["name"], *others, *doubtful)
        ]
        for text in texts:
            acronym = is_acronym(text)
            names.add(text, "acronym" if acronym else "name", acronym_case(text))
        for text in texts:
            for form, kind in law_forms(text) if text not in doubtful else ():
                if not (text in later and match_key(form) in taken):  # "X Act 1984" leaves another's "X Act" alone
                    names.add(form, kind, acronym_case(form))
        facts = {key: rows[0][key] for key in ("jurisdiction", "year", "kind") if rows[0][key]}
        sources = [row["source"] for row in rows]
        taken |= {match_key(alias.text) for alias in names.all()}
        concepts.append(named_concept(ids, rows[0]["name"], "LEGAL_INSTRUMENT", names, facts, sources))
    return concepts


def settle_conflicts(concepts: list[Concept], fixes: Corrections) -> list[Concept]:
    """Flag as ambiguous every alias that concepts of two labels share, unless a correction clears it."""
    labels: dict[str, set[str]] = defaultdict(set)
    for concept in concepts:
        for alias in concept.aliases:
            if not alias.ambiguous:
                labels[match_key(alias.text)].add(concept.label)
    settled = []
    for concept in concepts:
        aliases = tuple(
            alias
            if len(labels[match_key(alias.text)]) < 2 or (concept.label, alias.text) in fixes.ambiguous
            else Alias(alias.text, alias.kind, alias.case, True)
            for alias in concept.aliases
        )
        settled.append(
            Concept(
                concept.id,
                concept.name,
                concept.label,
                concept.parents,
                aliases,
                concept.controls,
                concept.facts,
                concept.source,
                concept.verified,
            )
        )
    return settled


def build() -> dict[str, str]:
    """Return the content of every data file by its name."""
    fixes = Corrections.read()
    ids = Ids()
    builders: tuple[Callable[[Corrections, Ids], list[Concept]], ...] = (
        build_drugs,
        build_institutions,
        build_gangs,
        build_laws,
    )
    concepts = settle_conflicts([concept for make in builders for concept in make(fixes, ids)], fixes)
    files: dict[str, list[Concept]] = {name: [] for name in DATA_FILES}
    for concept in sorted(concepts, key=lambda concept: concept.id):
        files[FILE_OF_LABEL[concept.label]].append(concept)
    return {name: write_concepts(rows) for name, rows in files.items()}


def write_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the data on disk differ")
    parser.add_argument(
        "--output", type=Path, default=DATA, metavar="DIR", help="folder to write (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    stale = []
    for name, text in build().items():
        path = options.output / name
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        stale.append(name)
        if not options.check:
            options.output.mkdir(parents=True, exist_ok=True)
            write_file(path, text)
    if options.check and stale:
        sys.stderr.write(f"differs from training/sources: {', '.join(stale)}; run python training/build_concepts.py\n")
        return 1
    sys.stdout.write(f"{'checked' if options.check else 'written'}: {', '.join(stale) or 'nothing differs'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
