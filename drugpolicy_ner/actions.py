"""Component drugpolicy_actions: the action class of each policy verb, from the verb and the words around it.

A linear model over a handful of features, trained on the corpus with the averaged perceptron (Freund and Schapire 1999;
averaging as in Collins 2002). A verb is often decided by its object ("impose sanctions", "impose a sentence"), so the
words that follow count beside the verb itself.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import srsly
from spacy.language import Language

from .labels import ACTIONS

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

_WINDOW_AFTER: Final = 6
_WINDOW_BEFORE: Final = 3
_EPOCHS: Final = 12
_ENDING: Final = re.compile(r"(?:ing|ies|ied|es|ed|s|e|y)$")
_DOUBLED: Final = re.compile(r"([bdgklmnprtv])\1$")


@Language.factory("drugpolicy_actions", assigns=["doc.ents", "token.ent_kb_id"], requires=["doc.ents"])
def create_actions(nlp: Language, name: str) -> Actions:
    """Create the component; `Actions.train` or loading a saved pipeline fills it."""
    return Actions()


class Actions:
    """Sets `kb_id_` of each POLICY_VERB entity to one of `labels.ACTIONS`."""

    def __init__(self) -> None:
        self._weights: dict[str, dict[str, float]] = {}

    def __call__(self, doc: Doc) -> Doc:
        """Classify the policy verbs of a document."""
        ents = list(doc.ents)
        for ent in ents:
            if ent.label_ == "POLICY_VERB":
                ent.kb_id_ = self.classify(ent)
        doc.set_ents(ents)
        return doc

    def classify(self, span: Span) -> str:
        """Return the action class of a policy verb.

        Args:
            span: The verb, in its document.

        Returns:
            One of `labels.ACTIONS`; the first where nothing was learned.
        """
        return self._best(list(_features(span)))

    def train(self, examples: Iterable[tuple[Span, str]], *, seed: int = 0) -> None:
        """Learn from annotated verbs, replacing what was learned before.

        Args:
            examples: Verbs in their documents, each with its action class.
            seed: Order of the examples.
        """
        data = [(list(_features(span)), action) for span, action in examples]
        self._weights = {}
        totals: dict[tuple[str, str], float] = defaultdict(float)
        stamps: dict[tuple[str, str], int] = defaultdict(int)
        rng = random.Random(seed)
        now = 0

        def update(feature: str, action: str, change: float) -> None:
            row = self._weights.setdefault(feature, {})
            key = (feature, action)
            totals[key] += (now - stamps[key]) * row.get(action, 0.0)
            stamps[key] = now
            row[action] = row.get(action, 0.0) + change

        for _ in range(_EPOCHS):
            rng.shuffle(data)
            for features, action in data:
                now += 1
                guess = self._best(features)
                if guess != action:
                    for feature in features:
                        update(feature, action, 1.0)
                        update(feature, guess, -1.0)
        averaged: dict[str, dict[str, float]] = {}
        for feature, row in self._weights.items():
            for action, weight in row.items():
                key = (feature, action)
                mean = (totals[key] + (now - stamps[key]) * weight) / now
                if abs(mean) >= 0.01:
                    averaged.setdefault(feature, {})[action] = round(mean, 3)
        self._weights = averaged

    def _best(self, features: Sequence[str]) -> str:
        scores = dict.fromkeys(ACTIONS, 0.0)
        for feature in features:
            for action, weight in self._weights.get(feature, {}).items():
                scores[action] += weight
        return max(scores, key=lambda action: scores[action])

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the weights."""
        data: bytes = srsly.msgpack_dumps(self._weights)
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Actions:
        """Load weights, replacing those present."""
        weights: Any = srsly.msgpack_loads(data)
        self._weights = weights
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the weights as a JSON file."""
        srsly.write_json(path, self._weights)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Actions:
        """Load weights, replacing those present."""
        weights: Any = srsly.read_json(path)
        self._weights = weights
        return self


def stem(word: str) -> str:
    """Cut the inflection off an English verb: seize, seizes, seized and seizing are one.

    The result need not be a word: it is only compared with other stems.
    """
    word = word.lower()
    if len(word) > 4:
        word = _ENDING.sub("", word)
    return _DOUBLED.sub(r"\1", word)


def _features(span: Span) -> Iterator[str]:
    verb = stem(span[0].text)
    yield "bias"
    yield f"verb={verb}"
    yield f"form={span.text.lower()}"
    if len(span) > 1:
        yield f"verb+particle={verb} {span[len(span) - 1].lower_}"
    doc = span.doc
    after = [token for token in doc[span.end : span.end + _WINDOW_AFTER] if token.is_alpha]
    for i, token in enumerate(after):
        yield f"after={stem(token.text)}"
        if i < 3:
            yield f"verb,after={verb} {stem(token.text)}"
    if after:
        yield f"verb,next={verb} {after[0].lower_}"
    for token in doc[max(0, span.start - _WINDOW_BEFORE) : span.start]:
        if token.is_alpha:
            yield f"before={stem(token.text)}"
            yield f"verb,before={verb} {stem(token.text)}"
