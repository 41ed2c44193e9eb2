"""Building pipelines: training the statistical part and assembling it with the rule sources."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import spacy
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import load_config, load_model_from_config

from . import __version__
from .actions import Actions, Verb
from .corpus import Document
from .corpus.check import align
from .errors import DrugPolicyError, UsageError
from .forms import Form, Forms
from .gazetteer import Gazetteer
from .linking import Linker
from .nomenclature import Nomenclature

if TYPE_CHECKING:
    from spacy.language import Language

    from .concepts import Concept

_TAKERS: Final = ("drugpolicy_gazetteer", "drugpolicy_linker")  # factories whose components have add(concepts)
_WRAPPER: Final = "drugpolicy_tagger"  # the factory whose component has a pipeline inside


def train(
    config: str | Path,
    output: str | Path,
    *,
    train: str | Path,
    dev: str | Path,
    overrides: Mapping[str, Any] | None = None,
) -> Language:
    """Train the statistical part of a pipeline.

    Args:
        config: A training config, such as ``configs/sm.cfg``.
        output: Folder for the best model; replaced only when the training has ended well.
        train: Marked text to learn from, a file or a folder.
        dev: Marked text by which the best model is chosen.
        overrides: Dotted settings that replace those of the config, as ``{"training.max_steps": 200}``.

    Returns:
        The best model.

    Raises:
        DataError: For whatever breaks the format or the alignment of the marked text.
    """
    settings = {"paths.train": str(train), "paths.dev": str(dev), **(overrides or {})}
    nlp = init_nlp(load_config(config, overrides=settings, interpolate=False))
    with tempfile.TemporaryDirectory(prefix="drugpolicy-train-") as scratch:
        train_loop(nlp, Path(scratch))
        best = spacy.load(Path(scratch) / "model-best")
        _strip_paths(best)
        save(best, output)
    return best


def assemble(
    trained: Language,
    config: str | Path,
    *,
    concepts: Iterable[Concept],
    forms: Iterable[Form],
    families: Iterable[Form],
    verbs: Iterable[Verb],
    documents: Iterable[Document],
) -> Language:
    """Put a trained model and the rule sources together into one pipeline.

    Args:
        trained: What `train` returned.
        config: The assembly config, ``configs/pipeline.cfg``.
        concepts: Whose aliases the gazetteer finds.
        forms: The closed forms.
        families: The families of chemical names.
        verbs: Verbs with their usual action class.
        documents: Annotated documents from which the action classes are learned.

    Returns:
        A pipeline that is self-contained when saved.

    Raises:
        DrugPolicyError: The config lacks one of the components.
    """
    nlp = load_model_from_config(load_config(config), vocab=trained.vocab, auto_fill=True)
    first_rule = nlp.pipe_names[0]
    for name in trained.pipe_names:
        nlp.add_pipe(name, source=trained, before=first_rule)
    gazetteer, nomenclature, closed, linker, actions = (
        _component(nlp, name, kind)
        for name, kind in (
            ("drugpolicy_gazetteer", Gazetteer),
            ("drugpolicy_nomenclature", Nomenclature),
            ("drugpolicy_forms", Forms),
            ("drugpolicy_linker", Linker),
            ("drugpolicy_actions", Actions),
        )
    )
    concepts = list(concepts)
    gazetteer.add(concepts)
    linker.add(concepts)
    nomenclature.add(families)
    closed.add(forms)
    docs = [align(document, nlp.tokenizer) for document in documents]
    actions.train(((ent, ent.kb_id_) for doc in docs for ent in doc.ents if ent.label_ == "POLICY_VERB"), verbs)
    nlp.meta.update(
        name="drugpolicy_ner",
        version=__version__,
        description="Drug-policy entities, linked to a knowledge base",
        license="MIT",
        author="The drugpolicy_ner maintainers",
        email="",
        url="",
        spacy_git_version="",
    )
    return nlp


def add_concepts(nlp: Language, concepts: Iterable[Concept]) -> None:
    """Teach a pipeline the names of more concepts; it keeps them when it is saved.

    Args:
        nlp: A loaded pipeline, the shipped one or one with the component ``drugpolicy_tagger``.
        concepts: For example from `drugpolicy_ner.concepts.read_own_concepts`. A name that two concepts share is
            found, but without a concept id.

    Raises:
        UsageError: No component of the pipeline takes concepts.
    """
    takers = list(_takers(nlp))
    if not takers:
        raise UsageError(f"no component of this pipeline takes concepts: it needs one of {', '.join(_TAKERS)}")
    concepts = tuple(concepts)
    for component in takers:
        component.add(concepts)


def save(nlp: Language, output: str | Path) -> None:
    """Save a pipeline as a folder, which appears only when it is whole.

    Args:
        nlp: The pipeline.
        output: The folder; what stood there is replaced.
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        nlp.to_disk(scratch / "new")
        if output.exists():
            output.replace(scratch / "old")
        try:
            (scratch / "new").replace(output)
        except OSError:
            if (scratch / "old").exists():
                (scratch / "old").replace(output)
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _takers(nlp: Language) -> Iterator[Any]:
    for name, component in nlp.components:  # those that are switched off too
        factory = nlp.get_pipe_meta(name).factory
        if factory in _TAKERS:
            yield component
        elif factory == _WRAPPER:
            wrapper: Any = component
            yield from _takers(wrapper.nlp)


def _component(nlp: Language, name: str, kind: type) -> Any:
    if name not in nlp.pipe_names:
        raise DrugPolicyError(f"the assembly config has no component {name!r}: add it to [nlp] pipeline")
    component = nlp.get_pipe(name)
    if not isinstance(component, kind):
        raise DrugPolicyError(f"the component {name!r} is a {type(component).__name__}, not a {kind.__name__}")
    return component


def _strip_paths(nlp: Language) -> None:
    """Take the paths of this machine out of the config that is saved."""
    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])
