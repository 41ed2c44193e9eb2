"""README's code blocks run, and its tables agree with the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drugpolicy_ner.labels import ACTION_DEFINITIONS, LABEL_DEFINITIONS


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


def own_concepts(readme):
    (block,) = re.findall(r"```json\n(.*?)```", readme, flags=re.DOTALL)
    return block


@pytest.mark.model
def test_readme_python_blocks_run(readme, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.jsonl").write_text(own_concepts(readme), encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert "xylazine SUBSTANCE DP:xylazine gazetteer" in out
    assert "US-CSA II 9801" in out
    assert "('methamphetamine', 'SUBSTANCE')" in out
    assert "['fentanyl'" in out
    assert "('blue zorb', 'MY:blorfentanil')" in out


@pytest.mark.model
def test_readme_command_lines_run(readme, tmp_path):
    blocks = [b for b in re.findall(r"```bash\n(.*?)```", readme, flags=re.DOTALL) if b.startswith("drugpolicy-ner")]
    assert len(blocks) == 3
    (tmp_path / "my.jsonl").write_text(own_concepts(readme), encoding="utf-8")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/a.txt").write_text("Police seized heroin.", encoding="utf-8")
    (tmp_path / "news.jsonl").write_text('{"text": "Police seized 2 kg of heroin."}\n', encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in blocks:
        subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=os.environ | {"PATH": path}, check=True)
    assert "heroin" in (tmp_path / "reports.html").read_text(encoding="utf-8")
    (row,) = map(json.loads, (tmp_path / "entities.jsonl").read_text(encoding="utf-8").splitlines())
    assert [ent["text"] for ent in row["ents"]] == ["heroin"]
    assert json.loads((tmp_path / "fentanyl.json").read_text(encoding="utf-8"))[0]["id"] == "DP:fentanyl"
    assert "DP:heroin" in (tmp_path / "schedule-1-opioids.csv").read_text(encoding="utf-8")
    assert "heroin" in (tmp_path / "tagged.jsonl").read_text(encoding="utf-8")


def test_readme_lists_every_label_and_action_class(readme):
    for name, definition in (LABEL_DEFINITIONS | ACTION_DEFINITIONS).items():
        assert f"| {name} | {definition} |" in readme


def test_readme_links_lead_somewhere(readme, root):
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if "://" not in target:
            assert (root / target).exists(), target
