"""Training settings: a config, the options that replace single settings of it, and what must be there to follow it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from configparser import Error as ParserError
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

from spacy.language import DEFAULT_CONFIG
from spacy.schemas import ConfigSchemaTraining
from spacy.util import dict_to_dot, registry, set_dot_to_object
from thinc.api import Config, ConfigValidationError

from .errors import UsageError
from .paths import flaw
from .shipped import MODEL, configs

_LONGEST: Final = 300  # some libraries list all that they know in an error

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example


def load_settings(config: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a training config.

    Args:
        config: ``sm``, ``trf`` or ``tune``, which ship with the package, or the path of a config.
        overrides: Dotted settings that replace those of the config, as ``{"training.max_steps": 200}``.

    Returns:
        The config, with the defaults of spaCy, its variables not yet filled in.

    Raises:
        UsageError: There is no such config, it is broken, or an override names no setting of it.
    """
    path = configs() / f"{config}.cfg" if config in _named() else Path(config)
    if flaw(path) or not path.is_file():
        raise UsageError(f"there is no config {str(config)!r}: give one of {', '.join(_named())}, or a file")
    try:
        given = Config().from_disk(path, interpolate=False)
        settings = DEFAULT_CONFIG.merge(given)
    except (ConfigValidationError, ParserError, ValueError) as error:
        raise UsageError(f"{path}: {_one_line(error)}") from None
    _check_names(given, DEFAULT_CONFIG, path)
    for section in ("nlp", "training", "initialize"):
        _check_names(given.get(section, {}), DEFAULT_CONFIG[section], path, f"{section}.")
    override(settings, overrides or {})
    return settings


def override(settings: Config, overrides: Mapping[str, Any], *, within: str = "") -> None:
    """Replace single settings.

    Args:
        settings: Changed in place.
        overrides: Dotted settings with their values.
        within: The one section that may be changed, or empty for all.

    Raises:
        UsageError: There is no such setting, or it may not be changed.
    """
    known = dict_to_dot(settings)
    for name, value in overrides.items():
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.7)
            hint = f"did you mean --{near[0]}?" if near else "the config has none like it"
            raise UsageError(f"there is no setting --{name}: {hint}")
        if within and not name.startswith(f"{within}."):
            raise UsageError(
                f"--{name} cannot be changed where training goes on from a model: start anew with --base none"
            )
        set_dot_to_object(settings, name, value)


def read_overrides(arguments: Sequence[str], options: Sequence[str] = ()) -> dict[str, Any]:
    """Read dotted settings from the command line, ``--training.max_steps 200`` or ``--training.max_steps=200``.

    Args:
        arguments: What the command line holds beside the known options.
        options: The known options, from which one is suggested for a typo.

    Returns:
        Setting -> value, which is read as JSON, or else taken as text.

    Raises:
        UsageError: An argument that is no setting, or a setting without a value.
    """
    overrides: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        name, separator, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise UsageError(f"unexpected argument {name!r}")
        if "." not in name:
            near = get_close_matches(name, options, n=1)
            raise UsageError(f"there is no option {name}" + (f": did you mean {near[0]}?" if near else ""))
        if not separator:
            if not rest:
                raise UsageError(f"{name} needs a value")
            value = rest.pop(0)
        try:
            overrides[name[2:]] = json.loads(value)
        except ValueError:
            overrides[name[2:]] = value
    return overrides


def check_settings(settings: Config) -> None:
    """Raise where a training cannot follow its settings.

    Args:
        settings: The config.

    Raises:
        UsageError: A package is missing, or a setting has a wrong value or an unknown name.
    """
    try:
        filled = settings.interpolate()
        wants_transformers = any("spacy-transformers." in str(value) for value in dict_to_dot(filled).values())
        if wants_transformers and find_spec("spacy_transformers") is None:
            raise UsageError(
                "the config needs spacy-transformers, which is missing: pip install 'drugpolicy-ner[transformers]'"
            )
        registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    except (ConfigValidationError, ParserError, ValueError, KeyError) as error:
        raise UsageError(f"the config cannot be followed: {_one_line(error)}") from None


def new_pipeline(settings: Config) -> Language:
    """Make the pipeline of a config, without weights.

    Word vectors, where the config names none, are those of the shipped model: the action classes of verbs need some.

    Raises:
        UsageError: A setting has a wrong value, or an encoder cannot be loaded.
    """
    from spacy.util import load_model_from_config

    if not settings.interpolate()["initialize"]["vectors"]:
        settings["initialize"]["vectors"] = str(MODEL)
    try:
        nlp: Language = load_model_from_config(settings, auto_fill=True)
    except (ConfigValidationError, ParserError, ValueError, OSError, KeyError) as error:
        raise UsageError(f"the config cannot be followed: {_one_line(error)}") from None
    return nlp


def start(nlp: Language, examples: Sequence[Example]) -> None:
    """Give the pipeline of a config its first weights: drawn at random, and those of an encoder.

    Args:
        nlp: What `new_pipeline` made.
        examples: From which labels and sizes are taken.

    Raises:
        UsageError: An encoder or word vectors cannot be loaded.
    """
    from thinc.api import Optimizer

    unused = Optimizer(0.001)  # the loop makes its own; one made here would not have its variables filled in
    try:
        nlp.initialize(lambda: examples, sgd=unused)
    except Exception as error:  # the libraries behind an encoder raise many kinds
        encoder = nlp.config.interpolate()["paths"].get("encoder")
        what = f"the encoder {encoder!r} cannot be loaded" if encoder else "the config cannot be followed"
        raise UsageError(f"{what}: {_one_line(error)}") from error


def require_gpu(number: int) -> None:
    """Use a GPU.

    Args:
        number: Which one, from 0; -1 for none.

    Raises:
        UsageError: It cannot be used.
    """
    if number < 0:
        return
    from thinc.api import require_gpu

    try:
        require_gpu(number)
    except Exception as error:  # cupy and torch raise errors of their own
        raise UsageError(f"GPU {number} cannot be used ({_one_line(error)}): leave --gpu-id out") from None


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any], path: Path, section: str = "") -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
            raise UsageError(f"{path}: there is no {section}{name}: {hint}")


def _named() -> list[str]:
    return sorted(path.stem for path in configs().glob("*.cfg") if path.stem != "pipeline")


def _one_line(error: Exception) -> str:
    if isinstance(error, ConfigValidationError) and error.errors:
        found = [f"{'.'.join(map(str, e.get('loc', ())))}: {e.get('msg', '')}" for e in error.errors]
        return "; ".join(found)
    return shorten(" ".join(str(error).split()), _LONGEST)
