"""What a document is cut into: sentences, by rules that know the prose of law and government, or nothing.

spaCy's sentencizer cuts behind every full stop token, also behind "No." and "Sec.", and never at a blank line; and it
cuts through entities.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


class Unit(str, Enum):
    """What is shown for annotation at a time."""

    SENTENCE = "sentence"
    DOCUMENT = "document"


_SHORT: Final = (
    "no nos sec secs art arts para paras par subsec subd pt ch cl reg regs res doc fig vol ed eds p pp v vs cf al "
    "e.g i.e viz approx ca st mr mrs ms dr prof rev hon sen rep gov gen col lt sgt capt det insp supt atty asst "
    "jr sr dept div inc ltd co corp bros mt ft u.n u.k u.s.c c.f.r fed stat supp cong sess jan feb mar apr jun jul aug "
    "sep sept oct nov dec"
)
_OPENING: Final = (
    "the a an this that these those it its he she they we in on at by for from to under after before since when while "
    "as if but and however although there here then his her their our such no all both each some many most"
)
_ABBREVIATIONS: Final = frozenset(_SHORT.split())
"""Words whose full stop ends no sentence, in lower case without it."""

_STARTERS: Final = frozenset(_OPENING.split())
"""Words before which even an abbreviation ends a sentence ("in the U.S. The DEA ...")."""

_END: Final = re.compile(
    r"(?P<blank>\s*\n[^\S\n]*\n\s*)"  # a paragraph
    r"|(?P<item>\s*\n[^\S\n]*(?=[•·▪●*–—-]\s|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]\s))"  # an item of a list
    r"|(?P<mark>[.!?…]+[\"'”’»)\]]*(?:\[\d{1,3}\])?)(?:[^\S\n]+|(?=\n))"
)
_BEFORE: Final = re.compile(r"[\w.&]+$")
_NUMBER: Final = re.compile(r"(?:^|\n)[^\S\n]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})$")
_INITIALS: Final = re.compile(r"(?<!\w)(?:[A-Za-z]\.)+[A-Z]$|(?<![\w-])[A-Z]$")
_NEXT: Final = re.compile(r"[\"'“‘«(\[•*–—-]*\s*(\w+)?")


def cut(doc: Doc, unit: Unit) -> list[Span]:
    """Cut a document.

    Args:
        doc: The document; its entities stay whole.
        unit: Into what.
    """
    return sentences(doc) if unit is Unit.SENTENCE else [doc[:]]


def sentences(doc: Doc) -> list[Span]:
    """Cut a document into sentences.

    Args:
        doc: The document; its entities stay whole.

    Returns:
        Sentences in the order of the text, without white space at their edges.
    """
    text = doc.text
    inside = {i for ent in doc.ents for i in range(ent.start_char + 1, ent.end_char)}
    ends = [match.end() for match in _END.finditer(text) if not (match["mark"] and _goes_on(text, match))]
    found, start = [], 0
    for end in [*(end for end in ends if end not in inside), len(text)]:
        left, right = start, end
        while left < right and text[left].isspace():
            left += 1
        while left < right and text[right - 1].isspace():
            right -= 1
        span = doc.char_span(left, right) if left < right else None
        if span is not None:  # else a token spans the cut, and the next sentence takes this one along
            found.append(span)
            start = end
        elif left == right:
            start = end
    return found


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """Say whether a sentence goes on behind a full stop or the like."""
    following = _NEXT.match(text, match.end())
    word = following[1] if following else None
    if word is None:
        return False
    if word[0].islower():
        return True
    if match["mark"][0] != ".":
        return False
    lead = text[max(0, match.start() - 20) : match.start()]
    if _NUMBER.search(lead if match.start() > 20 else "\n" + lead):  # of a paragraph, "12. The Court"
        return True
    before = _BEFORE.search(lead)
    short = (before and before[0].lower() in _ABBREVIATIONS) or _INITIALS.search(lead)
    return bool(short) and word.lower() not in _STARTERS  # "No. 12", "Sen. Smith", but "Acme Inc. It"
