"""How well a pipeline finds what people marked: scores with bootstrap intervals, every error, and two models compared.

Gold and predicted spans of a document are paired one to one: within a label those that overlap, and among what is then
left those of different labels that overlap. All figures are counts over these pairs:

- strict: start, end and label are equal;
- type-only: the label is equal and the spans overlap, wherever their edges are;
- partial: as type-only, but a pair with an edge that differs counts by half.

Intervals are percentiles of 1,000 bootstrap samples of documents, the same ones at every call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .corpus import Document, Span
from .entity import label_order
from .errors import DataError, UsageError
from .pairing import BOUNDARY, CORRECT, Error, Pair, Prediction, pair_spans
from .reading import Record
from .tagging import tag_records

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from spacy.language import Language
    from spacy.tokens import Doc

RESAMPLES: Final = 1000
_VERB: Final = "POLICY_VERB"
_BINS: Final = 10
_BATCH: Final = 16  # small, so that progress is seen
_AT_ONCE: Final = 4_000_000  # numbers held at a time while documents are drawn


@dataclass(frozen=True, slots=True)
class Score:
    """Counts and what follows from them.

    Args:
        gold: Spans that people marked.
        predicted: Spans that the pipeline found.
        correct: Predictions that are right; half ones make it a fraction.
        interval: From where to where the F score lies in 95 % of the samples; None where documents or spans are too
            few to tell.
    """

    gold: int
    predicted: int
    correct: float
    interval: tuple[float, float] | None = None

    @property
    def precision(self) -> float:
        """Share of the predictions that are right; 0 where there are none."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold spans that were found; 0 where there are none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        return 2 * self.correct / (self.gold + self.predicted) if self.gold + self.predicted else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "precision": _round(self.precision),
            "recall": _round(self.recall),
            "f": _round(self.f),
            "gold": self.gold,
            "predicted": self.predicted,
            "correct": self.correct,
            "interval": self.interval and [_round(edge) for edge in self.interval],
        }


@dataclass(frozen=True, slots=True)
class Scores:
    """One way of counting, over all labels and by label.

    Args:
        micro: All labels taken together.
        labels: By label, in the order of the scheme.
    """

    micro: Score
    labels: dict[str, Score]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"micro": self.micro.as_dict(), "labels": {name: score.as_dict() for name, score in self.labels.items()}}


@dataclass(frozen=True, slots=True)
class SourceScore:
    """What a source of the pipeline brings in.

    Args:
        predicted: Predictions that it decided.
        correct: Those that are right, strictly.
        share: Its share of all that is right.
    """

    predicted: int
    correct: int
    share: float

    @property
    def precision(self) -> float:
        """Share of its predictions that are right."""
        return self.correct / self.predicted if self.predicted else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose scores lie close together.

    Args:
        low: Lowest score that belongs here.
        high: Highest one.
        count: Predictions.
        score: Their mean score.
        correct: Share of them that is right, strictly.
    """

    low: float
    high: float
    count: int
    score: float
    correct: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether scores can be read as probabilities.

    Args:
        bins: Tenths of the scale that hold predictions.
        error: Mean distance of score and share of correct ones, weighted by count (expected calibration error).
    """

    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True, slots=True)
