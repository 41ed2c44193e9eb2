"""Compare the second annotation of the corpus with the first: F per label, and how often the action classes agree.

    python training/agreement.py

The second annotator saw the bare text and the guidelines only. Of two annotations neither is the truth: F is the same
whichever of them is taken for gold.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from drugpolicy_ner.corpus import read_marked_path
from drugpolicy_ner.labels import LABELS

ROOT = Path(__file__).parent


def main() -> None:
    """Print the table."""
    first = {doc.id: doc for doc in read_marked_path(ROOT / "corpus")}
    second = {doc.id: doc for doc in read_marked_path(ROOT / "second")}
    both: Counter[str] = Counter()
    total: Counter[str] = Counter()
    classes: Counter[bool] = Counter()
    for doc_id, other in second.items():
        if first[doc_id].text != other.text:
            raise SystemExit(f"{doc_id}: the text has changed since it was annotated a second time")
        ours = {(span.start, span.end, span.label): span.action for span in first[doc_id].spans}
        theirs = {(span.start, span.end, span.label): span.action for span in other.spans}
        total.update(label for _, _, label in [*ours, *theirs])
        for span in ours.keys() & theirs.keys():
            both[span[2]] += 1
            if span[2] == "POLICY_VERB":
                classes[ours[span] == theirs[span]] += 1
    print(f"{len(second)} of {len(first)} passages, strict spans")
    for label in LABELS:
        print(f"{label:17} F {2 * both[label] / total[label]:.3f}  spans of both {total[label]}")
    print(f"{'all':17} F {2 * sum(both.values()) / sum(total.values()):.3f}")
    print(f"action classes agree on {classes[True]} of {classes.total()} verbs that both marked")


if __name__ == "__main__":
    main()
