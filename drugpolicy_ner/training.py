"""Training: from annotated documents to a whole pipeline, anew or going on from a trained model."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy.training import Example
from thinc.api import fix_random_seed

from . import __version__
from .build import assemble_default, check_target, keep_trained, open_model, save
from .corpus import Document
from .corpus.formats import Format, read_documents
from .errors import DataError, DrugPolicyError, OutputError, UsageError
from .evaluation import Scores, evaluate
from .loop import Progress, fingerprint, fit
from .mixing import complete, gold, hold_out, labels_of, mix
from .paths import check_output, flaw
from .settings import check_settings, load_settings, new_pipeline, override, require_gpu, start
from .shipped import corpus

if TYPE_CHECKING:
    from spacy.language import Language
    from thinc.api import Config

    from .concepts import Concept

SHIPPED: Final = "shipped"
"""Stands for the model or the corpus that comes with the package."""

_PLAN: Final = "plan.json"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Strict scores on the same documents of the model that training began with and of the one it gave.

    Args:
        documents: How many documents.
        before: None where training began anew.
        after: The result.
    """

    documents: int
    before: Scores | None
    after: Scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training.

    Args:
        output: The folder of the pipeline.
        labels: The labels of its ner.
        steps: Updates made.
        best_step: The update whose weights were taken.
        seconds: Time that this call took.
        new: Scores on the held-out part of the new documents, for the labels these carry.
        old: Scores on the held-out part of the replay, for the labels that the model knew; None without replay.
    """

    output: str
    labels: list[str]
    steps: int
    best_step: int
    seconds: float
    new: Comparison
    old: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        found: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, scores in (("new", self.new), ("old", self.old)):
            found[name] = scores and {
                "documents": scores.documents,
                "before": scores.before and scores.before.as_dict(),
                "after": scores.after.as_dict(),
            }
        return found


def train(
    data: str | Path,
    output: str | Path,
    *,
    dev: str | Path | None = None,
    source: Format | None = None,
    base: str | Path | None = SHIPPED,
    replay: str | Path | None = SHIPPED,
    annotated: str | Path | None = None,
    own: Iterable[Concept] = (),
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    fully_annotated: bool = False,
    rules: bool = True,
    max_drop: float = 0.01,
    gpu_id: int = -1,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Train a pipeline.

    Until all is done, work is kept in a folder beside the output, ``NAME.training``, from which an interrupted training
    is resumed.

    Args:
        data: Annotated documents to learn from, a file or a folder.
        output: Folder of the pipeline to write; a pipeline that is there is replaced at the end.
        dev: Documents by which the best weights are chosen; without them some of `data` are held out.
        source: Format of `data` and `dev`; without it, what suffix and content say.
        base: Name or folder of the model to go on from, ``shipped``, or None to begin anew.
        replay: Documents with the labels that the model knew, so that it keeps them: a file, a folder, or a folder with
            ``train`` and ``dev``; ``shipped`` is the authored corpus.
        annotated: Marked text that stands for the authored corpus where the action classes of verbs are learned.
        own: Concepts beside those of the knowledge base.
        config: ``sm``, ``trf``, ``tune`` or a file; where training goes on from a model only its [training] counts.
        overrides: Dotted settings that replace those of the config.
        fully_annotated: Whether the documents carry all labels of the model; else those that occur nowhere in them are
            taken from `base`.
        rules: Whether the gazetteer, the forms and the other rule sources are added.
        max_drop: How much micro F on the held-out part of the replay may fall.
        gpu_id: Number of a GPU, or -1.
        resume: Whether to go on with an interrupted training of the same data and settings.
        say: Called with a line on each stage.
        progress: Called after each update.

    Raises:
        UsageError: The settings or the model cannot be used, or there is nothing to resume.
        DataError: The documents cannot be used.
        OutputError: The output cannot be written.
        DrugPolicyError: The model forgot more than `max_drop`; nothing is saved.
    """
    started = time.monotonic()
    output = Path(output)
    work = output.with_name(f"{output.name}.training")
    check_target(output)
    _check_work(work, resume)
    settings = load_settings(config or ("sm" if base is None else "tune"), overrides if base is None else None)
    if base is not None:
        override(settings, overrides or {}, within="training")
    check_settings(settings)
    require_gpu(gpu_id)
    new, new_dev = _documents(data, dev, source)
    before = None if base is None else open_model(None if base == SHIPPED else str(base))
    old, old_dev = _replay(replay)
    seed = settings.interpolate()["training"]["seed"]
    if seed is not None:
        fix_random_seed(seed)
    pipeline = new_pipeline(settings) if before is None else before
    tokenizer = pipeline.tokenizer
    docs, old_docs = gold(new, tokenizer), gold(old, tokenizer)
    gold([*new_dev, *old_dev], tokenizer)  # raises where a span could never be found
    labels, known = labels_of(new), labels_of(old)
    new_before = old_before = None
    floor = 0.0
    if before is not None:
        if not rules:
            keep_trained(before)
        say("scoring the model to go on from")
        can = frozenset(before.pipe_labels.get("ner", ()))
        new_before = _score(before, new_dev, labels)
        if not fully_annotated:
            complete(docs, before, can - labels)
        complete(old_docs, before, can - known)
        known &= can
        if old_dev:
            old_before = _score(before, old_dev, known)
        keep_trained(before)
        if old_dev:
            floor = _score(before, old_dev, known).micro.f - max_drop
    examples = [Example(pipeline.make_doc(doc.text), doc) for doc in mix(docs, old_docs)]
    _prepare(pipeline, settings, examples, anew=before is None)

    def judge(nlp: Language) -> tuple[bool, dict[str, float]]:
        found = _score(nlp, new_dev, labels).micro.f
        if not old_dev:
            return True, {"held-out": found}
        kept = _score(nlp, old_dev, known).micro.f
        return kept >= floor, {"new": found, "old": kept}

    _open_work(work, _plan(pipeline, settings, examples), resume=resume)
    replayed = (f" and {len(old)} of the replay", f" and {len(old_dev)}") if old else ("", "")
    say(f"training on {len(new)} documents{replayed[0]}; the ner is scored on {len(new_dev)}{replayed[1]} held out")
    results = fit(pipeline, examples, judge, work, progress=progress)
    best = max(results, key=lambda result: result.rank)
    if rules:
        say("assembling")
        pipeline = assemble_default(pipeline, documents=new, annotated=annotated, own=own)
    say("scoring the result")
    outcome = Outcome(
        output=str(output),
        labels=sorted(pipeline.pipe_labels["ner"]),
        steps=results[-1].step,
        best_step=best.step,
        seconds=0.0,
        new=Comparison(len(new_dev), new_before, _score(pipeline, new_dev, labels)),
        old=Comparison(len(old_dev), old_before, _score(pipeline, old_dev, known)) if old_dev else None,
    )
    _check_drop(outcome, max_drop, work)
    _describe(pipeline, outcome, base=base, replay=replay, documents=new)
    save(pipeline, output)
    shutil.rmtree(work)
    return replace(outcome, seconds=round(time.monotonic() - started, 1))


