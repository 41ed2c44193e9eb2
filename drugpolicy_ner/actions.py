"""Component drugpolicy_actions: the action class of each policy verb, from the verb and the words around it.

A multinomial logistic regression. A verb is often decided by its object ("impose sanctions", "impose a sentence"), so
beside the verb itself count the topics of its object and of the other words around it, the entities among them, the
function word that follows, what the built-in list says of the verb, alone and with those words, and the word vectors
of all of them. Topics, list and vectors carry over to verbs that were never annotated.

What the verbs beside it and in the document seem to mean decides doubtful ones ("detect and apprehend"): a second
regression over the probabilities that the first gives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise
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

_WEIGHTS: Final = ((1.0,), (1.0, 0.8, 0.6, 0.5, 0.4), (1.0, 1.0, 1.0))  # of the vectors: verb, after, before
_REACH: Final = 12  # tokens looked at on each side, within the sentence
_WORDS: Final = 5  # content words kept of the object, and of the rest
_SUBJECT: Final = 3  # content words before a passive that are taken for its object
_CONTEXT: Final = 4  # content words among which a verb of the list finds the word that its reading needs
_SHARE: Final = numpy.float32(0.3)  # of the word vectors beside the named features, chosen in five folds of the corpus
_LISTED: Final = 0.25  # weight of a row of the list beside an annotated verb, chosen in five folds of the corpus
_LEAST: Final = 2  # examples that a named feature needs
_STEPS: Final = 200
_RATE: Final = 0.05
_DECAY: Final = 2e-4
_NEAR: Final = 5e-3  # to go on from weights of other text: with less, the corpus makes them forget it
_NEIGHBOUR: Final = 25  # tokens, within the sentence, up to which the verb before or after counts
_BESIDE: Final = 7  # tokens up to which it counts once more
_LEAST_ODDS: Final = 1e-4
_CONTEXT_DECAY: Final = 1e-4
_ENDING: Final = re.compile(r"(?<=\w{2})(?:ing|es|ed|(?<!s)s|e)$")
_DOUBLED: Final = re.compile(r"([bdgklmnprtv])\1$")
_BRITISH: Final = re.compile(r"(?<=\w{3})([iy])s$")  # legalis(e), analys(e): legaliz, analyz
_ENDS: Final = frozenset(".;?!")
_BE_TEXT: Final = "be been being is are was were am get got gets"
_AUXILIARIES_TEXT: Final = (
    "have has had having do does did will would shall should may might must can could not never also already yet hereby"
)
_PREPOSITIONS_TEXT: Final = (
    "to for of in on with by from at into against under through as about over upon within between towards toward out "
    "up and or but who which that when where while if so than because before after until since"
)
_DETERMINERS_TEXT: Final = (
    "a an the this that these those its their his her our your my any all each every some no only both such more most "
    "other another one two three new former own same it they he she we you i them him us me there here then now very"
)
_BE: Final = frozenset(_BE_TEXT.split())
_AUXILIARIES: Final = _BE | frozenset(_AUXILIARIES_TEXT.split())
_PREPOSITIONS: Final = frozenset(_PREPOSITIONS_TEXT.split())
_DETERMINERS: Final = frozenset(_DETERMINERS_TEXT.split())
_FUNCTION_WORDS: Final = _AUXILIARIES | _PREPOSITIONS | _DETERMINERS
_BREAKS: Final = _AUXILIARIES | _PREPOSITIONS | frozenset(",:()")  # where the object of a verb ends
_IRREGULAR_TEXT: Final = (
    "begin began begun|bind bound|break broke broken|bring brought|build built|burn burnt|buy bought|catch caught|"
    "choose chose chosen|come came|deal dealt|dig dug|do did done|draw drew drawn|drive drove driven|feed fed|"
    "fight fought|find found|fly flew flown|forbid forbade forbad forbidden|freeze froze frozen|get got gotten|"
    "give gave given|go went gone|grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|lay laid|"
    "lead led|leave left|lend lent|lose lost|make made|mean meant|meet met|mow mown|override overrode overridden|"
    "oversee oversaw overseen|pay paid|rethink rethought|rewrite rewrote rewritten|ring rang rung|rise rose risen|"
    "run ran|say said|see saw seen|seek sought|sell sold|send sent|shake shook shaken|shoot shot|show shown|"
    "shrink shrank shrunk|sink sank sunk|sit sat|speak spoke spoken|spend spent|stand stood|steal stole stolen|"
    "strike struck stricken|swear swore sworn|sweep swept|take took taken|teach taught|tear tore torn|tell told|"
    "think thought|throw threw thrown|undertake undertook undertaken|underwrite underwrote underwritten|"
    "undo undid undone|uphold upheld|win won|withdraw withdrew withdrawn|withhold withheld|write wrote written"
)
_IRREGULAR: Final = {form: forms[0] for forms in map(str.split, _IRREGULAR_TEXT.split("|")) for form in forms[1:]}


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


class Topic(NamedTuple):
    """Words that say the same of the verb beside them.

    Args:
        name: Unique.
        words: In lower case, each form by itself.
    """

    name: str
    words: tuple[str, ...]


class Weights(NamedTuple):
    """What a classifier learned.

    Args:
        names: Named features, without the bias.
        weights: Features x classes of `labels.ACTIONS`: the bias, the named features, the word vectors.
        context: The same of the second regression: the bias and what `_in_context` gives.
    """

    names: list[str]
    weights: Array
    context: Array


class _Around(NamedTuple):
    """The words around a verb in its sentence, without function words: each with its entity label or "".

    Args:
        object: Nearest first: up to the first preposition, or before the auxiliary of a passive.
        rest: The others that follow.
        before: Those before, nearest first.
        follows: The function word or mark right after the verb, or empty.
        passive: Whether an auxiliary of the passive stands before the verb.
    """

    object: list[tuple[str, str]]
    rest: list[tuple[str, str]]
    before: list[tuple[str, str]]
    follows: str = ""
    passive: bool = False


def default_verbs() -> list[Verb]:
    """Read the verbs that come with the package, ``data/verbs.jsonl``.

    Raises:
        DataError: With the line, for a row that names no known action class.
    """
    verbs = []
    for number, row in _rows("verbs.jsonl"):
        if row.get("action") not in ACTIONS or not row.get("verb") or row.keys() - {"verb", "action", "with"}:
            raise DataError(f"not a verb with an action class: {row}", path="data/verbs.jsonl", line=number)
        verbs.append(Verb(row["verb"], row["action"], row.get("with", "")))
    return verbs


def default_topics() -> list[Topic]:
    """Read the topics that come with the package, ``data/topics.jsonl``.

    Raises:
        DataError: With the line, for a row without a name or words.
    """
    topics = []
    for number, row in _rows("topics.jsonl"):
        if not row.get("topic") or not row.get("words") or row.keys() - {"topic", "words"}:
            raise DataError(f"not a topic with its words: {row}", path="data/topics.jsonl", line=number)
        topics.append(Topic(row["topic"], tuple(row["words"])))
    return topics


def default_weights() -> Weights:
    """Read the weights that come with the package, ``data/action_weights.msgpack``.

    ``training/distill.py`` learned them from the corpus and from annotated verbs of raw text that is not kept here.
    """
    path = resources.files(__package__) / "data" / "action_weights.msgpack"
    return read_weights(path.read_bytes())


def read_weights(data: bytes) -> Weights:
    """Read what `write_weights` wrote."""
    found: Any = srsly.msgpack_loads(data)
    return Weights(found["names"], *(numpy.array(found[part], dtype="f") for part in ("weights", "context")))


def write_weights(weights: Weights) -> bytes:
    """Write weights, at half precision."""
    arrays = {"weights": weights.weights.astype("float16"), "context": weights.context.astype("float16")}
    data: bytes = srsly.msgpack_dumps({"names": weights.names, **arrays})
    return data


def _rows(name: str) -> Iterator[tuple[int, Any]]:
    text = (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, srsly.json_loads(line)


@Language.factory("drugpolicy_actions", assigns=["doc.ents", "token.ent_kb_id"], requires=["doc.ents"])
def create_actions(nlp: Language, name: str) -> Actions:
    """Create the component; `Actions.train` or loading a saved pipeline fills it."""
    return Actions(nlp.vocab)


class Actions:
    """Sets `kb_id_` of each POLICY_VERB entity to one of `labels.ACTIONS`.

    Args:
        vocab: Whose word vectors are used; without vectors the named features alone decide.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab
        self._names: dict[str, int] = {}  # named feature -> row of the weights
        self._weights: Array = numpy.zeros((1, len(ACTIONS)), dtype="f")  # the first row is the bias
        self._context = _no_context()
        self._topics: dict[str, list[str]] = {}  # word -> its topics
        self._usual: dict[str, list[str]] = {}  # stem of a verb -> its classes in the list
        self._cases: dict[str, dict[str, str]] = {}  # stem of a verb -> stem of a word near it -> class

    def __call__(self, doc: Doc) -> Doc:
        """Classify the policy verbs of a document."""
        ents = list(doc.ents)
        verbs = [i for i, ent in enumerate(ents) if ent.label_ == "POLICY_VERB"]
        for i, action in zip(verbs, self.classify([ents[i] for i in verbs]), strict=True):
            ents[i].kb_id_ = action
        doc.set_ents(ents)
        return doc

    def classify(self, verbs: Sequence[Span]) -> list[str]:
        """Return the action classes of policy verbs.

        Args:
            verbs: All those of one document, in its order.

        Returns:
            Of each one of `labels.ACTIONS`; the first where nothing was learned.
        """
        if not verbs:
            return []
        scores = self._context[0] + _in_context(verbs, self.odds(verbs)) @ self._context[1:]
        return [ACTIONS[i] for i in scores.argmax(axis=1)]

    def odds(self, verbs: Sequence[Span]) -> Array:
        """Return the probability of each class for each verb by itself.

        Args:
            verbs: Of one document.

        Returns:
            Verbs x classes of `labels.ACTIONS`.
        """
        scores: Array = numpy.zeros((len(verbs), len(ACTIONS)), dtype="f")
        for i, verb in enumerate(verbs):
            names, dense = self._features([token.lower_ for token in verb], _around(verb))
            rows = [0, *(self._names[name] for name in names if name in self._names)]
            scores[i] = self._weights[rows].sum(axis=0) + dense @ self._weights[1 + len(self._names) :]
        return _softmax(scores)

    def train(
        self,
        examples: Iterable[tuple[Span, str]],
        verbs: Iterable[Verb] = (),
        topics: Iterable[Topic] | None = None,
        start: Weights | None = None,
    ) -> None:
        """Learn from annotated verbs, replacing what was learned before.

        Args:
            examples: Verbs in their documents, each with its action class.
            verbs: Verbs with their usual class, which count as examples too.
            topics: Words that are alike; those that come with the package where None.
            start: Weights of other text to go on from and to stay near; without them, zeros. Those of word vectors
                count only where there are as many here. Those of the context are taken over as they are.
        """
        examples, verbs = list(examples), list(verbs)
        self._topics, self._usual, self._cases = {}, {}, {}
        for topic in default_topics() if topics is None else topics:
            for word in topic.words:
                self._topics.setdefault(word, []).append(topic.name)
        for verb in verbs:
            if verb.context:
                self._cases.setdefault(stem(verb.verb), {})[stem(verb.context)] = verb.action
            else:
                self._usual.setdefault(stem(verb.verb), []).append(verb.action)
        named, vectors, targets = [], [], []
        for words, around, action in (
            *(([token.lower_ for token in span], _around(span), action) for span, action in examples),
            *(_example(verb) for verb in verbs),
        ):
            names, dense = self._features(words, around)
            named.append(names)
            vectors.append(dense)
            targets.append(ACTIONS.index(action))
        counts = Counter(name for names in named for name in names)
        kept = (name for name, count in counts.items() if count >= _LEAST or name.startswith(("verb=", "with=")))
        known = start.names if start else []
        self._names = {name: row for row, name in enumerate(dict.fromkeys((*known, *kept)), start=1)}
        first = numpy.zeros((1 + len(self._names) + len(vectors[0]), len(ACTIONS)), dtype="f")
        if start:
            named_weights, vector_weights = numpy.split(start.weights, [1 + len(known)])
            first[: len(named_weights)] = named_weights
            if len(vector_weights) == len(vectors[0]):
                first[1 + len(self._names) :] = vector_weights
        rows = [[0, *(self._names[name] for name in names if name in self._names)] for names in named]
        shares = numpy.array([1.0] * len(examples) + [_LISTED] * len(verbs), dtype="f")
        self._weights = _fit(
            rows,
            numpy.array(vectors, dtype="f"),
            numpy.array(targets, dtype="i"),
            shares,
            first,
            _NEAR if start else _DECAY,
        )
        self._context = start.context if start else _no_context()

    def train_context(self, documents: Iterable[tuple[Sequence[Span], Array, Sequence[str]]]) -> None:
        """Learn what the verbs around one say of it, replacing what was learned of that before.

        Args:
            documents: Of each its verbs in order, the odds that a classifier gives which did not learn from it, and
                their classes.
        """
        documents = [document for document in documents if document[0]]
        dense = numpy.concatenate([_in_context(verbs, odds) for verbs, odds, _ in documents])
        targets = numpy.array([ACTIONS.index(action) for *_, actions in documents for action in actions], dtype="i")
        shares = numpy.ones(len(targets), dtype="f")
        self._context = _fit([[0]] * len(targets), dense, targets, shares, _no_context(), _CONTEXT_DECAY)

    @property
    def weights(self) -> Weights:
        """What was learned."""
        return Weights(list(self._names), self._weights, self._context)

    def _features(self, words: Sequence[str], around: _Around) -> tuple[list[str], Array]:
        """Return the named features of a verb, each once, and its word vectors."""
        return list(dict.fromkeys(self._names_of(words, around))), self._vectors_of(words, around)

    def _names_of(self, words: Sequence[str], around: _Around) -> Iterator[str]:
        verb = stem(words[0])
        yield f"verb={verb}"
        if around.follows:
            yield f"next={around.follows}"
            yield f"next={verb} {around.follows}"
        if around.passive:
            yield "passive="
            yield f"passive={verb}"
        for where, near in (("object", around.object), ("rest", around.rest)):
            for topic in self._topics_of(near):
                yield f"{where}={topic}"
                yield f"{where}={verb} {topic}"
        for topic in self._topics_of(around.before):
            yield f"before={topic}"
        for action in self._usual.get(verb, ("",)):
            yield f"usual={action}"
        particles = [stem(word) for word in words[1:]]
        for particle in particles:
            yield f"with={verb} {particle}"
        cases = self._cases.get(verb)
        if cases:
            near = (around.object + around.rest)[:_CONTEXT]
            for word in (*(stem(word) for word, _ in near), *particles, around.follows):
                if word in cases:
                    yield f"case={cases[word]}"
                    yield f"with={verb} {word}"
                    break

    def _topics_of(self, near: Iterable[tuple[str, str]]) -> dict[str, None]:
        topics: dict[str, None] = {}
        for word, label in near:
            topics.update(dict.fromkeys([label] if label else self._topics.get(word, ())))
        return topics

    def _vectors_of(self, words: Sequence[str], around: _Around) -> Array:
        """Return the vector of the verb and the weighted means of those of the words after and before it."""
        vectors, strings = self.vocab.vectors, self.vocab.strings
        groups = (
            words[:1],
            [word for word, _ in around.object + around.rest],
            [word for word, _ in around.before],
        )
        used = [
            (group, strings[word], weight)
            for group, (near, weights) in enumerate(zip(groups, _WEIGHTS, strict=True))
            for word, weight in zip(near, weights, strict=False)
        ]
        shares: Array = numpy.zeros((len(groups), len(used)), dtype="f")
        shares[[group for group, _, _ in used], range(len(used))] = [weight for _, _, weight in used]
        shares *= _SHARE / numpy.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
        if not vectors.shape[1]:
            return shares[:, :0].ravel()
        rows = numpy.asarray(vectors.find(keys=[key for _, key, _ in used]))  # -1 for a word without a vector
        mean: Array = (shares * (rows >= 0)) @ vectors.data[rows]
        return mean.ravel()

    def _state(self) -> dict[str, Any]:
        return {
            "names": list(self._names),
            "weights": self._weights,
            "context": self._context,
            "topics": self._topics,
            "usual": self._usual,
            "cases": self._cases,
        }

    def _restore(self, state: Any) -> None:
        self._names = {name: row for row, name in enumerate(state["names"], start=1)}
        self._weights = numpy.array(state["weights"], dtype="f")  # a copy: what msgpack gives is read-only
        self._context = numpy.array(state["context"], dtype="f")
        self._topics, self._usual, self._cases = state["topics"], state["usual"], state["cases"]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize what was learned."""
        data: bytes = srsly.msgpack_dumps(self._state())
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Actions:
        """Load what was learned, replacing what is present."""
        self._restore(srsly.msgpack_loads(data))
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save what was learned as a msgpack file."""
        srsly.write_msgpack(path, self._state())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Actions:
        """Load what was learned, replacing what is present."""
        self._restore(srsly.read_msgpack(path))
        return self


