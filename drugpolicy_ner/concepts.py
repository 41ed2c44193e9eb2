"""The knowledge base: what a mention is, what else it is called, and how it is controlled.

One concept is one line of JSON in ``data/*.jsonl``, keys in the order of the dataclass fields, empty ones left out::

    {"id":"DP:fentanyl","name":"fentanyl","label":"SUBSTANCE","parents":["DP:fentanyls"],
     "aliases":[{"text":"fentanyl"},{"text":"Duragesic","kind":"brand"}],
     "controls":[{"regime":"US-CSA","schedule":"II","code":"9801","verified":true}],"verified":true}

This module needs the standard library only, so that a lookup never pays for importing spaCy.
"""

from __future__ import annotations

import codecs
import difflib
import functools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, NoReturn

from .errors import ConceptError
from .labels import LABELS
from .paths import flaw

KINDS: Final[tuple[str, ...]] = (
    "name",
    "inn",
    "abbreviation",
    "acronym",
    "brand",
    "street",
    "systematic",
    "variant",
    "plural",
    "native",
    "short",
    "misspelling",
    "ordinary",
)
"""What sort of name an alias is; ``ordinary``: a word of everyday language, which counts only in a text about drugs."""

CASES: Final[tuple[str, ...]] = ("any", "capital", "exact")
"""How the letter case of an alias binds.

``any`` matches in any case, ``capital`` needs a capital first letter, ``exact`` needs the case as given (or all
capitals, where the alias has more than five letters).
"""

REGIMES: Final[dict[str, str]] = {
    "US-CSA": "United States: Controlled Substances Act, Schedules I to V (21 CFR 1308)",
    "US-LISTED": "United States: List I and List II chemicals (21 CFR 1310.02); SSL: Special Surveillance List",
    "UN-1961": "Single Convention on Narcotic Drugs of 1961, Schedules I to IV",
    "UN-1971": "Convention on Psychotropic Substances of 1971, Schedules I to IV",
    "UN-1988": "Convention against Illicit Traffic of 1988, Tables I and II",
    "EU-PRECURSOR": "European Union drug precursors: Regulations 273/2004 and 111/2005, categories 1 to 4",
    "UK-MDA": "United Kingdom: Misuse of Drugs Act 1971, Classes A to C",
}
"""Control regime -> what its schedules are."""

DATA_FILES: Final[tuple[str, ...]] = (
    "substances.jsonl",
    "precursors.jsonl",
    "drug_classes.jsonl",
    "institutions.jsonl",
    "criminal_orgs.jsonl",
    "legal_instruments.jsonl",
)
"""The files of `default_store`, in the package's ``data`` folder."""

_ID = re.compile(r"[A-Za-z][A-Za-z0-9]*:[a-z0-9]+(-[a-z0-9]+)*")
_GREEK: Final[dict[str, str]] = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "∆": "delta",
    "ε": "epsilon",
    "κ": "kappa",
    "μ": "mu",
    "ω": "omega",
}
_FOLD: Final[dict[int, str]] = str.maketrans(
    _GREEK | dict.fromkeys("-‐‑‒–—−\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}", "") | dict.fromkeys("’‘′´`", "'")
)
_SPACE = re.compile(r"\s+")
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_¹²³⁰-⁹]")  # what the gazetteer takes for a word's part


