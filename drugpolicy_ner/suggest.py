"""What to annotate next: the sentences or documents of unlabelled text from which a model should learn most.

Each is scored on its own while the texts stream by: where the trained model is unsure, where the sources disagree, and
which names nothing but a guess knows. Of the best some are then chosen one by one, each time the best of those that are
least like what is chosen already. The outcome depends on the texts alone and not on the order in which they come.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy

from .candidates import GROUP, TOPICAL, UNSURE
from .corpus import Document, Span
from .labels import ACTIONS
from .reading import Record, Report
from .tagging import tag_records
from .uncertainty import doubts, trained_ner
from .units import Unit, cut

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.tokens import Span as Slice

_NAMES: Final = frozenset(["SUBSTANCE", "DRUG_CLASS", "PRECURSOR", "INSTITUTION", "CRIMINAL_ORG", "LEGAL_INSTRUMENT"])
"""Labels of names that the knowledge base should know."""

_PIECE: Final = 50_000
"""Characters of the longest document that is taken whole; a longer one is cut at its paragraphs."""

_BREAKS: Final = ("\n\n", "\n", " ")

SHORTEST: Final = 5
"""Words of a text that is worth showing."""

LONGEST: Final = 120
"""Words of a sentence that is worth showing; a longer one is a table without full stops."""

_SPARE: Final = 5
_FLOOR: Final = 1_000
"""So many times the count, and so many at least, are kept to choose from."""

_SHINGLE: Final = 5
_SEEN: Final = 0.8
"""A text is annotated already if of its sequences of five words this share stands in annotated text."""

_ALIKE: Final = 0.8
"""Cosine from which on two texts are the same but for trifles."""

_UNSURE_OF: Final = 0.4
"""Doubt from which on a word is named as a reason."""

_NAMED: Final = 3
_COLUMNS: Final = 512
_WORD: Final = re.compile(r"\w+")
_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Weights:
    """How the parts of a score are put together: their sum, over the number of tokens raised to a power.

    Args:
        doubt: Weight of the number of tokens that the ner is expected to get wrong.
        disagreement: Weight of each place where the sources disagree.
        unknown: Weight of each name without an entry in the knowledge base.
        length: The power: 0 prefers long texts, 1 short ones full of difficulties.
    """

    doubt: float = 1.0
    disagreement: float = 1.0
    unknown: float = 0.5
    length: float = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text to annotate.

    Args:
        document: The text with the entities that the pipeline finds; its meta says where it stands and why it was
            chosen.
        key: Its words, in which figures count for nothing: texts with the same key are the same.
        score: The higher, the more is to be learned.
    """

    document: Document
    key: str
    score: float

    @property
    def rank(self) -> tuple[float, str, str, tuple[str, ...]]:
        """By which the better of two is told, whatever order they come in."""
        return self.score, self.key, self.document.text, tuple(self.document.meta.values())


@dataclass(slots=True)
class Tally:
    """What was read and what was left out.

    Args:
        documents: Documents read.
        units: Sentences or documents in them, among which are the following, which were left out.
        seen: Annotated already.
        short: Of too few words.
        long: Of too many words.
    """

    documents: int = 0
    units: int = 0
    seen: int = 0
    short: int = 0
    long: int = 0


class Seen:
    """Knows whether a text stands in annotated documents, as a whole or nearly so.

    Args:
        documents: The annotated documents.
    """

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._shingles = {shingle for document in documents for shingle in _shingles(key_of(document.text))}

    def __contains__(self, key: str) -> bool:
        """Whether a text with this key does."""
        found = _shingles(key)
        return sum(shingle in self._shingles for shingle in found) >= _SEEN * len(found) > 0


def suggest(
    nlp: Language,
    records: Iterable[Record],
    report: Report,
    *,
    count: int,
    unit: Unit = Unit.SENTENCE,
    seen: Collection[str] | Seen = (),
    weights: Weights | None = None,
    tally: Tally | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Suggestion]:
    """Choose what to annotate next.

    Args:
        nlp: The pipeline that is to learn. With rule sources of this package more is known than with a trained ner
            alone.
        records: The texts, which are read once and not held.
        report: Takes each text that the pipeline fails on.
        count: How many to choose, at most; there are fewer where the texts hold no more that differ.
        unit: Whether sentences or whole documents are chosen; a document of more than 50,000 characters is taken in
            pieces.
        seen: Keys of what is annotated already.
        weights: How the parts of a score are put together.
        tally: Counts what was read and left out.
        advance: Called after each document.

    Returns:
        The texts, the most worthwhile first, each with an id of its own.
    """
    counts = Tally() if tally is None else tally
    size = max(_FLOOR, _SPARE * count)
    pool: dict[str, Suggestion] = {}
    for suggestion in _scored(nlp, records, report, unit, seen, weights or Weights(), counts, advance):
        rival = pool.get(suggestion.key)
        if rival is None or suggestion.rank > rival.rank:
            pool[suggestion.key] = suggestion
        if len(pool) > 2 * size:
            pool = {best.key: best for best in _best(pool.values(), size)}
    return _with_ids(_diverse(_best(pool.values(), size), count))


