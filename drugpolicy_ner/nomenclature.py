"""Component drugpolicy_nomenclature: chemical names that no list holds yet, with the class that they belong to.

Two kinds of family stand in ``data/nomenclature.jsonl``, in the format of `forms`:

- short and semi-systematic names and codes ("para-chloro valeryl fentanyl", "5F-MDMB-PICA"): the pattern matches the
  name in the text, or, with ``"prefix"``, what stands behind its substituents, which this module finds;
- systematic names (``"systematic": true``): this module finds each stretch of text that reads as one chemical name,
  up to `LONGEST` characters with brackets, commas and primes, whose every word is made of known morphemes (IUPAC
  Recommendations 2013, P-1 to P-6); the pattern is then looked for in that name, Latin letters, lower case and without
  white space. The first family that fits gives the class; a name that fits none is no drug's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import TYPE_CHECKING, Final

from spacy.language import Language

from .candidates import Match, add_candidates
from .forms import Form, Forms, read_forms

if TYPE_CHECKING:
    from spacy.tokens import Doc

LONGEST: Final = 240
"""Characters of the longest name that is looked at."""

# Parts of which one stands in every systematic name of a drug or precursor
_ANCHOR_PARTS: Final = (
    "piperid pyrrolidin indol indaz imidazol amphetamin phenyl phenone diazepin androst barbituric benzeneacet "
    "acetoacet estr pregn cyclohexan cyclohexyl azaspiro phenanthr diazinan quinolin quinazolin piperaz chromen "
    "oxiran ergolin pyrimidin benzodioxol methylenedioxy benzofuran thiophen naphth amine amino amide"
)
_ANCHORS: Final = tuple(_ANCHOR_PARTS.split())
_ANCHOR: Final = re.compile("|".join(_ANCHORS).replace("estr", r"estr[ae]?-?\d"))
_MORPHEMES: Final = (
    "meth eth prop but pent hex hept oct non dec undec dodec iso neo sec tert cyclo bi tri tetra penta hexa hepta "
    "octa deca di mono bis tris poly per nor des homo epi allo spiro seco ortho meta para alpha beta gamma delta "
    "omega cis trans endo exo rac levo dextro d l dl n a an en yn ane ene yne ol ols one ones al ale oic oate "
    "oates ate ates ite acid amide amides amid amido amidine amine amines amin amino imine imino imide imido "
    "nitrile nitro nitroso azido azo aza aze azi azine azan azane azol azole azin oxa oxo oxi oxy ox oxir oxid "
    "oxide oxol oxole oxolan oxan oxane thi thia thio thioxo thiophen thien thieno thiazol thiol sulf sulfon "
    "sulfonyl sulfinyl sulfanyl sulph fluor fluoro chlor chloro brom bromo iod iodo hydro dihydro perhydro hydroxy "
    "hydroxyl cyan cyano carbo carb carbon carbonyl carbox carboxy carboxyl carboxylic carbam carbamo carbamate "
    "carbamoyl carbinol carbald aldehyd aldehyde keto ketone acet acetyl aceto acyl form formyl propion propionyl "
    "butyr butyryl valer valeryl croton crotonyl acryl acryloyl allyl vinyl benz benzo benzyl benzoyl benzoate "
    "phen phenyl phenol phenoxy phenethyl phenylen phenone tolyl toluene tolu xylyl naphth naphtho naphthal "
    "naphthyl anthr anilin anilino aniline anis indol indolo indole indazol indazole indolin indan inden imidazo "
    "imidazol imidazole benzimidazol benzimidazole triazol triazolo tetrazol pyraz pyrazol pyrazole pyrid pyridin "
    "pyridine pyridyl pyrimid pyrimidin pyrimidine pyrrol pyrrolo pyrrole pyrrolidin pyrrolidine pyrrolidino "
    "pyrrolidinyl piper piperid piperidin piperidine piperidino piperidinyl piperidone piperaz piperazin "
    "piperazine morphol morpholin morpholine morpholino quinol quinolin quinoline quinolizin quinuclid azep azepan "
    "azepane azepin diazepin diazepine thiazep thienodiazepin ergolin ergoline furan furanyl furo furoyl furyl "
    "tetrahydrofuran pyran pyranyl chromen dioxol dioxole dioxolan benzodioxol benzodioxole benzofuran "
    "methylenedioxy dioxin cycl cyclopent phenanthr phenanthren adamant adamantan adamantyl cumyl androst "
    "androstan androsten estr estra estran pregn pregnan gon gonan chol cholest carbazol carboline tropan tropane "
    "morphin morphinan glycid glycidic glycidate boc ylidene ylid yl yls ylen ylene ylidyn oyl o e ino ano eno ium "
    "ide trione dione diol diene dien triol trien tetraen amphetamine amphetamin cathinone tryptamine tryptamin "
    "phenethylamine phencyclidine barbitur barbituric lysergamide malon malonate succin oxal fumar male maleate "
    "tartr citr phosph phosphate hydrochloride hydrobromide salt isopropyl isobutyl isopentyl isoprop isobut "
    "neopentyl ester ether methoxy ethoxy propoxy butoxy lactone lactam hydrazin hydrazine hydrazide carbonate "
    "indolinon acetoacet benzene benzeneacetic benzeneacetate propargyl propargyloxy sodium potassium lithium "
    "ureido urea guanidin thiourea sila silyl boron pival senecio tigl laur stear palmit phthal tosyl mesyl "
    "phosphor glutar cinnam nicotin picolin then thenoyl deuter deutero furfur demethyl deoxy desoxy cyclohex "
    "cyclobut cycloprop cyclohept quinazolin chromene isoamyl amyl propionitrile butyronitrile acetonitrile oxime "
    "malate hydrate valin valine leucin prolin alanin glycin"
)
_MORPHEME_SET: Final = frozenset(_MORPHEMES.split())
_LONGEST_MORPHEME: Final = max(map(len, _MORPHEME_SET))
_HAS_LOCANT: Final = re.compile(r"\d|[NOαβ]-|alpha|beta|\]")
_LETTERS: Final = re.compile(r"[A-Za-z]{2,}")
_LOCANT: Final = re.compile(r"[A-Z]{1,2}|[a-zH]|[a-j]{2}|[a-z][RSEZ]|\d+[a-zA-Z]{1,2}|Me|Et|Ph|Bn|Boc|HCl|HBr")
_CHARACTERS: Final = r"\w,'′″’ʹ\[\](){}±+.\-‐‑–−:^→*α-ωΔ"
_CHUNK: Final = re.compile(rf"[{_CHARACTERS}]+")
_LAST_CHUNK: Final = re.compile(rf"[{_CHARACTERS}]+\Z")
# The substituents of a semi-systematic name: "para-fluoro ", "4-chloro-α-", "N-butyl ", "1-(furan-2-carbonyl)-"
_HYPHEN: Final = "[-‐‑–−]"
_PRIME: Final = "['′’ʹ]"
_PLACE_WORDS: Final = "ortho meta para alpha beta gamma delta omega tert sec iso bis cis trans rac"
_PLACES: Final = frozenset(_PLACE_WORDS.split())
_PLACE: Final = (
    rf"(?:(?:{'|'.join(sorted(_PLACES))}|\[(?:alpha|beta)\]|[αβγδωnotpmdlsi]|[12]?\d(?:[αβab]|alpha|beta)?|[nos]\d)"
    rf"{_PRIME}?(?:,\s?(?:[nosαβ]|alpha|beta|(?:ortho|meta|para){_HYPHEN}|\d{{1,2}}(?:[αβab]|alpha|beta)?){_PRIME}?)*{_HYPHEN}\s?"
    rf"|(?:ortho|meta|para|alpha|beta|[αβ]{_PRIME}?)\s?)"
)
_STEREO: Final = rf"\((?:[±+\-−–]|[\dRSEZrac,]{{1,8}})\){_HYPHEN}"
_CODE_WORDS: Final = (
    "meo eto pro buo bno aco bzo ome oet oh ho cl br cn cf3 ocf3 tfm no2 nh2 me et pr ipr bu ibu tbu ph bn ac mes "
    "sme nbome boc cbz fmoc moc ts"
)
_CODES: Final = frozenset(_CODE_WORDS.split())
_CODE: Final = rf"\d{{0,2}}(?:{'|'.join(sorted(_CODES, key=len, reverse=True))}|f){_HYPHEN}"
_GROUP: Final = r"[(\[](?:[^()\[\]\s]|\([^()\s]*\)){2,60}[)\]]"
_PREFIX: Final = re.compile(
    rf"(?:{_STEREO}|{_PLACE}|{_CODE}|[a-z]{{3,}}(?![a-z])(?:{_HYPHEN}\s?|\s)?|{_GROUP}{_HYPHEN}?)+", re.IGNORECASE
)
_WORD: Final = re.compile(r"[A-Za-z]{3,}")
_RADICAL: Final = re.compile(r"(?:yl|ylene|o|oxy|nitrile|thiophene|furan|cyclopropane|benzodioxole)$")
_SHORT_WORDS: Final = "nor des oxo aza epi sila homo keto seco thio desoxy deoxy"
_SHORT_RADICALS: Final = frozenset(_SHORT_WORDS.split())
_IN_GROUP: Final = re.compile(_GROUP)
_BEFORE: Final = re.compile(r"[\w,'′’ʹ()\[\]±+‐‑–−-]+\s?$")
_WINDOW: Final = 100  # characters that substituents can take
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_CLOSE: Final = {"(": ")", "[": "]"}
_COUNTERION: Final = (
    r"(?:mono|di|tri)?(?:hydrochloride|hydrobromide|hydroiodide|hydrochlorides|hydrate)|HCl|HBr|(?:hemi|hydro|hydrogen\s|bi|di)?"
    r"(?:citrate|oxalate|fumarate|maleate|malate|tartrate|sulfate|sulphate|phosphate|succinate|mesylate|tosylate|nitrate|lactate)"
    r"|(?:trifluoro)?acetate|nicotinate|free\s?base"
)
_SALT: Final = re.compile(
    rf"(?:,?\s+(?:(?:{_COUNTERION})(?:\s+salt)?|(?:undec|dec|hex|hept)anoate|caproate|capronate|enanthate|cypionate|oxime|"
    r"(?:lithium|sodium|potassium|calcium)(?:\s+salt)?(?!\s+(?:bi|hydr|boro|acet|cya))|acid|(?:methyl|ethyl|propyl|isopropyl|butyl|tert-butyl)\s+ester|ester)\b)+",
    re.IGNORECASE,
)
_LAST_LOCANT: Final = re.compile(r"[(\[]*(?!\d{3}|[3-9]\d)[\w'′’,]{1,6},")  # no year, no count: "in 2016, 5-pentyl-"
_ENDS_IN_LOCANT: Final = re.compile(r"(?<![^\W\d_])(?:\d{1,2}[a-zα-ω]?|[NOSα-ω]|\d\[(?:alpha|beta)\])['′’]?,\Z")
_ABBREVIATION: Final = re.compile(r"(?<=[a-z])\([A-Z][A-Z\d-]*\)\Z")
_TAIL: Final = re.compile(  # "x-type", "x's"
    rf"(?:['’]s|{_HYPHEN}(?:laced|based|related|like|types?|containing|positive|free|derived|induced|adulterated|mixed))\Z"
)
_ION: Final = re.compile(rf"(?:,?\s+(?:{_COUNTERION})(?:\s+salt)?)+\Z", re.IGNORECASE)
_ENDING: Final = re.compile(r"(?:amine|amide|ate|one|ole?|ine|nitrile|ane)$")
_ESTER: Final = re.compile(r"\s[a-z]+ate\b")
_GREEK: Final = str.maketrans(
    {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "delta", "ω": "omega"}
    | dict.fromkeys("′″’ʹ", "'")
    | dict.fromkeys("‐‑–−", "-")
    | dict.fromkeys("{", "[")
    | dict.fromkeys("}", "]")
)
_BENZODIOXOLE: Final = re.compile(r"(?:2h-)?(?:benzo\[d\]-?\[1,3\]dioxol|benzo-1,3-dioxol|1,3-benzodioxol)")
_WHITE: Final = re.compile(r"\s+")


def default_families() -> list[Form]:
    """Read the families of names that come with the package."""
    with resources.as_file(resources.files(__package__) / "data" / "nomenclature.jsonl") as path:
        return read_forms(path)


@Language.factory("drugpolicy_nomenclature", assigns=["doc.spans"])
def create_nomenclature(nlp: Language, name: str) -> Nomenclature:
    """Create the component; `Nomenclature.add` or loading a saved pipeline fills it."""
    return Nomenclature()


class Nomenclature(Forms):
    """Proposes a span for each chemical name that belongs to a family, with the family's class as concept."""

    def __init__(self) -> None:
        super().__init__()
        self._hints: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}

    def __call__(self, doc: Doc) -> Doc:
        """Add the names found in a document to its candidates."""
        add_candidates(doc, "nomenclature", self.find(doc.text))
        return doc

    def find(self, text: str) -> Iterator[Match]:
        """Yield the names in a text that a family knows, none of them a part of another.

        Of the families that take the same stretch of text for a name the first counts, those of systematic names
        before all others, since they read the whole of it.

        Args:
            text: Any text.
        """
        found: dict[tuple[int, int], Match] = {}
        lower = _lower(text)
        hyphened = _plain_hyphens(text)
        words = set(hyphened.split())
        codes = _code_like(words)
        lower_words, lower_codes = _lower(" ".join(words)), _lower(codes)
        may_be_systematic = any(anchor in lower_codes for anchor in _ANCHORS)  # far quicker than to look for a name
        for start, end in systematic_names(text) if may_be_systematic else ():
            bare = plain_name(_ION.sub("", text[start:end]))
            for family in self._forms:
                if family.systematic and self._pattern(family).search(bare):
                    found[start, end] = Match(start, end, family.label, family.concept)
                    break
        for family in self._forms:
            if not family.systematic:
                for match in self._matches_around(family, text, (lower, hyphened), (lower_words, codes)):
                    begin = _first_substituent(text, match.start, family.prefix) if family.prefix else match.start
                    if begin is not None:
                        salt = _SALT.match(text, match.end)
                        span = begin, salt.end() if salt else match.end
                        found.setdefault(span, match._replace(start=span[0], end=span[1]))
        yield from _outermost(found.values())

    def _matches_around(self, form: Form, text: str, texts: tuple[str, str], words: tuple[str, str]) -> Iterator[Match]:
        """Yield the matches of a family, trying its pattern only around its hints.

        A hint of small letters is looked for in the small letters of the text, another in its code-like words: first
        among the distinct `words`, which are few, then in the `texts` that are as long as the text itself.
        """
        if form.hints not in self._hints:
            small = [hint for hint in form.hints if hint.isalpha() and hint.islower()]
            self._hints[form.hints] = small, [hint for hint in form.hints if hint not in small]
        places: list[int] = []
        for hints, distinct, whole in zip(self._hints[form.hints], words, texts, strict=True):
            for hint in hints:
                if hint in distinct:
                    places += _places(hint, whole)
        if places:
            for start, end in _surroundings(text, sorted(places)):
                yield from self._matches_between(form, text, start, end)


