"""Component drugpolicy_actions: the action class of each policy verb, from the verb and the words around it.

A multinomial logistic regression. A verb is often decided by its object ("impose sanctions", "impose a sentence"), so
beside the verb itself the word vectors of the content words around it count, the function word after it and the labels
of the entities around; vectors also carry over to verbs that were never annotated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy
import srsly
from spacy.language import Language

from .errors import DataError
from .labels import ACTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from spacy.tokens import Doc, Span, Token
    from spacy.vocab import Vocab

    Array = NDArray[numpy.float32]

_AFTER: Final = (1.0, 0.8, 0.6, 0.5, 0.4)  # weights of the content words that follow, nearest first
_BEFORE: Final = (1.0, 1.0, 1.0)
_REACH: Final = 10  # tokens looked at on each side
_SHARE: Final = numpy.float32(0.5)  # of the word vectors beside the named features, chosen on the authored dev split
_LEAST: Final = 2  # examples that a named feature needs
_STEPS: Final = 300
_RATE: Final = 0.05
_DECAY: Final = 2e-4
_ENDING: Final = re.compile(r"(?<=\w{2})(?:ing|es|ed|(?<!s)s|e)$")
_DOUBLED: Final = re.compile(r"([bdgklmnprtv])\1$")
_FUNCTION_WORDS_TEXT: Final = (
    "a an and are as at be been being by can could for from had has have he her his i in is it its may must "
    "of on or our shall she should that the their they this those to us was we were which who will with would"
)
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS_TEXT.split())


class Verb(NamedTuple):
    """A verb of the built-in list with its usual action class.

    Args:
        verb: Base form.
        action: One of `labels.ACTIONS`.
        context: A word near it that this reading needs, or empty.
    """

    verb: str
    action: str
    context: str = ""


def default_verbs() -> list[Verb]:
    """Read the verbs that come with the package, ``data/verbs.jsonl``.

    Raises:
        DataError: With the line, for a row that names no known action class.
    """
    verbs = []
    text = (resources.files(__package__) / "data" / "verbs.jsonl").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        row: Any = srsly.json_loads(line)
        if row.get("action") not in ACTIONS or not row.get("verb") or row.keys() - {"verb", "action", "with"}:
            raise DataError(f"not a verb with an action class: {line}", path="data/verbs.jsonl", line=number)
        verbs.append(Verb(row["verb"], row["action"], row.get("with", "")))
    return verbs


@Language.factory("drugpolicy_actions", assigns=["doc.ents", "token.ent_kb_id"], requires=["doc.ents"])
def create_actions(nlp: Language, name: str) -> Actions:
    """Create the component; `Actions.train` or loading a saved pipeline fills it."""
    return Actions(nlp.vocab)


class Actions:
    """Sets `kb_id_` of each POLICY_VERB entity to one of `labels.ACTIONS`.

    Args:
        vocab: Whose word vectors are used; without vectors the verb alone decides.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab
        self._names: dict[str, int] = {}  # named feature -> row of the weights
        self._weights: Array = numpy.zeros((1, len(ACTIONS)), dtype="f")  # the first row is the bias

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
        scores = self._weights[0].copy()
        for name in _names(span):
            row = self._names.get(name)
            if row is not None:
                scores += self._weights[row]
        dense = self._dense(span)
        scores += dense @ self._weights[len(self._weights) - len(dense) :]
        return ACTIONS[int(scores.argmax())]

    def train(self, examples: Iterable[tuple[Span, str]], verbs: Iterable[Verb] = ()) -> None:
        """Learn from annotated verbs, replacing what was learned before.

        Args:
            examples: Verbs in their documents, each with its action class.
            verbs: Verbs with their usual class, which count as examples without context.
        """
        data = [(list(_names(span)), self._dense(span), ACTIONS.index(action)) for span, action in examples]
        for verb in verbs:
            names = [f"verb={stem(verb.verb)}"]
            if verb.context:
                names.append(f"with={stem(verb.verb)} {stem(verb.context)}")
            dense = numpy.concatenate(
                [self._vector(verb.verb), self._vector(verb.context), self._vector("")], dtype="f"
            )
            dense *= _SHARE
            data.append((names, dense, ACTIONS.index(verb.action)))
        counts = Counter(name for names, _, _ in data for name in names)
        kept = [name for name, count in counts.items() if count >= _LEAST or name.startswith(("verb=", "with="))]
        self._names = {name: row for row, name in enumerate(kept, start=1)}
        inputs = numpy.zeros((len(data), 1 + len(self._names) + 3 * self._width), dtype="f")
        inputs[:, 0] = 1.0
        for i, (names, dense, _) in enumerate(data):
            inputs[i, [self._names[name] for name in names if name in self._names]] = 1.0
            inputs[i, 1 + len(self._names) :] = dense
        self._weights = _fit(inputs, numpy.array([action for _, _, action in data], dtype="i"))

    @property
    def _width(self) -> int:
        return int(self.vocab.vectors_length)

    def _vector(self, word: str) -> Array:
        if not self._width or not word or not self.vocab.has_vector(word):
            return numpy.zeros((self._width,), dtype="f")
        return numpy.asarray(self.vocab.get_vector(word), dtype="f")

    def _dense(self, span: Span) -> Array:
        doc = span.doc
        after = doc[span.end : span.end + _REACH]
        before = reversed(doc[max(0, span.start - _REACH) : span.start])
        return (
            numpy.concatenate(
                [self._vector(span[0].lower_), self._mean(after, _AFTER), self._mean(before, _BEFORE)], dtype="f"
            )
            * _SHARE
        )

    def _mean(self, tokens: Iterable[Token], weights: Sequence[float]) -> Array:
        if not self._width:
            return numpy.zeros((0,), dtype="f")
        words = (token.lower for token in tokens if token.is_alpha and token.lower_ not in _FUNCTION_WORDS)
        keys = list(islice(words, len(weights)))
        if not keys:
            return numpy.zeros((self._width,), dtype="f")
        rows = numpy.asarray(self.vocab.vectors.find(keys=keys))  # -1 for a word without a vector
        shares = numpy.array(weights[: len(keys)], dtype="f")
        total: Array = (shares * (rows >= 0)) @ self.vocab.vectors.data[rows]
        total /= shares.sum()
        return total

    def _state(self) -> dict[str, Any]:
        return {"names": list(self._names), "weights": self._weights}

    def _restore(self, state: Any) -> None:
        self._names = {name: row for row, name in enumerate(state["names"], start=1)}
        self._weights = numpy.array(state["weights"], dtype="f")  # a copy: what msgpack gives is read-only

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the weights."""
        data: bytes = srsly.msgpack_dumps(self._state())
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Actions:
        """Load weights, replacing those present."""
        self._restore(srsly.msgpack_loads(data))
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the weights as a msgpack file."""
        srsly.write_msgpack(path, self._state())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Actions:
        """Load weights, replacing those present."""
        self._restore(srsly.read_msgpack(path))
        return self


