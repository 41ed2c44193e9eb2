from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string

import pytest
import spacy
from typer.testing import CliRunner

import drugpolicy_ner
from drugpolicy_ner import packaging
from drugpolicy_ner.build import save
from drugpolicy_ner.cli import app
from drugpolicy_ner.errors import OutputError, UsageError
from drugpolicy_ner.packaging import card, package

META = {
    "name": "harm_reduction",
    "version": "1.2.0",
    "description": 'Services for people who "use" drugs \\',
    "license": "MIT",
    "labels": {"ner": ["SERVICE", "SUBSTANCE", "QUANTITY"]},
    "performance": {
        "ents_f": 0.875,
        "ents_per_type": {"SERVICE": {"f": 0.875}},
        "replay_ents_f": 0.8123,
        "replay_ents_f_before": 0.82,
        "replay_ents_per_type": {"SUBSTANCE": {"f": 0.93}},
    },
    "notes": "Trained on 100 documents.",
    "sources": [{"name": "GloVe 6B", "url": "https://nlp.stanford.edu/projects/glove/", "license": "PDDL"}],
    "requirements": ["drugpolicy-ner>=0.1.0,<0.2"],
}


@pytest.fixture
def model(tmp_path):
    nlp = spacy.blank("en")
    nlp.tokenizer = spacy.registry.tokenizers.get("drugpolicy.Tokenizer.v1")()(nlp)
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "SERVICE", "pattern": "needle exchange"}])
    nlp.meta.update({key: META[key] for key in ("performance", "notes", "sources", "description")})
    nlp.meta.update(author="Whoever made the base", email="a@example.org", url="https://example.org", license="MIT")
    save(nlp, tmp_path / "model")
    return tmp_path / "model"


def test_package_card_says_what_a_stranger_must_know():
    text = card(META)
    assert "# harm_reduction 1.2.0\n" in text
    assert "| SERVICE | 87.5 | - |  |\n" in text
    assert "| SUBSTANCE | - | 93.0 | One specific psychoactive drug" in text
    assert "| QUANTITY | - | - |" in text
    assert "| all together | 87.5 | 81.2 | |\n" in text
    assert "Before this training the earlier labels had 82.0." in text
    assert "Trained on 100 documents." in text
    assert "- GloVe 6B, https://nlp.stanford.edu/projects/glove/, PDDL\n" in text
    assert "\nMIT. It holds names, forms and, where training went on from the shipped model, weights of" in text
    assert "by the drugpolicy_ner maintainers under the MIT licence." in text
    assert "Needs drugpolicy-ner>=0.1.0,<0.2." in text


def test_package_card_of_a_model_of_unknown_origin():
    text = card({"name": "a", "version": "1", "requirements": []})
    assert "Where its training data come from was not recorded." in text
    assert "Not stated." in text


@pytest.mark.parametrize("name", ["Harm", "2fast", "a-b", "a__b", "class", "", "json", "spacy", "drugpolicy_ner"])
def test_package_name_that_cannot_be_one(tmp_path, name):
    with pytest.raises(UsageError, match="name of a package"):
        package("none", tmp_path, name=name, version="1.0")


def test_package_version_that_cannot_be_one(tmp_path):
    with pytest.raises(UsageError, match=r"'one' is no version: write it as in 1\.2\.0"):
        package("none", tmp_path, name="harm_reduction", version="one")


@pytest.mark.parametrize("missing", ["build", "setuptools"])
def test_package_missing_tools_are_named(monkeypatch, tmp_path, missing):
    monkeypatch.setattr(packaging, "find_spec", lambda name: None if name in (missing, "harm_reduction") else 1)
    with pytest.raises(UsageError, match=rf"{missing} is missing: pip install 'drugpolicy-ner\[train\]'"):
        package("none", tmp_path, name="harm_reduction", version="1.0")


@pytest.mark.parametrize(("version", "most"), [("0.1.0", "0.2"), ("1.9.3", "1.10"), ("2.0.0rc1", "2.1")])
def test_package_requires_the_same_minor_version(version, most):
    assert packaging._next_minor(version) == most


def test_package_requires_who_owns_the_factories(nlp):
    requirements = packaging._requirements(nlp)
    assert requirements[0].startswith(f"drugpolicy-ner>={drugpolicy_ner.__version__},<")
    assert requirements[1].startswith("spacy>=3.8")
    assert len(requirements) == 2


