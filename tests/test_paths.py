"""Paths under which nothing can be get one line and the right exit code, for inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from drugpolicy_ner.build import check_target
from drugpolicy_ner.cli import app
from drugpolicy_ner.concepts import read_own_concepts
from drugpolicy_ner.corpus import Format, read_documents, write_documents
from drugpolicy_ner.corpus.formats import new_folder
from drugpolicy_ner.errors import DataError, DrugPolicyError, OutputError
from drugpolicy_ner.learning import read_log
from drugpolicy_ner.output import open_output
from drugpolicy_ner.packaging import package
from drugpolicy_ner.paths import flaw

LONG = "x" * 300
NUL = "a\0b"
REASONS = {LONG: "the name is too long for this system", NUL: "a path cannot hold a NUL character"}


def test_flaw(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "none", tmp_path / "file/below", "", "x" * 255, "é" * 127):
        assert flaw(path) == ""
    for name, reason in REASONS.items():
        assert flaw(name) == flaw(tmp_path / name) == flaw(tmp_path / name / "below") == reason
    assert flaw("é" * 128) == REASONS[LONG]  # bytes count, not characters


@pytest.mark.parametrize("name", [LONG, NUL])
def test_inputs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for form in (None, Format.JSONL, Format.BRAT):
        with pytest.raises(DataError, match=REASONS[name]):
            list(read_documents(path, form))
    with pytest.raises(DataError, match=REASONS[name]):
        read_own_concepts([path])
    with pytest.raises(DataError, match=REASONS[name]):
        read_log(path)


@pytest.mark.parametrize("name", [LONG, NUL])
def test_outputs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(OutputError, match=REASONS[name]), open_output(path):
        pass
    with pytest.raises(OutputError, match=REASONS[name]), new_folder(path):
        pass
    for form in (Format.JSONL, Format.BRAT):
        with pytest.raises(OutputError, match=REASONS[name]):
            write_documents([], path, form)
    with pytest.raises(OutputError, match=REASONS[name]):
        check_target(path)
    with pytest.raises(DrugPolicyError, match=REASONS[name]):
        package("drugpolicy_ner", path, name="some_model", version="1.0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("tag {bad}", 1),
        ("tag texts --output {bad}", 2),
        ("tag texts --model {bad}", 2),
        ("tag texts --concepts {bad}", 1),
        ("lookup heroin --concepts {bad}", 1),
        ("concepts --output {bad}", 2),
        ("suggest {bad} --output out.spacy", 1),
        ("suggest texts --to jsonl --output {bad}", 2),
        ("suggest texts --to brat --output {bad}", 2),
        ("suggest texts --output out.spacy --seen {bad}", 1),
        ("data check {bad} --html page.html", 1),
        ("data check marked.txt --against {bad}", 1),
        ("data check marked.txt --html {bad}", 2),
        ("data convert {bad} out.spacy", 1),
        ("data convert {bad} out.spacy --from conll", 1),
        ("data convert marked.txt {bad} --to marked", 2),
        ("data convert marked.txt out.spacy --map {bad}", 2),
        ("data split {bad} out", 1),
        ("data split marked.txt {bad}", 2),
        ("data stats {bad}", 1),
        ("data stats marked.txt --html {bad}", 2),
        ("evaluate drugpolicy_ner {bad}", 1),
        ("evaluate {bad} marked.txt", 2),
        ("evaluate drugpolicy_ner marked.txt --log {bad}", 1),
        ("evaluate drugpolicy_ner marked.txt --html {bad}", 2),
        ("train --data {bad} --output out", 2),
        ("train --data marked.txt --output {bad}", 2),
        ("train --data marked.txt --output out --dev {bad}", 2),
        ("train --data marked.txt --output out --base {bad}", 2),
        ("train --data marked.txt --output out --config {bad}", 2),
        ("assemble {bad} --output out", 2),
        ("retrain --corpus {bad} --output out", 2),
        ("package {bad} --name some_model --output out", 2),
    ],
)
def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("The DEA seized 40 kilograms of fentanyl in Tucson.", encoding="utf-8")
    documents = "\n".join(f"=== d{i}\n\nPolice number {i} found {{{{heroin|SUBSTANCE}}}}.\n" for i in range(3))
    Path("marked.txt").write_text(documents, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, [part.format(bad=LONG) for part in command.split()], catch_exceptions=False)
    assert result.exit_code == code
    if command.startswith("data check") and code == 1:  # whose findings are its result
        assert REASONS[LONG] in result.stdout
        return
    assert result.stdout == ""
    assert result.stderr.startswith("drugpolicy-ner: ")
    lines = [line for line in result.stderr.splitlines() if "nothing to suggest" not in line]
    assert len(lines) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_command_goes_on_behind_such_an_input(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The DEA seized fentanyl.", encoding="utf-8")
    for name, reason in REASONS.items():
        result = CliRunner().invoke(app, ["tag", name, str(tmp_path / "a.txt"), "--format", "jsonl"])
        assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
        assert result.stderr == f"drugpolicy-ner: {name}: cannot be read: {reason}\n"