def _places(part: str, text: str) -> Iterator[int]:
    """Yield where a part stands in a text."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _plain_hyphens(text: str) -> str:
    """Return a text with plain hyphens for all hyphens, dashes and minus signs, each at its old place."""
    if not text.isascii():
        for hyphen in "‐‑–−":
            text = text.replace(hyphen, "-")
    return text


def _lower(text: str) -> str:
    """Return a text in small letters, for looking up words of the Latin alphabet; each at its old place."""
    return _plain_hyphens(text).encode("ascii", "replace").decode("ascii").lower()


def _is_plain(word: str) -> bool:
    """Say whether a word is written as most words are, so that it is no code."""
    return word.isalpha() and (word.islower() or word.istitle())


def _code_like(words: Iterable[str]) -> str:
    """Return the words that could be codes: a hint such as "AP" is not looked for in "Apply" or "2019"."""
    bare = {word.strip('.,;:()"') for word in words if not _is_plain(word)}
    return " ".join(word for word in bare if not (_is_plain(word) or word.isdigit()))


def _outermost(matches: Iterable[Match]) -> Iterator[Match]:
    """Yield the matches in the order of the text, without those that lie within one that is as sure as they are."""
    kept: list[Match] = []
    for match in sorted(matches, key=lambda m: (m.start, -m.end)):
        if not any(match.end <= other.end and other.topical <= match.topical for other in kept[-3:]):
            kept.append(match)
            yield match


def _surroundings(text: str, places: Iterable[int]) -> list[tuple[int, int]]:
    """Return the stretches of a text around places in it, joined where they meet; none ends inside a word."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and place + _WINDOW <= found[-1][1]:
            continue
        space = _WHITE.search(text, place + _WINDOW)
        start, end = max(0, place - _WINDOW), space.start() if space else len(text)
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _first_substituent(text: str, at: int, prefix: str) -> int | None:
    """Return where the substituents of a name begin.

    Args:
        text: The text.
        at: Where what stands behind them begins.
        prefix: Whether they ``may`` or ``must`` be there.

    Returns:
        Their start, `at` where there are none and need not be, or None where this is no name.
    """
    free = at == 0 or not (text[at - 1].isalnum() or text[at - 1] in "-‐‑–−_'’′")
    found = at if free and prefix == "may" else None
    start = at
    while before := _BEFORE.search(text, max(0, at - _WINDOW), start):
        chunk = before.group()
        if chunk[-1].isspace() and chunk[:-1].lower() == "nor":  # "not heroin nor tramadol": a conjunction
            break
        inside = chunk[0] in _CLOSE and chunk.count(chunk[0]) > chunk.count(_CLOSE[chunk[0]])
        start = before.start() + inside  # without the bracket in which the whole name stands
        if _are_substituents(text[start:at]):
            if start == 0 or not (text[start - 1].isalnum() or text[start - 1] in "-‐‑–−_"):
                found = start
        elif start < at - _WINDOW // 2:
            break
        if inside:
            break
    return found