def stem(word: str) -> str:
    """Cut the inflection off an English verb: seize, seizes, seized and seizing are one.

    The result need not be a word: it is only compared with other stems.
    """
    word = word.lower()
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return f"{word[:-3]}y"
    return _DOUBLED.sub(r"\1", _ENDING.sub("", word))


def _names(span: Span) -> Iterator[str]:
    """Yield the named features: the verb, its particle, the function word that follows, the entities around."""
    doc, verb = span.doc, stem(span[0].text)
    yield f"verb={verb}"
    for token in span[1:]:
        yield f"with={verb} {stem(token.text)}"
    if span.end < len(doc):
        follows = doc[span.end]
        if follows.lower_ in _FUNCTION_WORDS or not follows.is_alpha:
            yield f"next={follows.lower_}"
            yield f"next={verb} {follows.lower_}"
    after = _labels(doc[span.end : span.end + _REACH])
    yield from (f"after={label}" for label in dict.fromkeys(after))
    yield from (f"before={label}" for label in dict.fromkeys(_labels(doc[max(0, span.start - _REACH) : span.start])))
    if after:
        yield f"first={verb} {after[0]}"


def _labels(tokens: Iterable[Token]) -> list[str]:
    return [token.ent_type_ for token in tokens if token.ent_type_ not in ("", "POLICY_VERB")]


def _fit(inputs: Array, targets: NDArray[numpy.int32]) -> Array:
    """Fit a multinomial logistic regression by Adam on the whole set (Kingma and Ba 2015); no randomness.

    Args:
        inputs: Examples x features.
        targets: Class of each example.

    Returns:
        Features x classes.
    """
    weights = numpy.zeros((inputs.shape[1], len(ACTIONS)), dtype="f")
    mean, square = numpy.zeros_like(weights), numpy.zeros_like(weights)
    wanted = numpy.eye(len(ACTIONS), dtype="f")[targets]
    for step in range(1, _STEPS + 1):
        scores = inputs @ weights
        odds = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        gradient = inputs.T @ (odds / odds.sum(axis=1, keepdims=True) - wanted) / len(inputs) + _DECAY * weights
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weights -= _RATE * (mean / (1 - 0.9**step)) / (numpy.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights
