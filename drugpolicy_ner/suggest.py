"""What to annotate next: the sentences or documents of unlabelled text from which a model should learn most.

Each is scored on its own, while the text streams by: where the trained model is unsure, where the sources disagree, and
which names only a guess knows. Of the best some are then chosen one by one, each time the best that is least like what
is chosen already.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy

from .actions import ACTIONS
from .candidates import GROUP, TOPICAL, UNSURE
from .corpus import Document, Span
from .reading import Record, Report
from .sentences import split
from .tagging import tag_records
from .uncertainty import doubts, trained_ner

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.tokens import Span as Slice

_NAMES: Final = frozenset("SUBSTANCE DRUG_CLASS PRECURSOR INSTITUTION CRIMINAL_ORG LEGAL_INSTRUMENT".split())
"""Labels of names that the knowledge base should know."""

_PIECE: Final = 50_000
"""Characters of the longest document that is taken whole; a longer one is cut at its paragraphs."""

_SHORTEST: Final = 5
_LONGEST: Final = 120
"""Words of a sentence that is worth to be shown alone; more are a table without full stops."""

_SPARE: Final = 10
_FLOOR: Final = 1_000
"""So many times the count, and so many at least, are kept to choose from."""

_SHINGLE: Final = 5
_SEEN: Final = 0.8
"""A text is annotated already if of its sequences of five words this share stands in annotated text."""

_ALIKE: Final = 0.8
"""Cosine from which on two texts are taken for the same."""

_COLUMNS: Final = 2048
_WORD: Final = re.compile(r"\w+")


class Unit(str, Enum):
    """What is suggested."""

    SENTENCE = "sentence"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Weights:
    """How the parts of a score are put together: their sum, divided by the number of tokens to some power.

    Args:
        doubt: Of the number of tokens that the ner is expected to get wrong.
        disagreement: Of each place where the sources disagree.
        unknown: Of each name without an entry in the knowledge base.
        length: The power; 0 prefers long texts, 1 short ones full of difficulties.
    """

    doubt: float = 1.0
    disagreement: float = 0.5
    unknown: float = 0.25
    length: float = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text to annotate.

    Args:
        document: The text with the entities that the pipeline finds; its meta says where it stands and why it was
            chosen. Its id need not be unique.
        key: The words of the text, in which figures count for nothing; texts with the same key are the same.
        score: The higher the more is to be learned.
        words: The number of tokens.
    """

    document: Document
    key: str
    score: float
    words: int

    @property
    def rank(self) -> tuple[float, tuple[int, ...], tuple[str, ...]]:
        """By which it is chosen, the greatest first; whatever order texts come in, it is the same."""
        where = (self.document.text, *self.document.meta.values(), self.document.id)
        return self.score, tuple(-ord(char) for char in self.key[:64]), where


@dataclass(slots=True)
class Summary:
    """What was read and what was left out.

    Args:
        documents: Documents read.
        units: Sentences or documents in them, of which the following were left out.
        seen: Those annotated already.
        short: Those with too few words.
        long: Sentences with too many words.
    """

    documents: int = 0
    units: int = 0
    seen: int = 0
    short: int = 0
    long: int = 0


@dataclass(frozen=True, slots=True)
class _Part(Record):
    """A piece of a record.

    Args:
        offset: Where it begins in the text of the record.
    """

    offset: int = 0
