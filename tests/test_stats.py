"""Counts of annotated documents, and `data stats`."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.corpus.statistics import Surface, count_documents

TEXT = """=== a

{{DEA|INSTITUTION}} {{banned|POLICY_VERB:CONTROL}} {{Fentanyl|SUBSTANCE}} and {{fentanyl|SUBSTANCE}}.

=== b

The {{Drug Enforcement
Administration|INSTITUTION}} {{seized|POLICY_VERB:ENFORCE}} {{fentanyl|SUBSTANCE}}, a <b>{{thing|ZEBRA}}</b>.

=== c

Nothing.
"""


def stats(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", "stats", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(TEXT, encoding="utf-8")
    return Path("a.txt")


def test_stats_counts() -> None:
    documents = [
        Document("a", "aa bb\ncc dd", (Span(0, 5, "X"), Span(6, 8, "Y"))),
        Document("b", "AA  BB", (Span(0, 6, "X"),)),
        Document("c", ""),
    ]
    found = count_documents(documents)
    assert (found.documents, found.unmarked, found.words, found.characters, found.spans) == (3, 1, 6, 17, 3)
    assert found.per_1000_words == 500
    assert found.document_words.counts == {"0": 1, "1": 0, "2": 1, "3": 0, "4": 1}
    assert found.labels["X"].top == (Surface("AA BB", 1), Surface("aa bb", 1))
    assert (found.labels["X"].surfaces, found.surfaces, found.labels["X"].documents) == (1, 2, 2)
    assert (found.labels["X"].words.shortest, found.labels["X"].words.counts) == (2, {"2": 2})
    assert found.actions == {}


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30))
def test_stats_lengths_count_every_document_once(sizes: list[int]) -> None:
    found = count_documents(Document(str(i), "w " * size) for i, size in enumerate(sizes)).document_words
    assert sum(found.counts.values()) == len(sizes)
    assert len(found.counts) <= 21
    ranges = [tuple(map(int, name.split("-"))) for name in found.counts]
    assert ranges[0][0] <= min(sizes) <= max(sizes) <= ranges[-1][-1]
    assert all(after[0] == before[-1] + 1 for before, after in pairwise(ranges))
    assert (found.shortest, found.longest) == (min(sizes), max(sizes))


def test_stats_json_is_golden(data: Path, root: Path) -> None:
    result = stats(data, "--json", "--top", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json.loads((root / "tests/golden/stats.json").read_text(encoding="utf-8"))


def test_stats_table(data: Path) -> None:
    result = stats(data)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "3 documents (1 without spans), 14 words, 109 characters"
    assert lines[1] == "8 spans, 6 different, 571.4 in 1,000 words"
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert rows["SUBSTANCE"].split() == ["SUBSTANCE", "3", "█" * 24, "2", "1", "214.29", "1,", "1"]
    assert rows["ZEBRA"].split()[:3] == ["ZEBRA", "1", "█" * 8]
    assert rows["ENFORCE"].split() == ["ENFORCE", "1", "█" * 24]
    assert "  SUBSTANCE: fentanyl 2, Fentanyl 1" in lines
    assert "  INSTITUTION: DEA 1, Drug Enforcement Administration 1" in lines


def test_stats_page(data: Path, tmp_path: Path) -> None:
    result = stats(data, "--html", "page.html")
    assert result.exit_code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")
    assert page.count("<svg") == 4 + 2 + 2 + 4  # bars of spans and of actions; lengths of documents and spans
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_stats_page_escapes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"id": "a", "text": "<script>x</script>", "label": [[0, 8, "<i>"]]}
    path.write_text(json.dumps(row), encoding="utf-8")
    assert stats(path, "--html", tmp_path / "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("a.txt", b"", 1, "a.txt: the file is empty"),
        ("a.jsonl", '{"text": "Straße", "ents": []}'.encode("latin-1"), 1, "a.jsonl:1: not UTF-8"),
        ("a.jsonl", b'{"text": "abc", "label": [[0, 2, "X"], [1, 3, "X"]]}', 1, "overlap"),
        ("a.txt", b"no annotation", 2, "its format is not clear"),
    ],
)
def test_stats_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    result = stats(name, "--html", "page.html")
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert not Path("page.html").exists()


def test_stats_of_no_data(tmp_path: Path) -> None:
    for path, message in [(tmp_path, "no file of annotations in this folder"), (tmp_path / "none", "cannot be read")]:
        result = stats(path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr


def test_stats_says_what_was_left_out(data: Path, root: Path) -> None:
    result = stats(root / "tests/data/formats/prodigy.jsonl")
    assert result.exit_code == 0
    assert "documents answered with reject left out: 1" in result.stderr


def test_stats_does_not_write_over_its_input(data: Path) -> None:
    result = stats(data, "--html", data)
    assert result.exit_code == 2
    assert "is an input too" in result.stderr
    assert data.read_text(encoding="utf-8") == TEXT
