"""README's code blocks run, and its tables agree with the code."""

from __future__ import annotations

import re

import pytest

from drugpolicy_ner.labels import ACTION_DEFINITIONS, LABEL_DEFINITIONS


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.mark.model
def test_readme_python_blocks_run(readme, capsys):
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert "xylazine SUBSTANCE DP:xylazine gazetteer" in out
    assert "US-CSA II 9801" in out
    assert "('methamphetamine', 'SUBSTANCE')" in out


def test_readme_lists_every_label_and_action_class(readme):
    for name, definition in (LABEL_DEFINITIONS | ACTION_DEFINITIONS).items():
        assert f"| {name} | {definition} |" in readme


def test_readme_links_lead_somewhere(readme, root):
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if "://" not in target:
            assert (root / target).exists(), target
