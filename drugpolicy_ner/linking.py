"""Component drugpolicy_linker: concept ids for what the resolver chose, and the acronyms that a document defines.

`definitions` reads "Long Name (LN)" and "LN (Long Name)" by the algorithm of Schwartz and Hearst (2003, "A simple
algorithm for identifying abbreviation definitions in biomedical text"); the resolver takes what it proposes. The linker
then gives an id to each entity that has none and takes one away where the document says otherwise. A wrong id is worse
than none: a name that two concepts share gets one only where the document decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import srsly
from spacy.attrs import ORTH
from spacy.language import Language
from spacy.tokens import Span

from .concepts import normalise

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from .concepts import Concept

DEFINABLE: Final = frozenset(
    {"INSTITUTION", "CRIMINAL_ORG", "LEGAL_INSTRUMENT", "SUBSTANCE", "PRECURSOR", "DRUG_CLASS"}
)
"""Labels of what can be given a short name in a text."""

_ACRONYM: Final = r"(?:[A-ZÀ-Þ][\w&.’'/-]{0,12}[\wÀ-Þ]\.?)"
_AFTER: Final = re.compile(
    rf"\(\s*(?:(?:hereinafter|hereafter|henceforth|or|the|known\s+as|also|abbreviated|in\s+short|sigla|por\s+sus\s+siglas"
    rf"|en\s+sigles)\s+)*[“\"'‘«„]?({_ACRONYM})[”\"'’»“]?\s*(?:[,;–][^()]{{0,60}})?\)(?!\s*(?:No\.?\s*)?\d)"
)
_FIRST: Final = re.compile(rf"(?<![\w(])({_ACRONYM})\s+\(\s*[“\"‘«]?([^()]{{6,140}}?)[”\"’»]?\s*(?:[,;][^()]*)?\)")
_BEFORE: Final = 130  # characters looked at before a bracket
_CITED: Final = re.compile(r"\([^()]*\d[^()]*\)\s*$")  # "Act (21 U.S.C. 801) (CSA)": a citation before the acronym
_BREAK: Final = re.compile(r"[.;:!?]\s|\n\s*\n|[()\[\]]")
_NAME_WORD: Final = re.compile(r"[^\W\d_][\w.’'/&-]*|&|\d{4}")
_ARTICLE: Final = re.compile(r"(?:[Tt]he|An?|La|Las|El|Los|Le|Les|L['’]|Il|Der|Die|Das|De|Het|O|Os|A|As)\s")
_DETERMINER: Final = re.compile(r"\b(?:the|an?|its|their|our)\s\Z")
_STARTERS_TEXT: Final = "In On At By For And But When While As Since From With Under After Before Both"
_STARTERS: Final = frozenset(_STARTERS_TEXT.split())
_SMALL_TEXT: Final = (
    "of for and on in to against de del la las el los do da dos das des du d et y e en para por sur pour contre "
    "contra für und der die gegen zur zum van voor het di per il lo della dello delle degli dei i na w z ds spraw "
    "à ao aux au a"
)
_SMALL: Final = frozenset(_SMALL_TEXT.split())
_QUOTES: Final = "“”\"'‘’«»„ "
_TRAILING: Final = f"{_QUOTES}\n,"  # what may stand between a name and its bracket
_HEADS: Final = re.compile(
    r"\b(?:Ministr|Minist[eé]r|Minister|Office|Bureau|Commission|Comm?itt?ee|Comisi[oó]n|Comiss|Kommission|Council|Consejo|"
    r"Conselho|Conseil|Consiglio|Rat\b|Raad|Rada|Agenc|Ag[eê]nci|Agenzia|Agentur|Agentschap|Authorit|Autorid|Autorit|Board|"
    r"Junta|Department|Departa?ment|D[eé]partement|Direc[ct]|Direzione|Dire[cç]|Division|Divis|Directorate|Service|Servi[czç]"
    r"|Serviciul|Dienst|Institut|Instytut|Centre|Center|Centr|Zentrum|Observator|Police|Polic|Polici|Poli[czt]|Polizei|"
    r"Guardia|Gendarm|Secretari|Secrétariat|Sekretariat|[Ss]telle|[Zz]entrale|[Aa]mt\b|Administra|Tribunal|Court|Corte|Procura|"
    r"Prosecut|Parquet|Fiscal|Ministère|Federation|Federa|Association|Associa|Asocia|Verband|Vereniging|Stowarzysz|Society"
    r"|Foundation|Fundaci|Fonda|Fonds|Fund\b|Stiftung|Stichting|Mission|Sistema|Meldpunt|Tsent|[UuÚú]rad|[Uu]red\b|Kurul|Ba[sş]kan|Genel|Fundacja|Coalition|Coali|Network|Red\b|Rede\b|R[eé]seau|"
    r"Netz|Union|Unidad|Unidade|Unit[àé]?|Unit\b|Task\sForce|Squad|Brigad|Laborator|Inspect|Inspekt|Customs|Aduan|Douane|"
    r"Zoll|Biuro|Urz[aą]d|G[lł][oó]wn|Komend|Ko?mitet|Upravlen|Sluzhba|Academy|Academi|Univers|Hospital|Clinic|Taskforce|"
    r"Secretar|Program|Alliance|Allian|Alian|Initiative|Group|Grup|Organi[sz]a|Corps|Cuerpo|Corpo|Command|Comando|Defensor|"
    r"Ombud|Chamber|C[aá]mara|Kammer|Regie|R[eé]gie|Registr|Forum|Foro|Bund|Executive)",
)
_LAWS: Final = re.compile(
    r"\b(?:Act|Code|Law|Ordinance|Decree|Convention|Treaty|Protocol|Bill|Regulations?|Directive|Ley|Lei|Loi|Gesetz|Decreto|"
    r"C[oó]digo|Wet|Ustawa)\b|gesetz\b"
)
_GENERIC_TEXT: Final = (
    "act administration agency assembly association authority board bureau cabinet cartel centre center code "
    "commission committee congress convention council court decree department directorate division federation "
    "force fund government group institute law ministry network office order organization organisation parliament "
    "police president program programme protocol regulation regulations secretariat senate service society state "
    "states treaty union unit house national international federal united general public health justice drug "
    "drugs narcotics"
)
_GENERIC: Final = frozenset(_GENERIC_TEXT.split())


class Definition(NamedTuple):
    """An acronym and what it stands for, as character offsets.

    Args:
        start: First character of the name: of all capitalised words before the bracket.
        spelt: First character of the part of the name that holds the acronym's letters, or `end` where none does.
        end: Character after the name.
        acronym: The acronym.
        at: Its first character.
    """

    start: int
    spelt: int
    end: int
    acronym: str
    at: int


def find_definitions(text: str) -> Iterator[Definition]:
    """Yield the acronyms that a text defines in brackets.

    Where the letters do not stand in the name, as those of a translated one may not, only a name in capitals counts.

    Args:
        text: Any text.

    >>> text = "the Bureau of Drug Abuse Control (BDAC)"
    >>> [(d.acronym, text[d.start:d.end]) for d in find_definitions(text)]
    [('BDAC', 'Bureau of Drug Abuse Control')]
    """
    for match in _AFTER.finditer(text):
        acronym = match.group(1)
        if not _is_acronym(acronym):
            continue
        end = match.start()
        if cited := _CITED.search(text, max(0, end - _BEFORE), end):
            end = cited.start()
        while end and text[end - 1] in _TRAILING:
            end -= 1
        floor = max(0, end - _BEFORE)
        breaks = [found.end() for found in _BREAK.finditer(text, floor, end)]
        floor = breaks[-1] if breaks else floor
        spelt = _long_form(text, floor, end, acronym)
        title = _title(text, floor, end)
        if spelt < title and _DETERMINER.search(text, spelt, title):  # "created the Regional Center (CERC)"
            spelt = title
        start = min(title, spelt)
        if start < end:
            yield Definition(start, spelt, end, acronym, match.start(1))
    for match in _FIRST.finditer(text):
        acronym = match.group(1)
        start, end = match.span(2)
        lead = _ARTICLE.match(text, start)
        start = lead.end() if lead else start
        if _is_acronym(acronym) and text[start].isupper() and " " in text[start:end]:
            spelt = _long_form(text, start, end, acronym)
            if start in (spelt, _title(text, start, end)):
                yield Definition(start, spelt, end, acronym, match.start(1))


def _title(text: str, floor: int, end: int) -> int:
    """Return the start of the run of capitalised words before an end, small words between them included."""
    start = end
    small = False
    for word in reversed(list(_NAME_WORD.finditer(text, floor, end))):
        if text[word.end() : start].strip(" \n“”\"'’‘«»") and not small:
            break
        if word.group().endswith(("'s", "’s", "s'", "s’")) and not small and start < end:
            break
        if word.group()[0].isupper() and word.group() not in _STARTERS:
            start, small = word.start(), False
        elif word.group().lower() in _SMALL:
            small = True
        else:
            break
    lead = _ARTICLE.match(text, start)
    return lead.end() if lead and lead.end() < end else start


def _is_acronym(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return 2 <= len(letters) <= 12 and sum(char.isupper() for char in letters) * 2 >= len(letters) + 1


def _long_form(text: str, floor: int, end: int, acronym: str) -> int:
    """Return the start of the shortest name before an end that holds the letters of an acronym in order, or the end."""
    letters = [char.lower() for char in acronym if char.isalpha()]
    i = end
    for k in range(len(letters) - 1, -1, -1):
        i -= 1
        while i >= floor and not (
            _plain(text[i]) == _plain(letters[k])
            and (k or i == 0 or not (text[i - 1].isalnum() or text[i - 1] in "'’"))
        ):
            i -= 1
        if i < floor:
            return end
    words = text[i:end].split()
    if len(words) < 2 and "-" not in text[i:end] and len(text[i:end]) < 8:
        return end
    if not any(char.isupper() for char in text[i:end]) and len(words) > len(letters) + 3:
        return end
    return i


def _plain(char: str) -> str:
    return normalise(char) or char


def definitions(doc: Doc, entities: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield the defined acronyms of a document wherever they stand, and the names that they stand for.

    Args:
        doc: The document.
        entities: Start and end token and label of what was found so far: a name's label is that of the entity which
            ends where the name does; a name without one is judged by its words.

    Yields:
        Start token, end token and label, which is empty for the acronym of what is no entity ("opioid use disorder
        (OUD)").
    """
    if not _has_brackets(doc):
        return
    found = {doc[end - 1].idx + len(doc[end - 1]): (start, label) for start, end, label in entities}
    text = doc.text
    for definition in find_definitions(text):
        start, label = _owner(doc, text, definition, found)
        name = doc.char_span(start, definition.end) if label else None
        if name is not None and (name.start, label) != found.get(definition.end):
            yield name.start, name.end, label
        for match in re.finditer(rf"(?<![\w-]){re.escape(definition.acronym)}(?![\w])", text):
            span = doc.char_span(match.start(), match.end())
            if span is not None:
                yield span.start, span.end, label


