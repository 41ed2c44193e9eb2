"""The tokenizer: spaCy's English rules plus what chemical names and citations need.

Locant names and section citations stay one token each ("2C-B", "3,4-MDP-2-P", "841(b)(1)(A)(vi)"); a hyphen
between words, a slash, a bracket or an en dash always splits, so that "fentanyl" in "fentanyl-laced" can be a span.
Built on `spacy.tokenizer.Tokenizer`, so it is saved and loaded as any other and its text is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from spacy.lang.tokenizer_exceptions import emoticons
from spacy.language import BaseDefaults
from spacy.tokenizer import Tokenizer
from spacy.util import (
    compile_infix_regex,
    compile_prefix_regex,
    compile_suffix_regex,
    registry,
)

if TYPE_CHECKING:
    from spacy.language import Language

_WORD_ENDINGS = (
    "laced based related like type types containing contaminated positive free derived linked induced adulterated "
    "involved mixed using dealing trafficking smuggling only specific and or to led class style era member backed "
    "producing making possession analogues analogs analogue analog precursor precursors"
)

# A section number with its subdivisions, dotted or not: 841(b)(1)(A)(vi), 1308.11(h), 15(2), 480.1(2)(a), 300aa-1(c)
_SECTION = r"\d[\d.]*[a-z]{0,2}(?:[-–]\d+[a-z]?)?(?:\([0-9A-Za-z]{1,5}\))+"

_WORD_BEGINNINGS = "non anti ex pro pre post mid multi counter ultra"

# A chemical name or code with locants. Brackets balance to a depth of three, which keeps "(4-ANPP)" from matching
# and leaves its brackets to the affix rules; a name never ends in a bracket, and neither begins nor ends with a quote,
# a dash or a possessive.
_FLAT = r"[\w,'′″’±+→-]"
_NEST1 = rf"[(\[](?:{_FLAT})*[)\]]"
_NEST2 = rf"[(\[](?:{_FLAT}|{_NEST1})*[)\]]"
_NEST3 = rf"[(\[](?:{_FLAT}|{_NEST2})*[)\]]"
_LOCANT = r"(?:(?<![A-Za-z])\d{1,2}['′″’]?[A-Za-z]{0,2}-[A-Za-z(\[]|[A-Za-z)\]]-\d|(?<![\w.])[NOPSRmopdln]-[\w(\[])"
_CHEMICAL = (
    rf"(?=.*{_LOCANT})(?!.*[-–](?:{'|'.join(_WORD_ENDINGS.split())})$)(?!\d+[-–][a-z]+(?:[-–][a-z]+)?$)"
    rf"(?!(?:{'|'.join(_WORD_BEGINNINGS.split())})-)(?![-,'′″’±+→_])(?!.*(?:--|['’]s$))"
    rf"(?:{_FLAT}|{_NEST3})*[^\W_]"
)

_HYPHEN = "[-–—‐‑−]"
_BULLETS = "[•·▪●○■►→|=≈\u00ad\u200b]+"
_CODE = r"\d[\w,'′]*-"  # how a name with locants begins: "2C-", "3,4-", "13β-"
_PREFIXES = (
    rf"(?:{'|'.join(_WORD_BEGINNINGS.split())})(?=-{_CODE})",
    rf"{_HYPHEN}(?=[A-Za-z]|{_CODE})",
    "[±+]",
    r"\*+",
    "_+",
    "[~¶†‡/]+",
    _BULLETS,
)
_SUFFIXES = (
    rf"{_HYPHEN}+",  # a rule of many hyphens is one token, as it is of stars: taking it apart takes quadratic time
    r"(?<![\w.][A-Z])(?<=[A-Z])\.",
    r"(?<=\d[A-Z])\.",
    r"(?<=[a-z][A-Z])\.",  # an acronym of a law: "CanG."
    r"(?<=\))\.",
    r"(?<=\d)\.",
    r"\*+",
    "_+",
    "[~/]+",
    "[†‡®™]",
    _BULLETS,
    r"\[\d{1,3}\]",  # a footnote mark: "cocaine.[6]"
    "(?<=[A-Za-z]{2})[⁰¹²³⁴-⁹]+",
    r"(?<=\d)(?:mg|mcg|µg|μg|ug|kg|g|lb|lbs|oz|ml|mL|MT)",
)
_INFIXES = (
    r"(?<=\w)[/\\|](?=[\w$(])",
    r"[()\[\]{}]",
    rf"(?<=[)\]]){_HYPHEN}",
    rf"(?<=[A-Za-z]\.){_HYPHEN}(?=[A-Za-z])",
    r"[–—−]",
    r"(?<=\w)[“”\"«»](?=\w)",
    r"(?<=[a-z]),(?=[A-Za-z])",
    r"(?<=[\w)]);(?=\w)",
    r"(?<=[a-z]{2})\.(?=[A-Z])",
    r"(?:(?<=[A-Z]{2})|(?<=\d))\.(?=[A-Z][a-z])",
    r"(?<=[A-Za-z]):(?=[“\"])",
    "--+",
    r"(?<=\w)\+(?=\w)",
    r"(?:(?<=[A-Za-z]{2})|(?<=[\d)]))\.(?=[—–])",  # a run-in heading: "(a) CSA.—The"
)


@registry.tokenizers("drugpolicy.Tokenizer.v1")
def create_tokenizer() -> Callable[[Language], Tokenizer]:
    """Return the constructor that a config's `[nlp.tokenizer]` block asks for."""
    return build_tokenizer


def build_tokenizer(nlp: Language) -> Tokenizer:
    """Build the tokenizer for a pipeline.

    Args:
        nlp: Pipeline whose vocab is used and whose language gives the base rules (English).

    Returns:
        A plain `spacy.tokenizer.Tokenizer`; its rules are saved with the pipeline.
    """
    defaults: type[BaseDefaults] = nlp.Defaults
    return Tokenizer(
        nlp.vocab,
        rules={text: rule for text, rule in (defaults.tokenizer_exceptions or {}).items() if not _is_emoticon(text)},
        prefix_search=compile_prefix_regex([*(defaults.prefixes or ()), *_PREFIXES]).search,
        suffix_search=compile_suffix_regex([*(defaults.suffixes or ()), *_SUFFIXES]).search,
        infix_finditer=compile_infix_regex([*_INFIXES, *(defaults.infixes or ())]).finditer,
        token_match=re.compile(rf"(?:{_SECTION}|{_CHEMICAL})$").match,
        url_match=defaults.url_match,
    )


def _is_emoticon(text: str) -> bool:
    """Say whether a rule of spaCy's is one: they would take "8)" from "(Part 8)" and "):" from "(Mexico):"."""
    return text.replace("’", "'") in emoticons