@dataclass(frozen=True, slots=True)
class Alias:
    """A text by which a concept is called.

    Args:
        text: As people write it.
        kind: One of `KINDS`.
        case: One of `CASES`.
        ambiguous: Often means something else, so that it counts only where the trained model agrees.
    """

    text: str
    kind: str = "name"
    case: str = "any"
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """A place of a concept in a list of controlled drugs or chemicals.

    Args:
        regime: One of `REGIMES`.
        schedule: Schedule, table, list, category or class, as the regime numbers it.
        code: The regime's own code, such as a DEA number.
        since: Date or year from which it holds, where the source says so.
        source: Where the entry was read.
        as_of: Date or year of that source.
        verified: False where the entry rests on memory and was not read in a source.
    """

    regime: str
    schedule: str
    code: str = ""
    since: str = ""
    source: str = ""
    as_of: str = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Concept:
    """A drug, class, precursor, institution, criminal organisation or legal instrument.

    Args:
        id: Stable identifier, such as ``DP:fentanyl``.
        name: Preferred name.
        label: Entity label of its mentions.
        parents: Ids of the broader concepts.
        aliases: Every text that stands for it, the preferred name first.
        controls: Where it is controlled.
        facts: What else is known: ``cas``, ``country``, ``year``, ...
        source: Where the concept comes from.
        verified: False where that is memory alone.
    """

    id: str
    name: str
    label: str
    parents: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    controls: tuple[Control, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    verified: bool = False


_FIELDS: Final[dict[type, dict[str, type]]] = {
    Alias: {"text": str, "kind": str, "case": str, "ambiguous": bool},
    Control: {
        "regime": str,
        "schedule": str,
        "code": str,
        "since": str,
        "source": str,
        "as_of": str,
        "verified": bool,
    },
    Concept: {
        "id": str,
        "name": str,
        "label": str,
        "parents": list,
        "aliases": list,
        "controls": list,
        "facts": dict,
        "source": str,
        "verified": bool,
    },
}
_REQUIRED: Final[dict[type, tuple[str, ...]]] = {
    Alias: ("text",),
    Control: ("regime", "schedule"),
    Concept: ("id", "name", "label", "aliases"),
}
_TYPE_NAMES: Final[dict[type, str]] = {
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def normalise(name: str) -> str:
    """Return the form under which `ConceptStore.find` looks a name up.

    Case, accents, white space and hyphens do not count, and a Greek letter equals its name.

    >>> normalise("α-PVP") == normalise("Alpha PVP")
    True
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_FOLD))
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _SPACE.sub("", bare.casefold().translate(_FOLD))


def read_concepts(path: str | Path) -> Iterator[Concept]:
    """Read the concepts of one JSONL file.

    Args:
        path: The file, UTF-8, one JSON object a line; blank lines are skipped.

    Yields:
        Concepts in file order.

    Raises:
        ConceptError: With file and line, for whatever breaks the format.
    """
    for _, concept in _parse(_bytes(path), str(path)):
        yield concept


def read_own_concepts(paths: Iterable[str | Path], base: ConceptStore | None = None) -> tuple[Concept, ...]:
    """Read concepts of your own, which come beside those of the knowledge base and may be below them.

    Args:
        paths: JSONL files, as `read_concepts` reads them; they may name each other's concepts as parents.
        base: The knowledge base; by default the one that comes with the package.

    Returns:
        The concepts of the files, in order.

    Raises:
        ConceptError: With file and line, as `ConceptStore`.
    """
    base = default_store() if base is None else base
    return tuple(concept for concept in ConceptStore(paths, base) if concept.id not in base)


def write_concepts(concepts: Iterable[Concept]) -> str:
    """Write concepts as JSONL; `read_concepts` gives the same concepts back."""
    return "".join(
        json.dumps(_as_dict(concept), ensure_ascii=False, separators=(",", ":")) + "\n" for concept in concepts
    )


class ConceptStore:
    """Concepts by id and by name.

    Args:
        paths: JSONL files to read, as `read_concepts` does.
        base: Concepts that are there before.

    Raises:
        ConceptError: With file and line, for what `read_concepts` refuses, an id that is there before or in another
            file, a parent that is no concept, or a concept above itself.
    """

    def __init__(self, paths: Iterable[str | Path] = (), base: Iterable[Concept] = ()) -> None:
        self._by_id: dict[str, Concept] = {concept.id: concept for concept in base}
        self._names: dict[str, dict[str, None]] | None = None
        self._children: dict[str, list[str]] | None = None
        self._fill((str(path), _bytes(path)) for path in paths)

    def __iter__(self) -> Iterator[Concept]:
        """Iterate over the concepts in the order in which they were read."""
        return iter(self._by_id.values())

    def __len__(self) -> int:
        """Return the number of concepts."""
        return len(self._by_id)

    def __contains__(self, concept_id: object) -> bool:
        """Say whether there is a concept of this id."""
        return concept_id in self._by_id

    def get(self, concept_id: str) -> Concept:
        """Return the concept of an id.

        Raises:
            ConceptError: Where there is none, with the closest ids.
        """
        try:
            return self._by_id[concept_id]
        except KeyError:
            hint = self._near(concept_id) or ": look the name up with find()"
            raise ConceptError(f"no concept has the id {concept_id!r}{hint}") from None

    def find(self, name: str) -> tuple[Concept, ...]:
        """Return the concepts that a name can mean, those called so outright before ambiguous ones.

        Args:
            name: Any alias; see `normalise` for what does not count.
        """
        if self._names is None:
            clear: dict[str, dict[str, None]] = {}
            doubtful: list[tuple[str, str]] = []
            for concept in self:
                for alias in concept.aliases:
                    key = normalise(alias.text)
                    if alias.ambiguous:
                        doubtful.append((key, concept.id))
                    else:
                        clear.setdefault(key, {})[concept.id] = None
            for key, concept_id in doubtful:
                clear.setdefault(key, {}).setdefault(concept_id, None)
            self._names = clear
        return tuple(self._by_id[concept_id] for concept_id in self._names.get(normalise(name), ()))

    def suggest(self, name: str, most: int = 3) -> tuple[str, ...]:
        """Return aliases, well spelled ones, much like a name that `find` does not know.

        Args:
            name: The name as it was typed.
            most: How many to return.
        """
        aliases = (alias for concept in self for alias in concept.aliases if alias.kind != "misspelling")
        texts = {normalise(alias.text): alias.text for alias in aliases}
        return tuple(texts[key] for key in difflib.get_close_matches(normalise(name), texts, n=most, cutoff=0.75))

    def descendants(self, concept_id: str) -> tuple[Concept, ...]:
        """Return every concept below one, nearest first: all opioids for ``DP:opioids``.

        Raises:
            ConceptError: As `get`.
        """
        self.get(concept_id)
        if self._children is None:
            self._children = {}
            for concept in self:
                for parent in concept.parents:
                    self._children.setdefault(parent, []).append(concept.id)
        found: dict[str, None] = {}
        level = [concept_id]
        while level:
            level = [child for parent in level for child in self._children.get(parent, ()) if child not in found]
            found.update(dict.fromkeys(level))
        found.pop(concept_id, None)
        return tuple(self._by_id[child] for child in found)

    def lineages(self, concept_id: str) -> tuple[tuple[Concept, ...], ...]:
        """Return every way from a concept up to one without parents: fentanyl, fentanyls, synthetic opioids, opioids.

        Raises:
            ConceptError: As `get`.
        """
        concept = self.get(concept_id)
        above = [lineage for parent in concept.parents for lineage in self.lineages(parent)]
        return tuple((concept, *lineage) for lineage in above) or ((concept,),)

    def _fill(self, files: Iterable[tuple[str, bytes]]) -> None:
        lines: dict[str, _Line] = {}
        for where, raw in files:
            for line, concept in _parse(raw, where):
                if concept.id in self._by_id:
                    other = lines.get(concept.id)
                    owner = f"{other.path}:{other.number}" if other else "the knowledge base"
                    line.fail(f"id {concept.id!r} stands in {owner} too: give the concept an id of its own")
                self._by_id[concept.id], lines[concept.id] = concept, line
        for concept_id, line in lines.items():
            for parent in self._by_id[concept_id].parents:
                if parent not in self._by_id:
                    line.fail(f"{concept_id} has the parent {parent!r}, which is no concept{self._near(parent)}")
        for concept_id, line in lines.items():
            if concept_id in self._above(concept_id):
                line.fail(f"{concept_id} is above itself: take one of the parents away")

    def _above(self, concept_id: str) -> set[str]:
        found: set[str] = set()
        level = set(self._by_id[concept_id].parents)
        while level:
            found |= level
            level = {parent for child in level for parent in self._by_id[child].parents} - found
        return found

    def _near(self, concept_id: str) -> str:
        near = difflib.get_close_matches(concept_id, self._by_id, n=3, cutoff=0.7)
        return f": did you mean {' or '.join(near)}?" if near else ""


@functools.cache
def default_store() -> ConceptStore:
    """Return the concepts that come with the package, read once.

    >>> default_store().get("DP:fentanyl").label
    'SUBSTANCE'
    """
    store = ConceptStore()
    folder = resources.files(__package__) / "data"
    store._fill((f"data/{name}", (folder / name).read_bytes()) for name in DATA_FILES)
    return store


def _bytes(path: str | Path) -> bytes:
    if wrong := flaw(path):
        raise ConceptError(f"cannot be read: {wrong}", path=path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConceptError(f"cannot be read: {error.strerror}", path=path) from error


def _parse(raw: bytes, where: str) -> Iterator[tuple[_Line, Concept]]:
    seen: dict[str, int] = {}
    for number, data in enumerate(raw.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        line = _Line(where, number)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line.fail(f"not UTF-8: byte 0x{data[error.start]:02x}; save the file as UTF-8")
        if not text.strip():
            continue
        try:
            row = json.loads(text, object_pairs_hook=line.pairs)
        except json.JSONDecodeError as error:
            line.fail(f"not JSON: {error.msg} at column {error.colno}")
        concept = line.concept(row)
        if concept.id in seen:
            line.fail(f"id {concept.id!r} stands in line {seen[concept.id]} too")
        seen[concept.id] = number
        yield line, concept


@dataclass(frozen=True, slots=True)
class _Line:
    """One line being read: knows where it stands for the errors that it raises."""

    path: str
    number: int

    def fail(self, message: str) -> NoReturn:
        raise ConceptError(message, path=self.path, line=self.number)

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            self.fail(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
        return row

    def concept(self, row: object) -> Concept:
        values = self._fields(row, Concept, "a concept")
        for key in ("id", "name"):
            self._filled(values[key], key)
        if not _ID.fullmatch(values["id"]):
            self.fail(f"id {values['id']!r} is not PREFIX:lower-case-words, such as DP:fentanyl")
        self._one_of(values["label"], LABELS, "label")
        aliases = tuple(self._alias(item) for item in values["aliases"])
        if not aliases:
            self.fail("aliases are empty: give at least the name")
        texts = [alias.text for alias in aliases]
        if len(set(texts)) < len(texts):
            self.fail(f"alias {next(text for text in texts if texts.count(text) > 1)!r} stands twice")
        parents = tuple(values.get("parents", ()))
        for parent in parents:
            if not isinstance(parent, str):
                self.fail(f"parents must hold ids as text, not {self._type(parent)}")
        if len(set(parents)) < len(parents):
            self.fail("a parent stands twice")
        facts = values.get("facts", {})
        for key, value in facts.items():
            if not isinstance(value, str):
                self.fail(f"fact {key!r} must be text, not {self._type(value)}")
        return Concept(
            values["id"],
            values["name"],
            values["label"],
            parents,
            aliases,
            tuple(self._control(item) for item in values.get("controls", ())),
            facts,
            values.get("source", ""),
            values.get("verified", False),
        )

    def _alias(self, row: object) -> Alias:
        values = self._fields(row, Alias, "an alias")
        self._filled(values["text"], "alias text")
        if not _LETTER_OR_DIGIT.search(values["text"]):
            self.fail(f"alias text {values['text']!r} has neither letter nor digit: leave it out")
        self._one_of(values.get("kind", "name"), KINDS, "alias kind")
        self._one_of(values.get("case", "any"), CASES, "alias case")
        return Alias(**values)

    def _control(self, row: object) -> Control:
        values = self._fields(row, Control, "a control")
        self._one_of(values["regime"], REGIMES, "regime")
        self._filled(values["schedule"], "schedule")
        return Control(**values)

    def _fields(self, row: object, kind: type, what: str) -> dict[str, Any]:
        if not isinstance(row, dict):
            self.fail(f"{what} must be an object, not {self._type(row)}")
        allowed = _FIELDS[kind]
        for key, value in row.items():
            if key not in allowed:
                self.fail(f"{what} has no key {key!r}: allowed are {', '.join(allowed)}")
            if type(value) is not allowed[key]:
                self.fail(f"{key} must be {_TYPE_NAMES[allowed[key]]}, not {self._type(value)}")
        for key in _REQUIRED[kind]:
            if key not in row:
                self.fail(f"{what} needs the key {key!r}")
        return row

    def _filled(self, value: str, what: str) -> None:
        if not value or value != value.strip():
            self.fail(f"{what} {value!r} must not be empty or begin or end with white space")

    def _one_of(self, value: str, allowed: Iterable[str], what: str) -> None:
        if value not in allowed:
            self.fail(f"unknown {what} {value!r}: use one of {', '.join(allowed)}")

    @staticmethod
    def _type(value: object) -> str:
        return _TYPE_NAMES[type(value)]


def _as_dict(concept: Concept) -> dict[str, Any]:
    row: dict[str, Any] = {"id": concept.id, "name": concept.name, "label": concept.label}
    if concept.parents:
        row["parents"] = list(concept.parents)
    row["aliases"] = [_alias_dict(alias) for alias in concept.aliases]
    if concept.controls:
        row["controls"] = [_control_dict(control) for control in concept.controls]
    if concept.facts:
        row["facts"] = dict(concept.facts)
    if concept.source:
        row["source"] = concept.source
    row["verified"] = concept.verified
    return row


def _alias_dict(alias: Alias) -> dict[str, Any]:
    row: dict[str, Any] = {"text": alias.text}
    if alias.kind != "name":
        row["kind"] = alias.kind
    if alias.case != "any":
        row["case"] = alias.case
    if alias.ambiguous:
        row["ambiguous"] = True
    return row


def _control_dict(control: Control) -> dict[str, Any]:
    row: dict[str, Any] = {"regime": control.regime, "schedule": control.schedule}
    for key in ("code", "since", "source", "as_of"):
        if value := getattr(control, key):
            row[key] = value
    row["verified"] = control.verified
    return row
