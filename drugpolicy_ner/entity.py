"""An entity as every output format shows it, and the colours of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .labels import LABELS

if TYPE_CHECKING:
    from spacy.tokens import Span

COLOURS: Final[dict[str, str]] = {
    "SUBSTANCE": "#ffd166",
    "DRUG_CLASS": "#f9c3a0",
    "PRECURSOR": "#e6de70",
    "INSTITUTION": "#a9d2ff",
    "CRIMINAL_ORG": "#ffb3b8",
    "LEGAL_INSTRUMENT": "#cabff7",
    "CONTROL_STATUS": "#b5e59d",
    "QUANTITY": "#d6d6d6",
    "POLICY_VERB": "#9be3db",
}
"""Label -> background colour, light enough for text in `INK`."""
OTHER_COLOUR: Final = "#ececec"
INK: Final = "#1b1b1b"


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as it is written.

    Args:
        start: Offset of its first character.
        end: Offset after its last character.
        text: What stands there.
        label: Its label.
        concept: Id of its concept, or None.
        action: Action class, of a POLICY_VERB only.
        source: What decided, one of `candidates.SOURCES`.
    """

    start: int
    end: int
    text: str
    label: str
    concept: str | None
    action: str | None
    source: str | None

    @classmethod
    def of(cls, ent: Span) -> Entity:
        """Read an entity off its span."""
        value = ent.kb_id_ or None
        concept, action = (None, value) if ent.label_ == "POLICY_VERB" else (value, None)
        return cls(ent.start_char, ent.end_char, ent.text, ent.label_, concept, action, ent.id_ or None)


def label_order(label: str) -> tuple[int, str]:
    """Sort key that puts labels in the order of the scheme, and others behind."""
    return (LABELS.index(label) if label in LABELS else len(LABELS), label)
