"""Component drugpolicy_forms: closed forms such as citations, schedules, quantities and institution name shapes.

The forms are data (``data/forms.jsonl``): regular expressions built from named parts. A line either defines a part,
``{"define": "SEC", "pattern": ...}``, for use as ``{SEC}`` in later lines, or is a form::

    {"form": "us-code", "label": "LEGAL_INSTRUMENT", "pattern": ..., "hint": "U.S.C|USC", "example": "21 U.S.C. 811"}

``hint`` lists literal strings of which one must stand in a text for the form to be tried at all; ``unsure`` marks a
form that counts only where the trained model agrees, ``topical`` one that counts only in a document about drugs;
``example`` is a text in which the form must match just what stands between ``«`` and ``»`` (or the whole, where these
are left out).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import srsly
from spacy.language import Language

from .candidates import Match, add_candidates
from .errors import DataError
from .labels import LABELS

if TYPE_CHECKING:
    from spacy.tokens import Doc

_PART: Final = re.compile(r"\{([A-Z]+)\}")
_KEYS: Final = {
    "form": str,
    "label": str,
    "concept": str,
    "pattern": str,
    "hint": str,
    "unsure": bool,
    "topical": bool,
    "systematic": bool,
    "prefix": str,
    "example": str,
}


class Form(NamedTuple):
    """A closed form, its named parts filled in.

    Args:
        name: Unique among the forms.
        label: Entity label of what it matches.
        pattern: Regular expression.
        hints: Literal strings of which one must stand in the text; none means always.
        unsure: Whether a match counts only where the trained model agrees.
        concept: Id of the concept, mostly a class, that every match belongs to; empty for none.
        systematic: Whether the pattern is looked for in a systematic chemical name, see `nomenclature`.
        prefix: Of a chemical name: whether substituents ``may`` or ``must`` stand before what the pattern matches.
        topical: Whether a match counts only in a document about drugs.
    """

    name: str
    label: str
    pattern: str
    hints: tuple[str, ...] = ()
    unsure: bool = False
    concept: str = ""
    systematic: bool = False
    prefix: str = ""
    topical: bool = False


def read_forms(path: str | Path) -> list[Form]:
    """Read forms from a JSONL file.

    Args:
        path: The file, UTF-8.

    Raises:
        DataError: With file and line, for a row that breaks the format, an undefined part, a pattern that does not
            compile or does not match its own example.
    """
    path = Path(path)
    parts: dict[str, str] = {}
    forms: dict[str, Form] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if "define" in row:
                parts[row["define"]] = _expand(row["pattern"], parts)
                continue
            form = _form(row, parts)
        except json.JSONDecodeError as error:
            raise DataError(f"not JSON: {error.msg}", path=path, line=number) from None
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise DataError(f"not a form: {error}", path=path, line=number) from None
        if form.name in forms:
            raise DataError(f"form {form.name!r} stands twice", path=path, line=number)
        forms[form.name] = form
    return list(forms.values())


def default_forms() -> list[Form]:
    """Read the forms that come with the package."""
    with resources.as_file(resources.files(__package__) / "data" / "forms.jsonl") as path:
        return read_forms(path)


def _expand(pattern: str, parts: dict[str, str]) -> str:
    def part(match: re.Match[str]) -> str:
        if match.group(1) not in parts:
            raise ValueError(f"the part {match.group()} is not defined above")
        return f"(?:{parts[match.group(1)]})"

    return _PART.sub(part, pattern)


def _form(row: dict[str, Any], parts: dict[str, str]) -> Form:
    for key, value in row.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}: use {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            raise ValueError(f"{key!r} must be of type {_KEYS[key].__name__}")
    if row["label"] not in LABELS:
        raise ValueError(f"unknown label {row['label']!r}: use {', '.join(LABELS)}")
    hints = tuple(hint for hint in row.get("hint", "").split("|") if hint)
    form = Form(
        row["form"],
        row["label"],
        _expand(row["pattern"], parts),
        hints,
        row.get("unsure", False),
        row.get("concept", ""),
        row.get("systematic", False),
        row.get("prefix", ""),
        row.get("topical", False),
    )
    if form.systematic or form.prefix:  # which match a part of their example
        bare = re.sub(r"\s", "", row["example"]).lower() if form.systematic else row["example"]
        if not re.search(form.pattern, bare):
            raise ValueError(f"the pattern of {form.name!r} does not match its example {row['example']!r}")
        return form
    before, _, rest = (row["example"] if "«" in row["example"] else f"see «{row['example']}»; x").partition("«")
    example, _, after = rest.partition("»")
    if example not in {match.group() for match in re.finditer(form.pattern, before + example + after)}:
        raise ValueError(f"the pattern of {form.name!r} does not match its example {example!r}")
    if hints and not any(hint in example for hint in hints):
        raise ValueError(f"no hint of {form.name!r} stands in its example {example!r}")
    return form


@Language.factory("drugpolicy_forms", assigns=["doc.spans"])
def create_forms(nlp: Language, name: str) -> Forms:
    """Create the component; `Forms.add` or loading a saved pipeline fills it."""
    return Forms()


class Forms:
    """Proposes a span for each match of a form."""

    def __init__(self) -> None:
        self._forms: list[Form] = []
        self._compiled: dict[str, re.Pattern[str]] = {}

    def __len__(self) -> int:
        """Return the number of forms."""
        return len(self._forms)

    def __call__(self, doc: Doc) -> Doc:
        """Add the forms found in a document to its candidates."""
        add_candidates(doc, "form", self.find(doc.text))
        return doc

    def add(self, forms: Iterable[Form]) -> None:
        """Add forms to those present."""
        self._forms += forms

    def find(self, text: str) -> Iterator[Match]:
        """Yield the matches of every form in a text.

        Args:
            text: Any text.
        """
        for form in self._forms:
            yield from self._matches(form, text)

    def _matches(self, form: Form, text: str) -> Iterator[Match]:
        if not form.hints or any(hint in text for hint in form.hints):
            yield from self._matches_between(form, text, 0, len(text))

    def _matches_between(self, form: Form, text: str, start: int, end: int) -> Iterator[Match]:
        for match in self._pattern(form).finditer(text, start, end):
            yield Match(match.start(), match.end(), form.label, form.concept, form.unsure, form.topical)

    def _pattern(self, form: Form) -> re.Pattern[str]:
        pattern = self._compiled.get(form.name)
        if pattern is None:  # compiled at first need: most texts need few forms, and loading stays quick
            pattern = self._compiled[form.name] = re.compile(form.pattern)
        return pattern

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the forms."""
        data: bytes = srsly.msgpack_dumps([list(form) for form in self._forms])
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Forms:
        """Load forms, replacing those present."""
        rows: Any = srsly.msgpack_loads(data)
        self._set(dict(zip(Form._fields, row, strict=True)) for row in rows)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the forms as a file of JSON lines, the parts filled in."""
        srsly.write_jsonl(path, [form._asdict() for form in self._forms])

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Forms:
        """Load forms, replacing those present."""
        rows: Any = srsly.read_jsonl(path)
        self._set(rows)
        return self

    def _set(self, rows: Iterable[dict[str, Any]]) -> None:
        self._forms = [Form(**row)._replace(hints=tuple(row["hints"])) for row in rows]
        self._compiled = {}