def _score(nlp: Language, documents: Sequence[Document], labels: Collection[str]) -> Scores:
    return evaluate(nlp, documents, labels=labels).strict


def _documents(
    data: str | Path, dev: str | Path | None, source: Format | None
) -> tuple[list[Document], list[Document]]:
    new = _read(data, source)
    new, held_out = hold_out(new) if dev is None else (new, _read(dev, source))
    if not labels_of(new):
        raise DataError("no document has an annotated span: there is nothing to learn", path=data)
    return new, held_out


def _replay(replay: str | Path | None) -> tuple[list[Document], list[Document]]:
    if replay is None:
        return [], []
    path = corpus() if replay == SHIPPED else Path(replay)
    if not flaw(path) and (path / "train").is_dir() and (path / "dev").is_dir():
        return _read(path / "train"), _read(path / "dev")
    return hold_out(_read(path))


def _read(path: str | Path, source: Format | None = None) -> list[Document]:
    if flaw(path) or not Path(path).exists():
        raise UsageError(f"{path}: no such file or folder")
    return list(read_documents(path, source))


def _prepare(pipeline: Language, settings: Config, examples: list[Example], *, anew: bool) -> None:
    """Get a pipeline ready to be trained."""
    if anew:
        start(pipeline, examples)
        return
    pipeline.config["training"] = settings.interpolate()["training"]
    ner: Any = pipeline.get_pipe("ner")
    for label in sorted({ent.label_ for example in examples for ent in example.reference.ents}):
        ner.add_label(label)
    # until it has seen a new label the ner would mask it; that is saved neither with the model nor for --resume
    ner.model.attrs["unseen_classes"].clear()


