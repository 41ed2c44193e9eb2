"""Make the base weights of the shipped model from raw text: labelled by models, then annotated.

    python training/distill.py select RAW texts.txt --words 1800000
    python training/distill.py label texts.txt labelled.txt --teacher MODEL [--teacher MODEL ...]
    python training/distill.py read RAW annotated.txt
    python training/distill.py learn labelled.txt annotated.txt

1. `select` cuts the .txt files of the folder RAW into pieces of some 300 words and takes those that name a drug, class,
   precursor or schedule, plus one other piece for every four, so that the model also learns silence.
2. `label` tags the pieces with one or more pipelines, each assembled with the rules, and writes what most of them find
   as marked text. The first teacher has a transformer for its ner (`configs/trf.cfg`); the small models that learned
   from its labels err elsewhere, so that the three agree on what is right more often than any of them is: label, learn,
   then label once more with all three. A name that the ner alone found stays only where it is found most times that it
   occurs: a transformer of this size takes many a person and place for an institution, but not each time.
3. `read` cuts out of RAW the passages that `annotated.jsonl` marks: its rows have file, offsets and marks, no text.
4. `learn` trains `configs/sm.cfg` on what was labelled, then on what was annotated and the corpus together, and writes
   the weights alone to `training/base`; and the weights that the action classes begin with, from the annotated verbs,
   to `drugpolicy_ner/data`.

RAW is any folder of drug-policy text in the public domain. Ours, of four million words: the Congressional Record, press
releases of US senators and the White House, the International Narcotics Control Strategy Reports of 2018 and 2019,
title 21 of the United States Code, statutes of Hawaii, executive orders, abstracts from the Federal Register, debates
of Singapore's parliament. No raw or labelled text is kept in this repository.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import spacy
from spacy.language import Language

import drugpolicy_ner
from drugpolicy_ner.actions import Actions, Weights, default_verbs, write_weights
from drugpolicy_ner.build import save
from drugpolicy_ner.corpus import Document, Span, read_marked_path, write_marked
from drugpolicy_ner.corpus.check import align
from drugpolicy_ner.errors import DataError
from drugpolicy_ner.labels import ACTIONS
from drugpolicy_ner.output import open_output
from drugpolicy_ner.recipe import read_vectors
from drugpolicy_ner.training import train

ROOT = Path(__file__).parents[1]
MARKS = ROOT / "training" / "annotated.jsonl"
WEIGHTS = ROOT / "drugpolicy_ner" / "data" / "action_weights.msgpack"
PIECE = 250
SILENCE = 4  # pieces that name a drug for one that names none
TOPIC = {"SUBSTANCE", "DRUG_CLASS", "PRECURSOR", "CONTROL_STATUS"}
BATCH = 200
WORDS_OF_TOPIC = re.compile(
    r"\b(?:drugs?|narcotics?|traffick\w*|overdos\w*|addict\w*|substances?|rehabilitat\w*|counter-?(?:drug|narcotics)|"
    r"meth|tobacco|doping)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"\w+|\S")
TIMES = 2  # a name found once may be an accident
STEADY = 0.6
STEPS = (6500, 0.001), (13000, 0.001), (3000, 0.0003)  # with their rates
FOCUS = 0.02  # mentions of drugs a word
OTHERS = 5
FOLDS = 4
FAVOUR = 0.7  # chosen on the authored dev split and real text: 0.3 to 0.9 score alike on real text
NAMED = {"INSTITUTION", "CRIMINAL_ORG"}


class Entity(NamedTuple):
    """An entity of a piece, and whether the ner alone found it."""

    start: int
    end: int
    label: str
    guessed: bool


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


def label(texts: Path, output: Path, teachers: Sequence[str]) -> None:
    """Tag pieces and write what most teachers find as marked text."""
    documents = list(read_marked_path(texts))
    votes: list[dict[tuple[int, int, str], list[bool]]] = [defaultdict(list) for _ in documents]
    for teacher in teachers:
        nlp = spacy.load(teacher)
        for i, doc in enumerate(nlp.pipe((document.text for document in documents), batch_size=16)):
            for ent in doc.ents:
                votes[i][ent.start_char, ent.end_char, ent.label_].append(ent.id_ == "ner")
            if i % BATCH == 0:
                print(f"{teacher}: {i} of {len(documents)}", flush=True)
    found = [majority(spans, len(teachers)) for spans in votes]
    kept = steady([document.text for document in documents], found)
    with open_output(output) as stream:
        for document, entities in zip(documents, found, strict=True):
            spans = tuple(
                Span(ent.start, ent.end, ent.label, ACTIONS[0] if ent.label == "POLICY_VERB" else "")
                for ent in entities
                if not ent.guessed
                or ent.label == "POLICY_VERB"
                or (document.text[ent.start : ent.end], ent.label) in kept
            )
            stream.write(write_marked([Document(document.id, document.text, spans)]) + "\n")


def majority(votes: Mapping[tuple[int, int, str], Sequence[bool]], teachers: int) -> list[Entity]:
    """Return the spans that more than half of the teachers give.

    Two of them cannot overlap: some teacher would have given both.

    Args:
        votes: Start, end and label of a span -> of each teacher that gives it, whether its ner alone found it.
        teachers: How many there are.
    """
    return sorted(Entity(*span, all(guesses)) for span, guesses in votes.items() if 2 * len(guesses) > teachers)


def steady(texts: Sequence[str], found: Sequence[Iterable[Entity]]) -> set[tuple[str, str]]:
    """Return the names, with labels, that the ner alone finds, and finds most of the times that they occur."""
    guessed = Counter(
        (text[ent.start : ent.end], ent.label)
        for text, entities in zip(texts, found, strict=True)
        for ent in entities
        if ent.guessed
    )
    by_first: dict[str, list[str]] = defaultdict(list)
    for name, _ in guessed:
        by_first[WORD.findall(name)[0]].append(name)
    occurs: Counter[str] = Counter()
    for text in texts:
        for match in WORD.finditer(text):
            for name in by_first.get(match.group(), ()):
                end = match.start() + len(name)
                occurs[name] += text.startswith(name, match.start()) and not text[end : end + 1].isalnum()
    return {
        (name, label)
        for (name, label), count in guessed.items()
        if count >= TIMES and count >= STEADY * occurs[name] and (label not in NAMED or not name.islower())
    }


def read(raw: Path, marks: Path) -> Iterator[Document]:
    """Yield the annotated passages of raw text.

    Args:
        raw: Folder with the files that the marks name.
        marks: JSON lines with ``file``, ``start`` and ``end`` in characters, the first 16 digits of the passage's
            ``sha256`` and ``spans``: start, end, label and, of a verb, action class.

    Raises:
        DataError: A file is missing or has other text at that place.
    """
    texts: dict[str, str] = {}
    for number, line in enumerate(marks.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        name, start, end = row["file"], row["start"], row["end"]
        if name not in texts:
            if not (raw / name).is_file():
                raise DataError(
                    f"{raw} has no file {name}: give the folder that was annotated", path=marks, line=number
                )
            texts[name] = (raw / name).read_bytes().decode("utf-8")
        text = texts[name][start:end]
        if sha256(text.encode()).hexdigest()[:16] != row["sha256"]:
            raise DataError(f"{raw / name} has other text there: it is another version", path=marks, line=number)
        spans = tuple(Span(span[0], span[1], span[2], *span[3:]) for span in row["spans"])
        yield Document(f"{name}:{start}", text, spans)


def focus(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents that are about drugs, and every fifth of the others.

    A text that names drugs in passing has few policy verbs, for reasons that a window of seven words does not show.
    """
    others = 0
    for document in documents:
        mentions = sum(span.label in TOPIC for span in document.spans) + len(WORDS_OF_TOPIC.findall(document.text))
        if mentions >= FOCUS * len(document.text.split()):
            yield document
        else:
            others += 1
            if others % OTHERS == 0:
                yield document