class Result:
    """A document with what was found in it.

    Args:
        document: The document, with the gold spans that are scored.
        pairs: Gold spans and predictions, in the order of the text.
    """

    document: Document
    pairs: tuple[Pair, ...]

    @property
    def score(self) -> Score:
        """The strict score of this document alone."""
        return Score(
            gold=sum(pair.gold is not None for pair in self.pairs),
            predicted=sum(pair.predicted is not None for pair in self.pairs),
            correct=sum(pair.kind == CORRECT for pair in self.pairs),
        )

    @property
    def wrong(self) -> int:
        """How many errors there are."""
        return sum(pair.kind != CORRECT for pair in self.pairs)

    def errors(self) -> tuple[Error, ...]:
        """Return every error with its context."""
        return tuple(Error.of(pair, self.document) for pair in self.pairs if pair.kind != CORRECT)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured.

    Args:
        strict: Start, end and label are equal.
        partial: A pair of one label that overlaps counts, by half where an edge differs.
        type_only: A pair of one label that overlaps counts.
        seen: Strict, over surfaces that stand in the training data with this label; None where that was not asked.
        unseen: Strict, over the others.
        sources: What each source of the pipeline brings in; the most first.
        actions: Gold action class and that of the prediction -> count, over policy verbs found strictly.
        confusion: Gold label and predicted label -> count; None for a label stands for nothing there.
        calibration: None where the pipeline gives no scores.
        results: The documents, in their order.
        unscored: Labels that the pipeline gave and that were not scored -> predictions.
    """

    strict: Scores
    partial: Scores
    type_only: Scores
    seen: Scores | None
    unseen: Scores | None
    sources: dict[str, SourceScore]
    actions: dict[tuple[str, str], int]
    confusion: dict[tuple[str | None, str | None], int]
    calibration: Calibration | None
    results: tuple[Result, ...]
    unscored: dict[str, int]

    @property
    def micro(self) -> Score:
        """The strict score over all labels."""
        return self.strict.micro

    @property
    def labels(self) -> dict[str, Score]:
        """The strict scores by label."""
        return self.strict.labels

    @property
    def action_accuracy(self) -> float | None:
        """Share of the policy verbs found whose action class is right; None where there are none."""
        total = sum(self.actions.values())
        return sum(n for (gold, given), n in self.actions.items() if gold == given) / total if total else None

    def worst(self) -> list[Result]:
        """Return the documents, those with the most errors first; of equal ones, the lower F first."""
        return sorted(self.results, key=lambda result: (-result.wrong, result.score.f, result.document.id))

    def errors(self) -> Iterator[Error]:
        """Yield every error, in the order of the documents."""
        for result in self.results:
            yield from result.errors()

    def as_dict(self) -> dict[str, Any]:
        """Return all of it but the texts, for JSON."""
        return {
            "strict": self.strict.as_dict(),
            "partial": self.partial.as_dict(),
            "type_only": self.type_only.as_dict(),
            "seen": self.seen and self.seen.as_dict(),
            "unseen": self.unseen and self.unseen.as_dict(),
            "sources": {
                name: {
                    "predicted": source.predicted,
                    "correct": source.correct,
                    "precision": _round(source.precision),
                    "share": _round(source.share),
                }
                for name, source in self.sources.items()
            },
            "actions": {
                "accuracy": None if self.action_accuracy is None else _round(self.action_accuracy),
                "confusion": [
                    {"gold": gold, "predicted": given, "count": count} for (gold, given), count in self.actions.items()
                ],
            },
            "confusion": [
                {"gold": gold, "predicted": given, "count": count} for (gold, given), count in self.confusion.items()
            ],
            "calibration": self.calibration and asdict(self.calibration),
            "unscored": self.unscored,
            "documents": [
                {"id": result.document.id, "errors": result.wrong, **_without_interval(result.score)}
                for result in self.worst()
            ],
            "errors": [error.as_dict() for error in self.errors()],
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one model is better than another.

    Args:
        f: F score of the one.
        other: F score of the other.
        interval: From where to where the difference lies in 95 % of the samples, None where it cannot be told.
        reverse: Share of the samples in which the difference is none or the other way round: near 0, it is hardly
            chance. None where it cannot be told.
    """

    f: float
    other: float
    interval: tuple[float, float] | None
    reverse: float | None

    @property
    def difference(self) -> float:
        """Positive where the one is better."""
        return self.f - self.other

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "f": _round(self.f),
            "other": _round(self.other),
            "difference": _round(self.difference),
            "interval": self.interval and [_round(edge) for edge in self.interval],
            "reverse": None if self.reverse is None else _round(self.reverse),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same documents, by strict F scores.

    Args:
        micro: All labels taken together.
        labels: By label.
    """

    micro: Difference
    labels: dict[str, Difference]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"micro": self.micro.as_dict(), "labels": {name: diff.as_dict() for name, diff in self.labels.items()}}


def evaluate(
    nlp: Language,
    documents: Sequence[Document],
    *,
    seen: Collection[tuple[str, str]] | None = None,
    labels: Collection[str] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Tag documents and score what was found.

    Args:
        nlp: The pipeline; what it leaves in `doc.ents` is scored.
        documents: The annotated documents.
        seen: Surfaces, lower-cased, with their labels, that the pipeline was trained with: see `surfaces`.
        labels: Score these alone; without it, those that the documents hold: data without a label say nothing of
            predictions that bear it.
        advance: Called after each document.

    Raises:
        DataError: There is nothing to score, a document breaks the rules, or the pipeline fails on it.
    """
    return score(documents, predict(nlp, documents, advance=advance), seen=seen, labels=labels)


