"""Measure the shipped pipeline and write `metrics.json` and `MODEL_CARD.md` beside this file.

    python training/measure.py --real DOCUMENTS --speed speed.json   # all
    python training/measure.py                                       # keep those of real text and speed

DOCUMENTS are annotated documents that no part of the project was trained on; `speed.json` is what
`benchmark.py TEXTS > speed.json` printed. A test holds the figures of the authored dev split and the card against what
the pipeline does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drugpolicy_ner
from drugpolicy_ner.concepts import default_store
from drugpolicy_ner.corpus import Document, read_marked_path
from drugpolicy_ner.corpus.formats import read_documents
from drugpolicy_ner.corpus.statistics import count_documents
from drugpolicy_ner.evaluation import evaluate, surfaces
from drugpolicy_ner.labels import LABELS
from drugpolicy_ner.output import open_output

ROOT = Path(__file__).parent
MODEL = ROOT.parent / "drugpolicy_ner" / "model"
ANNOTATED = ROOT / "annotated.jsonl"
METRICS = ROOT / "metrics.json"
CARD = ROOT / "MODEL_CARD.md"


def measure(documents: Sequence[Document], train: Sequence[Document]) -> dict[str, Any]:
    """Score the shipped pipeline on documents.

    Args:
        documents: Annotated with all labels.
        train: What it learned from: names that stand there count as seen.

    Returns:
        Figures for JSON: strict scores by label with intervals, of seen and unseen names, by source, action classes.
    """
    found = evaluate(drugpolicy_ner.load(), documents, seen=surfaces(train), labels=LABELS).as_dict()
    return {
        "documents": len(documents),
        "words": sum(len(document.text.split()) for document in documents),
        **{key: found[key] for key in ("strict", "seen", "unseen", "sources")},
        "action_classes": found["actions"]["accuracy"],
    }


def describe(train: Sequence[Document], dev: Sequence[Document]) -> dict[str, Any]:
    """Say what the pipeline was made of and how large it is."""
    store = default_store()
    found = count_documents(train, top=0)
    annotated = [json.loads(line)["spans"] for line in ANNOTATED.read_text(encoding="utf-8").splitlines()]
    return {
        "version": drugpolicy_ner.__version__,
        "train_passages": found.documents,
        "train_words": found.words,
        "train_spans": {label: statistics.spans for label, statistics in found.labels.items()},
        "dev_passages": len(dev),
        "annotated_passages": len(annotated),
        "annotated_spans": sum(map(len, annotated)),
        "concepts": len(store),
        "aliases": sum(len(concept.aliases) for concept in store),
        "model_megabytes": round(sum(f.stat().st_size for f in MODEL.rglob("*") if f.is_file()) / 1e6, 1),
    }


def card(metrics: dict[str, Any]) -> str:
    """Write the model card, as Markdown, from the metrics."""
    data, authored, real, speed = (metrics[key] for key in ("data", "authored", "real", "speed"))
    lines = [
        "# Model card: drugpolicy_ner",
        "",
        f"The pipeline that comes with drugpolicy-ner {data['version']}. `training/measure.py` writes this file.",
        "",
        "## What it is",
        "",
        "A spaCy pipeline for English drug-policy text: a small convolutional ner, a gazetteer, a grammar of "
        "chemical names, "
        "closed forms, one resolver, a linker and a classifier of policy verbs. For newsrooms, researchers, "
        "agencies and "
        "compliance teams who index or search such text. Not for decisions about persons, and not as legal "
        "advice: entries "
        "of the knowledge base that are marked unverified rest on memory.",
        "",
        "## Data",
        "",
        f"The ner learned from {data['train_words']:,} words in {data['train_passages']:,} passages written for "
        "this project "
        f"({sum(data['train_spans'].values()):,} spans), from weights that were first trained on public-domain "
        "text: 1.8 million words labelled by a transformer, two small models and the rules, then "
        f"{data['annotated_passages']:,} passages of it annotated by hand ({data['annotated_spans']:,} spans, "
        "`training/annotated.jsonl`; most from the United States), with 50,000 GloVe vectors. "
        f"The knowledge base holds {data['aliases']:,} names of {data['concepts']:,} concepts.",
        "",
        "| label | spans in training |",
        "|---|---|",
        *(f"| {label} | {count:,} |" for label, count in data["train_spans"].items()),
        "",
        "## Scores",
        "",
        f"Strict: start, end and label all right. *Real* are {real['documents']} documents of {real['words']:,} "
        "words from "
        "nine kinds of sources that nothing was trained on; they served for error analysis and for choosing the "
        f"resolver's ranks, so expect less on other text. *Authored* is the dev split of the corpus "
        f"({authored['documents']} passages, {authored['words']:,} words), whose names are rarer on purpose; "
        "*seen* and "
        "*unseen* are its names that do and do not stand in the training passages.",
        "",
        "| label | real P | R | F | 95 % | n | authored F | seen F | unseen F |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label in (*LABELS, "micro"):
        there, here, seen, unseen = (
            part["micro"] if label == "micro" else part["labels"].get(label)
            for part in (real["strict"], authored["strict"], authored["seen"], authored["unseen"])
        )
        low, high = there["interval"]
        lines.append(
            f"| {label} | {there['precision']:.2f} | {there['recall']:.2f} | {there['f']:.3f} | {low:.2f} to "
            f"{high:.2f} | "
            f"{there['gold']} | {_f(here)} | {_f(seen)} | {_f(unseen)} |"
        )
    lines += [
        "",
        f"The action class is right on {real['action_classes']:.2f} (real) and {authored['action_classes']:.2f} "
        "(authored) of "
        "the policy verbs that were found.",
        "",
        "| source | real: precision | share of what is right | authored: precision | share |",
        "|---|---|---|---|---|",
    ]
    for source in dict.fromkeys((*real["sources"], *authored["sources"])):
        pair = [part["sources"].get(source) for part in (real, authored)]
        cells = [f"{found['precision']:.2f} | {found['share']:.2f}" if found else "- | -" for found in pair]
        lines.append(f"| {source} | {' | '.join(cells)} |")
    rates = speed["words_per_second"]
    lines += [
        "",
        "## Speed and size",
        "",
        f"{rates['ours']:,} words a second on one core, {speed['ratio']} times the ner of en_core_web_sm alone "
        f"({rates['baseline']:,}) in the same run on the same {speed['words']:,} words. Loading after import takes "
        f"{speed['load_seconds_after_import']['ours']} s. The model takes {data['model_megabytes']} MB on disk.",
        "",
        "## Limits",
        "",
        "- English; foreign names where the knowledge base, a form or the context gives them.",
        "- One writer's hand and one annotation scheme: a second annotation of 106 passages agrees at F 0.95, "
        "on policy verbs "
        "at 0.90 (`training/README.md`).",
        "- Policy verbs are the weakest label; institutions that no list holds come second.",
        "- What the ner alone proposes is the least sure: `ent.id_` says which source decided.",
        "",
    ]
    return "\n".join(lines)


def _f(score: dict[str, Any] | None) -> str:
    return f"{score['f']:.3f}" if score and score["gold"] else "-"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="annotated real documents, any format")
    parser.add_argument("--speed", type=Path, help="what benchmark.py printed")
    args = parser.parse_args()
    metrics = json.loads(METRICS.read_text(encoding="utf-8")) if METRICS.is_file() else {}
    train, dev = (list(read_marked_path(ROOT / "corpus" / part)) for part in ("train", "dev"))
    metrics["data"] = describe(train, dev)
    metrics["authored"] = measure(dev, train)
    if args.real:
        metrics["real"] = measure(list(read_documents(args.real)), train)
    if args.speed:
        metrics["speed"] = json.loads(args.speed.read_text(encoding="utf-8"))
    with open_output(METRICS) as stream:
        stream.write(json.dumps(metrics, indent=1) + "\n")
    with open_output(CARD) as stream:
        stream.write(card(metrics))


if __name__ == "__main__":
    main()
