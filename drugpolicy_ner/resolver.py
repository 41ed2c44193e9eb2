"""Component drugpolicy_resolver: the one place that decides which candidates become entities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from spacy.language import Language
from spacy.tokens import Span

from .candidates import GROUP, SOURCES, TOPICAL, UNSURE
from .errors import DrugPolicyError
from .labels import LABELS
from .linking import definitions

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

Policy = Mapping[str, Mapping[str, int]]
"""Source -> label -> rank. A higher rank wins, 0 leaves out.

The label ``*`` stands for every label not named, ``+`` for those of another scheme, which a model was taught later.
"""

DEFAULT_POLICY: Final[dict[str, dict[str, int]]] = {
    "ner": {"*": 2, "+": 3, "DRUG_CLASS": 0, "LEGAL_INSTRUMENT": 0, "QUANTITY": 0},
    "gazetteer": {"*": 3},
    "nomenclature": {"*": 3},
    "definition": {"*": 4},
    "form": {"*": 3},
}
"""Equal to that of ``configs/pipeline.cfg``, which a test sees to."""

DEFAULT_TOPIC: Final = (
    r"\b(?:anti-?)?(?:drugs?|narcotics?|doping|addict\w*|overdos\w*|traffick\w*|smok(?:ing|ers?)|cartels?|"
    r"cannabis\w*|smuggl\w*|contraband|seizures|police|dealers?|precursors?|controlled substances?|"
    r"substance (?:ab)?use\w*|pharmac\w*|medicin\w*|prescri\w*|liquor|vap(?:es?|ing)|cigarettes?|tobacco|"
    r"alcohol\w*)\b"
)
"""Words, as a regular expression, that show beside the drugs themselves that a text deals with drugs."""

_DRUG_LABELS: Final = frozenset({"SUBSTANCE", "DRUG_CLASS", "PRECURSOR", "CRIMINAL_ORG", "CONTROL_STATUS"})
_MENTIONS: Final = 2  # so many make a document one about drugs
_TOKENS: Final = 100  # or one in so many tokens
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_PUNCTUATION: Final = frozenset(",.;:\"'`“”‘’«»-–—*_/|•·")
_ARTICLES: Final = frozenset({"the", "a", "an"})
_DAYS: Final = frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
_POSSESSIVES: Final = frozenset({"'s", "’s"})
_HEAD_WORDS: Final = (
    "Ministry Department Agency Commission Committee Council Court Bureau Institute Association Society Hospital "
    "Foundation Authority Police Office Team Unit Division Service Administration Board Center Centre Force"
)
_HEAD: Final = rf"(?:{'|'.join(_HEAD_WORDS.split())})"
_NAMES: Final = (  # how a body's name is made; the two names around an "and" are made alike
    re.compile(rf"(?:\S+\s)?{_HEAD}\s(?:of|for|on|against)\s.+", re.DOTALL),
    re.compile(rf".+\s{_HEAD}", re.DOTALL),
    re.compile(r".*\b(?:University|College)\b.*", re.DOTALL),
)


class Candidate(NamedTuple):
    """A proposed entity, as offsets in tokens.

    Args:
        start: First token.
        end: Token after the last.
        label: Entity label.
        source: One of `candidates.SOURCES`.
        concept: Concept id, or empty.
        unsure: Whether it counts only where the trained model proposes the same span and label.
    """

    start: int
    end: int
    label: str
    source: str
    concept: str = ""
    unsure: bool = False


def resolve(candidates: Iterable[Candidate], policy: Policy = DEFAULT_POLICY) -> list[Candidate]:
    """Choose entities among candidates.

    An unsure candidate counts where the ner proposes the same span and label, whatever the ner's own rank, and else
    goes. Equal candidates of several sources are one, of the highest rank. Of two that overlap the higher rank wins,
    then the longer, then the earlier, then the source that stands first in `candidates.SOURCES`: a list knows better
    than a guess.

    Args:
        candidates: In any order, from any source.
        policy: Ranks by source and label.

    Returns:
        Candidates in the order of the text, no two overlapping. The outcome does not depend on the order of the
        input, and resolving it again changes nothing.
    """
    by_span: dict[tuple[int, int, str], list[Candidate]] = {}
    for candidate in candidates:
        by_span.setdefault(candidate[:3], []).append(candidate)
    merged: list[tuple[int, Candidate]] = []
    for same in by_span.values():
        if any(candidate.source == "ner" for candidate in same):
            same = [candidate._replace(unsure=False) for candidate in same]
        ranked = [(_rank(policy, candidate), candidate) for candidate in same if not candidate.unsure]
        rank, best = min(ranked, key=lambda r: (-r[0], SOURCES.index(r[1].source), r[1]), default=(0, same[0]))
        if rank:
            merged.append((rank, best._replace(concept=best.concept or _only_concept(same))))
    merged.sort(key=lambda r: (-r[0], r[1].start - r[1].end, r[1].start, SOURCES.index(r[1].source), r[1]))
    chosen: list[Candidate] = []
    taken: set[int] = set()
    for _, candidate in merged:
        tokens = range(candidate.start, candidate.end)
        if taken.isdisjoint(tokens):
            taken.update(tokens)
            chosen.append(candidate)
    return sorted(chosen)


def separate(doc: Doc, candidates: list[Candidate]) -> list[Candidate]:
    """Part institutions that are two names with "and" between them: "Ministry of Health and Ministry of Interior".

    Args:
        doc: The document.
        candidates: From any source.

    Returns:
        The candidates, with two in place of each such one that no list knows as one name.
    """
    known = {c[:3] for c in candidates if c.source == "gazetteer" and not c.unsure}
    parted: list[Candidate] = []
    for candidate in candidates:
        start, end, label = candidate[:3]
        if (
            label == "INSTITUTION"
            and end - start > 3
            and candidate.source in ("form", "ner")
            and candidate[:3] not in known
        ):
            for i in range(start + 1, end - 1):
                if doc[i].lower_ == "and" and _are_two(doc, (start, i), (i + 1, end), known):
                    parted += [candidate._replace(end=i), candidate._replace(start=i + 1)]
                    break
            else:
                parted.append(candidate)
        else:
            parted.append(candidate)
    return parted


def _are_two(doc: Doc, one: tuple[int, int], other: tuple[int, int], known: set[tuple[int, int, str]]) -> bool:
    """Say whether both of two spans are names of their own: listed, or made alike, or of universities."""
    listed = [(*span, "INSTITUTION") in known for span in (one, other)]
    shapes = [
        [bool(shape.fullmatch(doc[start:end].text)) and end - start > 1 for shape in _NAMES]
        for start, end in (one, other)
    ]
    alike = any(left and right for left, right in zip(*shapes, strict=True))
    return (listed[0] or any(shapes[0])) and (listed[1] or any(shapes[1])) and (alike or any(listed) or shapes[0][-1])


def trim(doc: Doc, start: int, end: int) -> tuple[int, int]:
    """Cut off a span what no entity begins or ends with.

    These are articles, the possessive 's, punctuation, white space, "on Monday", and all from a bracket on that has no
    partner.

    Args:
        doc: The document.
        start: First token.
        end: Token after the last.

    Returns:
        The new start and end; equal where nothing is left.
    """
    while True:
        before = (start, end)
        while start < end and (doc[start].lower_ in _ARTICLES or _is_edge(doc[start], _CLOSING)):
            start += 1
        while start < end and (doc[end - 1].lower_ in _POSSESSIVES or _is_edge(doc[end - 1], _OPENING)):
            end -= 1
        if end - start > 2 and doc[end - 1].lower_ in _DAYS and doc[end - 2].lower_ == "on":
            end -= 2
        opened: list[int] = []
        for i in range(start, end):
            if doc[i].text in _OPENING:
                opened.append(i)
            elif doc[i].text in _CLOSING:
                if not opened:
                    end = i
                    break
                if opened.pop() == start and i == end - 1:  # the span stands in brackets
                    start, end = start + 1, i
                    break
        else:
            end = opened[0] if opened else end
        if (start, end) == before:
            return start, end


def _is_edge(token: Token, brackets: frozenset[str]) -> bool:
    return token.is_space or token.text in _PUNCTUATION or token.text in brackets


def _rank(policy: Policy, candidate: Candidate) -> int:
    ranks = policy.get(candidate.source, {})
    rest = ranks.get("*", 0)
    return ranks.get(candidate.label, rest if candidate.label in LABELS else ranks.get("+", rest))


def _only_concept(same: list[Candidate]) -> str:
    """Return the concept that the candidates of a span name, or nothing where they name several."""
    concepts = {c.concept for c in same if c.concept and not c.unsure}
    return concepts.pop() if len(concepts) == 1 else ""


@Language.factory(
    "drugpolicy_resolver",
    default_config={"policy": DEFAULT_POLICY, "topic": DEFAULT_TOPIC},
    assigns=["doc.ents"],
    requires=["doc.spans"],
)
def create_resolver(nlp: Language, name: str, policy: dict[str, dict[str, int]], topic: str) -> Resolver:
    """Create the component.

    Args:
        nlp: The pipeline.
        name: The component's name in it.
        policy: See `resolve`.
        topic: See `Resolver`.

    Raises:
        DrugPolicyError: The policy names an unknown source or label.
    """
    return Resolver(policy, topic)


class Resolver:
    """Writes `doc.ents` from the ner's entities and the candidates of the rule sources.

    An acronym that the document defines beside a chosen name is proposed wherever it stands, with the name's label; of
    one that it defines for something else the ner's guess is left out; and all is resolved once more: see
    `linking.definitions`.

    Where nothing sure says that a document is about drugs, neither a list nor a form nor a word of `topic`, the ner's
    entities and the candidates marked as topical (amounts, ordinary words) are left out: "party poppers", "two pounds
    of butter". Labels of another scheme, which the ner was taught later, are neither left out nor trimmed.

    A policy verb is an act of drug policy: in a document that mentions drugs less than twice, and not once in a hundred
    tokens, there is none. Measured on the authored dev split and the real dev set, this takes away wrong policy verbs
    and no right one.

    Args:
        policy: See `resolve`.
        topic: Words that count as mentions beside drug names, as a regular expression that ignores case.
    """

    def __init__(self, policy: Policy = DEFAULT_POLICY, topic: str = DEFAULT_TOPIC) -> None:
        for source, ranks in policy.items():
            if source not in SOURCES:
                raise DrugPolicyError(f"the resolver's policy names the source {source!r}: use {', '.join(SOURCES)}")
            for label in ranks:
                if label not in ("*", "+", *LABELS):
                    raise DrugPolicyError(f"the resolver's policy names the label {label!r}: use {', '.join(LABELS)}")
        self.policy = policy
        self.topic = re.compile(topic, re.IGNORECASE)

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of a document; the ner's own join the candidates in the span group."""
        group = list(doc.spans[GROUP]) if GROUP in doc.spans else []
        for ent in doc.ents:
            if ent.id_ in ("", "ner"):
                start, end = trim(doc, ent.start, ent.end) if ent.label_ in LABELS else (ent.start, ent.end)
                if start < end:
                    group.append(Span(doc, start, end, label=ent.label_, kb_id=ent.kb_id_, span_id="ner"))
        doc.spans[GROUP] = group
        candidates = [
            Candidate(
                span.start,
                span.end,
                span.label_,
                span.id_.removesuffix(UNSURE).removesuffix(TOPICAL),
                span.kb_id_,
                span.id_.endswith(UNSURE),
            )
            for span in group
        ]
        sure = [c for c, span in zip(candidates, group, strict=True) if c.source != "ner" and span.id_[-1:] != TOPICAL]
        candidates = separate(doc, candidates)
        if len(sure) < len(candidates) and not self._mentions(doc, [c for c in sure if not c.unsure], 1):
            candidates = [*sure, *(c for c in candidates if c.source == "ner" and c.label not in LABELS)]
        chosen = resolve(candidates, self.policy)
        acronyms = list(definitions(doc, [(c.start, c.end, c.label) for c in chosen]))
        defined = [Candidate(start, end, label, "definition") for start, end, label in acronyms if label]
        if acronyms:
            none = {(start, end) for start, end, label in acronyms if not label}
            candidates = [c for c in candidates if c.source != "ner" or (c.start, c.end) not in none]
            chosen = resolve([*candidates, *defined], self.policy)
            doc.spans[GROUP] = [
                *group,
                *(Span(doc, c.start, c.end, label=c.label, span_id="definition") for c in defined),
            ]
        if any(c.label == "POLICY_VERB" for c in chosen) and not self._on_topic(doc, chosen):
            chosen = [c for c in chosen if c.label != "POLICY_VERB"]
        doc.set_ents([Span(doc, c.start, c.end, label=c.label, kb_id=c.concept, span_id=c.source) for c in chosen])
        return doc

    def _on_topic(self, doc: Doc, chosen: list[Candidate]) -> bool:
        mentions = self._mentions(doc, chosen, _MENTIONS)
        return mentions >= _MENTIONS or mentions * _TOKENS >= len(doc)

    def _mentions(self, doc: Doc, chosen: list[Candidate], enough: int) -> int:
        """Count the mentions of drugs among entities and words, no further than needed."""
        mentions = sum(c.label in _DRUG_LABELS for c in chosen)
        if mentions < enough:
            mentions += sum(1 for _ in islice(self.topic.finditer(doc.text), enough))
        return mentions
