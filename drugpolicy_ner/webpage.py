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
    """Return the opening of a page that loads nothing and runs no script, up to the start of its body.

    Args:
        title: Its title, not yet escaped.
        style: Its style sheet.
    """
    return f"{_PAGE}<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"


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