def _has_brackets(doc: Doc) -> bool:
    """Say whether there is a bracket at all, without putting the text together."""
    return bool((doc.to_array(ORTH) == doc.vocab.strings["("]).any())


def _owner(doc: Doc, text: str, definition: Definition, found: dict[int, tuple[int, str]]) -> tuple[int, str]:
    """Return the first character of a definition's name and its label, empty for what is no entity."""
    if definition.end in found:
        start, label = found[definition.end]
        return min(doc[start].idx, definition.spelt), label if label in DEFINABLE else ""
    name = text[definition.start : definition.end]
    if not name[0].isupper() or len(name.split()) < 2:
        return definition.start, ""
    law = _LAWS.search(name)
    if law and (name.endswith(law.group()) or not _HEADS.match(name)):
        return definition.start, "LEGAL_INSTRUMENT"
    return definition.start, "INSTITUTION" if _HEADS.search(name) else ""


class Name(NamedTuple):
    """A concept that a name can mean."""

    concept: str
    country: str


@Language.factory("drugpolicy_linker", assigns=["doc.ents", "token.ent_kb_id"], requires=["doc.ents"])
def create_linker(nlp: Language, name: str) -> Linker:
    """Create the component; `Linker.add` or loading a saved pipeline fills it."""
    return Linker()


