"""Make the base weights from which `retrain.py` starts: the small model learns from a large one's labels on raw text.

    python training/distill.py select RAW OUTPUT --words 2000000
    python training/distill.py label TEXTS OUTPUT --teacher MODEL
    python training/distill.py train LABELLED OUTPUT

1. `select` cuts the .txt files of the folder RAW into pieces of about 250 words and takes those that name a drug, class,
   precursor or schedule, plus one piece of other text for every four, so that the model also learns silence.
2. `label` tags the pieces with a pipeline whose ner is a transformer of `configs/trf.cfg`, assembled with the rules, and
   writes them as marked text.
3. `train` trains `configs/sm.cfg` on that and saves it without vectors.

RAW is any folder of drug-policy text in the public domain. Ours held four million words: the Congressional Record, press
releases of US senators and the White House, the International Narcotics Control Strategy Reports of 2018 and 2019,
title 21 of the United States Code, statutes of Hawaii, executive orders, abstracts from the Federal Register and debates
of Singapore's parliament. No raw or labelled text is kept in this repository.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import spacy

import drugpolicy_ner
from drugpolicy_ner.build import save
from drugpolicy_ner.corpus import Document, Span, read_marked_path, write_marked
from drugpolicy_ner.labels import ACTIONS
from drugpolicy_ner.output import open_output
from drugpolicy_ner.recipe import read_vectors
from drugpolicy_ner.training import train

ROOT = Path(__file__).parents[1]
PIECE = 250
SILENCE = 4  # pieces that name a drug for one that names none
TOPIC = {"SUBSTANCE", "DRUG_CLASS", "PRECURSOR", "CONTROL_STATUS"}
BATCH = 200


def pieces(text: str, words: int = PIECE) -> Iterator[str]:
    """Yield pieces of a text that end at a line's or a sentence's end."""
    piece: list[str] = []
    length = 0
    for part in re.split(r"(?<=[.!?;:])(?=\s)|(?<=\n)", text):
        piece.append(part)
        length += len(part.split())
        if length >= words:
            yield "".join(piece).strip()
            piece, length = [], 0
    if length > words // 4:
        yield "".join(piece).strip()


def select(raw: Path, output: Path, words: int) -> None:
    """Choose pieces of raw text and write them as marked text without marks."""
    nlp = drugpolicy_ner.load(exclude=["tok2vec", "ner", "drugpolicy_linker", "drugpolicy_actions"])
    about: list[str] = []
    other: list[str] = []
    for file in sorted(raw.glob("*.txt")):
        for doc in nlp.pipe(pieces(file.read_text(encoding="utf-8", errors="replace"))):
            (about if any(ent.label_ in TOPIC for ent in doc.ents) else other).append(doc.text)
    chance = random.Random(0)
    chance.shuffle(about)
    chance.shuffle(other)
    chosen: list[str] = []
    total = 0
    while about and total < words:
        taken = [about.pop() for _ in range(min(SILENCE, len(about)))] + ([other.pop()] if other else [])
        chosen += taken
        total += sum(len(text.split()) for text in taken)
    with open_output(output) as stream:
        stream.write(write_marked(Document(f"raw-{i:06}", text) for i, text in enumerate(chosen)))
    print(f"{len(chosen)} pieces, {total} words, {len(about)} pieces that name a drug left")


def label(texts: Path, output: Path, teacher: str) -> None:
    """Tag pieces and write them as marked text."""
    nlp = spacy.load(teacher)
    documents = list(read_marked_path(texts))
    with open_output(output) as stream:
        for i, doc in enumerate(nlp.pipe((document.text for document in documents), batch_size=32)):
            spans = tuple(
                Span(
                    ent.start_char,
                    ent.end_char,
                    ent.label_,
                    (ent.kb_id_ or ACTIONS[0]) if ent.label_ == "POLICY_VERB" else "",
                )
                for ent in doc.ents
            )
            stream.write(write_marked([Document(documents[i].id, doc.text, spans)]) + "\n")
            if i % BATCH == 0:
                print(f"{i} of {len(documents)}", flush=True)


def learn(labelled: Path, output: Path, overrides: dict[str, object]) -> None:
    """Train the small model on labelled pieces and save it without its vectors."""
    with tempfile.TemporaryDirectory(prefix="drugpolicy-vectors-") as scratch:
        vectors = spacy.blank("en")
        vectors.vocab.vectors = read_vectors(vectors.vocab.strings)
        vectors.to_disk(scratch)
        train(
            labelled,
            output,
            dev=ROOT / "training" / "corpus" / "dev",
            base=None,
            replay=None,
            config="sm",
            overrides={"initialize.vectors": scratch, **overrides},
            fully_annotated=True,
            rules=False,
        )
        nlp = spacy.load(output)
        nlp.vocab.vectors.clear()
        save(nlp, output)


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("select")
    step.add_argument("raw", type=Path)
    step.add_argument("output", type=Path)
    step.add_argument("--words", type=int, default=2_000_000)
    step = steps.add_parser("label")
    step.add_argument("texts", type=Path)
    step.add_argument("output", type=Path)
    step.add_argument("--teacher", required=True)
    step = steps.add_parser("train")
    step.add_argument("labelled", type=Path)
    step.add_argument("output", type=Path)
    step.add_argument("--max-steps", type=int, default=9000)
    args = parser.parse_args()
    if args.step == "select":
        select(args.raw, args.output, args.words)
    elif args.step == "label":
        label(args.texts, args.output, args.teacher)
    else:
        learn(args.labelled, args.output, {"training.max_steps": args.max_steps, "training.patience": 0})


if __name__ == "__main__":
    main()