def key_of(text: str) -> str:
    """Return what is compared of a text: its words in lower case, in which all figures are one."""
    return _DIGITS.sub("0", " ".join(_WORD.findall(text.lower())))


def _shingles(key: str) -> list[str]:
    words = key.split()
    return [" ".join(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)]


def _best(suggestions: Iterable[Suggestion], size: int) -> list[Suggestion]:
    return heapq.nlargest(size, suggestions, key=lambda suggestion: suggestion.rank)


@dataclass(frozen=True, slots=True)
class _Part(Record):
    """A piece of a record.

    Args:
        offset: Where it begins in the record's text.
        whole: Whether it is all of it.
    """

    offset: int = 0
    whole: bool = True


def _parts(records: Iterable[Record], tally: Tally, advance: Callable[[], None]) -> Iterator[_Part]:
    for record in records:
        start, length = 0, len(record.text)
        while start < length:
            stop = length
            if length - start > _PIECE:
                low, high = start + _PIECE // 2, start + _PIECE
                cuts = ((record.text.rfind(mark, low, high), len(mark)) for mark in _BREAKS)
                stop = next((at + size for at, size in cuts if at >= 0), high)
            doc_id = _short_id(record)
            whole = stop - start == length
            yield _Part(doc_id, record.text[start:stop], record.path, record.line, {}, start, whole)
            start = stop
        tally.documents += 1
        advance()


def _short_id(record: Record) -> str:
    """Return the id of a record, or where it has none of its own, the name of its file and its line."""
    if record.id not in ("", record.path, f"{record.path}:{record.line}"):
        return record.id
    name = PurePath(record.path).name
    return name if record.line is None else f"{name}:{record.line}"


def _scored(
    nlp: Language,
    records: Iterable[Record],
    report: Report,
    unit: Unit,
    seen: Collection[str] | Seen,
    weights: Weights,
    tally: Tally,
    advance: Callable[[], None],
) -> Iterator[Suggestion]:
    """Score every text that is not left out."""
    known = frozenset(ner.labels) if (ner := trained_ner(nlp)) is not None else frozenset()
    # one at a time: in a batch the last digits of a score depend on what else is in it
    for part, doc in tag_records(nlp, _parts(records, tally, advance), report, batch_size=1):
        assert isinstance(part, _Part)
        doubt = doubts(nlp, doc)
        disputes = list(_disputes(doc, known))
        unknown = list(_unknown(doc))
        for slice_ in cut(doc, unit):
            tally.units += 1
            key = key_of(slice_.text)
            words = key.count(" ") + 1
            if words < SHORTEST:
                tally.short += 1
            elif words > LONGEST and unit is Unit.SENTENCE:
                tally.long += 1
            elif key in seen:
                tally.seen += 1
            else:
                yield _suggestion(part, slice_, key, doubt, disputes, unknown, weights)


def _disputes(doc: Doc, labels: Collection[str]) -> Iterator[Slice]:
    """Yield where the sources disagree: what a list or form is sure of and the ner has not, or the other way round.

    Args:
        doc: The tagged document.
        labels: The labels of the ner; of others it can know nothing.
    """
    group = doc.spans.get(GROUP, ())
    guessed = {(span.start, span.end, span.label) for span in group if span.id_ == "ner"}
    taken = {(ent.start, ent.end, ent.label) for ent in doc.ents}
    agreed = {(i, label) for start, end, label in guessed & taken for i in range(start, end)}
    covered: set[int] = set()
    for span in group:
        if span.id_ == "ner":
            disputed = (span.start, span.end, span.label) not in taken
        else:  # a shorter name within one that is agreed on disputes nothing
            sure = span.id_[-1:] not in (UNSURE, TOPICAL)
            disputed = sure and span.label_ in labels and (span.start, span.label) not in agreed
        if disputed and covered.isdisjoint(range(span.start, span.end)):
            covered.update(range(span.start, span.end))
            yield span


