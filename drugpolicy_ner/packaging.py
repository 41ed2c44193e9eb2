"""Packaging: from a pipeline's folder to a wheel that pip installs and spaCy loads by name."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import srsly
from packaging.version import InvalidVersion, Version

from . import __version__
from .build import open_model
from .errors import OutputError, UsageError
from .labels import LABEL_DEFINITIONS
from .paths import check_output

if TYPE_CHECKING:
    from spacy.language import Language

_OURS: Final = "drugpolicy-ner"
_INIT: Final = '''"""{description}"""

from pathlib import Path

from spacy.util import get_model_meta, load_model_from_init_py

__version__ = get_model_meta(Path(__file__).parent)["version"]


def load(**overrides):
    """Load the pipeline; `spacy.load("{name}")` does the same."""
    return load_model_from_init_py(__file__, **overrides)
'''


def package(
    model: str,
    output: str | Path,
    *,
    name: str,
    version: str,
    description: str | None = None,
    author: str | None = None,
    licence: str | None = None,
) -> Path:
    """Make a wheel of a pipeline.

    It requires this version of drugpolicy-ner or a later one of the same minor version, and whatever else the
    pipeline's config names. Labels, scores and what it was trained on stand in its card, which is its README.

    Args:
        model: Name or folder of a pipeline.
        output: Folder for the wheel, made where it is missing.
        name: What is installed, imported and given to `spacy.load`.
        version: Its version.
        description: What it is for, in one sentence; without it, that of the pipeline.
        author: Who made it; without it, the wheel names nobody: the pipeline's meta may name whoever made the model
            that it went on from.
        licence: SPDX expression; without it, the wheel states none, for the same reason.

    Returns:
        The wheel. It appears when it is whole; one of the same name and version is replaced.

    Raises:
        UsageError: The name or the version cannot be used, the pipeline cannot be loaded, or `build` or `setuptools` is
            missing.
        OutputError: The wheel cannot be built or written.
    """
    _check(name, version)
    output = Path(output)
    check_output(output)
    for needed in ("build", "setuptools"):
        if find_spec(needed) is None:
            raise UsageError(f"{needed} is missing: pip install 'drugpolicy-ner[train]'")
    nlp = open_model(model)
    meta = dict(nlp.meta)
    meta.update(name=name, version=version, author=author or "", email="", url="", license=licence or "")
    if description is not None:
        meta["description"] = description
    meta["requirements"] = _requirements(nlp)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".drugpolicy-ner-", dir=output) as scratch:
            source, built = Path(scratch) / "source", Path(scratch) / "built"
            _write_source(nlp, source, meta)
            wheel = _build(source, built)
            target = output / wheel.name
            wheel.replace(target)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror or error}") from error
    return target


def card(meta: Mapping[str, Any]) -> str:
    """Write what a reader must know of a packaged pipeline, as Markdown.

    Args:
        meta: Its meta, with requirements.
    """
    performance = meta.get("performance") or {}
    kept = performance.get("replay_ents_per_type", {})
    lines = [
        f"# {meta['name']} {meta['version']}",
        "",
        meta.get("description") or "A pipeline for drug-policy text.",
        "",
        "```python",
        "import spacy",
        "",
        f'nlp = spacy.load("{meta["name"]}")',
        'doc = nlp("The DEA seized 40 kilograms of fentanyl.")',
        "print([(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents])",
        "```",
        "",
        "## Labels and scores",
        "",
        "F of exact spans, in hundredths, on documents that were held out of training: those with the labels that it "
        "was taught, and those with the labels that it knew before (-: not scored there).",
        "",
        "| label | F, new documents | F, earlier labels | what it marks |",
        "|---|---|---|---|",
    ]
    taught = performance.get("ents_per_type") or {}
    labels = sorted({*(meta.get("labels", {}).get("ner", ())), *taught, *kept})
    for label in labels:
        figures = f"{_figure(taught.get(label))} | {_figure(kept.get(label))}"
        lines.append(f"| {label} | {figures} | {LABEL_DEFINITIONS.get(label, '')} |")
    micro = f"{_figure(performance.get('ents_f'))} | {_figure(performance.get('replay_ents_f'))}"
    lines += [f"| all together | {micro} | |", ""]
    if "replay_ents_f_before" in performance:
        lines += [f"Before this training the earlier labels had {_figure(performance['replay_ents_f_before'])}.", ""]
    lines += ["## Data", "", meta.get("notes") or "Where its training data come from was not recorded.", ""]
    for source in meta.get("sources") or ():
        facts = [source.get("url"), source.get("license")]
        lines.append(f"- {source['name']}" + "".join(f", {fact}" for fact in facts if fact))
    lines += [
        "",
        "## Licence",
        "",
        f"{meta.get('license') or 'Not stated'}. It holds names, forms and, where training went on from the shipped "
        "model, weights of drugpolicy-ner, which is by the drugpolicy_ner maintainers under the MIT licence.",
        "",
        f"Needs {', '.join(meta['requirements'])}.",
        "",
    ]
    return "\n".join(lines)


def _figure(score: Any) -> str:
    value = score.get("f") if isinstance(score, Mapping) else score
    return "-" if value is None else f"{100 * value:.1f}"


def _check(name: str, version: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or iskeyword(name):
        raise UsageError(f"{name!r} cannot be the name of a package: use small letters, digits and single underscores")
    if find_spec(name) is not None and not _is_pipeline(name):
        raise UsageError(f"{name!r} is the name of a package that is installed here: choose another")
    try:
        Version(version)
    except InvalidVersion:
        raise UsageError(f"{version!r} is no version: write it as in 1.2.0") from None


def _is_pipeline(name: str) -> bool:
    from spacy.util import registry

    return name != "drugpolicy_ner" and name in registry.models.get_entry_points()


def _requirements(nlp: Language) -> list[str]:
    """Return what the pipeline needs to be loaded.

    spaCy looks up by top_level.txt who owns a factory, which finds nothing where this package runs from its source: so
    it is named outright.
    """
    from spacy.about import __version__ as spacy_version
    from spacy.cli.package import get_third_party_dependencies
    from spacy.util import get_minor_version_range

    others = get_third_party_dependencies(nlp.config, exclude=[_OURS])
    return [
        f"{_OURS}>={__version__},<{_next_minor(__version__)}",
        f"spacy{get_minor_version_range(spacy_version)}",
        *sorted(others),
    ]


def _next_minor(version: str) -> str:
    release = Version(version).release
    return f"{release[0]}.{release[1] + 1}"


def _write_source(nlp: Language, source: Path, meta: Mapping[str, Any]) -> None:
    """Write the tree from which a wheel is built, laid out as `spacy package` does."""
    name = meta["name"]
    inside = source / name
    data = inside / f"{meta['lang']}_{name}-{meta['version']}"
    inside.mkdir(parents=True)
    nlp.to_disk(data)
    readme = card(meta)
    for folder in (inside, data):
        srsly.write_json(folder / "meta.json", dict(meta))
    for folder in (source, data):
        (folder / "README.md").write_text(readme, encoding="utf-8")
    description = " ".join((meta.get("description") or name).split())
    (inside / "__init__.py").write_text(_INIT.format(description=_inert(description), name=name), encoding="utf-8")
    (source / "pyproject.toml").write_text(_project(meta, description), encoding="utf-8")


def _inert(text: str) -> str:
    """Make a text harmless inside a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _project(meta: Mapping[str, Any], description: str) -> str:
    name = meta["name"]
    strings = {"name": name, "version": meta["version"], "description": description, "readme": "README.md"}
    if meta.get("license"):
        strings["license"] = meta["license"]
    lines = [
        "[build-system]",
        'requires = ["setuptools>=77"]',
        'build-backend = "setuptools.build_meta"',
        "",
        "[project]",
        *(f"{key} = {json.dumps(value)}" for key, value in strings.items()),  # a JSON string is a TOML string
        'requires-python = ">=3.10"',
        f"dependencies = {json.dumps(meta['requirements'])}",
    ]
    if meta.get("author"):
        lines.append(f"authors = [{{ name = {json.dumps(meta['author'])} }}]")
    lines += [
        "",
        '[project.entry-points."spacy_models"]',
        f"{name} = {json.dumps(name)}",
        "",
        "[tool.setuptools]",
        f"packages = [{json.dumps(name)}]",
        "include-package-data = false",
        "",
        "[tool.setuptools.package-data]",
        f'{name} = ["**/*"]',
        "",
    ]
    return "\n".join(lines)


def _build(source: Path, output: Path) -> Path:
    """Build in this environment: an isolated one would be filled from the network."""
    import build
    from pyproject_hooks import quiet_subprocess_runner

    try:
        builder = build.ProjectBuilder(source, runner=quiet_subprocess_runner)
        missing = builder.check_dependencies("wheel")
        if not missing:
            return Path(builder.build("wheel", output))
    except (build.BuildException, build.BuildBackendException) as error:
        cause = getattr(getattr(error, "exception", None), "output", None) or str(error).encode()
        lines = [line for line in cause.decode("utf-8", "replace").splitlines() if line.strip()]
        raise OutputError(f"the wheel cannot be built: {lines[-1].strip()}") from None
    names = ", ".join(sorted(chain[0] for chain in missing))
    raise UsageError(f"the wheel cannot be built without {names}: pip install 'drugpolicy-ner[train]'")
