"""What an evaluation found, in one place for every kind of report, and the report for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, cast

from .evaluation import Comparison, Evaluation, Score
from .learning import Step
from .output import Output
from .pairing import LABEL, Error
from .writing import visible

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH: Final = 120  # where no terminal says how wide it is
_CONFUSIONS: Final = 10
_WORST: Final = 5


@dataclass(frozen=True, slots=True)
class Rival:
    """Another model on the same documents.

    Args:
        model: Its name or folder.
        comparison: By how much the model that is reported is better.
    """

    model: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a report shows.

    Args:
        model: Name or folder of the model.
        data: Name of the annotated documents.
        evaluation: What was measured.
        rival: The model that it is compared with.
        log: The training log, if there is one.
        recorded: Scores that the model says it had when it was trained.
    """

    model: str
    data: str
    evaluation: Evaluation
    rival: Rival | None = None
    log: tuple[Step, ...] = ()
    recorded: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it but the texts, for JSON."""
        return {
            "model": self.model,
            "data": self.data,
            **self.evaluation.as_dict(),
            "against": self.rival and {"model": self.rival.model, **self.rival.comparison.as_dict()},
            "training": {"log": [asdict(step) for step in self.log], "recorded": dict(self.recorded)},
        }


def describe_confusions(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """Return gold label, the other label that was given in its place, and how often; the most frequent first."""
    wrong = [
        (gold, given, count)
        for (gold, given), count in evaluation.confusion.items()
        if gold is not None and given is not None and gold != given
    ]
    return sorted(wrong, key=lambda row: -row[2])


def write_text(outcome: Outcome, output: Output, *, errors: int) -> None:
    """Write the report for the terminal.

    Args:
        outcome: What to report.
        output: Where to write it.
        errors: How many errors to show, those of the worst documents first.
    """
    from rich.console import Console

    console = Console(
        file=cast("IO[str]", output),
        highlight=False,
        emoji=False,
        markup=False,
        width=None if output.isatty() else _WIDTH,
    )
    evaluation = outcome.evaluation
    _print(console, f"{outcome.model} on {outcome.data}", style="bold")
    _scores(console, evaluation)
    if outcome.rival:
        _rival(console, outcome.rival)
    if evaluation.seen and evaluation.unseen:
        _surfaces(console, evaluation.seen.micro, evaluation.unseen.micro)
    _sources(console, evaluation)
    if evaluation.action_accuracy is not None:
        right = sum(count for (gold, given), count in evaluation.actions.items() if gold == given)
        total = sum(evaluation.actions.values())
        _print(console, f"action classes: {right} of {total} policy verbs found are right ({right / total:.3f})")
    confusions = [f"{gold} as {given} {count}" for gold, given, count in describe_confusions(evaluation)[:_CONFUSIONS]]
    _print(console, f"confusions: {', '.join(confusions) or 'none'}")
    if evaluation.calibration:
        _print(console, f"calibration: expected error {evaluation.calibration.error:.3f}")
    else:
        _print(console, "calibration: no scores (the model does not say how sure it is)")
    _errors(console, evaluation, errors)


def _print(console: Console, text: str, *, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(visible(text), style=style), soft_wrap=True)


def _table(console: Console, title: str, headings: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(visible(title)), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    for i, row in enumerate(rows):
        table.add_row(*(Text(visible(cell)) for cell in row), style="bold" if i == len(rows) - 1 else "")
    console.print(table)


def _scores(console: Console, evaluation: Evaluation) -> None:
    rows = []
    for name in [*evaluation.labels, "micro"]:
        strict, partial, type_only = (
            scores.micro if name == "micro" else scores.labels[name]
            for scores in (evaluation.strict, evaluation.partial, evaluation.type_only)
        )
        rows.append(
            [
                name,
                f"{strict.precision:.3f}",
                f"{strict.recall:.3f}",
                f"{strict.f:.3f}",
                interval(strict.interval),
                f"{partial.f:.3f}",
                f"{type_only.f:.3f}",
                str(strict.gold),
                str(strict.predicted),
            ]
        )
    headings = ["label", "P", "R", "F", "in 95 %", "partial", "type", "marked", "found"]
    _table(
        console, f"{len(evaluation.results):,} documents: strict P, R and F; partial and type-only F", headings, rows
    )


def _rival(console: Console, rival: Rival) -> None:
    compared = rival.comparison
    rows = [
        [
            name,
            f"{diff.f:.3f}",
            f"{diff.other:.3f}",
            f"{diff.difference:+.3f}",
            interval(diff.interval, sign="+"),
            "" if diff.reverse is None else f"{diff.reverse:.3f}",
        ]
        for name, diff in [*compared.labels.items(), ("micro", compared.micro)]
    ]
    headings = ["label", "F", "other", "difference", "in 95 %", "none or reverse"]
    _table(console, f"\nagainst {rival.model}, paired bootstrap", headings, rows)


def _surfaces(console: Console, seen: Score, unseen: Score) -> None:
    for name, score in (("seen", seen), ("unseen", unseen)):
        _print(
            console,
            f"surfaces {name} in training: P {score.precision:.3f} R {score.recall:.3f} F {score.f:.3f} "
            f"({score.gold} marked, {score.predicted} found)",
        )


def _sources(console: Console, evaluation: Evaluation) -> None:
    for name, source in evaluation.sources.items():
        _print(
            console,
            f"source {name or 'not named'}: precision {source.precision:.3f}, "
            f"{source.correct} of {source.predicted} right, {source.share:.1%} of all that is right",
        )


def _errors(console: Console, evaluation: Evaluation, most: int) -> None:
    worst = [result for result in evaluation.worst() if result.wrong]
    named = ", ".join(f"{result.document.id} ({result.wrong})" for result in worst[:_WORST])
    _print(console, f"most errors: {named or 'no document has any'}")
    total = sum(result.wrong for result in worst)
    for error in islice((error for result in worst for error in result.errors()), most):
        _print(console, f"  {error.doc_id}: {describe_error(error)}: {_line(error)}")
    if most < total:
        _print(console, f"{total - most} more errors: --errors {total} shows all, as do --json and --html")


def _line(error: Error) -> str:
    return " ".join(f"{error.before}[[{error.text}]]{error.after}".split())


def describe_error(error: Error) -> str:
    """Say what is wrong in a few words."""
    if error.kind == LABEL and error.gold and error.predicted:
        return f"{error.gold.label} as {error.predicted.label}"
    return f"{error.kind} {error.label}"


def interval(edges: tuple[float, float] | None, *, sign: str = "") -> str:
    """Write an interval for people, or a dash."""
    return f"{edges[0]:{sign}.3f} to {edges[1]:{sign}.3f}" if edges else "–"
