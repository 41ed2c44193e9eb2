"""Where the files lie that come with the package: the model, the configs and the corpus.

Configs and corpus lie outside the package's folder in the repository, one copy of each; the build maps them in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .errors import UsageError

PACKAGE: Final = Path(__file__).parent
MODEL: Final = PACKAGE / "model"


def configs() -> Path:
    """Return the folder of ``sm.cfg``, ``trf.cfg``, ``tune.cfg`` and ``pipeline.cfg``."""
    return _folder("configs", "configs")


def corpus() -> Path:
    """Return the folder of the authored corpus, with ``train`` and ``dev``."""
    return _folder("corpus/authored", "training/corpus")


def base() -> Path:
    """Return the folder of the weights that the shipped model begins with.

    Raises:
        UsageError: There is no source checkout: they do not come with the package.
    """
    root = checkout()
    if root is None or not (root / "training" / "base").is_dir():
        raise UsageError("no folder training/base: run from a source checkout, or name a model with --base")
    return root / "training" / "base"


def checkout() -> Path | None:
    """Return the root of the source checkout that the package is run from, or None where it is installed."""
    root = PACKAGE.parent
    return root if (root / "training" / "corpus").is_dir() and (root / "pyproject.toml").is_file() else None


def _folder(installed: str, source: str) -> Path:
    inside = PACKAGE / installed
    return inside if inside.is_dir() else PACKAGE.parent / source