@lru_cache(maxsize=10_000)
def stem(word: str) -> str:
    """Cut the inflection off an English verb: seize, seizes, seized and seizing are one, as are take and took.

    The result need not be a word: it is only compared with other stems. Hyphens do not count: co-operate, cooperate.
    """
    word = word.lower().replace("-", "")
    word = _IRREGULAR.get(word, word)
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return f"{word[:-3]}y"
    return _BRITISH.sub(r"\1z", _DOUBLED.sub(r"\1", _ENDING.sub("", word)))


def _example(verb: Verb) -> tuple[list[str], _Around, str]:
    """Turn a row of the list into an example: the verb with its word as particle or as object."""
    context = verb.context.lower()
    if context in _PREPOSITIONS:
        return [verb.verb], _Around([], [], [], context), verb.action
    return [verb.verb], _Around([(context, "")] if context else [], [], []), verb.action


def _around(span: Span) -> _Around:
    doc = span.doc
    objects: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    zone, follows = objects, None
    for word, token in _sentence(doc[span.end : span.end + _REACH]):
        if follows is None:
            follows = word if word in _FUNCTION_WORDS or not token.is_alpha else ""
        if word in _BREAKS:
            zone = rest if objects else objects
        elif word not in _DETERMINERS and (token.is_alpha or "-" in word):
            zone.append((word, token.ent_type_))
    before: list[tuple[str, str]] = []
    passive = False
    for word, token in _sentence(reversed(doc[max(0, span.start - _REACH) : span.start])):
        if word in _FUNCTION_WORDS:
            passive = passive or (word in _BE and not before and span.start - token.i <= _SUBJECT)
        elif token.is_alpha or "-" in word:
            before.append((word, token.ent_type_))
    if passive:
        return _Around(before[:_SUBJECT], (objects + rest)[:_WORDS], [], follows or "", passive)
    return _Around(objects[:_WORDS], rest[:_WORDS], before[:_WORDS], follows or "", passive)