class Linker:
    """Gives concept ids to entities."""

    def __init__(self) -> None:
        self._concepts: dict[str, tuple[str, str]] = {}  # id -> label, country
        self._names: dict[str, tuple[str, ...]] = {}  # normalised name -> ids
        self._doubtful: dict[str, tuple[str, ...]] = {}  # the same for ambiguous names

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._names.keys() | self._doubtful.keys())

    def add(self, concepts: Iterable[Concept]) -> None:
        """Add the names of concepts.

        Args:
            concepts: From the knowledge base or a user's own file.
        """
        for concept in concepts:
            self._concepts[concept.id] = (concept.label, concept.facts.get("country", ""))
            for alias in concept.aliases:
                names, key = self._doubtful if alias.ambiguous else self._names, normalise(alias.text)
                names[key] = tuple(dict.fromkeys((*names.get(key, ()), concept.id)))

    def __call__(self, doc: Doc) -> Doc:
        """Set the ids of a document's entities."""
        ents = list(doc.ents)
        ids = {i: ent.kb_id_ for i, ent in enumerate(ents) if ent.label_ in DEFINABLE}
        options = {i: self._options(ents[i]) for i in ids if not ids[i]}
        shared = any(len({name.concept for name in names}) > 1 for names in options.values())
        countries = self._countries(ents, ids) if shared else Counter[str]()
        for i, names in options.items():
            ids[i] = _choose(names, countries)
        _by_definition(doc, ents, ids)
        _by_repetition(ents, ids)
        doc.set_ents(
            [
                Span(doc, ent.start, ent.end, label=ent.label_, kb_id=ids.get(i, ent.kb_id_), span_id=ent.id_)
                for i, ent in enumerate(ents)
            ]
        )
        return doc

    def _countries(self, ents: list[Span], ids: dict[int, str]) -> Counter[str]:
        """Count the countries of the institutions that have an id."""
        return Counter(
            name.country
            for i, concept in ids.items()
            if concept and ents[i].label_ == "INSTITUTION"
            for name in self._find(ents[i].text, "INSTITUTION")
            if name.concept == concept and name.country
        )

    def _options(self, ent: Span) -> list[Name]:
        """Return what an entity can mean, by its name, its singular, or its name without the country before it."""
        text = ent.text
        forms = [text, re.sub(r"(?:’s|'s)$", "", text), re.sub(r"(?<=\w{3})s$", "", text), text.replace("&", "and")]
        if ent.label_ == "INSTITUTION":
            forms.append(re.sub(r"^(?:U\.S\.|US|United States|Federal)\s", "", text))
        for form in dict.fromkeys(forms):
            if names := self._find(form, ent.label_):
                return names
        return []

    def _find(self, text: str, label: str) -> list[Name]:
        """Return what a name of a label can mean, ambiguous names only where no other is there."""
        key = normalise(text)
        for names in self._names, self._doubtful:
            found = [
                Name(concept, self._concepts[concept][1])
                for concept in names.get(key, ())
                if self._concepts[concept][0] == label
            ]
            if found:
                return found
        return []

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the names."""
        data: bytes = srsly.msgpack_dumps(self._state())
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Linker:
        """Load names, replacing those present."""
        return self._restore(srsly.msgpack_loads(data))

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the names as a msgpack file."""
        srsly.write_msgpack(path, self._state())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Linker:
        """Load names, replacing those present."""
        return self._restore(srsly.read_msgpack(path))

    def _state(self) -> dict[str, Any]:
        """Return the concepts, and of each name the numbers of those that it can mean."""
        numbers = {concept: i for i, concept in enumerate(self._concepts)}

        def numbered(names: dict[str, tuple[str, ...]]) -> dict[str, int | list[int]]:
            return {
                key: numbers[ids[0]] if len(ids) == 1 else [numbers[concept] for concept in ids]
                for key, ids in names.items()
            }

        return {
            "concepts": [[concept, *row] for concept, row in self._concepts.items()],
            "names": numbered(self._names),
            "doubtful": numbered(self._doubtful),
        }

    def _restore(self, state: Any) -> Linker:
        concepts = [intern(row[0]) for row in state["concepts"]]
        alone = [(concept,) for concept in concepts]  # most names have one concept, and share its tuple

        def named(names: dict[str, int | list[int]]) -> dict[str, tuple[str, ...]]:
            return {
                key: alone[found] if isinstance(found, int) else tuple(concepts[i] for i in found)
                for key, found in names.items()
            }

        self._concepts = {
            concept: (intern(row[1]), intern(row[2])) for concept, row in zip(concepts, state["concepts"], strict=True)
        }
        self._names, self._doubtful = named(state["names"]), named(state["doubtful"])
        return self


