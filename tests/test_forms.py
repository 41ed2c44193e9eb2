from __future__ import annotations

import json
from pathlib import Path

import pytest

from drugpolicy_ner.errors import DataError
from drugpolicy_ner.forms import Forms, default_forms, read_forms

GOLDEN = (Path(__file__).parent / "golden/forms.tsv").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def forms():
    filled = Forms()
    filled.add(default_forms())
    return filled


@pytest.mark.parametrize("line", [line for line in GOLDEN if not line.startswith("#")])
def test_forms_golden(forms, line):
    label, marked = line.split("\t")
    text = marked.replace("«", "").replace("»", "")
    matches = [match for match in forms.find(text) if not match.unsure]
    # of nested matches the longest is the one that the resolver takes
    outer = [m for m in matches if not any(o.start <= m.start and m.end <= o.end and o[:2] != m[:2] for o in matches)]
    found = {(match.label, text[match.start : match.end]) for match in outer}
    assert found == (set() if label == "-" else {(label, marked.split("«")[1].split("»")[0])})


def write(tmp_path, *rows):
    path = tmp_path / "forms.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


GOOD = {"form": "x", "label": "QUANTITY", "pattern": "{NUM} kg", "example": "5 kg"}
PART = {"define": "NUM", "pattern": r"\d"}


def test_forms_parts_are_filled_in(tmp_path):
    (form,) = read_forms(write(tmp_path, PART, GOOD))
    assert form.pattern == r"(?:\d) kg"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON"),
        (GOOD | {"pattern": "{NUMBER} kg"}, r"part \{NUMBER\} is not defined"),
        (GOOD | {"label": "AMOUNT"}, "unknown label 'AMOUNT'"),
        (GOOD | {"colour": "red"}, "unknown key 'colour'"),
        (GOOD | {"unsure": "yes"}, "must be of type bool"),
        (GOOD | {"pattern": "("}, "not a form"),
        (GOOD | {"example": "five kg"}, "does not match its example"),
        (GOOD | {"hint": "pound"}, "no hint"),
        ({key: value for key, value in GOOD.items() if key != "example"}, "example"),
    ],
)
def test_forms_errors_name_file_and_line(tmp_path, row, message):
    path = write(tmp_path, PART, row)
    with pytest.raises(DataError, match=message) as caught:
        read_forms(path)
    assert (caught.value.path, caught.value.line) == (str(path), 2)


def test_forms_names_are_unique(tmp_path):
    with pytest.raises(DataError, match="stands twice"):
        read_forms(write(tmp_path, PART, GOOD, GOOD))


def test_forms_are_saved_and_loaded(forms, tmp_path):
    text = "Schedule I under 21 U.S.C. 811, 40 kg, class B"
    forms.to_disk(tmp_path / "forms")
    assert list(Forms().from_disk(tmp_path / "forms").find(text)) == list(forms.find(text))
    assert list(Forms().from_bytes(forms.to_bytes()).find(text)) == list(forms.find(text))