def favour_verbs(nlp: Language) -> None:
    """Raise the bias of the moves that begin a policy verb.

    The annotated passages are cut from texts of many topics, where fewer of the same verbs are acts of drug policy.
    """
    ner = nlp.get_pipe("ner")
    moves = [ner.moves.get_class_name(i) for i in range(ner.moves.n_moves)]
    last = [node for node in ner.model.walk() if node.name == "linear" and node.get_dim("nO") == len(moves)][-1]
    bias = last.get_param("b")
    bias[[i for i, move in enumerate(moves) if move in ("B-POLICY_VERB", "U-POLICY_VERB")]] += FAVOUR
    last.set_param("b", bias)


def learn(labelled: Path, annotated: Path, output: Path) -> None:
    """Train the small model on labelled pieces, then on annotated ones and the corpus; save its weights alone."""
    corpus = list(read_marked_path(ROOT / "training" / "corpus" / "train"))
    passages = list(read_marked_path(annotated))
    with tempfile.TemporaryDirectory(prefix="drugpolicy-distill-") as folder:
        scratch = Path(folder)
        vectors = spacy.blank("en")
        vectors.vocab.vectors = read_vectors(vectors.vocab.strings)
        vectors.to_disk(scratch / "vectors")
        both = scratch / "both.txt"
        both.write_text(write_marked([*focus(passages), *corpus]), encoding="utf-8")
        for data, base, result, (steps, rate) in (
            (labelled, None, "first", STEPS[0]),
            (both, scratch / "first", "second", STEPS[1]),
            (both, scratch / "second", "third", STEPS[2]),
        ):
            fixed = {} if base else {"initialize.vectors": str(scratch / "vectors")}
            train(
                data,
                scratch / result,
                dev=ROOT / "training" / "corpus" / "dev",
                base=base,
                replay=None,
                config="sm",
                overrides={
                    **fixed,
                    "training.max_steps": steps,
                    "training.eval_frequency": 500,
                    "training.patience": 0,
                    "training.optimizer.learn_rate": rate,
                },
                fully_annotated=True,
                rules=False,
            )
        nlp = spacy.load(scratch / "third")
    nlp.meta["performance"] = {}
    favour_verbs(nlp)
    save(nlp, output, exclude=["vocab"])  # which retraining makes anew, vectors and all
    with open_output(WEIGHTS) as stream:
        stream.write_bytes(write_weights(classes(nlp, [*corpus, *passages])))