def _choose(names: list[Name], countries: Counter[str]) -> str:
    """Return the one concept, or of several the one whose country the document is about."""
    concepts = {name.concept for name in names}
    if len(concepts) == 1:
        return concepts.pop()
    near = sorted({(countries[name.country], name.concept) for name in names if countries[name.country]}, reverse=True)
    if near and (len(near) == 1 or near[0][0] > near[1][0]):
        return near[0][1]
    return ""


def _by_definition(doc: Doc, ents: list[Span], ids: dict[int, str]) -> None:
    """Let a defined acronym mean what its name means, even where that is no concept."""
    by_end = {ent.end_char: i for i, ent in enumerate(ents)}
    for definition in find_definitions(doc.text) if _has_brackets(doc) else ():
        owner = by_end.get(definition.end)
        if owner is None or owner not in ids:
            continue
        shorts = [
            i for i in ids if ents[i].text == definition.acronym and ents[i].label_ == ents[owner].label_ and i != owner
        ]
        if not ids[owner] and ents[owner].id_ == "gazetteer" and len({ids[i] for i in shorts}) == 1:
            ids[owner] = ids[shorts[0]]  # one name of several concepts, one acronym of one
        for i in shorts:
            ids[i] = ids[owner]


def _by_repetition(ents: list[Span], ids: dict[int, str]) -> None:
    """Let a shorter form mean what the one fuller name before it means: "Phoenix House Trust" ... "Phoenix House"."""
    full: dict[str, list[tuple[str, str]]] = {}
    for i in ids:
        ent = ents[i]
        if ids[i]:
            full.setdefault(ent.label_, []).append((f" {ent.text.lower()} ", ids[i]))
            continue
        words = ent.text.lower().split()
        if ent.label_ in ("INSTITUTION", "CRIMINAL_ORG") and len(words) > 1 and not _GENERIC.issuperset(words):
            found = {concept for name, concept in full.get(ent.label_, ()) if f" {' '.join(words)} " in name}
            if len(found) == 1:
                ids[i] = found.pop()