def test_package_builds_a_wheel_of_that_name(model, tmp_path):
    wheel = package(
        str(model),
        tmp_path / "dist",
        name="harm_reduction",
        version="1.2",
        description='It "finds" \\ services\nof all kinds',
        author="Ada O'Neil",
        licence="Apache-2.0",
    )
    assert (
        [path.name for path in (tmp_path / "dist").iterdir()] == ["harm_reduction-1.2-py3-none-any.whl"] == [wheel.name]
    )
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_string(archive.read("harm_reduction-1.2.dist-info/METADATA").decode())
        meta = json.loads(archive.read("harm_reduction/en_harm_reduction-1.2/meta.json"))
        entry = archive.read("harm_reduction-1.2.dist-info/entry_points.txt").decode()
        code = archive.read("harm_reduction/__init__.py").decode()
    compile(code, "harm_reduction", "exec")
    assert "harm_reduction/meta.json" in names
    assert metadata["Name"] == "harm_reduction"
    assert metadata["Author"] == "Ada O'Neil"
    assert metadata["License-Expression"] == "Apache-2.0"
    requirements = metadata.get_all("Requires-Dist")
    assert any(requirement.startswith("drugpolicy-ner<") for requirement in requirements)
    assert "# harm_reduction 1.2" in metadata.get_payload()
    assert meta["performance"] == META["performance"]
    assert (meta["name"], meta["version"], meta["license"]) == ("harm_reduction", "1.2", "Apache-2.0")
    assert entry.split() == ["[spacy_models]", "harm_reduction", "=", "harm_reduction"]


def test_package_claims_neither_author_nor_licence_of_the_model_it_went_on_from(model, tmp_path):
    wheel = package(str(model), tmp_path, name="harm_reduction", version="1.2")
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_string(archive.read("harm_reduction-1.2.dist-info/METADATA").decode())
        meta = json.loads(archive.read("harm_reduction/meta.json"))
        inner = json.loads(archive.read("harm_reduction/en_harm_reduction-1.2/meta.json"))
    for field in ("Author", "Author-email", "Maintainer", "License", "License-Expression", "Home-page", "Project-URL"):
        assert metadata[field] is None, field
    assert meta == inner
    assert [meta[key] for key in ("author", "email", "url", "license")] == ["", "", "", ""]
    assert "\nNot stated. It holds names, forms and" in metadata.get_payload()
    assert "by the drugpolicy_ner maintainers under the MIT licence." in metadata.get_payload()


def test_package_leaves_nothing_when_the_build_fails(model, tmp_path):
    with pytest.raises(OutputError, match=r"the wheel cannot be built: \S"):
        package(str(model), tmp_path / "dist", name="harm_reduction", version="1.0", licence="no such licence")
    assert list((tmp_path / "dist").iterdir()) == []


def test_package_old_setuptools_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("build.ProjectBuilder.check_dependencies", lambda *arguments: {("setuptools>=77",)})
    with pytest.raises(UsageError, match="cannot be built without setuptools>=77: pip install"):
        package(str(model), tmp_path / "dist", name="harm_reduction", version="1.0")


def test_cli_package_wrong_use_gets_a_line(model, tmp_path):
    (tmp_path / "file").touch()
    for arguments in (
        [model, "--name", "json", "--output", tmp_path / "dist"],
        [tmp_path / "none", "--name", "harm_reduction", "--output", tmp_path / "dist"],
        [model, "--name", "harm_reduction", "--output", tmp_path / "file"],
    ):
        result = CliRunner().invoke(app, ["package", *map(str, arguments)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1


def test_cli_package_of_a_damaged_model_or_without_its_tools_gets_a_line(model, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken/config.cfg").write_bytes(b"[nlp\nlang = ")
    arguments = ["--name", "harm_reduction", "--output", str(tmp_path / "dist")]
    result = CliRunner().invoke(app, ["package", str(tmp_path / "broken"), *arguments])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "cannot be loaded" in result.stderr
    monkeypatch.setattr("drugpolicy_ner.packaging.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["package", str(model), *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "drugpolicy-ner: build is missing: pip install 'drugpolicy-ner[train]'\n"
    assert not (tmp_path / "dist").exists()


@pytest.mark.slow
def test_cli_package_is_installed_and_loaded_by_name(model, tmp_path):
    arguments = ["--name", "harm_reduction", "--version", "1.0.1", "--output", str(tmp_path / "dist"), "--json"]
    result = CliRunner().invoke(app, ["package", str(model), *arguments])
    assert result.exit_code == 0, result.stderr
    wheel = json.loads(result.stdout)["wheel"]
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    code = f"""
import sys
sys.path.insert(0, {str(target)!r})
import spacy, harm_reduction
assert harm_reduction.__version__ == "1.0.1"
doc = spacy.load("harm_reduction")("A needle exchange opened.")
assert [(ent.text, ent.label_) for ent in doc.ents] == [("needle exchange", "SERVICE")], doc.ents
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
