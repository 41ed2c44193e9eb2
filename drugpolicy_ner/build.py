"""Building pipelines: putting a trained model and the rule sources together, and saving what came of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy.about import __version__ as spacy_version
from spacy.util import is_compatible_version, is_package, load_config, load_model_from_config

from . import __version__
from .actions import Actions, Verb, Weights, default_verbs, default_weights
from .concepts import default_store
from .corpus import Document, read_marked_path
from .corpus.check import align
from .errors import DrugPolicyError, OutputError, UsageError
from .forms import Form, Forms, default_forms
from .gazetteer import Gazetteer
from .linking import Linker
from .nomenclature import Nomenclature, default_families
from .paths import check_output, flaw
from .shipped import configs, corpus
from .tagging import load_pipeline

if TYPE_CHECKING:
    from spacy.language import Language

    from .concepts import Concept

_TAKERS: Final = ("drugpolicy_gazetteer", "drugpolicy_linker")  # factories whose components have add(concepts)
_WRAPPER: Final = "drugpolicy_tagger"  # the factory whose component has a pipeline inside
_TRAINED: Final = ("tok2vec", "transformer", "ner")  # the factories whose components training is about
_DESCRIBED: Final = ("performance", "notes")  # what of a trained model's meta is true of the assembled pipeline too


def assemble(
    trained: Language,
    config: str | Path,
    *,
    concepts: Iterable[Concept],
    forms: Iterable[Form],
    families: Iterable[Form],
    verbs: Iterable[Verb],
    documents: Iterable[Document],
    weights: Weights | None = None,
) -> Language:
    """Put a trained model and the rule sources together into one pipeline.

    Args:
        trained: A trained model without rule sources, see `keep_trained`.
        config: The assembly config, ``configs/pipeline.cfg``.
        concepts: Whose aliases the gazetteer finds.
        forms: The closed forms.
        families: The families of chemical names.
        verbs: Verbs with their usual action class.
        documents: Annotated documents from whose policy verbs the action classes are learned; a verb without one
            teaches nothing.
        weights: Weights that the action classes begin with.

    Returns:
        A pipeline that is self-contained when saved.

    Raises:
        DrugPolicyError: The config lacks one of the components.
    """
    nlp = load_model_from_config(load_config(config), vocab=trained.vocab, auto_fill=True)
    # the trained components may refer to these paths, which are filled in when the components are taken over
    trained.config["paths"].update(_portable_paths(trained))
    nlp.config["paths"].update(trained.config["paths"])
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
    annotated = [ent for doc in docs for ent in doc.ents if ent.label_ == "POLICY_VERB" and ent.kb_id_]
    actions.train(((ent, ent.kb_id_) for ent in annotated), verbs, start=weights)
    nlp.meta.update(
        name="drugpolicy_ner",
        version=__version__,
        description="Drug-policy entities, linked to a knowledge base",
        license="MIT",
        author="The drugpolicy_ner maintainers",
        email="",
        url="",
        spacy_git_version="",
        **{key: trained.meta[key] for key in _DESCRIBED if key in trained.meta},
    )
    return nlp


def assemble_default(
    trained: Language,
    *,
    config: str | Path | None = None,
    own: Iterable[Concept] = (),
    documents: Iterable[Document] = (),
    annotated: str | Path | None = None,
) -> Language:
    """Put a trained model and the rule sources that come with the package together.

    Args:
        trained: A trained model without rule sources, see `keep_trained`.
        config: The assembly config; without one, that of the shipped pipeline.
        own: Concepts beside those of the knowledge base.
        documents: Annotated documents for the action classes, beside the authored corpus; those of it count once.
        annotated: Folder of marked text that stands for the authored corpus.

    Returns:
        A pipeline that is self-contained when saved.

    Raises:
        DrugPolicyError: The config lacks one of the components.
    """
    authored = read_marked_path(corpus() / "train" if annotated is None else annotated)
    unique = {(document.id, document.text): document for document in (*authored, *documents)}
    nlp = assemble(
        trained,
        configs() / "pipeline.cfg" if config is None else config,
        concepts=default_store(),
        forms=default_forms(),
        families=default_families(),
        verbs=default_verbs(),
        weights=default_weights(),
        documents=unique.values(),
    )
    own = tuple(own)
    if own:
        add_concepts(nlp, own)
    return nlp


def open_model(model: str | None, *, exclude: Sequence[str] = ()) -> Language:
    """Load a pipeline to build on.

    Tagging makes do with a pipeline that was made for another spaCy; what is built on one would hide that.

    Args:
        model: Its name or folder; without it, the one that ships with this package.
        exclude: Names of components that are not loaded.

    Raises:
        UsageError: It cannot be loaded, or it was made for another spaCy.
    """
    if model is not None and not is_package(model) and not flaw(model) and Path(model).is_dir():
        _check_version(Path(model), f"the pipeline {model!r}")
    return load_pipeline(model, exclude=exclude)


def load_trained(model: str) -> Language:
    """Load a pipeline without its rule sources, which may be those of another version.

    Args:
        model: Its name or folder.

    Raises:
        UsageError: It cannot be loaded, or has no component ``ner``.
    """
    rules = load_config(configs() / "pipeline.cfg")["nlp"]["pipeline"]
    nlp = open_model(model, exclude=rules)
    keep_trained(nlp)
    return nlp


def keep_trained(nlp: Language) -> None:
    """Take out of a pipeline all but its ner and what that reads.

    Args:
        nlp: Changed in place.

    Raises:
        UsageError: It has no component ``ner``.
    """
    if "ner" not in nlp.component_names:
        raise UsageError(f"the pipeline has no component 'ner', but {', '.join(nlp.component_names) or 'none'}")
    for name in nlp.component_names:
        if nlp.get_pipe_meta(name).factory not in _TRAINED:
            nlp.remove_pipe(name)


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


def check_target(output: str | Path) -> None:
    """Raise where a pipeline cannot be saved, which is better known before the work than after it.

    Args:
        output: The folder to write.

    Raises:
        OutputError: There is a file, a folder with something else than a pipeline, or no folder to write it into.
    """
    output = Path(output)
    check_output(output)
    if output.is_dir():
        if any(output.iterdir()) and not (output / "config.cfg").is_file():
            raise OutputError(f"{output}: is a folder of something else than a pipeline: name another")
    elif output.exists():
        raise OutputError(f"{output}: is a file: name a folder")
    if not output.absolute().parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}: make it first")
    if not os.access(output.absolute().parent, os.W_OK):
        raise OutputError(f"{output}: cannot be written: no permission in {output.absolute().parent}")


def save(nlp: Language, output: str | Path, *, exclude: Iterable[str] = ()) -> None:
    """Save a pipeline as a folder, which appears only when it is whole.

    Args:
        nlp: The pipeline.
        output: The folder; a pipeline that stood there is replaced.
        exclude: Parts that are left out, as in spaCy's ``to_disk``.

    Raises:
        OutputError: It cannot be written.
    """
    output = Path(output)
    check_target(output)
    nlp.config["paths"] = _portable_paths(nlp)
    nlp.config["initialize"]["vectors"] = None
    try:
        _save(nlp, output, exclude)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror or error}") from error


def _portable_paths(nlp: Language) -> dict[str, Any]:
    return {name: _portable(name, value) for name, value in nlp.config["paths"].items()}


def _portable(name: str, value: Any) -> Any:
    """Take the folders of this machine out of a path of the config: an encoder needs a name, all else is not needed."""
    if name != "encoder" or value is None:
        return None
    return Path(value).absolute().name if Path(value).exists() else value


def _save(nlp: Language, output: Path, exclude: Iterable[str]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=".drugpolicy-ner-", dir=output.parent))
    try:
        nlp.to_disk(scratch / "new", exclude=exclude)
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


def _check_version(folder: Path, name: str) -> None:
    """Raise where a pipeline was made for another spaCy, of which spaCy itself only warns."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        wanted = str(meta.get("spacy_version", ""))
    except FileNotFoundError:
        raise UsageError(f"{name} cannot be loaded: the folder holds no pipeline (no meta.json)") from None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{name} cannot be loaded: its meta.json cannot be read: {error}") from None
    if wanted and not is_compatible_version(spacy_version, wanted):
        raise UsageError(f"{name} was made for spaCy {wanted}, and this is spaCy {spacy_version}: train it anew")


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
