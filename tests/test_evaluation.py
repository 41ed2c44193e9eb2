"""Scores, pairs, intervals, comparisons and reports, on documents made by hand."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language

from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.errors import DataError, UsageError
from drugpolicy_ner.evaluation import (
    Evaluation,
    compare,
    evaluate,
    predict,
    score,
    surfaces,
)
from drugpolicy_ner.learning import Step, read_log
from drugpolicy_ner.output import open_output
from drugpolicy_ner.pairing import Prediction, pair_spans
from drugpolicy_ner.report_html import write_html
from drugpolicy_ner.reporting import Outcome, Rival, write_text

GOLDEN = Path(__file__).parent / "golden" / "evaluation.json"

TEXT = "The DEA seized 40 kg of fentanyl and Blue Zorb."
DOCUMENTS = [
    Document(
        "one",
        TEXT,
        (
            Span(4, 7, "INSTITUTION"),
            Span(8, 14, "POLICY_VERB", "ENFORCE"),
            Span(15, 20, "QUANTITY"),
            Span(24, 32, "SUBSTANCE"),
            Span(37, 46, "SUBSTANCE"),
        ),
    ),
    Document("two", "Fentanyl was banned.", (Span(0, 8, "SUBSTANCE"), Span(13, 19, "POLICY_VERB", "CONTROL"))),
    Document("three", "Nothing is here."),
]
PREDICTED = [
    [
        Prediction(0, 7, "INSTITUTION", source="ner"),
        Prediction(8, 14, "POLICY_VERB", "SANCTION", "ner", 0.9),
        Prediction(15, 20, "QUANTITY", source="form", score=1.0),
        Prediction(24, 32, "PRECURSOR", source="gazetteer"),
        Prediction(42, 46, "SUBSTANCE", source="ner", score=0.35),
    ],
    [Prediction(0, 8, "SUBSTANCE", source="gazetteer"), Prediction(13, 19, "POLICY_VERB", "CONTROL", "ner", 0.95)],
    [Prediction(0, 7, "SUBSTANCE", source="ner"), Prediction(11, 15, "PLACE")],
]


@pytest.fixture
def found() -> Evaluation:
    return score(DOCUMENTS, PREDICTED, seen={("fentanyl", "SUBSTANCE"), ("banned", "POLICY_VERB")})


def counts(evaluation: Evaluation, label: str) -> tuple[float, ...]:
    own = evaluation.labels[label]
    return own.gold, own.predicted, own.correct


def test_strict_partial_and_type_only_scores(found: Evaluation) -> None:
    assert list(found.labels) == ["SUBSTANCE", "INSTITUTION", "QUANTITY", "POLICY_VERB"]
    assert counts(found, "SUBSTANCE") == (3, 3, 1)
    assert counts(found, "INSTITUTION") == (1, 1, 0)
    assert counts(found, "POLICY_VERB") == (2, 2, 2)
    assert [s.micro.correct for s in (found.strict, found.partial, found.type_only)] == [4, 5, 6]
    assert (found.micro.gold, found.micro.predicted) == (7, 7)
    assert found.micro.precision == found.micro.recall == found.micro.f == 4 / 7


def test_labels_that_the_data_lack_are_left_out_unless_named(found: Evaluation) -> None:
    assert found.unscored == {"PRECURSOR": 1, "PLACE": 1}
    named = score(DOCUMENTS, PREDICTED, labels=["PRECURSOR", "SUBSTANCE"])
    assert counts(named, "PRECURSOR") == (0, 1, 0)
    assert named.confusion[("SUBSTANCE", "PRECURSOR")] == 1
    assert named.unscored == {"INSTITUTION": 1, "QUANTITY": 1, "POLICY_VERB": 2, "PLACE": 1}


def test_seen_and_unseen_make_up_the_whole(found: Evaluation) -> None:
    assert found.seen
    assert found.unseen
    assert (found.seen.micro.gold, found.seen.micro.predicted, found.seen.micro.correct) == (3, 2, 2)
    assert (found.unseen.micro.gold, found.unseen.micro.predicted, found.unseen.micro.correct) == (4, 5, 2)
    assert surfaces(DOCUMENTS[1:]) == {("fentanyl", "SUBSTANCE"), ("banned", "POLICY_VERB")}
    assert score(DOCUMENTS, PREDICTED).seen is None


def test_sources_actions_and_calibration(found: Evaluation) -> None:
    assert {name: (source.predicted, source.correct) for name, source in found.sources.items()} == {
        "ner": (5, 2),
        "form": (1, 1),
        "gazetteer": (1, 1),
    }
    assert found.sources["ner"].precision == 0.4
    assert found.sources["ner"].share == 0.5
    assert found.actions == {("CONTROL", "CONTROL"): 1, ("ENFORCE", "SANCTION"): 1}
    assert found.action_accuracy == 0.5
    assert found.calibration
    assert [(b.low, b.count, b.score, b.correct) for b in found.calibration.bins] == [
        (0.3, 1, 0.35, 0.0),
        (0.9, 3, 0.95, 1.0),
    ]
    assert found.calibration.error == pytest.approx((0.35 + 3 * 0.05) / 4)


def test_every_error_stands_in_its_context(found: Evaluation) -> None:
    assert [(error.kind, error.doc_id, error.text) for error in found.errors()] == [
        ("wrong boundary", "one", "The DEA"),
        ("missed", "one", "fentanyl"),
        ("wrong boundary", "one", "Blue Zorb"),
        ("spurious", "three", "Nothing"),
    ]
    for error in found.errors():
        text = next(document.text for document in DOCUMENTS if document.id == error.doc_id)
        assert error.before + error.text + error.after == text
    assert [result.document.id for result in found.worst()] == ["one", "three", "two"]


def test_context_is_cut() -> None:
    document = Document("long", "x" * 60 + " crack " + "y" * 60, (Span(61, 66, "SUBSTANCE"),))
    (error,) = score([document], [[]]).errors()
    assert (len(error.before), len(error.after)) == (50, 50)


def test_pairs_prefer_equal_labels() -> None:
    gold = [Span(0, 5, "A"), Span(5, 9, "B")]
    predicted = [Prediction(0, 6, "B"), Prediction(7, 9, "C")]
    pairs = pair_spans(gold, predicted)
    assert [(p.gold and p.gold.label, p.predicted and p.predicted.label) for p in pairs] == [
        ("A", None),
        ("B", "B"),
        (None, "C"),
    ]
    assert [p.kind for p in pair_spans(gold[:1], predicted)] == ["wrong label", "spurious"]


def test_intervals_hold_the_score_and_come_out_the_same(found: Evaluation) -> None:
    documents = [Document(str(i), "crack", (Span(0, 5, "SUBSTANCE"),)) for i in range(40)]
    hits = [[Prediction(0, 5, "SUBSTANCE")] if i % 4 else [] for i in range(40)]
    micro = score(documents, hits).micro
    assert micro.interval
    low, high = micro.interval
    assert 0.7 < low < micro.f < high < 0.95
    assert score(documents, hits).micro.interval == micro.interval
    assert score(documents[:1], hits[:1]).micro.interval is None


def test_a_comparison_is_paired() -> None:
    documents = [Document(str(i), "crack", (Span(0, 5, "SUBSTANCE"),)) for i in range(40)]
    all_of_them = score(documents, [[Prediction(0, 5, "SUBSTANCE")]] * 40)
    most = score(documents, [[Prediction(0, 5, "SUBSTANCE")] if i % 4 else [] for i in range(40)])
    better, worse, same = compare(all_of_them, most), compare(most, all_of_them), compare(most, most)
    assert better.micro.difference == -worse.micro.difference > 0
    assert better.micro.reverse == worse.micro.reverse == 0
    assert better.labels["SUBSTANCE"] == better.micro
    assert (same.micro.difference, same.micro.interval, same.micro.reverse) == (0, (0, 0), 1)
    with pytest.raises(UsageError, match="the same documents"):
        compare(most, score(DOCUMENTS, PREDICTED))


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="no documents"):
        score([], [])
    with pytest.raises(DataError, match="without a span"):
        score(DOCUMENTS[2:], [[]])
    with pytest.raises(DataError, match="lies outside"):
        score([Document("bad", "short", (Span(0, 9, "A"),))], [[]])
    assert score(DOCUMENTS[2:], PREDICTED[2:], labels=["SUBSTANCE"]).micro.predicted == 1


def test_a_pipeline_is_evaluated() -> None:
    nlp = spacy.blank("en")
    patterns = [{"label": "SUBSTANCE", "pattern": "fentanyl", "id": "gazetteer"}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)  # type: ignore[attr-defined]
    evaluation = evaluate(nlp, DOCUMENTS)
    assert evaluation.results[0].pairs[3].predicted == Prediction(24, 32, "SUBSTANCE", source="gazetteer")
    assert counts(evaluation, "SUBSTANCE") == (3, 1, 1)
    assert evaluation.calibration is None


def test_scores_of_span_groups_are_read() -> None:
    nlp = spacy.blank("en")

    @Language.component("scored_spans_for_a_test")
    def scored(doc: spacy.tokens.Doc) -> spacy.tokens.Doc:
        spans = [doc[0:1], doc[1:2]]
        doc.spans["sc"] = [spacy.tokens.Span(doc, span.start, span.end, "A") for span in spans]
        doc.spans["sc"].attrs["scores"] = [0.75, 0.5]
        doc.spans["other"] = []
        doc.set_ents([doc.spans["sc"][0]])
        return doc

    nlp.add_pipe("scored_spans_for_a_test")
    assert predict(nlp, [Document("a", "one two")]) == [[Prediction(0, 3, "A", score=0.75)]]


def test_a_document_on_which_the_pipeline_fails_is_named() -> None:
    nlp = spacy.blank("en")

    @Language.component("failing_for_a_test")
    def failing(doc: spacy.tokens.Doc) -> spacy.tokens.Doc:
        raise RuntimeError("no")

    nlp.add_pipe("failing_for_a_test")
    with pytest.raises(DataError, match=r"\[one\].*RuntimeError: no"):
        evaluate(nlp, DOCUMENTS)


# laws


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    edges = sorted(draw(st.sets(st.integers(0, 24), max_size=12)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [Span(start, end, draw(st.sampled_from("AB"))) for start, end in pairs]


corpora = st.lists(st.tuples(spans(), spans()), min_size=1, max_size=4)


def evaluated(corpus: list[tuple[list[Span], list[Span]]], *, swap: bool = False) -> Evaluation:
    documents, predicted = [], []
    for i, (gold, found) in enumerate(corpus):
        left, right = (found, gold) if swap else (gold, found)
        documents.append(Document(str(i), "x" * 24, tuple(left)))
        predicted.append([Prediction(span.start, span.end, span.label) for span in right])
    return score(documents, predicted, labels="AB")


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_law_swapping_gold_and_predicted_swaps_precision_and_recall(
    corpus: list[tuple[list[Span], list[Span]]],
) -> None:
    there, back = evaluated(corpus), evaluated(corpus, swap=True)
    for one, other in ((there.strict, back.strict), (there.partial, back.partial), (there.type_only, back.type_only)):
        for a, b in zip([one.micro, *one.labels.values()], [other.micro, *other.labels.values()], strict=True):
            assert (a.precision, a.recall, a.f, a.interval) == (b.recall, b.precision, b.f, b.interval)
    assert there.confusion == {(b, a): count for (a, b), count in back.confusion.items()}


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_law_strict_is_equality_and_the_smallest_score(corpus: list[tuple[list[Span], list[Span]]]) -> None:
    found = evaluated(corpus)
    assert found.micro.correct == sum(len(set(gold) & set(given)) for gold, given in corpus)
    assert found.strict.micro.f <= found.partial.micro.f <= found.type_only.micro.f
    assert found.micro.gold == sum(len(gold) for gold, _ in corpus)
    assert found.micro.predicted == sum(len(given) for _, given in corpus)
    assert sum(found.confusion.values()) == sum(len(result.pairs) for result in found.results)


@settings(max_examples=60, deadline=None)
@given(st.tuples(spans(), spans()))
def test_law_type_only_finds_as_many_pairs_as_there_can_be(pair: tuple[list[Span], list[Span]]) -> None:
    gold, given = ([span for span in side if span.label == "A"] for side in pair)
    near = [[j for j, p in enumerate(given) if g.start < p.end and p.start < g.end] for g in gold]
    partner: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in near[i]:
            if j not in tried:
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    most = sum(place(i, set()) for i in range(len(gold)))
    assert evaluated([(gold, given)]).type_only.labels["A"].correct == most


# reports


def outcome(evaluation: Evaluation) -> Outcome:
    return Outcome(
        "model",
        "data",
        evaluation,
        Rival("rival", compare(evaluation, evaluation)),
        (Step(0, 0.1, None), Step(200, 0.5, 12.5)),
        {"ents_f": 0.5},
    )


def test_json_is_as_agreed(found: Evaluation) -> None:
    made = json.loads(json.dumps(outcome(found).as_dict()))
    assert made == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_text_report_shows_everything(found: Evaluation, tmp_path: Path) -> None:
    with open_output(tmp_path / "report.txt") as stream:
        write_text(outcome(found), stream, errors=2)
    text = (tmp_path / "report.txt").read_text(encoding="utf-8")
    for part in (
        "SUBSTANCE   0.333 0.333 0.333 0.000 to 1.000   0.500 0.667      3     3",
        "against rival, paired bootstrap",
        "surfaces seen in training: P 1.000 R 0.667 F 0.800 (3 marked, 2 found)",
        "source ner: precision 0.400, 2 of 5 right, 50.0% of all that is right",
        "action classes: 1 of 2 policy verbs found are right (0.500)",
        "calibration: expected error 0.125",
        "most errors: one (3), three (1)",
        "one: missed SUBSTANCE: The DEA seized 40 kg of [[fentanyl]] and Blue Zorb.",
        "2 more errors: --errors 4 shows all",
    ):
        assert part in text


class Page(HTMLParser):
    """Collects tags and attributes, and sees to it that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.shown: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def page(made: Outcome, tmp_path: Path, limit: int = 0) -> str:
    with open_output(tmp_path / "report.html") as stream:
        write_html(made, stream, limit=limit)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_page_is_whole_and_loads_nothing(found: Evaluation, tmp_path: Path) -> None:
    text = page(outcome(found), tmp_path)
    parsed = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    assert not [
        value for name, value in parsed.attributes if name in ("src", "href") and not (value or "").startswith("#")
    ]
    assert "url(" not in text
    assert "@import" not in text
    documents, errors = text.split('<section id="errors">')
    assert documents.count("fentanyl") == 2  # as marked and as found
    assert errors.count("<li>") == 4
    ids = {value for name, value in parsed.attributes if name == "id"}
    assert {value for name, value in parsed.attributes if name == "href"} == {f"#{name}" for name in ids}
    assert ("data-label", "SUBSTANCE · missed") in parsed.attributes
    assert ("data-label", "POLICY_VERB:SANCTION · wrong action") in parsed.attributes


def test_page_shows_the_worst_documents_first_and_no_more_than_asked(found: Evaluation, tmp_path: Path) -> None:
    text = page(outcome(found), tmp_path)
    assert text.index("<b>one</b>") < text.index("<b>three</b>") < text.index("<b>two</b>")
    assert "All 3 documents" in text
    text = page(outcome(found), tmp_path, limit=1)
    assert "1 of 3 documents" in text
    assert "<b>three</b>" not in text


def test_page_escapes_everything(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'&"
    label = "<script>\"'&"
    document = Document(bad, f"{bad} {bad}", (Span(0, 8, label), Span(9, 14, "POLICY_VERB", "FUND")))
    predicted = [
        Prediction(0, 8, label, source=bad, score=0.5),
        Prediction(9, 14, "POLICY_VERB", bad, bad),
        Prediction(20, 25, label),
    ]
    evaluation = score([document, document], [predicted, []], seen=(), labels=[label, "POLICY_VERB"])
    other = Rival(bad, compare(evaluation, evaluation))
    text = page(Outcome(bad, bad, evaluation, other, (Step(1, 0.5, 1.0),), {bad: 1.0}), tmp_path)
    assert "script" not in Page(text).tags
    assert "<script" not in text
    assert "\"'&" not in text
    assert page(Outcome("m", "d", score([Document("a", "b")], [[]], labels=["A"])), tmp_path)


# training logs


def test_log_of_this_package_and_of_spacy(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    lines = [
        {"step": 0, "loss": 3.5, "keeps": True, "score": 0.25},
        {"epoch": 1, "step": 200, "score": None, "losses": {"tok2vec": 1.5, "ner": 2.0}},
        {"step": 400, "losses": {}},
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    assert read_log(file) == (Step(0, 0.25, 3.5), Step(200, None, 3.5), Step(400, None, None))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the training log is empty"),
        (b'{"step": 1}\n{"step": ', ":2: no line of a training log"),
        (b"[1]", ":1: no line of a training log"),
        (b'{"loss": 1}', ":1: no line of a training log"),
        (b'{"step": NaN}', ":1: no line of a training log"),
        (b"\xff\xfe", "it is not UTF-8"),
        (None, "cannot be read: No such file"),
    ],
)
def test_log_that_is_none(tmp_path: Path, data: bytes | None, message: str) -> None:
    file = tmp_path / "log.jsonl"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_log(file)
