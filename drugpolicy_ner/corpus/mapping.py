"""Renaming and dropping of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError, UsageError
from ..labels import ACTIONS, LABELS
from ..paths import flaw
from .document import LABEL_FORM, Document, Span
from .source import Notes, parse_json, read_lines, read_text, split_label


def read_map(options: Iterable[str]) -> dict[str, str]:
    """Read what ``--map`` was given.

    Args:
        options: Each ``OLD=NEW``, or a file of such lines (``#`` begins a comment) or of one JSON object.

    Returns:
        New label by old one, empty where the label is to be dropped.

    Raises:
        UsageError: An option that is neither, or two that contradict each other.
        DataError: A file that cannot be read.
    """
    mapping: dict[str, str] = {}
    for option in options:
        for old, new in _pairs(option):
            if mapping.setdefault(old, new) != new:
                raise UsageError(f"--map: {old} is mapped to {mapping[old] or 'nothing'} and to {new or 'nothing'}")
    return mapping


def _pairs(option: str) -> Iterator[tuple[str, str]]:
    path = Path(option)
    if flaw(path) or not path.is_file():
        if "=" not in option:
            raise UsageError(f"--map {option}: is neither OLD=NEW nor a file")
        yield _pair(option, f"--map {option}")
    elif path.suffix.lower() == ".json":
        pairs = parse_json(read_text(path), path)
        if not isinstance(pairs, dict) or not all(isinstance(new, str | None) for new in pairs.values()):
            raise DataError('a map of labels is one object, as {"OLD": "NEW"}', path=path)
        yield from ((old, new or "") for old, new in pairs.items())
    else:
        for number, line in read_lines(path):
            if line.strip() and not line.startswith("#"):
                if "=" not in line:
                    raise DataError(f"expected OLD=NEW, got {line!r}", path=path, line=number)
                yield _pair(line, f"{path}:{number}")


def _pair(text: str, where: str) -> tuple[str, str]:
    old, _, new = (part.strip() for part in text.partition("="))
    if not old:
        raise UsageError(f"{where}: name the label before the =")
    return old, new


class LabelMap:
    """Renames and drops labels.

    Args:
        mapping: New label by old one, empty to drop it; ``POLICY_VERB:ENFORCE`` gives an action class too.
        notes: Takes how many spans were dropped, and new labels that look like misspelt ones of the scheme.
        scheme: Whether new labels must be those of the scheme.

    Raises:
        UsageError: A new label that cannot be.
    """

    def __init__(self, mapping: Mapping[str, str], notes: Notes, *, scheme: bool) -> None:
        self._mapping = dict(mapping)
        self._notes = notes
        self._seen: set[str] = set()
        for old, new in self._mapping.items():
            if new:
                self._check(old, new, scheme)

    def _check(self, old: str, new: str, scheme: bool) -> None:
        label, action = split_label(new)
        close = get_close_matches(label, LABELS, 1, 0.75)
        hint = f"did you mean {close[0]}?" if close else f"labels are {', '.join(LABELS)}"
        if not LABEL_FORM.fullmatch(label):
            raise UsageError(f"--map {old}={new}: a label is one word without : | {{ }}")
        if action and action not in ACTIONS:
            raise UsageError(f"--map {old}={new}: action classes are {', '.join(ACTIONS)}")
        if label not in LABELS and scheme:
            raise UsageError(f"--map {old}={new}: the scheme has no label {label}: {hint}")
        if label not in LABELS and close:
            self._notes.add(f"new label {label} in --map {old}={new} is not in the scheme ({hint})", "the map")

    def __call__(self, document: Document) -> Document:
        """Return a document with other labels; those that are not mapped stay."""
        spans = []
        for span in document.spans:
            self._seen.add(span.label)
            new = self._mapping.get(span.label, span.label)
            if not new:
                self._notes.add(f"spans of {span.label} left out, as the map says", document.id)
            elif span.label in self._mapping:
                spans.append(self._renamed(span, new, document.id))
            else:
                spans.append(span)
        return replace(document, spans=tuple(spans))

    def _renamed(self, span: Span, new: str, doc_id: str) -> Span:
        label, action = split_label(new)
        if label == "POLICY_VERB":
            return replace(span, label=label, action=action or span.action)
        lost = int(bool(span.action))
        self._notes.add(f"action classes left out where {span.label} became {label}", doc_id, lost)
        return replace(span, label=label, action="")

    def check_used(self) -> None:
        """Check, when all documents are through, that every old label occurred.

        Raises:
            UsageError: One that never did.
        """
        for old in self._mapping:
            if old not in self._seen:
                close = get_close_matches(old, self._seen, 1, 0.6)
                known = ", ".join(sorted(self._seen)) or "none"
                hint = f"did you mean {close[0]}?" if close else f"labels here are {known}"
                raise UsageError(f"--map: no span has the label {old}: {hint}")
