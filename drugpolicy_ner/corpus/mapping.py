"""Renaming and dropping of labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ..errors import DataError, UsageError
from ..labels import ACTIONS, LABELS
from .document import Document, Span
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
    if not path.is_file():
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


def check_map(mapping: Mapping[str, str], notes: Notes, *, scheme: bool) -> None:
    """Check that new labels exist or can.

    Args:
        mapping: New label by old one.
        notes: Takes new labels that look like misspelt ones of the scheme.
        scheme: Whether new labels must be those of the scheme.

    Raises:
        UsageError: A new label that does not exist.
    """
    for old, new in mapping.items():
        label, action = split_label(new)
        close = get_close_matches(label, LABELS, 1, 0.75)
        hint = f"did you mean {close[0]}?" if close else f"labels are {', '.join(LABELS)}"
        if new and not re.fullmatch(r"[^\s:|{}]+", label):
            raise UsageError(f"--map {old}={new}: a label is one word without : | {{ }}")
        if action and action not in ACTIONS:
            raise UsageError(f"--map {old}={new}: action classes are {', '.join(ACTIONS)}")
        if new and label not in LABELS:
            if scheme:
                raise UsageError(f"--map {old}={new}: the scheme has no label {label}: {hint}")
            if close:
                notes.add(f"new label {label} in --map {old}={new} is not in the scheme ({hint})", "the map")


def map_labels(documents: Iterable[Document], mapping: Mapping[str, str], notes: Notes) -> Iterator[Document]:
    """Rename and drop labels.

    Args:
        documents: The documents.
        mapping: New label by old one, empty to drop it; ``POLICY_VERB:ENFORCE`` gives an action class too.
        notes: Takes how many spans were dropped.

    Yields:
        The documents; labels that are not mapped stay.

    Raises:
        UsageError: At the end, where an old label never occurred.
    """
    seen: Counter[str] = Counter()
    for document in documents:
        seen.update(span.label for span in document.spans)
        spans = []
        for span in document.spans:
            new = mapping.get(span.label, span.label)
            if not new:
                notes.add(f"spans of {span.label} left out, as the map says", document.id)
                continue
            spans.append(_renamed(span, new, document.id, notes) if span.label in mapping else span)
        yield replace(document, spans=tuple(spans))
    for old in mapping:
        if not seen[old]:
            close = get_close_matches(old, seen, 1, 0.6)
            hint = f"did you mean {close[0]}?" if close else f"labels here are {', '.join(sorted(seen)) or 'none'}"
            raise UsageError(f"--map: no span has the label {old}: {hint}")


def _renamed(span: Span, new: str, doc_id: str, notes: Notes) -> Span:
    label, action = split_label(new)
    if label == "POLICY_VERB":
        return replace(span, label=label, action=action or span.action)
    notes.add(f"action classes left out where {span.label} became {label}", doc_id, int(bool(span.action)))
    return replace(span, label=label, action="")
