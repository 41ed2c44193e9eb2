r"""Component drugpolicy_gazetteer: finds the names of the knowledge base in text.

Matching is on the words of the raw text, not on tokens, through one trie: a hyphen, a white space, a line break and a
soft hyphen between two words are the same, other characters between words must be those of the alias. So
"acetyl fentanyl" finds "acetyl-fentanyl" and "acetyl-\nfentanyl", and the cost does not grow with the number of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from sys import intern
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
    topical: bool = False


_Word = tuple[str, int, int]  # without case and ligatures; start, end. A plain tuple is made three times as fast


class _Ending(NamedTuple):
    """A term that ends at a node, with the characters before its first and after its last word."""

    term: Term
    lead: str
    trail: str


class _Node:
    __slots__ = ("endings", "next")

    def __init__(self) -> None:
        # most nodes have only one of the two: an empty tuple costs nothing
        self.next: dict[str, list[tuple[str, _Node]]] | None = None  # word -> gaps before it, and what follows
        self.endings: list[_Ending] | tuple[()] = ()


@Language.factory("drugpolicy_gazetteer", assigns=["doc.spans"])
def create_gazetteer(nlp: Language, name: str) -> Gazetteer:
    """Create the component; `Gazetteer.add` or loading a saved pipeline fills it."""
    return Gazetteer()


class Gazetteer:
    """Proposes a span for each known name.

    Its terms are saved with the pipeline, so a loaded pipeline needs no other file. The terms that begin with two words
    are read from their JSON when a text has these for the first time: loading costs next to nothing.
    """

    def __init__(self) -> None:
        self._terms: dict[str, list[Term] | str] = {}  # a term's first two words -> terms, in a loaded pipeline as JSON
        self._tries: dict[str, _Node] = {}  # first two words that a text had -> trie of their terms
        self._first: set[str] = set()  # first words

    def __len__(self) -> int:
        """Return the number of terms."""
        return sum(len(self._read(key)) for key in self._terms)

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
                term = Term(
                    alias.text, concept.label, concept.id, alias.case, alias.ambiguous, alias.kind == "ordinary"
                )
                words = _words(term.text)
                if not words:
                    raise ConceptError(
                        f"the alias {term.text!r} of {concept.id} has neither letter nor digit: leave it out"
                    )
                key = " ".join(word for word, _, _ in words[:2])
                self._terms[key] = terms = self._read(key)
                terms.append(term)
                self._tries.pop(key, None)
                self._first.add(words[0][0])

    def find(self, text: str) -> Iterator[Match]:
        """Yield the names in a text, nested ones too; the resolver chooses.

        Args:
            text: Any text.
        """
        words = _words(text)
        first, terms = self._first, self._terms
        gaps: dict[int, str] = {}
        for i, (word, _, _) in enumerate(words):
            if word not in first:
                continue
            if word in terms:
                yield from _judge(text, words, i, i, self._trie(word).endings)
            if i + 1 == len(words) or (key := f"{word} {words[i + 1][0]}") not in terms:
                continue
            node: _Node | None = self._trie(key)
            j = i
            while node is not None:
                if node.endings:
                    yield from _judge(text, words, i, j, node.endings)
                j += 1
                if not node.next or j == len(words) or (steps := node.next.get(words[j][0])) is None:
                    break
                gap = gaps.get(j)
                if gap is None:
                    gap = gaps[j] = _gap(text, words[j - 1], words[j])
                node = _step(steps, gap)
        for match in _BROKEN.finditer(text) if "\u00ad" in text or "\n" in text else ():
            whole = (match.group(1) + match.group(2)).casefold()
            if whole in terms:
                yield from _judge(text, [(whole, *match.span())], 0, 0, self._trie(whole).endings)

    def _read(self, key: str) -> list[Term]:
        """Return the terms that begin with two words, or are of one."""
        terms = self._terms.get(key, [])
        if isinstance(terms, str):
            rows: Any = srsly.json_loads(terms)
            # names of labels and concepts recur, and stay in memory once
            return [Term(row[0], intern(row[1]), intern(row[2]), intern(row[3]), row[4], row[5]) for row in rows]
        return terms

    def _trie(self, key: str) -> _Node:
        """Return the trie of these terms, built when it is first asked for."""
        root = self._tries.get(key)
        if root is None:
            root = _Node()
            for term in self._read(key):
                _insert(root, term)
            self._tries[key] = root  # when it is whole: another thread may be tagging
        return root

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the terms: lines of their first two words, a tab and JSON."""
        lines = (
            f"{key}\t{terms if isinstance(terms, str) else srsly.json_dumps([list(term) for term in terms])}\n"
            for key, terms in self._terms.items()
        )
        return "".join(lines).encode()

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Gazetteer:
        """Load terms, replacing those present."""
        lines = (line.partition("\t") for line in data.decode().split("\n") if line)
        self._terms = {key: terms for key, _, terms in lines}
        self._tries = {}
        self._first = {key.partition(" ")[0] for key in self._terms}
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the terms as a file of what `to_bytes` gives."""
        Path(path).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Gazetteer:
        """Load terms, replacing those present."""
        return self.from_bytes(Path(path).read_bytes())


def _insert(root: _Node, term: Term) -> None:
    text = term.text
    words = _words(text)
    node = root
    for before, after in pairwise(words):
        gap = intern(_gap(text, before, after))
        if node.next is None:
            node.next = {}
        steps = node.next.setdefault(intern(after[0]), [])
        following = next((following for known, following in steps if known == gap), None)
        if following is None:
            following = _Node()
            steps.append((gap, following))
        node = following
    node.endings = [*node.endings, _Ending(term, text[: words[0][1]], text[words[-1][2] :])]


def _step(steps: list[tuple[str, _Node]], gap: str) -> _Node | None:
    """Return the node behind a gap; where a hyphen stands, one behind any joint will do."""
    joined = None
    for known, node in steps:
        if known == gap:
            return node
        if gap == _HYPHEN and known == _JOINED:
            joined = node
    return joined


def _words(text: str) -> list[_Word]:
    return [(m.group().casefold(), m.start(), m.end()) for m in _WORD.finditer(text)]


def _judge(text: str, words: list[_Word], i: int, j: int, endings: Sequence[_Ending]) -> Iterator[Match]:
    """Yield the terms that the words from i to j stand for, where their edges, case and surroundings fit."""
    start, end = words[i][1], words[j][2]
    found: dict[tuple[str, int, int], list[Term]] = {}
    for term, lead, trail in endings:
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
        concept = concepts.pop() if len(concepts) == 1 else ""
        unsure = not clear or (all(term.case == "exact" for term in clear) and _among_capitals(text, words, i, j))
        yield Match(left, right, label, concept, unsure, all(term.topical for term in clear or owners))


def _among_capitals(text: str, words: list[_Word], i: int, j: int) -> bool:
    """Say whether a short name stands in a line of capitals, where any word could be an acronym."""
    if i != j or words[i][2] - words[i][1] > 5:
        return False
    for side in words[max(0, i - 2) : i], words[j + 1 : j + 3]:
        surfaces = [text[start:end] for _, start, end in side]
        if len(side) == 2 and all(map(str.isupper, surfaces)) and max(map(len, surfaces)) > 3:
            return True
    return False


def _gap(text: str, before: _Word, after: _Word) -> str:
    """Reduce the characters between two words to what must agree."""
    between = text[before[2] : after[1]]
    if between == " ":
        return _JOINED
    if "\n\n" in between:
        return between
    if _JOINT.fullmatch(between):
        hyphen = between.translate(_QUOTES).strip()
        return _HYPHEN if hyphen and (before[0][-1].isdigit() or after[0][0].isdigit()) else _JOINED
    return _SPACE.sub("", between.translate(_QUOTES))


def _case_fits(surface: str, term: Term) -> bool:
    if term.case == "any":
        return True
    if term.case == "capital":
        letter = next((char for char in surface if char.isalpha()), "A")
        return not letter.islower()
    return _plain(surface) == _plain(term.text) or (len(term.text) > 5 and surface.isupper())


def _plain(name: str) -> str:
    """Return a name without the differences between joints, which `_gap` has judged."""
    return _SPACE.sub(" ", name.translate(_QUOTES).replace("-", " "))


def _inside_longer_name(text: str, words: list[_Word], i: int) -> bool:
    """Say whether the word before ties a drug name into a longer chemical one."""
    if i == 0 or _gap(text, words[i - 1], words[i]) not in (_JOINED, _HYPHEN):
        return False
    _, start, end = words[i - 1]
    before = text[start:end]
    if text[end : words[i][1]].isspace():
        # "neither heroin nor fentanyl": apart from its drug, "nor" is a conjunction
        return before.lower() != "nor" and bool(_CHEMICAL_PREFIX.match(before)) and not before.isdigit()
    return bool(_CHEMICAL_PREFIX.match(before) or _LOCANT.match(before))