def predict(
    nlp: Language, documents: Iterable[Document], *, advance: Callable[[], None] = lambda: None
) -> list[list[Prediction]]:
    """Tag documents.

    Args:
        nlp: The pipeline.
        documents: The documents.
        advance: Called after each.

    Returns:
        For each document what was found.

    Raises:
        DataError: The pipeline fails on a document.
    """

    def fail(error: DataError) -> None:
        raise error

    records = (Record(document.id, document.text) for document in documents)
    predicted = []
    for _, doc in tag_records(nlp, records, fail, batch_size=_BATCH):
        predicted.append(_predictions(doc))
        advance()
    return predicted


def score(
    documents: Sequence[Document],
    predicted: Sequence[Sequence[Prediction]],
    *,
    seen: Collection[tuple[str, str]] | None = None,
    labels: Collection[str] | None = None,
) -> Evaluation:
    """Score predictions.

    Args:
        documents: The annotated documents.
        predicted: For each what was found.
        seen: As in `evaluate`.
        labels: As in `evaluate`.

    Raises:
        DataError: There is nothing to score, or a document breaks the rules.
    """
    if not documents:
        raise DataError("there are no documents to evaluate with")
    for document in documents:
        document.check(scheme=False)
    if labels is None:
        labels = {span.label for document in documents for span in document.spans}
        if not labels:
            raise DataError(
                f"{len(documents)} documents without a span: annotate them, or name the labels that count as wrong here"
            )
    results = tuple(
        _result(document, spans, frozenset(labels)) for document, spans in zip(documents, predicted, strict=True)
    )
    names = sorted(labels, key=label_order)
    counts = _count(results, names, frozenset(seen or ()))
    totals, drawn = counts.sum(axis=0), _resample(counts)
    pairs = [pair for result in results for pair in result.pairs]
    unscored = Counter(span.label for spans in predicted for span in spans if span.label not in labels)
    return Evaluation(
        strict=_scores(names, totals, drawn, _STRICT),
        partial=_scores(names, totals, drawn, _PARTIAL),
        type_only=_scores(names, totals, drawn, _TYPE),
        seen=None if seen is None else _scores(names, totals, drawn, _SEEN),
        unseen=None if seen is None else _scores(names, totals, drawn, _UNSEEN),
        sources=_sources(pairs),
        actions=_actions(pairs),
        confusion=_confusion(pairs),
        calibration=_calibration(pairs),
        results=results,
        unscored={label: unscored[label] for label in sorted(unscored, key=label_order)},
    )


def compare(one: Evaluation, other: Evaluation) -> Comparison:
    """Compare two models by a paired bootstrap: both are scored on the same samples of documents.

    Args:
        one: What one model did.
        other: What another did, on the same documents with the same labels.

    Raises:
        UsageError: Documents or labels are not the same.
    """
    if [r.document for r in one.results] != [r.document for r in other.results] or [*one.labels] != [*other.labels]:
        raise UsageError("only evaluations of the same documents and labels can be compared")
    names = [*one.labels]
    drawn = _resample(np.concatenate([_count(side.results, names, ()) for side in (one, other)], axis=2))
    width = drawn.shape[2] // 2
    differences = _f(drawn[:, :, :width], _STRICT) - _f(drawn[:, :, width:], _STRICT)
    pairs = [*((one.labels[name], other.labels[name]) for name in names), (one.micro, other.micro)]
    compared = [_difference(a.f, b.f, differences[:, i]) for i, (a, b) in enumerate(pairs)]
    return Comparison(compared[-1], dict(zip(names, compared, strict=False)))


