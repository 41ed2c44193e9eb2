"""drugpolicy_ner reads drug-policy text and links what it finds to a built-in knowledge base.

    >>> import drugpolicy_ner
    >>> nlp = drugpolicy_ner.load()
    >>> [(ent.text, ent.label_) for ent in nlp("The DEA seized 40 kilograms of fentanyl.").ents]
    [('DEA', 'INSTITUTION'), ('seized', 'POLICY_VERB'), ('40 kilograms', 'QUANTITY'), ('fentanyl', 'SUBSTANCE')]

Importing this package imports no spaCy: `load` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .concepts import Concept, default_store, read_concepts
from .labels import ACTIONS, LABELS

if TYPE_CHECKING:
    from spacy.language import Language

__version__: Final = "0.1.0"
__all__ = ["ACTIONS", "LABELS", "Concept", "__version__", "concept", "find", "load", "read_concepts"]


def load(**overrides: Any) -> Language:
    """Load the pipeline that ships with this package. `spacy.load("drugpolicy_ner")` does the same.

    Args:
        overrides: What `spacy.load` takes (`disable`, `enable`, `exclude`, `vocab`, `config`).

    Returns:
        The pipeline. Entities stand in `doc.ents`: `label_` is the label, `kb_id_` the concept id (for a
        POLICY_VERB its action class), `id_` the source that decided. All candidates are in
        `doc.spans["drugpolicy"]`.
    """
    from spacy.util import load_model_from_path

    return load_model_from_path(Path(__file__).parent / "model", **overrides)


def concept(concept_id: str) -> Concept:
    """Look up a concept of the built-in knowledge base.

    Args:
        concept_id: Its id, as `ent.kb_id_` gives it, for example ``"DP:fentanyl"``.

    Returns:
        The concept with its names, parents and controls, each with source and date.

    Raises:
        ConceptError: No concept has this id; the message suggests near ones.
    """
    return default_store().get(concept_id)


def find(name: str) -> tuple[Concept, ...]:
    """Look up what a name can mean in the built-in knowledge base.

    Args:
        name: Any name: common, brand or street name, abbreviation. Letter case, accents, white space and hyphens do
            not count.

    Returns:
        The concepts, those called so outright before those that the name means only at times; none where the name
        is unknown.
    """
    return default_store().find(name)
