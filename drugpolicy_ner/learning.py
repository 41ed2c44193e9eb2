"""What was measured while a model was trained, out of its training log."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError
from .paths import flaw


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a training log.

    Args:
        step: Updates so far.
        score: Score on held-out documents, where it was measured.
        loss: Loss since the line before, where it was written.
    """

    step: int
    score: float | None
    loss: float | None


def read_log(path: str | Path) -> tuple[Step, ...]:
    """Read a training log: that of this package, or what spaCy's ConsoleLogger writes into a file.

    Args:
        path: A file of JSON Lines with the fields ``step``, ``score`` and ``loss`` (or spaCy's ``losses``, which are
            summed up); other fields may be there.

    Raises:
        DataError: With file and line, for whatever is no such log.
    """
    if wrong := flaw(path):
        raise DataError(f"the training log cannot be read: {wrong}", path=path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"the training log cannot be read: {reason}", path=path) from None
    steps = [_step(line, path, i) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not steps:
        raise DataError("the training log is empty", path=path)
    return tuple(steps)


def _step(line: str, path: str | Path, number: int) -> Step:
    try:
        row: Any = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not _is_number(row.get("step")):
        raise DataError("no line of a training log: it needs an object with a step", path=path, line=number)
    losses = row.get("losses")
    loss = sum(filter(_is_number, losses.values())) if isinstance(losses, dict) and losses else row.get("loss")
    score = row.get("score")
    return Step(int(row["step"]), score if _is_number(score) else None, loss if _is_number(loss) else None)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