def surfaces(documents: Iterable[Document]) -> frozenset[tuple[str, str]]:
    """Return the surfaces that are marked, lower-cased, with their labels: what `evaluate` takes as seen."""
    return frozenset(
        (document.text[span.start : span.end].lower(), span.label) for document in documents for span in document.spans
    )


def _predictions(doc: Doc) -> list[Prediction]:
    scores = _span_scores(doc)
    return [
        Prediction(
            ent.start_char,
            ent.end_char,
            ent.label_,
            ent.kb_id_ if ent.label_ == _VERB else "",
            ent.id_,
            scores.get((ent.start, ent.end, ent.label)),
        )
        for ent in doc.ents
    ]


def _span_scores(doc: Doc) -> dict[tuple[int, int, int], float]:
    """Read the scores that span categorizers leave beside a span group."""
    scores = {}
    for group in doc.spans.values():
        values = group.attrs.get("scores", ())
        if len(values) == len(group):
            scores.update(
                {(span.start, span.end, span.label): float(value) for span, value in zip(group, values, strict=True)}
            )
    return scores


def _result(document: Document, predicted: Iterable[Prediction], labels: frozenset[str]) -> Result:
    gold = tuple(span for span in document.spans if span.label in labels)
    scored = Document(document.id, document.text, gold, document.meta)
    return Result(scored, pair_spans(gold, [span for span in predicted if span.label in labels]))


class _Columns(NamedTuple):
    """Where the counts that make a score stand in a table, with their weights."""

    gold: Mapping[int, float]
    predicted: Mapping[int, float]
    correct: Mapping[int, float]


_GOLD, _PREDICTED, _EXACT, _OVERLAP, _SEEN_GOLD, _SEEN_PREDICTED, _SEEN_EXACT = range(7)
_STRICT: Final = _Columns({_GOLD: 1}, {_PREDICTED: 1}, {_EXACT: 1})
_TYPE: Final = _Columns({_GOLD: 1}, {_PREDICTED: 1}, {_OVERLAP: 1})
_PARTIAL: Final = _Columns({_GOLD: 1}, {_PREDICTED: 1}, {_EXACT: 0.5, _OVERLAP: 0.5})
_SEEN: Final = _Columns({_SEEN_GOLD: 1}, {_SEEN_PREDICTED: 1}, {_SEEN_EXACT: 1})
_UNSEEN: Final = _Columns(
    {_GOLD: 1, _SEEN_GOLD: -1}, {_PREDICTED: 1, _SEEN_PREDICTED: -1}, {_EXACT: 1, _SEEN_EXACT: -1}
)


def _count(results: Sequence[Result], labels: Sequence[str], seen: Collection[tuple[str, str]]) -> NDArray[np.float64]:
    """Count per document, label and column; behind the labels stands their sum."""
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(results), len(labels) + 1, 7))
    for row, result in zip(counts, results, strict=True):
        for pair in result.pairs:
            for span, column, known in (
                (pair.gold, _GOLD, _SEEN_GOLD),
                (pair.predicted, _PREDICTED, _SEEN_PREDICTED),
            ):
                if span is not None:
                    row[place[span.label], column] += 1
                    row[place[span.label], known] += _surface(result, span) in seen
            if pair.gold and pair.kind in (CORRECT, BOUNDARY):
                row[place[pair.gold.label], _OVERLAP] += 1
                if pair.kind == CORRECT:
                    row[place[pair.gold.label], _EXACT] += 1
                    row[place[pair.gold.label], _SEEN_EXACT] += _surface(result, pair.gold) in seen
    counts[:, -1] = counts[:, :-1].sum(axis=1)
    return counts


def _surface(result: Result, span: Span | Prediction) -> tuple[str, str]:
    return result.document.text[span.start : span.end].lower(), span.label