def _unknown(doc: Doc) -> Iterator[Slice]:
    """Yield names of which the knowledge base has no entry: guessed by the ner, or built as chemical names are."""
    if GROUP in doc.spans:
        for ent in doc.ents:
            if ent.label_ in _NAMES and (ent.id_ == "nomenclature" or (ent.id_ == "ner" and not ent.kb_id_)):
                yield ent


def _suggestion(
    part: _Part,
    slice_: Slice,
    key: str,
    doubt: NDArray[numpy.float32],
    disputes: Sequence[Slice],
    unknown: Sequence[Slice],
    weights: Weights,
) -> Suggestion:
    doubt = doubt[slice_.start : slice_.end]
    expected = float(doubt.sum())
    disputed = [span.text for span in disputes if slice_.start <= span.start < slice_.end]
    names = sorted({ent.text for ent in unknown if slice_.start <= ent.start < slice_.end})
    total = weights.doubt * expected + weights.disagreement * len(disputed) + weights.unknown * len(names)
    score = round(total / len(slice_) ** weights.length, 4)
    unsure = [
        token.text for token, least in zip(slice_, doubt, strict=True) if least >= _UNSURE_OF and token.text.strip()
    ]
    reasons = {"model unsure of": unsure, "sources disagree on": disputed, "unknown name": names}
    why = [f"{what} {', '.join(list(dict.fromkeys(texts))[:_NAMED])}" for what, texts in reasons.items() if texts]
    offset = part.offset + slice_.start_char
    certainty = {"certainty": f"{1 - expected / len(slice_):.4f}"} if expected else {}  # without a ner, no doubts
    meta = {
        "source": part.path,
        "document": part.id,
        "offset": str(offset),
        "score": f"{score:.4f}",
        "doubt": f"{expected:.2f}",
        **certainty,
        "disagreements": str(len(disputed)),
        "unknown": str(len(names)),
        "why": " ".join("; ".join(why).split()),
    }
    if part.line is not None:
        meta["line"] = str(part.line)
    whole = part.whole and len(slice_) == len(slice_.doc)
    spans = tuple(_span(ent, slice_.start_char) for ent in slice_.ents if ent.text.strip())
    return Suggestion(Document(part.id if whole else f"{part.id}:{offset}", slice_.text, spans, meta), key, score)


def _span(ent: Slice, start: int) -> Span:
    """Return an entity as a span of the slice, without the white space that some models leave at its edges."""
    action = ent.kb_id_ if ent.label_ == "POLICY_VERB" and ent.kb_id_ in ACTIONS else ""
    before, after = (len(ent.text) - len(text) for text in (ent.text.lstrip(), ent.text.rstrip()))
    return Span(ent.start_char + before - start, ent.end_char - after - start, ent.label_, action)


def _diverse(pool: Sequence[Suggestion], count: int) -> list[Suggestion]:
    """Choose greedily by score, less what is like something chosen already, and never the same twice."""
    if not pool:
        return []
    vectors = _vectors([suggestion.key for suggestion in pool])
    scores = numpy.array([suggestion.score for suggestion in pool])
    nearest = numpy.zeros(len(pool), dtype="f")
    chosen: list[Suggestion] = []
    while len(chosen) < count:
        gains = numpy.where(nearest < _ALIKE, scores * (1 - nearest), -1.0)
        best = int(gains.argmax())
        if gains[best] < 0:
            break
        chosen.append(pool[best])
        nearest = numpy.maximum(nearest, vectors @ vectors[best])
        nearest[best] = 1.0  # a text without a rare word is like nothing, itself included
    return chosen


def _vectors(keys: Sequence[str]) -> NDArray[numpy.float32]:
    """Return a row of length 1 for each text: its words, hashed, the rare ones weighing more."""
    vectors = numpy.zeros((len(keys), _COLUMNS), dtype="f")
    for row, key in zip(vectors, keys, strict=True):
        for word in set(key.split()):
            row[crc32(word.encode()) % _COLUMNS] = 1.0
    vectors *= numpy.log((1 + len(keys)) / (1 + (vectors > 0).sum(axis=0))) + 0.1
    found: NDArray[numpy.float32] = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def _with_ids(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """Put the place before an id that several texts have."""
    uses = Counter(suggestion.document.id for suggestion in suggestions)

    def named(document: Document) -> Document:
        if uses[document.id] == 1:
            return document
        place = [document.meta[name] for name in ("source", "line") if name in document.meta]
        return replace(document, id=":".join([*place, document.id]))

    return [replace(suggestion, document=named(suggestion.document)) for suggestion in suggestions]
