"""The walk-through in training/README.md runs, from a Label Studio export and from a brat folder to a wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Format, ReadOptions, read_documents, write_documents

# few steps, the fewer from the second time on, and pip fills a folder instead of an environment
PRELUDE = """
drugpolicy-ner() {
    local few=()
    if [ "$1" = train ]; then few=(--training.max_steps "$STEPS" --training.eval_frequency 50 --max-drop 0.05); fi
    command drugpolicy-ner "$@" "${few[@]}"
}
pip() {
    [ "$1 $2" = "install ." ] || { echo "pip is to install the checkout and the wheel" >&2; exit 1; }
    python -m pip install --quiet --no-index --no-deps --target site "${@:3}"
}
"""


@pytest.fixture(scope="module")
def walkthrough(root):
    return (root / "training/README.md").read_text(encoding="utf-8")


def blocks(text):
    """Return the code blocks as (mark in the comment before it, language, code)."""
    return re.findall(r"(?:<!-- (\w+) -->\n)?```(\w+)\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.model
def test_walkthrough_runs(walkthrough, root, tmp_path):
    documents = list(read_documents(root / "tests/data/services-train.txt"))
    write_documents(documents, tmp_path / "export.json", Format.LABEL_STUDIO)
    write_documents(documents, tmp_path / "notes", Format.BRAT)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/held-out.txt").write_text(
        "\n\n".join(document.text for document in read_documents(root / "tests/data/services-held-out.txt")),
        encoding="utf-8",
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path[1:]])}
    ran = []
    for mark, language, code in blocks(walkthrough):
        if language == "bash" and mark not in ("environment", "transformer"):
            command = ["bash", "-euc", PRELUDE + code]
        elif language == "python":
            command = [sys.executable, "-W", "error", "-c", code]
        else:
            continue
        environment["STEPS"] = "250" if "--output model" in code else "50"
        found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{code}\n{found.stdout}\n{found.stderr}"
        ran.append((code, found.stdout))
    (loaded,) = [out for code, out in ran if "spacy.load" in code]
    assert str(("heroin", "SUBSTANCE", "DP:heroin")) in loaded  # so few steps need not teach the new label
    assert len(list(read_documents(tmp_path / "tasks.json", options=ReadOptions(proposals=True)))) == 50
    assert "SERVICE" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "SERVICE" in (tmp_path / "entities.jsonl").read_text(encoding="utf-8")
    assert (tmp_path / "dist/harm_reduction-0.2.0-py3-none-any.whl").is_file()


def test_walkthrough_goes_through_every_stage(walkthrough):
    lines = [line for _, language, code in blocks(walkthrough) if language == "bash" for line in code.splitlines()]
    for stage, times in {"data check": 3, "train": 3, "package": 2, "data split": 1, "evaluate": 1}.items():
        assert sum(line.startswith(f"drugpolicy-ner {stage} ") for line in lines) >= times, stage


def test_walkthrough_options_exist(walkthrough):
    """Of the commands that are not run here too."""
    command = get_command(app)
    lines = re.findall(r"(?:^|`)drugpolicy-ner ([^`\n]*)", walkthrough, flags=re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        name, *words = line.split()
        group = command.commands[name]
        if words and name == "data":
            group = group.commands[words[0]]
        known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = [word for word in words if word.startswith("-")]
        assert set(used) <= known | {"--help"}, line


def test_walkthrough_links_lead_somewhere(walkthrough, root):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", walkthrough):
        if "://" not in target:
            assert (root / "training" / target).exists(), target


def test_walkthrough_needs_five_commands_from_an_export_to_tagged_text(walkthrough):
    steps = ("Check", "Train", "Package and install", "Load")
    sections = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##)", walkthrough, flags=re.DOTALL | re.MULTILINE))
    lines = [code for step in steps for _, language, code in blocks(sections[step]) if language == "bash"]
    assert len("".join(lines).splitlines()) == 5


def test_readme_shows_the_same_commands(walkthrough, root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", readme, flags=re.DOTALL)
    assert len(block.splitlines()) == 5
    for line in block.splitlines():
        assert line in walkthrough.splitlines(), line


def test_readme_table_repeats_the_help(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `(data \w+|evaluate|suggest)` \| (.*?) \|\n", readme)
    assert len(rows) == 5
    for name, said in rows:
        command = get_command(app)
        for word in name.split():
            command = command.commands[word]
        assert command.help.splitlines()[0] == said