def _resample(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw documents and sum their counts, for each sample; a single document makes none, as nothing can vary."""
    n = len(counts)
    flat = counts.reshape(n, -1)
    drawn = np.empty((RESAMPLES if n > 1 else 0, flat.shape[1]))
    generator = np.random.RandomState(0)  # whose numbers stay the same with every numpy, unlike those of default_rng
    step = max(1, _AT_ONCE // n)
    for first in range(0, len(drawn), step):
        size = min(step, len(drawn) - first)
        drawn[first : first + size] = generator.multinomial(n, np.full(n, 1 / n), size=size) @ flat
    return drawn.reshape(len(drawn), *counts.shape[1:])


def _pick(table: NDArray[np.float64], columns: Mapping[int, float]) -> NDArray[np.float64]:
    total = np.zeros(table.shape[:-1])
    for column, weight in columns.items():
        total += weight * table[..., column]
    return total


def _f(table: NDArray[np.float64], columns: _Columns) -> NDArray[np.float64]:
    """F scores; not a number where there is nothing to find and nothing found."""
    sizes = _pick(table, columns.gold) + _pick(table, columns.predicted)
    scores = np.full(sizes.shape, np.nan)
    np.divide(2 * _pick(table, columns.correct), sizes, out=scores, where=sizes > 0)
    return scores


def _scores(
    labels: Sequence[str], totals: NDArray[np.float64], drawn: NDArray[np.float64], columns: _Columns
) -> Scores:
    samples = _f(drawn, columns)
    made = []
    for i in range(len(labels) + 1):
        gold, predicted, correct = (float(_pick(totals[i], column)) for column in columns)
        exact = int(correct) if correct.is_integer() else correct
        made.append(Score(int(gold), int(predicted), exact, _interval(samples[:, i])))
    return Scores(made[-1], dict(zip(labels, made, strict=False)))


def _interval(samples: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle 95 %, of the samples that say a thing."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _difference(f: float, other: float, samples: NDArray[np.float64]) -> Difference:
    known = samples[~np.isnan(samples)]
    reverse = float(np.mean(known * np.sign(f - other) <= 0)) if len(known) else None
    return Difference(f, other, _interval(samples), reverse)


def _sources(pairs: Iterable[Pair]) -> dict[str, SourceScore]:
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for pair in pairs:
        if pair.predicted:
            found[pair.predicted.source] += 1
            right[pair.predicted.source] += pair.kind == CORRECT
    total = right.total()
    return {
        name: SourceScore(count, right[name], right[name] / total if total else 0.0)
        for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    }


def _actions(pairs: Iterable[Pair]) -> dict[tuple[str, str], int]:
    counts = Counter(
        (pair.gold.action, pair.predicted.action)
        for pair in pairs
        if pair.kind == CORRECT and pair.gold and pair.predicted and pair.gold.action
    )
    return dict(sorted(counts.items()))


def _confusion(pairs: Iterable[Pair]) -> dict[tuple[str | None, str | None], int]:
    counts = Counter(
        (pair.gold.label if pair.gold else None, pair.predicted.label if pair.predicted else None) for pair in pairs
    )
    return dict(sorted(counts.items(), key=lambda item: [label_order(label or "\uffff") for label in item[0]]))


def _calibration(pairs: Iterable[Pair]) -> Calibration | None:
    scored = [
        (pair.predicted.score, pair.kind == CORRECT)
        for pair in pairs
        if pair.predicted and pair.predicted.score is not None
    ]
    if not scored:
        return None
    by_bin: dict[int, list[tuple[float, bool]]] = {}
    for value, right in scored:
        by_bin.setdefault(min(max(int(value * _BINS), 0), _BINS - 1), []).append((value, right))
    bins = tuple(
        Bin(
            low=i / _BINS,
            high=(i + 1) / _BINS,
            count=len(values),
            score=_round(sum(value for value, _ in values) / len(values)),
            correct=_round(sum(right for _, right in values) / len(values)),
        )
        for i, values in sorted(by_bin.items())
    )
    error = sum(b.count * abs(b.score - b.correct) for b in bins) / len(scored)
    return Calibration(bins, _round(error))


def _without_interval(score: Score) -> dict[str, Any]:
    return {name: value for name, value in score.as_dict().items() if name != "interval"}


def _round(value: float) -> float:
    return round(value, 4)
