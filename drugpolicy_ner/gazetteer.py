r"""Component drugpolicy_gazetteer: finds the names of the knowledge base in text.

Matching is on the words of the raw text, not on tokens, through one trie: a hyphen, a white space, a line break and a
soft hyphen between two words are the same, other characters between words must be those of the alias. So
"acetyl fentanyl" finds "acetyl-fentanyl" and "acetyl-\nfentanyl", and the cost does not grow with the number of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import srsly
from spacy.language import Language

from .candidates import Match, add_candidates
from .errors import ConceptError

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from .concepts import Concept

_WORD: Final = re.compile(r"[^\W_¹²³⁰-⁹]+")  # a raised figure is a footnote's, not the word's
# one word over a line's end or with a soft hyphen in it: "meth-\namphetamine"
_BROKEN: Final = re.compile(r"([^\W_]+)(?:\u00ad|[-\u2010][ \t]*\r?\n[ \t]*)([^\W_]+)")
_JOINT: Final = re.compile(r"[\s\u00ad\u200b]*[-\u2010\u2011\u2012\u2013\u2212\u00ad]?[\s\u00ad\u200b]*")
_SPACE: Final = re.compile(r"\s+")
_QUOTES: Final = str.maketrans("’‘ʼ′´`″−‐‑–", "''''''\"----")
_JOINED: Final = "~"  # gap between words that a hyphen or white space may fill
_HYPHEN: Final = "-"  # gap that only a hyphen may fill, beside a digit: "4-ANPP" is not "4 ANPP"
_NESTED_LABELS: Final = frozenset({"SUBSTANCE", "PRECURSOR", "DRUG_CLASS"})

# A word before a drug name that makes it part of a longer chemical name: "acetyl-fentanyl", "p-fluoro fentanyl".
_CHEMICAL_PREFIX: Final = re.compile(
    r"(?:\w*(?:yl|ylene|oxy|fluoro|chloro|bromo|iodo|nitro|amino|hydroxy|cyano|thio|desmethyl)"
    r"|alpha|beta|gamma|delta|omega|ortho|meta|para|cis|trans|nor|iso|tert|sec|[αβγδω]|[0-9]+['′]?)$",
    re.IGNORECASE,
)
# The same for what only a hyphen ties on: "N-fentanyl", "2-fentanyl"
_LOCANT: Final = re.compile(r"(?:[NOSompdlRS]|\d+[A-Za-z]?)$")


class Term(NamedTuple):
    """One alias as the gazetteer keeps it."""

    text: str
    label: str
    concept: str
    case: str
    ambiguous: bool


class _Node:
    __slots__ = ("next", "terms")

    def __init__(self) -> None:
        self.next: dict[tuple[str, str], _Node] = {}
        self.terms: list[Term] = []


@Language.factory("drugpolicy_gazetteer", assigns=["doc.spans"])
def create_gazetteer(nlp: Language, name: str) -> Gazetteer:
    """Create the component; `Gazetteer.add` or loading a saved pipeline fills it."""
    return Gazetteer()


class Gazetteer:
    """Proposes a span for each known name.

    Its terms are saved with the pipeline, so a loaded pipeline needs no other file.
    """

    def __init__(self) -> None:
        self._terms: list[Term] = []
        self._first: dict[str, _Node] = {}

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._terms)

    def __call__(self, doc: Doc) -> Doc:
        """Add the names found in a document to its candidates."""
        add_candidates(doc, "gazetteer", self.find(doc.text))
        return doc

    def add(self, concepts: Iterable[Concept]) -> None:
        """Add every alias of the given concepts.

        Args:
            concepts: From the knowledge base or a user's own file.

        Raises:
            ConceptError: An alias without a letter or a digit.
        """
        for concept in concepts:
            for alias in concept.aliases:
                self._insert(Term(alias.text, concept.label, concept.id, alias.case, alias.ambiguous))

    def find(self, text: str) -> Iterator[Match]:
        """Yield the names in a text, nested ones too; the resolver chooses.

        Args:
            text: Any text.
        """
        words = [(m.group().lower(), m.start(), m.end()) for m in _WORD.finditer(text)]
        first = self._first
        gaps: dict[int, str] = {}
        for i, (word, _, _) in enumerate(words):
            node = first.get(word)
            if node is None:
                continue
            j = i
            while True:
                if node.terms:
                    yield from self._judge(text, words, i, j, node.terms)
                if not node.next or j + 1 == len(words):
                    break
                gap = gaps.get(j)
                if gap is None:
                    gap = gaps[j] = _gap(text[words[j][2] : words[j + 1][1]], words[j][0], words[j + 1][0])
                following = node.next.get((gap, words[j + 1][0]))
                if following is None and gap == _HYPHEN:
                    following = node.next.get((_JOINED, words[j + 1][0]))
                if following is None:
                    break
                node, j = following, j + 1
        for match in _BROKEN.finditer(text) if "\u00ad" in text or "\n" in text else ():
            whole = (match.group(1) + match.group(2)).lower()
            if whole in first and first[whole].terms:
                yield from self._judge(text, [(whole, match.start(), match.end())], 0, 0, first[whole].terms)

    def _judge(
        self, text: str, words: list[tuple[str, int, int]], i: int, j: int, terms: list[Term]
    ) -> Iterator[Match]:
        start, end = words[i][1], words[j][2]
        found: dict[tuple[str, int, int], list[Term]] = {}
        for term in terms:
            lead, trail = _edges(term.text)
            if not text.startswith(lead, start - len(lead)) or not text.startswith(trail, end):
                continue
            left, right = start - len(lead), end + len(trail)
            if _case_fits(text[left:right], term) and not (
                term.label in _NESTED_LABELS and _inside_longer_name(text, words, i)
            ):
                found.setdefault((term.label, left, right), []).append(term)
        for (label, left, right), owners in found.items():
            clear = [term for term in owners if not term.ambiguous]
            concepts = {term.concept for term in clear or owners}
            # two concepts of one name: the span stands, an id would be a guess
            yield Match(left, right, label, concepts.pop() if len(concepts) == 1 else "", not clear)

    def _insert(self, term: Term) -> None:
        text = term.text
        words = [(m.group().lower(), m.start(), m.end()) for m in _WORD.finditer(text)]
        if not words:
            raise ConceptError(f"the alias {text!r} of {term.concept} has neither letter nor digit: leave it out")
        node = self._first.setdefault(words[0][0], _Node())
        for before, after in pairwise(words):
            gap = _gap(text[before[2] : after[1]], before[0], after[0])
            node = node.next.setdefault((gap, after[0]), _Node())
        node.terms.append(term)
        self._terms.append(term)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the terms."""
        data: bytes = srsly.msgpack_dumps([list(term) for term in self._terms])
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Gazetteer:
        """Load terms, replacing those present."""
        self._terms, self._first = [], {}
        rows: Any = srsly.msgpack_loads(data)
        for row in rows:
            self._insert(Term(*row))
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the terms as a file of JSON lines."""
        rows: list[dict[str, Any]] = [term._asdict() for term in self._terms]
        srsly.write_jsonl(path, rows)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Gazetteer:
        """Load terms, replacing those present."""
        self._terms, self._first = [], {}
        rows: Any = srsly.read_jsonl(path)
        for row in rows:
            self._insert(Term(**row))
        return self


def _gap(between: str, before: str, after: str) -> str:
    """Reduce the characters between two words to what must agree."""
    if between == " ":
        return _JOINED
    if "\n\n" in between:
        return between
    if _JOINT.fullmatch(between):
        hyphen = between.translate(_QUOTES).strip()
        return _HYPHEN if hyphen and (before[-1].isdigit() or after[0].isdigit()) else _JOINED
    return _SPACE.sub("", between.translate(_QUOTES))


def _edges(text: str) -> tuple[str, str]:
    """Return the characters of an alias before its first and after its last word."""
    head = 0
    while not text[head].isalnum():
        head += 1
    tail = len(text)
    while not text[tail - 1].isalnum():
        tail -= 1
    return text[:head], text[tail:]


def _case_fits(surface: str, term: Term) -> bool:
    if term.case == "any":
        return True
    if term.case == "capital":
        letter = next((char for char in surface if char.isalpha()), "A")
        return not letter.islower()
    plain = _SPACE.sub(" ", surface.translate(_QUOTES))
    return plain == term.text.translate(_QUOTES) or (len(term.text) > 5 and surface.isupper())


def _inside_longer_name(text: str, words: list[tuple[str, int, int]], i: int) -> bool:
    """Say whether the word before ties a drug name into a longer chemical one."""
    if i == 0:
        return False
    between = text[words[i - 1][2] : words[i][1]]
    before = text[words[i - 1][1] : words[i - 1][2]]
    if not _JOINT.fullmatch(between) or "\n\n" in between:
        return False
    if between.isspace():
        # "neither heroin nor fentanyl": apart from its drug, "nor" is a conjunction
        return before.lower() != "nor" and bool(_CHEMICAL_PREFIX.match(before)) and not before.isdigit()
    return bool(_CHEMICAL_PREFIX.match(before) or _LOCANT.match(before))
