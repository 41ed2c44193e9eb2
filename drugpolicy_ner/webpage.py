"""Tagged documents as one self-contained HTML page: no script, no link, nothing that is loaded."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING, Final

from .entity import COLOURS, INK, OTHER_COLOUR, Entity, label_order
from .labels import ACTION_DEFINITIONS
from .output import Output
from .reading import Record

if TYPE_CHECKING:
    from spacy.tokens import Doc

# The legend is written last, when the counts are known, and shown first.
_STYLE: Final = f"""
body {{ display: flex; flex-direction: column; max-width: 55rem; margin: 0 auto; padding: 1rem;
  background: #fff; color: {INK}; font: 1rem/1.9 system-ui, sans-serif; }}
#legend {{ order: -1; position: sticky; top: 0; padding: .5rem 0; background: #fff; border-bottom: 1px solid #767676; }}
#legend ul {{ display: flex; flex-wrap: wrap; gap: .3rem .8rem; margin: 0; padding: 0; list-style: none; }}
h2 {{ margin: 1.5rem 0 .3rem; font-size: 1rem; overflow-wrap: anywhere; }}
p {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }}
mark {{ padding: .1em .25em; border-radius: .25em; background: {OTHER_COLOUR}; color: {INK}; }}
mark[data-label]::after {{ content: " " attr(data-label); font-size: .6em; font-weight: 600; }}
""" + "\n".join(f".{label} {{ background: {colour}; }}" for label, colour in COLOURS.items())

# What the pages of figures share: colours by day and by night, a row with its bar, plots, what opens and closes.
_FIGURES: Final = f"""
:root {{ color-scheme: light dark; --paper: #fff; --ink: {INK}; --soft: #5a5a5a; --line: #cfcfcf; --track: #ececec;
  --fill: #4d8fd6; --bad: #b3261e; --mark: #767676; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #16181b; --ink: #e8e8e8; --soft: #a8adb3; --line: #3d4248;
  --track: #2a2e33; --fill: #5c9fe6; --bad: #ff8a7a; --mark: #9aa0a6; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ margin: 0; font-size: 1.4rem; overflow-wrap: anywhere; }}
h2 {{ margin: 2rem 0 .5rem; font-size: 1.15rem; }}
p {{ margin: .3rem 0; }}
.figures {{ display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: .8rem 0; padding: 0; list-style: none; }}
.figures b {{ display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }}
.soft {{ color: var(--soft); font-size: .9rem; }}
.row {{ display: grid; gap: .1rem .8rem; align-items: center; margin: .35rem 0; font-variant-numeric: tabular-nums; }}
.row > .name {{ grid-area: name; overflow-wrap: anywhere; }}
.row > .value {{ grid-area: value; }}
.row > svg {{ grid-area: bar; }}
svg {{ display: block; width: 100%; }}
svg.bar {{ height: 1.1rem; }}
.track {{ fill: var(--track); }}
.fill {{ fill: var(--fill); }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1.5rem; }}
figure {{ margin: 0; }}
figcaption {{ margin-bottom: .3rem; }}
.ends {{ display: flex; justify-content: space-between; color: var(--soft); font-size: .85rem; }}
details {{ border-top: 1px solid var(--line); }}
summary {{ padding: .45rem 0; cursor: pointer; overflow-wrap: anywhere; }}
:focus-visible {{ outline: 3px solid var(--fill); outline-offset: 2px; }}
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""

_HEAD: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drug policy entities</title>
<style>{_STYLE}
</style>
</head>
<body>
"""


class HtmlWriter:
    """A page with an article a document, a colour a label and a legend."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._counts: Counter[str] = Counter()

    def open(self) -> None:
        """Write the head of the page."""
        self._output.write(_HEAD)

    def write(self, record: Record, doc: Doc) -> None:
        """Write an article."""
        parts = [f"<article>\n<h2>{escape(record.id)}</h2>\n<p>"]
        cursor = 0
        for ent in doc.ents:
            e = Entity.of(ent)
            parts += [
                escape(record.text[cursor : e.start]),
                f'<mark{_class(e.label)} data-label="{escape(e.label)}" title="{escape(describe(e))}">',
                f"{escape(e.text)}</mark>",
            ]
            self._counts[e.label] += 1
            cursor = e.end
        self._output.write("".join([*parts, escape(record.text[cursor:]), "</p>\n</article>\n"]))

    def close(self) -> None:
        """Write the legend and the end of the page."""
        items = "".join(
            f"<li><mark{_class(label)}>{escape(label)}</mark> {self._counts[label]:,}</li>\n"
            for label in sorted(self._counts, key=label_order)
        )
        self._output.write(f'<nav id="legend" aria-label="Legend">\n<ul>\n{items}</ul>\n</nav>\n</body>\n</html>\n')


def head(title: str, style: str) -> str:
    """Return the opening of a page of figures that loads nothing and runs no script, up to the start of its body.

    Args:
        title: Its title, not yet escaped.
        style: Its own rules, behind those that such pages share.
    """
    return f"{_PAGE}<title>{escape(title)}</title>\n<style>{_FIGURES}{style}</style>\n</head>\n<body>\n"


def describe(entity: Entity) -> str:
    """Say in a few lines what an entity is: label, concept or action class, controls, source."""
    lines = [entity.label]
    if entity.action:
        lines.append(f"{entity.action}: {ACTION_DEFINITIONS.get(entity.action, '')}".rstrip(": "))
    if entity.concept:
        lines += _concept(entity.concept)
    if entity.source:
        lines.append(f"source: {entity.source}")
    return "\n".join(lines)


def _concept(concept_id: str) -> list[str]:
    from .concepts import default_store

    store = default_store()
    if concept_id not in store:
        return [concept_id]
    concept = store.get(concept_id)
    controls = "; ".join(f"{control.regime} {control.schedule}" for control in concept.controls)
    return [f"{concept.name} ({concept_id})", *([controls] if controls else [])]


def _class(label: str) -> str:
    return f' class="{label}"' if label in COLOURS else ""


def escape(text: str) -> str:
    """Escape for text and attributes; what a reader of HTML would alter becomes a reference or a sign."""
    return html.escape(text).replace("\r", "&#13;").replace("\x00", "\ufffd")
