"""The command `evaluate`: what it writes, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner, Result

from drugpolicy_ner.cli import app

DATA = """\
=== one

The {{DEA|INSTITUTION}} {{seized|POLICY_VERB:ENFORCE}} {{fentanyl|SUBSTANCE}} and {{Blue Zorb|STREET_NAME}}.

=== two

{{Fentanyl|SUBSTANCE}} and {{Norfentanyl|PRECURSOR}} at home.
"""
PATTERNS = [
    {"label": "SUBSTANCE", "pattern": [{"LOWER": "fentanyl"}], "id": "gazetteer"},
    {"label": "SUBSTANCE", "pattern": "Norfentanyl", "id": "nomenclature"},
    {"label": "INSTITUTION", "pattern": "DEA", "id": "ner"},
    {"label": "PLACE", "pattern": "home", "id": "ner"},
]

Evaluate = Callable[..., Result]


def save(folder: Path, patterns: list[dict[str, object]]) -> Path:
    nlp = spacy.blank("en")
    nlp.meta["performance"] = {"ents_f": 0.75, "ents_p": 0.5}
    nlp.add_pipe("entity_ruler").add_patterns(patterns)  # type: ignore[attr-defined]
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("evaluate") / "model", PATTERNS)  # type: ignore[arg-type]


@pytest.fixture
def evaluate(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Run the command where ``data.txt`` holds the documents and ``model`` is the pipeline."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(DATA, encoding="utf-8")
    Path("model").symlink_to(model)

    def run(*args: str | Path) -> Result:
        return CliRunner().invoke(app, ["evaluate", *map(str, args)], catch_exceptions=False)

    return run


def lines(result: Result) -> list[str]:
    return [line.removeprefix("drugpolicy-ner: ") for line in result.stderr.splitlines()]


def test_help_says_how_labels_are_chosen(evaluate: Evaluate) -> None:
    result = evaluate("--help")
    assert result.exit_code == 0
    assert "Labels that DATA do not hold are not scored" in result.stdout


def test_table(evaluate: Evaluate) -> None:
    result = evaluate("model", "data.txt")
    assert result.exit_code == 0
    assert lines(result) == [
        "found but not scored: PLACE (1); name labels with --labels to score them",
        "the model never gives POLICY_VERB, PRECURSOR, STREET_NAME: all of them count as missed",
    ]
    assert "model on data.txt" in result.stdout
    assert re.search(r"\nSUBSTANCE +0\.667 1\.000 0\.800 ", result.stdout)
    assert re.search(r"\nSTREET_NAME +0\.000 0\.000 0\.000 ", result.stdout)
    assert "confusions: PRECURSOR as SUBSTANCE 1" in result.stdout
    assert "calibration: no scores" in result.stdout
    assert "one: missed POLICY_VERB: The DEA [[seized]] fentanyl and Blue Zorb." in result.stdout


def test_json_alone_goes_to_standard_output(evaluate: Evaluate) -> None:
    result = evaluate("model", "data.txt", "--json", "--train", "data.txt")
    made = json.loads(result.stdout)
    assert result.exit_code == 0
    assert made["strict"]["micro"]["correct"] == 3
    assert made["seen"]["micro"]["gold"] == 6
    assert made["unscored"] == {"PLACE": 1}
    assert made["training"]["recorded"] == {"ents_p": 0.5, "ents_f": 0.75}
    assert made["against"] is None
    assert [document["id"] for document in made["documents"]] == ["one", "two"]


def test_labels_are_chosen(evaluate: Evaluate) -> None:
    result = evaluate("model", "data.txt", "--json", "--labels", "STREET_NAME,PLACE", "--labels", "SUBSTANCE")
    made = json.loads(result.stdout)["strict"]["labels"]
    assert {label: (s["gold"], s["predicted"]) for label, s in made.items()} == {
        "SUBSTANCE": (2, 3),
        "PLACE": (0, 1),
        "STREET_NAME": (1, 0),
    }


def test_page_log_and_rival(evaluate: Evaluate, tmp_path: Path) -> None:
    save(tmp_path / "rival", PATTERNS[:1])  # type: ignore[arg-type]
    Path("log.jsonl").write_text('{"step": 0, "loss": 1, "score": 0}\n{"step": 9, "score": 0.5}\n', encoding="utf-8")
    result = evaluate(
        "model", "data.txt", "--html", "out.html", "--log", "log.jsonl", "--against", "rival", "--limit", "1", "--json"
    )
    assert result.exit_code == 0
    page = Path("out.html").read_text(encoding="utf-8")
    assert "best 0.500 at step 9" in page
    assert "1 of 2 documents" in page
    assert page.endswith("</html>\n")
    made = json.loads(result.stdout)
    assert made["against"]["model"] == "rival"
    assert made["against"]["labels"]["INSTITUTION"]["difference"] == 1.0
    assert made["training"]["log"][1] == {"step": 9, "score": 0.5, "loss": None}


def test_any_format_is_read(evaluate: Evaluate) -> None:
    row = {"text": "The DEA acts.", "spans": [{"start": 4, "end": 7, "label": "INSTITUTION"}]}
    Path("data.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    result = evaluate("model", "data.jsonl", "--json")
    assert json.loads(result.stdout)["strict"]["micro"]["f"] == 1.0


NO_SPAN = "=== one\n\nNothing.\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.txt: the file is empty"),
        ("=== one\n\nbroken {{mark\n", "data.txt:3"),
        (NO_SPAN, "data.txt: no span in 1 documents: annotate them, or name with --labels what counts as wrong"),
    ],
)
def test_data_that_cannot_be_scored(evaluate: Evaluate, text: str, message: str) -> None:
    Path("data.txt").write_text(text, encoding="utf-8")
    result = evaluate("model", "data.txt", "--html", "out.html")
    assert (result.exit_code, result.stdout, len(lines(result))) == (1, "", 1)
    assert message in result.stderr
    assert not Path("out.html").exists()


def test_data_without_spans_show_what_is_wrong_where_labels_are_named(evaluate: Evaluate) -> None:
    Path("data.txt").write_text(NO_SPAN.replace("Nothing", "DEA"), encoding="utf-8")
    result = evaluate("model", "data.txt", "--labels", "INSTITUTION")
    assert result.exit_code == 0
    assert "one: spurious INSTITUTION: [[DEA]]." in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["model", "none.txt"], 1, "none.txt: cannot be read: No such file or directory"),
        (["model", "data.txt", "--train", "none.txt"], 1, "none.txt: cannot be read: No such file or directory"),
        (["model", "data.txt", "--log", "data.txt"], 1, "data.txt:1: no line of a training log"),
        (["model", "folder"], 1, "folder: no file of annotations in this folder"),
        (["none", "data.txt"], 2, "the pipeline 'none' cannot be loaded: [E050] Can't find model 'none'"),
        (["folder", "data.txt"], 2, "the pipeline 'folder' cannot be loaded: [E053] Could not read"),
        (["model", "data.txt", "--against", "none"], 2, "the pipeline 'none' cannot be loaded"),
        (["model", "data.txt", "--labels", "SUBSTANSE"], 2, "unknown label 'SUBSTANSE': did you mean SUBSTANCE?"),
        (["model", "data.txt", "--labels", ","], 2, "--labels names no label"),
        (["model", "data.txt", "--html", "none/out.html"], 2, "there is no folder none: make it first"),
        (["model", "data.txt", "--html", "data.txt"], 2, "data.txt: is an input too: write to another file"),
    ],
)
def test_wrong_use_is_one_line(evaluate: Evaluate, args: list[str], code: int, message: str) -> None:
    Path("folder").mkdir()
    result = evaluate(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    said = [line for line in lines(result) if not line.startswith(("found but not", "the model never"))]
    assert len(said) == 1
    assert message in said[0]
    assert Path("data.txt").read_text(encoding="utf-8") == DATA


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.cfg", b"[nlp\nlang = "),
        (
            "config.cfg",
            b'[nlp]\nlang = "en"\npipeline = ["no_such_thing"]\n[components.no_such_thing]\nfactory = "none"\n',
        ),
        ("config.cfg", b""),
        ("meta.json", b"{"),
        ("tokenizer", b"\x00\x01"),
        ("vocab/strings.json", b"{"),
        ("entity_ruler/patterns.jsonl", b'{"label": "A"}\n'),
        ("entity_ruler/patterns.jsonl", b'{"label"'),
    ],
)
def test_corrupted_model_is_one_line(evaluate: Evaluate, model: Path, file: str, content: bytes) -> None:
    shutil.copytree(model, "broken")
    (Path("broken") / file).write_bytes(content)
    result = evaluate("broken", "data.txt")
    assert (result.exit_code, result.stdout, len(lines(result))) == (2, "", 1)
    assert lines(result)[0].startswith("the pipeline 'broken' cannot be loaded: ")


def other_version(model: Path, folder: Path) -> None:
    shutil.copytree(model, folder)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    (folder / "meta.json").write_text(json.dumps({**meta, "spacy_version": ">=2.3.0,<2.4.0"}), encoding="utf-8")


def test_model_of_another_version_is_used_with_a_warning(evaluate: Evaluate, model: Path) -> None:
    other_version(model, Path("old"))
    result = evaluate("old", "data.txt", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["strict"]["micro"]["correct"] == 3
    assert lines(result)[0].startswith("old: [W095] Model 'en_pipeline' (0.0.0) ")


def test_model_of_another_version_that_cannot_be_used_says_why(evaluate: Evaluate, model: Path) -> None:
    other_version(model, Path("old"))
    Path("old", "tokenizer").write_bytes(b"\x00\x01")
    result = evaluate("old", "data.txt")
    assert (result.exit_code, result.stdout, len(lines(result))) == (2, "", 1)
    assert "cannot be loaded" in result.stderr
    assert "[W095]" in result.stderr


def test_page_that_fails_leaves_nothing(evaluate: Evaluate) -> None:
    assert evaluate("none", "data.txt", "--html", "out.html").exit_code == 2
    assert sorted(path.name for path in Path().iterdir()) == ["data.txt", "model"]


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
def test_terminal_gets_a_bar(evaluate: Evaluate) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-W", "error", "-m", "drugpolicy_ner.cli", "evaluate", "model", "data.txt", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=child, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(child)
        assert process.stdout
        made = json.loads(process.stdout.read())
        shown = os.read(parent, 65536)
    os.close(parent)
    assert process.returncode == 0
    assert made["strict"]["micro"]["correct"] == 3
    assert b"tagging" in shown


@pytest.mark.model
@pytest.mark.slow
def test_shipped_model_on_the_dev_split(root: Path) -> None:
    args = ["evaluate", str(root / "drugpolicy_ner" / "model"), str(root / "training" / "corpus" / "dev"), "--json"]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0
    made = json.loads(result.stdout)
    assert made["strict"]["micro"]["f"] > 0.8
    assert set(made["sources"]) == {"ner", "gazetteer", "form", "definition", "nomenclature"}
