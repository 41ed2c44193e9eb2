"""The corpus reader of the training configs: marked text straight into training examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from spacy.training import Example
from spacy.util import registry

from .check import align
from .marked import read_marked_path

if TYPE_CHECKING:
    from spacy.language import Language


@registry.readers("drugpolicy.MarkedCorpus.v1")
def create_reader(path: str) -> Callable[[Language], Iterator[Example]]:
    """Return the reader that a config's `[corpora]` block asks for.

    Args:
        path: File or folder of marked text, with labels of any scheme.

    Returns:
        A function from a pipeline to training examples.

    Raises:
        DataError: While reading, for whatever breaks the format or the alignment.
    """

    def read(nlp: Language) -> Iterator[Example]:
        for document in read_marked_path(path, scheme=False):
            gold = align(document, nlp.tokenizer)
            yield Example(nlp.make_doc(document.text), gold)

    return read
