"""What a training learns from: new documents and, so that nothing is forgotten, old ones, each with all its labels.

New documents carry the labels of whoever annotated them and none of ours, and old ones carry none of theirs. Read as
they stand, each would teach that the other's mentions are none. So each gets from a trained model the entities whose
labels its annotators did not use, where they overlap nothing annotated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from spacy.tokens import Span

from .corpus import Document
from .corpus.check import align
from .corpus.split import DEV, TRAIN, split_documents
from .errors import DataError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokenizer import Tokenizer
    from spacy.tokens import Doc

SHARE: Final = 0.3
"""Share of the new words in what is learned from, where new documents are few."""

HELD_OUT: Final = 0.2
"""Share of the documents that is kept for choosing the best model where no other documents are given for it."""


def labels_of(documents: Iterable[Document]) -> frozenset[str]:
    """Return the labels of documents."""
    return frozenset(span.label for document in documents for span in document.spans)


def hold_out(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """Part documents as `data split` does, whatever their order.

    Args:
        documents: With ids of their own.

    Returns:
        The part to learn from and the part held out, each with its share of every label. Near-duplicates are in one
        part.

    Raises:
        DataError: There are too few to fill both.
    """
    try:
        parts = split_documents(documents, dev=HELD_OUT, test=0).parts
    except DataError as error:
        message = "too few documents that differ to hold some out: give more, or documents for --dev"
        raise DataError(message) from error
    return list(parts[TRAIN]), list(parts[DEV])


def gold(documents: Iterable[Document], tokenizer: Tokenizer) -> list[Doc]:
    """Turn documents into spaCy's, as they were annotated.

    Raises:
        AlignmentError: A span whose edges are not token edges.
    """
    return [align(document, tokenizer) for document in documents]


def complete(docs: Sequence[Doc], model: Language, labels: Collection[str]) -> None:
    """Add what a model finds to annotated documents.

    Args:
        docs: Changed in place; what is annotated stays and is overlapped by nothing.
        model: Whatever sets entities.
        labels: Of which entities are added.
    """
    if not labels:
        return
    for doc, found in zip(docs, model.pipe(doc.text for doc in docs), strict=True):
        taken = {i for ent in doc.ents for i in range(ent.start, ent.end)}
        added = []
        for ent in found.ents:
            span = doc.char_span(ent.start_char, ent.end_char, label=ent.label_)
            if ent.label_ in labels and span is not None and taken.isdisjoint(range(span.start, span.end)):
                added.append(Span(doc, span.start, span.end, label=ent.label_))
        doc.set_ents([*doc.ents, *added])


def mix(new: Sequence[Doc], old: Sequence[Doc], share: float = SHARE) -> list[Doc]:
    """Mix new documents with old ones.

    Args:
        new: Repeated until their words have the share; not cut down where they have more.
        old: May be none.
        share: Of all words.
    """
    times = round(share / (1 - share) * sum(map(len, old)) / max(1, sum(map(len, new))))
    return [*old, *(list(new) * max(1, times))]