def _plan(nlp: Language, settings: Config, examples: Iterable[Example]) -> dict[str, str]:
    """Return what must be the same where a training is resumed."""
    data = hashlib.sha256()
    for example in examples:
        doc = example.reference
        data.update(json.dumps([doc.text, [(ent.start, ent.end, ent.label_) for ent in doc.ents]]).encode())
    return {
        "version": __version__,
        "settings": settings.interpolate().to_str(),
        "documents": data.hexdigest(),
        "first weights": fingerprint(nlp),
    }


def _check_work(work: Path, resume: bool) -> None:
    check_output(work)
    if resume and not work.is_dir():
        raise UsageError(f"nothing to resume: there is no folder {work}")
    if not resume and work.exists():
        raise UsageError(f"{work}: holds an unfinished training: go on with --resume, or delete it")


def _open_work(work: Path, plan: dict[str, str], *, resume: bool) -> None:
    """Make the work folder, or see that the one that is there belongs to the same training."""
    path = work / _PLAN
    if resume and path.is_file():
        with suppress(ValueError):
            there = json.loads(path.read_text(encoding="utf-8"))
            changed = [name for name in plan if there.get(name) != plan[name]]
            if not changed:
                return
            raise UsageError(f"{work}: was begun with other {' and '.join(changed)}: give the same, or delete it")
    try:
        work.mkdir(exist_ok=resume)
        partial = work / f".{_PLAN}"
        partial.write_text(json.dumps(plan), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{work}: cannot be written: {error.strerror or error}") from error


def _check_drop(outcome: Outcome, max_drop: float, work: Path) -> None:
    if outcome.old is None or outcome.old.before is None:
        return
    before, after = outcome.old.before, outcome.old.after
    if before.micro.f - after.micro.f > max_drop:
        drops = {label: score.f - after.labels[label].f for label, score in before.labels.items()}
        worst = max(drops, key=lambda label: drops[label])
        raise DrugPolicyError(
            f"not saved: micro F on the replay fell from {before.micro.f:.3f} to {after.micro.f:.3f}, by more than "
            f"--max-drop {max_drop:g} (most for {worst}: {before.labels[worst].f:.3f} to {after.labels[worst].f:.3f}); "
            f"on the new documents it is {outcome.new.after.micro.f:.3f}. To take it, go on with --resume and a "
            f"greater --max-drop; else delete {work}"
        )


def _describe(
    nlp: Language,
    outcome: Outcome,
    *,
    base: str | Path | None,
    replay: str | Path | None,
    documents: Sequence[Document],
) -> None:
    """Put scores and provenance into the meta that is saved, from which `package` writes the card."""
    new = outcome.new.after
    performance: dict[str, Any] = {
        "ents_p": new.micro.precision,
        "ents_r": new.micro.recall,
        "ents_f": new.micro.f,
        "ents_per_type": _per_type(new),
    }
    if outcome.old is not None:
        performance["replay_ents_f"] = outcome.old.after.micro.f
        performance["replay_ents_per_type"] = _per_type(outcome.old.after)
        if outcome.old.before is not None:
            performance["replay_ents_f_before"] = outcome.old.before.micro.f
    began = "anew" if base is None else "from the model of drugpolicy-ner" if base == SHIPPED else "from another model"
    words = sum(len(document.text.split()) for document in documents)
    notes = (
        f"Trained {began} on {len(documents)} documents of {words} words and scored on {outcome.new.documents} that "
        "were held out to choose the weights by."
    )
    if replay is not None:
        kept = (
            "the authored corpus of drugpolicy-ner" if replay == SHIPPED else "documents with the labels known before"
        )
        notes += f" So that nothing is forgotten, it was trained on {kept} too."
    nlp.meta.update(performance=performance, notes=notes)


def _per_type(scores: Scores) -> dict[str, dict[str, float]]:
    """Return scores by label as spaCy's meta has them."""
    return {label: {"p": score.precision, "r": score.recall, "f": score.f} for label, score in scores.labels.items()}
