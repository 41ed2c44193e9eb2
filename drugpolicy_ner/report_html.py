"""An evaluation as one self-contained HTML page: no script, no link out, nothing that is loaded.

What opens and closes does so by the browser's own means, and so by keyboard too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from .corpus import Span
from .entity import COLOURS, INK, OTHER_COLOUR, label_order
from .evaluation import Evaluation, Result, Score
from .output import Output
from .pairing import CORRECT, ERRORS, Error, Pair, Prediction
from .plots import bar, curve, difference_bar, reliability
from .reporting import Outcome, Rival, describe_error, interval
from .webpage import escape, head

_STYLE: Final = f"""
:root {{ --heat: 77 143 214; --miss: 214 96 77; }}
@media (prefers-color-scheme: dark) {{ :root {{ --heat: 60 120 190; --miss: 190 80 65; }} }}
body {{ max-width: 75rem; }}
h3 {{ margin: 1rem 0 .3rem; font-size: 1rem; }}
p {{ max-width: 50rem; }}
a {{ color: inherit; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .8rem 0; padding: 0; list-style: none; }}
.scroll {{ margin: .8rem 0; overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }}
th, td {{ padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }}
th:first-child {{ padding-left: 0; text-align: left; }}
thead th {{ vertical-align: bottom; color: var(--soft); font-weight: 600; }}
tbody th {{ font-weight: 400; }}
tr.sum > * {{ border-top: 2px solid var(--ink); font-weight: 600; }}
.row {{ grid-template: "name bar value" / minmax(6rem, 12rem) 1fr 16rem; }}
svg.curve {{ height: 11rem; border-left: 1px solid var(--mark); }}
svg * {{ vector-effect: non-scaling-stroke; }}
.loss {{ fill: var(--bad); }}
.whisker {{ stroke: var(--ink); stroke-width: 1.5; }}
.axis {{ fill: none; stroke: var(--mark); }}
.line {{ fill: none; stroke: var(--fill); stroke-width: 2; }}
.dot {{ stroke: var(--fill); stroke-width: 6; stroke-linecap: round; }}
.heat td {{ min-width: 2.8rem; text-align: center; border: 1px solid var(--paper); }}
.heat thead th {{ writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .4rem .2rem; }}
.heat thead th:first-child {{ writing-mode: horizontal-tb; transform: none; }}
.heat td.right {{ background: rgb(var(--heat) / var(--share)); }}
.heat td.wrong {{ background: rgb(var(--miss) / var(--share)); }}
.sides {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem; margin-bottom: 1rem; }}
.text {{ max-width: none; line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; }}
mark {{ padding: .1em .25em; border-radius: .25em; background: {OTHER_COLOUR}; color: {INK};
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }}
mark[data-label]::after {{ content: " " attr(data-label); font-size: .65em; font-weight: 600; }}
mark.differs {{ outline: 2px solid var(--bad); outline-offset: 1px; }}
mark.differs::after {{ color: #a01d10; }}
ul.errors {{ margin: 0 0 1rem; padding: 0; list-style: none; }}
ul.errors li {{ padding: .35rem 0; border-top: 1px dotted var(--line); overflow-wrap: anywhere; }}
.kind {{ color: var(--bad); font-weight: 600; }}
@media (max-width: 40rem) {{
  .sides {{ grid-template-columns: 1fr; gap: .3rem; }}
  .row {{ grid-template: "name value" "bar bar" / 1fr auto; margin: .7rem 0; font-size: .85rem; }}
}}
@media print {{ nav {{ display: none; }} }}
""" + "\n".join(f".{label} {{ background: {colour}; }}" for label, colour in COLOURS.items())


def write_html(outcome: Outcome, output: Output, *, limit: int) -> None:
    """Write the page.

    Args:
        outcome: What to report.
        output: Where to write it.
        limit: How many documents to show with their text, the worst first; 0 for all.
    """
    evaluation = outcome.evaluation
    output.write(head(f"{outcome.model} on {outcome.data}", f"{_STYLE}\n"))
    sections = [
        ("scores", "Scores", _scores(evaluation)),
        ("comparison", "Comparison", _comparison(outcome.rival)),
        ("surfaces", "Seen and unseen names", _surfaces(evaluation)),
        ("sources", "Sources", _sources(evaluation)),
        ("confusion", "Confusion of labels", _confusion(evaluation)),
        ("actions", "Action classes", _actions(evaluation)),
        ("calibration", "Calibration", _calibration(evaluation)),
        ("training", "Training", _training(outcome)),
        ("documents", "Documents", _documents(evaluation, limit)),
        ("errors", "Errors", _errors(evaluation)),
    ]
    shown = [(name, title, body) for name, title, body in sections if body is not None]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in shown)
    output.write(f'{_header(outcome)}<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n')
    for name, title, body in shown:
        output.write(f'<section id="{name}">\n<h2>{title}</h2>\n')
        for part in body:
            output.write(f"{part}\n")
        output.write("</section>\n")
    output.write("</main>\n</body>\n</html>\n")


def _header(outcome: Outcome) -> str:
    evaluation = outcome.evaluation
    micro = evaluation.micro
    figures = [
        ("F score, strict", f"{micro.f:.3f}", _within(micro)),
        ("precision", f"{micro.precision:.3f}", f"{micro.predicted:,} found"),
        ("recall", f"{micro.recall:.3f}", f"{micro.gold:,} marked"),
        (
            "documents",
            f"{len(evaluation.results):,}",
            f"{sum(bool(r.wrong) for r in evaluation.results):,} with errors",
        ),
    ]
    items = "".join(
        f'<li>{name}<b>{value}</b><span class="soft">{escape(note)}</span></li>' for name, value, note in figures
    )
    return (
        f'<header>\n<h1>{escape(outcome.model)}</h1>\n<p class="soft">on {escape(outcome.data)}</p>\n'
        f'<ul class="figures">{items}</ul>\n</header>\n'
    )


def _scores(evaluation: Evaluation) -> Iterator[str]:
    yield '<p class="soft">Strict F score of each label; the whisker spans 95 % of the bootstrap samples.</p>'
    for name, score in _named(evaluation.strict.labels, evaluation.micro):
        value = f"{score.f:.3f} {_within(score)}"
        yield _row(name, value, bar(score.f, score.interval, label=f"{name}: F {value}"))
    rows = []
    for name, strict in _named(evaluation.strict.labels, evaluation.micro):
        partial, type_only = (
            scores.micro if strict is evaluation.micro else scores.labels[name]
            for scores in (evaluation.partial, evaluation.type_only)
        )
        parts = [strict.precision, strict.recall, strict.f, partial.f, type_only.f]
        rows.append([name, *(f"{part:.3f}" for part in parts), f"{strict.gold:,}", f"{strict.predicted:,}"])
    yield _table(["label", "precision", "recall", "F", "partial F", "type-only F", "marked", "found"], rows, total=True)
    yield (
        '<p class="soft">Strict: start, end and label are equal. Type-only: the label is equal and the spans overlap. '
        "Partial: as type-only, but a differing edge counts by half.</p>"
    )
    if evaluation.unscored:
        left = ", ".join(f"{label} ({count:,})" for label, count in evaluation.unscored.items())
        yield f"<p>Found but not scored, as the data are not marked with these labels: {escape(left)}.</p>"


def _comparison(rival: Rival | None) -> Iterable[str] | None:
    if rival is None:
        return None
    compared = rival.comparison
    rows = [*compared.labels.items(), ("micro", compared.micro)]
    scale = max([0.01, *(abs(edge) for _, diff in rows for edge in (diff.difference, *(diff.interval or ())))])
    parts = [
        f'<p class="soft">Difference in strict F to {escape(rival.model)}: to the right, the model of this report is '
        "better. Both were scored on the same bootstrap samples.</p>"
    ]
    table = []
    for name, diff in rows:
        within = interval(diff.interval, sign="+")
        value = f"{diff.difference:+.3f}"
        plot = difference_bar(diff.difference, diff.interval, scale, label=f"{name}: {value}, 95 %: {within}")
        parts.append(_row(name, f"{value} ({within})", plot))
        reverse = "–" if diff.reverse is None else f"{diff.reverse:.3f}"
        table.append([name, f"{diff.f:.3f}", f"{diff.other:.3f}", value, reverse])
    parts.append(_table(["label", "F", "other F", "difference", "none or reverse"], table, total=True))
    parts.append(
        '<p class="soft">None or reverse: share of the samples without this difference; near 0, it is no chance.</p>'
    )
    return parts


def _surfaces(evaluation: Evaluation) -> Iterable[str] | None:
    if evaluation.seen is None or evaluation.unseen is None:
        return None
    rows = []
    for name, seen in _named(evaluation.seen.labels, evaluation.seen.micro):
        unseen = evaluation.unseen.micro if seen is evaluation.seen.micro else evaluation.unseen.labels[name]
        rows.append([name, *(cell for score in (seen, unseen) for cell in (f"{score.f:.3f}", f"{score.gold:,}"))])
    both = (("seen in training", evaluation.seen.micro), ("unseen", evaluation.unseen.micro))
    return [
        '<p class="soft">Strict F over names that stand in the training data with the same label, and over others.</p>',
        *(
            _row(name, f"{score.f:.3f} {_within(score)}", bar(score.f, score.interval, label=f"{name}: {score.f:.3f}"))
            for name, score in both
        ),
        _table(["label", "F, seen", "marked", "F, unseen", "marked"], rows, total=True),
    ]


def _sources(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.sources:
        yield "<p>Nothing was found.</p>"
        return
    yield '<p class="soft">Precision of what each part of the pipeline decided, and its share of all that is right.</p>'
    rows = []
    for key, source in evaluation.sources.items():
        name, value = key or "not named", f"{source.precision:.3f}"
        yield _row(name, value, bar(source.precision, label=f"{name}: {value}"))
        rows.append([name, f"{source.share:.1%}", f"{source.correct:,}", f"{source.predicted:,}"])
    yield _table(["source", "share", "right", "found"], rows)


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    yield (
        '<p class="soft">Rows: as marked. Columns: as found. A colour is stronger, the larger the share of its row.</p>'
    )
    yield _heat(evaluation.confusion, "missed", "spurious")


def _actions(evaluation: Evaluation) -> Iterable[str] | None:
    if evaluation.action_accuracy is None:
        return None
    return [
        f"<p>{evaluation.action_accuracy:.1%} of {sum(evaluation.actions.values()):,} policy verbs found have "
        "the right action class. Rows: as marked. Columns: as found.</p>",
        _heat({(gold, given or None): count for (gold, given), count in evaluation.actions.items()}, "none", ""),
    ]


def _calibration(evaluation: Evaluation) -> Iterator[str]:
    found = evaluation.calibration
    if found is None:
        yield "<p>No scores: the model does not say how sure it is.</p>"
        return
    plot = reliability(
        [(b.low, b.high, b.correct) for b in found.bins], label="Share of correct predictions over their score"
    )
    yield f"<p>Expected calibration error: {found.error:.3f}. Bars on the diagonal mean that scores can be trusted.</p>"
    yield f'<figure>{plot}<div class="ends"><span>score 0</span><span>1</span></div></figure>'
    rows = [[f"{b.low:.1f} to {b.high:.1f}", f"{b.count:,}", f"{b.score:.3f}", f"{b.correct:.3f}"] for b in found.bins]
    yield _table(["score", "predictions", "mean score", "right"], rows)


def _training(outcome: Outcome) -> Iterable[str] | None:
    if not outcome.log and not outcome.recorded:
        return None
    parts = []
    scores = [(step.step, step.score) for step in outcome.log if step.score is not None]
    losses = [(step.step, step.loss) for step in outcome.log if step.loss is not None]
    figures = []
    if scores:
        best = max(scores, key=lambda point: point[1])
        figures.append(_curve("Score on held-out documents", scores, f"best {best[1]:.3f} at step {best[0]:,}"))
    if losses:
        figures.append(_curve("Training loss", losses, f"last {losses[-1][1]:,.1f}"))
    if figures:
        parts.append(f'<div class="plots">{"".join(figures)}</div>')
    if outcome.recorded:
        rows = [[name, f"{value:.3f}"] for name, value in outcome.recorded.items()]
        parts += ["<p>Scores that the model recorded when it was trained:</p>", _table(["score", "value"], rows)]
    return parts


def _curve(title: str, points: Sequence[tuple[int, float]], note: str) -> str:
    values = [value for _, value in points]
    span = f"from {min(values):,.3f} to {max(values):,.3f}"
    return (
        f'<figure><figcaption>{title}: {note} <span class="soft">(axis {span})</span></figcaption>'
        f"{curve(points, label=f'{title}, {span}, {note}')}"
        f'<div class="ends"><span>step {points[0][0]:,}</span><span>{points[-1][0]:,}</span></div></figure>'
    )


def _documents(evaluation: Evaluation, limit: int) -> Iterator[str]:
    worst = evaluation.worst()
    shown = worst[:limit] if limit else worst
    many = f"{len(shown):,} of {len(worst):,}" if len(shown) < len(worst) else f"All {len(worst):,}"
    yield (
        f'<p class="soft">{many} documents, those with the most errors first: as marked, and as found. What differs is '
        "outlined and says how.</p>"
    )
    for i, result in enumerate(shown):
        score = result.score
        yield (
            f"<details{' open' if not i else ''}><summary><b>{escape(result.document.id)}</b> "
            f"{_plural(result.wrong, 'error')}, F {score.f:.3f}, {score.gold:,} marked, {score.predicted:,} found"
            '</summary>\n<div class="sides">'
            f"<div><h3>Marked</h3>{_text(result, gold=True)}</div><div><h3>Found</h3>{_text(result, gold=False)}</div>"
            "</div></details>"
        )


def _text(result: Result, *, gold: bool) -> str:
    text = result.document.text
    parts, cursor = [], 0
    spans = [(pair.gold if gold else pair.predicted, pair) for pair in result.pairs]
    for span, pair in sorted(((span, pair) for span, pair in spans if span), key=lambda item: item[0].start):
        parts += [escape(text[cursor : span.start]), _mark(text, span, pair)]
        cursor = span.end
    return f'<p class="text">{"".join(parts)}{escape(text[cursor:])}</p>'


def _mark(text: str, span: Span | Prediction, pair: Pair) -> str:
    name = f"{span.label}:{span.action}" if span.action else span.label
    differs = [] if pair.kind == CORRECT else [pair.kind]
    if pair.gold and pair.predicted and pair.gold.action != pair.predicted.action and pair.kind == CORRECT:
        differs.append("wrong action")
    classes = " ".join([*([span.label] if span.label in COLOURS else []), *(["differs"] if differs else [])])
    source = f' title="{escape(f"source: {span.source}")}"' if isinstance(span, Prediction) and span.source else ""
    return (
        f'<mark class="{classes}" data-label="{escape(" · ".join([name, *differs]))}"{source}>'
        f"{escape(text[span.start : span.end])}</mark>"
    )


def _errors(evaluation: Evaluation) -> Iterator[str]:
    errors = sorted(evaluation.errors(), key=lambda error: (label_order(error.label), ERRORS.index(error.kind)))
    if not errors:
        yield "<p>There are none.</p>"
    for label, group in groupby(errors, key=lambda error: error.label):
        own = list(group)
        kinds = ", ".join(
            f"{sum(error.kind == kind for error in own):,} {kind}"
            for kind in ERRORS
            if any(error.kind == kind for error in own)
        )
        items = "\n".join(_error(error) for error in own)
        yield f"<details><summary><b>{escape(label)}</b> {kinds}</summary>\n<ul class='errors'>{items}</ul></details>"


def _error(error: Error) -> str:
    edges = ""
    if (
        error.gold
        and error.predicted
        and (error.gold.start, error.gold.end)
        != (
            error.predicted.start,
            error.predicted.end,
        )
    ):
        first = min(error.gold.start, error.predicted.start)
        marked, found = (error.text[s.start - first : s.end - first] for s in (error.gold, error.predicted))
        edges = f" marked “{escape(marked)}”, found “{escape(found)}”"
    return (
        f'<li><span class="kind">{escape(describe_error(error))}</span> …{escape(error.before)}'
        f"<mark>{escape(error.text)}</mark>{escape(error.after)}… "
        f'<span class="soft">{escape(error.doc_id)}{edges}</span></li>'
    )


def _heat(counts: dict[tuple[str | None, str | None], int], column: str, row: str) -> str:
    """A table whose cells are coloured; the names stand for what only one side has."""
    rows, columns = (
        sorted({key[side] for key in counts}, key=lambda name: (name is None, label_order(name or "")))
        for side in (0, 1)
    )
    head = "".join(f'<th scope="col">{escape(column if name is None else name)}</th>' for name in columns)
    lines = []
    for gold in rows:
        total = sum(counts.get((gold, given), 0) for given in columns)
        cells = []
        for given in columns:
            count = counts.get((gold, given), 0)
            kind = "right" if gold == given else "wrong"
            style = f' class="{kind}" style="--share: {0.12 + 0.7 * count / total:.2f}"' if count else ""
            cells.append(f"<td{style}>{f'{count:,}' if count else ''}</td>")
        lines.append(f'<tr><th scope="row">{escape(row if gold is None else gold)}</th>{"".join(cells)}</tr>')
    return _scrolling(
        f'<table class="heat"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>',
        "confusion",
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    lines = []
    for i, (name, *cells) in enumerate(rows):
        kind = ' class="sum"' if total and i == len(rows) - 1 else ""
        values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{values}</tr>')
    return _scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>", "figures")


def _scrolling(table: str, name: str) -> str:
    """Let a wide table be moved by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {name}">{table}</div>'


def _row(name: str, value: str, plot: str) -> str:
    named = f'<span class="name">{escape(name)}</span><span class="value">{escape(value)}</span>'
    return f'<div class="row">{named}{plot}</div>'


def _named(labels: dict[str, Score], micro: Score) -> list[tuple[str, Score]]:
    return [*labels.items(), ("micro", micro)]


def _within(score: Score) -> str:
    return f"({interval(score.interval)})" if score.interval else ""


def _plural(count: int, one: str) -> str:
    return f"{count:,} {one if count == 1 else one + 's'}"
