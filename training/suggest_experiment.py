"""Do suggested sentences teach a model more than random ones? Measured on the authored corpus.

    python training/suggest_experiment.py --output figures.json

For each seed some passages of `corpus/train` train a starting model; the gold of the others is hidden, and of their
sentences some are suggested by that model and some drawn at random, once as many sentences and once as many words. The
starting model goes on with the starting passages and each of the three, for as many steps each, and is scored on
`corpus/dev`: the ner alone, strict micro F. The last of these steps counts, none is chosen by the dev split.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import spacy
from spacy.tokenizer import Tokenizer

from drugpolicy_ner.build import assemble_default
from drugpolicy_ner.corpus import Document, Format, Span, read_marked_path, write_documents
from drugpolicy_ner.corpus.check import align
from drugpolicy_ner.errors import DataError
from drugpolicy_ner.reading import Record
from drugpolicy_ner.suggest import LONGEST, SHORTEST, Suggestion, Weights, key_of, suggest
from drugpolicy_ner.tagging import load_pipeline
from drugpolicy_ner.tokenizer import build_tokenizer
from drugpolicy_ner.training import train
from drugpolicy_ner.units import Unit, cut

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "training" / "corpus"


def sentences(document: Document, tokenizer: Tokenizer) -> Iterator[Document]:
    """Cut an annotated document as the suggestions are cut, and leave out what they leave out."""
    for sentence in cut(align(document, tokenizer), Unit.SENTENCE):
        if SHORTEST <= len(key_of(sentence.text).split()) <= LONGEST:
            yield part(document, sentence.start_char, sentence.end_char)


def part(document: Document, start: int, end: int) -> Document:
    """Return a piece of an annotated document; a span that its edge cuts is left out."""
    spans = (span for span in document.spans if start <= span.start and span.end <= end)
    moved = tuple(Span(span.start - start, span.end - start, span.label, span.action) for span in spans)
    return Document(f"{document.id}:{start}", document.text[start:end], moved)


def gold_of(suggestion: Suggestion, pool: dict[str, Document]) -> Document:
    """Return a suggested sentence with what was hidden."""
    meta = suggestion.document.meta
    start = int(meta["offset"])
    return part(pool[meta["document"]], start, start + len(suggestion.document.text))


def words(documents: Sequence[Document]) -> int:
    """Count words."""
    return sum(len(document.text.split()) for document in documents)


def draw(
    sentences: Sequence[Document], generator: random.Random, *, count: int = 0, of_words: int = 0
) -> list[Document]:
    """Draw sentences at random, up to a number of them or of their words."""
    drawn: list[Document] = []
    for sentence in generator.sample(sentences, len(sentences)):
        if len(drawn) == count if count else words(drawn) >= of_words:
            break
        drawn.append(sentence)
    return drawn


def fit(documents: Sequence[Document], folder: Path, steps: int, seed: int, base: Path | None = None) -> float:
    """Train, anew or going on from a model, and return strict micro F on the dev split."""
    data = folder.with_suffix(".txt")
    write_documents(documents, data, Format.MARKED)
    outcome = train(
        data,
        folder,
        dev=CORPUS / "dev",
        base=base,
        replay=None,
        config="sm",
        overrides={"training.max_steps": steps, "training.eval_frequency": steps, "training.seed": seed},
        fully_annotated=True,
        rules=False,
    )
    return outcome.new.after.micro.f


def fail(error: DataError) -> None:
    """Stop where a text cannot be tagged."""
    raise error


def run(seed: int, args: argparse.Namespace, scratch: Path) -> dict[str, dict[str, float]]:
    """Measure once."""
    generator = random.Random(seed)
    documents = sorted(read_marked_path(CORPUS / "train"), key=lambda document: document.id)
    generator.shuffle(documents)
    start, rest = documents[: args.start], {document.id: document for document in documents[args.start :]}
    tokenizer = build_tokenizer(spacy.blank("en"))
    pool = [sentence for document in rest.values() for sentence in sentences(document, tokenizer)]
    first = fit(start, scratch / f"start-{seed}", args.steps, seed)
    figures = {"start": {"f": first, "documents": len(start), "words": words(start)}}
    print(seed, "start", figures["start"], flush=True)
    nlp = assemble_default(load_pipeline(str(scratch / f"start-{seed}")), annotated=scratch / f"start-{seed}.txt")
    records = [Record(document.id, document.text) for document in rest.values()]
    weights = Weights(**json.loads(args.weights))
    suggested = suggest(nlp, records, fail, count=args.count, weights=weights)
    chosen = [gold_of(suggestion, rest) for suggestion in suggested]
    arms = {
        "suggested": chosen,
        "random sentences": draw(pool, generator, count=len(chosen)),
        "random words": draw(pool, generator, of_words=words(chosen)),
        "nothing": [],
    }
    for name, new in arms.items():
        if name in args.arms.split(","):
            folder = scratch / f"{name.replace(' ', '-')}-{seed}"
            f = fit([*start, *new], folder, args.more_steps, seed, scratch / f"start-{seed}")
            spans = sum(len(document.spans) for document in new)
            figures[name] = {"f": f, "sentences": len(new), "words": words(new), "spans": spans}
            print(seed, name, figures[name], flush=True)
    return figures


def main() -> None:
    """Measure for each seed and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=int, default=100, help="passages that the starting model learns from")
    parser.add_argument("--count", type=int, default=200, help="sentences to suggest")
    parser.add_argument("--steps", type=int, default=400, help="updates of the starting model")
    parser.add_argument("--more-steps", type=int, default=120, help="updates with the new sentences")
    parser.add_argument("--seeds", default="0,1,2", help="seeds, with commas between them")
    parser.add_argument("--arms", default="suggested,random sentences,random words,nothing", help="what to measure")
    parser.add_argument("--weights", default="{}", help="weights of the parts of the score, a JSON object")
    parser.add_argument("--output", type=Path, required=True, help="file for the figures (JSON)")
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="drugpolicy-suggest-") as scratch:
        for seed in map(int, args.seeds.split(",")):
            found[seed] = run(seed, args, Path(scratch))
    for name in found[seed]:
        scores = [figures[name]["f"] for figures in found.values()]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f"{name:20} {statistics.mean(scores):.4f} ± {spread:.4f}")
    args.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