def _sentence(tokens: Iterable[Token]) -> Iterator[tuple[str, Token]]:
    """Yield the tokens up to the end of their sentence or paragraph, each with its lower-case form."""
    for token in tokens:
        word = token.lower_
        if _is_end(token):
            return
        if not word.isspace():
            yield word, token


def _is_end(token: Token) -> bool:
    return token.text in _ENDS or "\n\n" in token.text


def _no_context() -> Array:
    """Return weights of the context by which a verb's own odds decide alone."""
    weights: Array = numpy.zeros((1 + 6 * len(ACTIONS), len(ACTIONS)), dtype="f")
    weights[1 : 1 + len(ACTIONS)] = numpy.eye(len(ACTIONS))
    return weights


def _in_context(verbs: Sequence[Span], odds: Array) -> Array:
    """Return of each verb its log-odds, the odds of its neighbours, and the mean of the others of the document.

    Args:
        verbs: All those of one document, in its order.
        odds: Verbs x classes.

    Returns:
        Verbs x six times the classes: its own, the verb before, the one after, both again where they are near, the
        others. A verb across the end of a sentence is no neighbour.
    """
    before, after, near_before, near_after = numpy.zeros((4, *odds.shape), dtype="f")
    for i, (one, other) in enumerate(pairwise(verbs)):
        apart = other.start - one.start
        if apart < _NEIGHBOUR and not any(map(_is_end, one.doc[one.end : other.start])):
            after[i], before[i + 1] = odds[i + 1], odds[i]
            if apart < _BESIDE:
                near_after[i], near_before[i + 1] = odds[i + 1], odds[i]
    others = (odds.sum(axis=0) - odds) / max(1, len(verbs) - 1)
    own = numpy.log(odds + _LEAST_ODDS)
    return numpy.concatenate([own, before, after, near_before, near_after, others], axis=1)


