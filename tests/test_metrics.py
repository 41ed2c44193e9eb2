"""The figures that the project states are those of the pipeline that it ships."""

import json

import pytest

from drugpolicy_ner.corpus import read_marked_path


@pytest.fixture(scope="module")
def measure(script):
    return script("measure")


@pytest.fixture(scope="module")
def metrics(root):
    return json.loads((root / "training/metrics.json").read_text(encoding="utf-8"))


def test_metrics_the_card_is_made_from_them(measure, metrics, root):
    assert measure.card(metrics) == (root / "training/MODEL_CARD.md").read_text(encoding="utf-8")


def test_metrics_the_readme_states_them(metrics, root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    strict = metrics["real"]["strict"]
    for label, score in (*strict["labels"].items(), ("micro", strict["micro"])):
        row = f"| {label} | {score['precision']:.2f} | {score['recall']:.2f} | {score['f']:.3f} | {score['gold']} |"
        assert row in readme
    assert f"{metrics['data']['aliases']:,} names of {metrics['data']['concepts']:,} concepts" in readme


@pytest.mark.slow
def test_metrics_are_what_the_pipeline_does(measure, metrics, root):
    train, dev = (list(read_marked_path(root / "training/corpus" / part)) for part in ("train", "dev"))
    found = measure.measure(dev, train)
    assert found["strict"]["micro"]["f"] == pytest.approx(metrics["authored"]["strict"]["micro"]["f"], abs=0.002)
    data = measure.describe(train, dev)
    assert data | {"model_megabytes": metrics["data"]["model_megabytes"]} == metrics["data"]
