"""Compare the second annotation of the corpus with the first: F per label, and how often the action classes agree.

    python training/agreement.py

The second annotator saw the bare text and the guidelines only. Of two annotations neither is the truth: F is the same
whichever of them is taken for gold.
"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from drugpolicy_ner.corpus import read_marked_path
from drugpolicy_ner.evaluation import score
from drugpolicy_ner.pairing import Prediction

ROOT = Path(__file__).parent


def main() -> None:
    """Print the table."""
    first = {doc.id: doc for doc in read_marked_path(ROOT / "corpus")}
    second = {doc.id: doc for doc in read_marked_path(ROOT / "second")}
    ours, theirs = [first[doc_id] for doc_id in second], list(second.values())
    for one, other in zip(ours, theirs, strict=True):
        if one.text != other.text:
            raise SystemExit(f"{one.id}: the text has changed since it was annotated a second time")
    found = score(ours, [[Prediction(*span) for span in map(astuple, other.spans)] for other in theirs])
    print(f"{len(second)} of {len(first)} passages, strict spans")
    for label, scores in found.labels.items():
        print(f"{label:17} F {scores.f:.3f}  spans of both {scores.gold + scores.predicted}")
    print(f"{'all':17} F {found.micro.f:.3f}")
    agree = sum(count for (one, other), count in found.actions.items() if one == other)
    print(f"action classes agree on {agree} of {sum(found.actions.values())} verbs that both marked")


if __name__ == "__main__":
    main()