def _softmax(scores: Array) -> Array:
    odds: Array = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    return odds


def _fit(
    rows: Sequence[Sequence[int]],
    dense: Array,
    targets: NDArray[numpy.int32],
    shares: Array,
    start: Array,
    decay: float,
) -> Array:
    """Fit a multinomial logistic regression by Adam on the whole set (Kingma and Ba 2015); no randomness.

    Args:
        rows: Of each example, the named features that it has, the bias 0 among them.
        dense: Examples x word vectors.
        targets: Class of each example.
        shares: How much each example counts.
        start: Features x classes, the word vectors last: where to begin, and what to stay near.
        decay: Pull towards `start`.

    Returns:
        Like `start`.
    """
    features = numpy.array([row for example in rows for row in example])
    sizes = numpy.array([len(example) for example in rows])
    starts = numpy.cumsum(sizes) - sizes
    order = numpy.argsort(features, kind="stable")
    examples = numpy.repeat(numpy.arange(len(rows)), sizes)[order]  # those that have feature 0, then 1, ...
    present, firsts = numpy.unique(features[order], return_index=True)
    named = len(start) - dense.shape[1]
    weights = start.copy()
    gradient, mean, square = numpy.zeros_like(weights), numpy.zeros_like(weights), numpy.zeros_like(weights)
    wanted = numpy.eye(len(ACTIONS), dtype="f")[targets]
    shares = (shares / shares.sum())[:, None]
    for step in range(1, _STEPS + 1):
        scores = numpy.add.reduceat(weights[features], starts) + dense @ weights[named:]
        errors = (_softmax(scores) - wanted) * shares
        gradient[:named] = 0.0
        gradient[present] = numpy.add.reduceat(errors[examples], firsts)
        gradient[named:] = dense.T @ errors
        gradient += decay * (weights - start)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weights -= _RATE * (mean / (1 - 0.9**step)) / (numpy.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights
