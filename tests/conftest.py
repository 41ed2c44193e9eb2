"""Shared fixtures. With DRUGPOLICY_NER_INSTALLED=1 the tests refuse to run against the source folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import drugpolicy_ner

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from spacy.language import Language

ROOT = Path(__file__).parents[1]

if os.environ.get("DRUGPOLICY_NER_INSTALLED") and Path(drugpolicy_ner.__file__).is_relative_to(ROOT / "drugpolicy_ner"):
    raise RuntimeError(f"the tests import {drugpolicy_ner.__file__}, not the installed package")


@pytest.fixture(scope="session")
def nlp() -> Language:
    """Return the shipped pipeline, loaded once; tests must not change it."""
    return drugpolicy_ner.load()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Return what loads a script of the folder training as a module, without running it."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / "training" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # where its dataclasses look for it
        spec.loader.exec_module(module)
        return module

    return load