def _are_substituents(text: str) -> bool:
    """Say whether a text is a row of substituents, each with its place: "para-fluoro ", "N-(2-hydroxybenzyl)-"."""
    if not _PREFIX.fullmatch(text):
        return False
    for group in _IN_GROUP.findall(text):
        if not _is_chemical(group):
            return False
    return all(
        (word := match.group().lower()) in _PLACES
        or word in _CODES
        or word in _SHORT_RADICALS
        or (len(word) > 3 and _RADICAL.search(word) is not None and _splits(word))
        for match in _WORD.finditer(_IN_GROUP.sub("", text))
    )


def plain_name(name: str) -> str:
    """Return a chemical name as the patterns of systematic families see it.

    >>> plain_name("N-[1-(2-Phenylethyl) piperidin-4-yl]-β-X")
    'n-[1-(2-phenylethyl)piperidin-4-yl]-beta-x'
    """
    plain = _WHITE.sub("", name.translate(_GREEK)).lower()
    return _BENZODIOXOLE.sub("1,3-benzodioxol", plain)


def systematic_names(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of a text that reads as one systematic chemical name.

    Args:
        text: Any text.
    """
    done = 0
    for anchor in _ANCHOR.finditer(_lower(text)):
        if anchor.start() < done:
            continue
        start, end = _chunk(text, anchor.start())
        bare = end - start > LONGEST or not _HAS_LOCANT.search(text, start, end)
        if bare and not _follows_locants(text, start):  # one word, which a list or a short form knows better
            done = max(done, end)
            continue
        start, end = _grow(text, start, end, done)
        start, end = _strip(text, start, end)
        done = max(done, end)
        name = text[start:end]
        if start < end <= start + LONGEST and _is_chemical(name):
            salt = _SALT.match(text, end)
            yield start, salt.end() if salt else end


def _follows_locants(text: str, start: int) -> bool:
    """Say whether the words before end as the first half of a name does, as in "3-(1-x) ethanamine"."""
    return bool(re.search(r"[\d)\]]\s$|-\s$", text[max(0, start - 3) : start]))


def _chunk(text: str, at: int) -> tuple[int, int]:
    """Return the run of a name's characters around a place."""
    start = at
    while start and at - start < LONGEST and _CHUNK.match(text, start - 1):
        start -= 1
    match = _CHUNK.match(text, at)
    return start, match.end() if match else at


def _grow(text: str, start: int, end: int, floor: int) -> tuple[int, int]:
    """Take in the chunks before and after that belong to the name: "Methyl 2-(1-x) butanoate", "N, N-diethyl"."""
    while end < len(text) and text[end].isspace() and end - start < LONGEST:
        follows = _CHUNK.match(text, _WHITE.match(text, end).end())  # type: ignore[union-attr] # a space stands there
        if follows is None or "\n\n" in text[end : follows.start()]:
            break
        inside = _open_brackets(text[start:end]) > 0
        joined = (
            text[end - 1] in "-‐‑–"
            or (_ENDS_IN_LOCANT.search(text, start, end) and re.match(r"[NOSα-ω\d]", follows.group()))
            or (text[end - 1].isdigit() and follows.group().startswith("H-"))
        )
        word = follows.group().rstrip(".,;:")
        # an ester's or an amine's second word: "naphthalen-1-yl 1-butylindole-3-carboxylate"
        tied = bool(re.search(r"yl\W*$", text[start:end])) and _is_chemical(word)
        tied = tied and bool(
            _ENDING.search(word.rstrip(")]")) or (word.endswith("yl") and _ESTER.match(text, follows.end()))
        )
        if not (inside or joined or tied or follows.group().startswith("-")):
            break
        if not _is_chemical(word) and not re.fullmatch(r"[\dRSEZHl,'()\[\]-]+", follows.group()):
            break
        end = follows.end()
    while start > floor and text[start - 1].isspace() and end - start < LONGEST:
        stop = start
        while stop > floor and text[stop - 1].isspace():
            stop -= 1
        if "\n\n" in text[stop:start]:
            break
        before = _LAST_CHUNK.search(text, max(floor, stop - LONGEST), stop)
        if before is None:
            break
        word = before.group()
        ester = re.fullmatch(r"sodium|potassium|lithium", word) or (word.endswith("yl") and _is_chemical(word))
        halves = (
            _open_brackets(text[start:end]) < 0
            or word[-1] in "-‐‑–"
            or (word[-1] == "," and _LAST_LOCANT.fullmatch(word) and re.match(r"[NOS\dα-ω]", text[start:end]))
            or (re.search(r"\d$", word) and text.startswith("H-", start))
        )
        if not (ester or (halves and (_is_chemical(word) or re.fullmatch(r"[\dRSEZaα-ω,'()\[\]-]+", word)))):
            break
        start = before.start()
    return start, end


def _open_brackets(text: str) -> int:
    return sum(text.count(char) for char in "([{") - sum(text.count(char) for char in ")]}")


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Take off punctuation, and brackets without a partner together with what they cut off."""
    while True:
        before = start, end
        while start < end and text[start] in ",.;:'’)]}-–+/*":
            start += 1
        while start < end and text[end - 1] in ",.;:'’([{-–+/*":
            end -= 1
        if tail := _TAIL.search(text, start, end):
            end = tail.start()
        if short := _ABBREVIATION.search(text, start, end):  # "phenyl-2-propanone(P2P)"
            end = short.start()
        opened: list[int] = []
        for i in range(start, end):
            if text[i] in "([{":
                opened.append(i)
            elif text[i] in ")]}":
                if not opened or text[opened[-1]] != _PAIRS[text[i]]:
                    end = i
                    break
                first = opened.pop()
                if first == start and i == end - 1:
                    start, end = start + 1, i
                    break
        else:
            if opened and opened[0] == start:
                start += 1
            elif opened:
                end = opened[0]
        if (start, end) == before:
            return start, end


def _is_chemical(name: str) -> bool:
    """Say whether every run of letters is made of morphemes or is a locant."""
    return all(
        _LOCANT.fullmatch(match.group()) or _splits(match.group().lower())
        for match in _LETTERS.finditer(name.translate(_GREEK))
    )


def _splits(word: str) -> bool:
    """Say whether a word is a row of morphemes, in time linear in its length."""
    reached = [True] + [False] * len(word)
    for end in range(1, len(word) + 1):
        reached[end] = any(
            reached[start] and word[start:end] in _MORPHEME_SET for start in range(max(0, end - _LONGEST_MORPHEME), end)
        )
    return reached[-1]