def classes(nlp: Language, documents: Iterable[Document]) -> Weights:
    """Learn the action classes of the annotated verbs, and what the verbs around one say of it.

    For the latter each verb gets the odds of a classifier that did not learn from its document.
    """
    docs = [align(document, nlp.tokenizer) for document in documents]
    verbs = [[ent for ent in doc.ents if ent.kb_id_ in ACTIONS] for doc in docs]
    random.Random(0).shuffle(verbs)
    listed = default_verbs()
    judged = []
    for fold in range(FOLDS):
        part = Actions(nlp.vocab)
        others = (ent for i, ents in enumerate(verbs) if i % FOLDS != fold for ent in ents)
        part.train([(ent, ent.kb_id_) for ent in others], listed)
        judged += [(ents, part.odds(ents), [ent.kb_id_ for ent in ents]) for ents in verbs[fold::FOLDS]]
    actions = Actions(nlp.vocab)
    actions.train([(ent, ent.kb_id_) for ents in verbs for ent in ents], listed)
    actions.train_context(judged)
    return actions.weights


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("select")
    step.add_argument("raw", type=Path)
    step.add_argument("output", type=Path)
    step.add_argument("--words", type=int, default=1_800_000)
    step = steps.add_parser("label")
    step.add_argument("texts", type=Path)
    step.add_argument("output", type=Path)
    step.add_argument("--teacher", required=True, action="append")
    step = steps.add_parser("read")
    step.add_argument("raw", type=Path)
    step.add_argument("output", type=Path)
    step = steps.add_parser("learn")
    step.add_argument("labelled", type=Path)
    step.add_argument("annotated", type=Path)
    step.add_argument("--output", type=Path, default=ROOT / "training" / "base")
    args = parser.parse_args()
    if args.step == "select":
        select(args.raw, args.output, args.words)
    elif args.step == "label":
        label(args.texts, args.output, args.teacher)
    elif args.step == "read":
        with open_output(args.output) as stream:
            stream.write(write_marked(read(args.raw, MARKS)))
    else:
        learn(args.labelled, args.annotated, args.output)


if __name__ == "__main__":
    main()
