"""Paths under which nothing can be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .errors import OutputError


def flaw(path: str | Path) -> str:
    """Say what is wrong with a path that no file or folder can have, or nothing.

    To be asked first: `Path.is_dir` and its like raise on such a path where they say of others that nothing is there.

    Args:
        path: The path.
    """
    try:
        os.lstat(path)
    except ValueError:
        return "a path cannot hold a NUL character"
    except OSError as error:
        return "the name is too long for this system" if error.errno == errno.ENAMETOOLONG else ""
    return ""


def check_output(path: str | Path) -> None:
    """Check that something can be written under a path at all.

    Args:
        path: The path.

    Raises:
        OutputError: Nothing can be there.
    """
    if wrong := flaw(path):
        raise OutputError(f"{path}: cannot be written: {wrong}")
