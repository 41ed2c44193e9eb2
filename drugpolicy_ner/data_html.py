"""Checks and statistics of annotated documents as one self-contained HTML page each: no script, no link out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from .checking import KINDS, CorpusReport
from .corpus.check import Finding
from .corpus.statistics import LabelStatistics, Lengths, Statistics
from .labels import ACTION_DEFINITIONS, LABEL_DEFINITIONS
from .output import Output
from .plots import bar, histogram
from .webpage import escape, head

_STYLE: Final = """
body { max-width: 60rem; overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; }
.row { grid-template: "name bar value" / 11rem 1fr 17rem; }
svg.curve { height: 8rem; border-bottom: 1px solid var(--mark); }
details ul, details ol { margin: 0 0 1rem; padding: 0; list-style: none; }
details li { padding: .35rem 0; border-top: 1px dotted var(--line); }
@media (max-width: 40rem) {
  .row { grid-template: "name" "bar" "value" / 1fr; margin: .7rem 0; font-size: .9rem; }
}
"""

_BAD: Final = ' class="bad"'


def write_check(report: CorpusReport, output: Output, paths: Sequence[str]) -> None:
    """Write what the checks found.

    Args:
        report: The findings and counts.
        output: Where to write.
        paths: What was checked.
    """
    errors = sum(finding.error for finding in report.findings)
    _open(output, "Check", paths)
    _figures(
        output,
        [
            ("to mend", errors, errors > 0),
            ("to look at", len(report.findings) - errors, False),
            ("documents", report.passages, False),
            ("words", report.words, False),
            ("spans", sum(report.spans.values()), False),
        ],
    )
    if not report.findings:
        output.write("<p>Nothing was found that needs attention.</p>\n")
    for error, found in groupby(report.findings, key=lambda finding: finding.error):
        output.write(f"<section>\n<h2>{'To mend' if error else 'To look at'}</h2>\n")
        for kind, findings in groupby(found, key=lambda finding: finding.kind):
            _findings(output, kind, list(findings))
        output.write("</section>\n")
    output.write("<section>\n<h2>Labels</h2>\n")
    most = max(report.spans.values(), default=0) or 1
    for label, count in report.spans.items():
        output.write(_row(label, count / most, f"{count:,} spans", LABEL_DEFINITIONS.get(label, "")))
    output.write("</section>\n")
    _close(output)


def _findings(output: Output, kind: str, findings: Sequence[Finding]) -> None:
    opened = " open" if findings[0].error else ""
    output.write(f"<details{opened}>\n<summary>{escape(KINDS[kind])}: {len(findings):,}</summary>\n<ul>\n")
    for finding in findings:
        in_message = finding.kind == "format"  # which names document and place itself
        who = f"<b>{escape(finding.doc_id)}</b> " if finding.doc_id and not in_message else ""
        place = "" if in_message else ":".join(str(part) for part in (finding.path, finding.line) if part)
        after = f' <span class="soft">{escape(place)}</span>' if place else ""
        output.write(f"<li>{who}{escape(finding.message)}{after}</li>\n")
    output.write("</ul>\n</details>\n")


def write_statistics(found: Statistics, output: Output, paths: Sequence[str]) -> None:
    """Write what a collection holds, with plots.

    Args:
        found: What was counted.
        output: Where to write.
        paths: What was read.
    """
    _open(output, "Statistics", paths)
    _figures(
        output,
        [
            ("documents", found.documents, False),
            ("without spans", found.unmarked, False),
            ("words", found.words, False),
            ("spans", found.spans, False),
            ("different", found.surfaces, False),
            ("in 1,000 words", found.per_1000_words, False),
        ],
    )
    most = max((label.spans for label in found.labels.values()), default=1)
    output.write("<section>\n<h2>Spans</h2>\n")
    for name, label in found.labels.items():
        note = (
            f"{label.spans:,} spans, {label.surfaces:,} different, in {label.documents:,} documents, "
            f"{label.per_1000_words:.2f} in 1,000 words"
        )
        output.write(_row(name, label.spans / most, note, LABEL_DEFINITIONS.get(name, "")))
    if found.actions:
        output.write("</section>\n<section>\n<h2>Action classes</h2>\n")
        top = max(found.actions.values())
        for action, count in found.actions.items():
            title = ACTION_DEFINITIONS.get(action, "")
            output.write(_row(action or "(none)", count / top, f"{count:,} spans", title))
    output.write('</section>\n<section>\n<h2>Lengths</h2>\n<div class="plots">\n')
    output.write(_histogram("Words in a document", found.document_words))
    output.write(_histogram("Spans in a document", found.document_spans))
    for name, label in found.labels.items():
        output.write(_histogram(f"Words in a span: {name}", label.words))
    output.write("</div>\n</section>\n<section>\n<h2>Most frequent</h2>\n")
    for name, label in found.labels.items():
        output.writelines(_top(name, label))
    output.write("</section>\n")
    _close(output)


def _top(name: str, label: LabelStatistics) -> Iterator[str]:
    yield f"<details>\n<summary>{escape(name)}</summary>\n<ol>\n"
    for surface in label.top:
        yield f'<li>{escape(surface.text)} <span class="soft">{surface.count:,}</span></li>\n'
    yield "</ol>\n</details>\n"


def _histogram(title: str, lengths: Lengths) -> str:
    counts = list(lengths.counts.values())
    ranges = list(lengths.counts)
    said = f"{lengths.shortest:,} to {lengths.longest:,}, median {lengths.median:g}, mean {lengths.mean:.1f}"
    ends = f"<span>{ranges[0]}</span>" + (f"<span>{ranges[-1]}</span>" if len(ranges) > 1 else "")
    shown = histogram(counts, label=f"{title}: {said}; most often {ranges[counts.index(max(counts))]}")
    return (
        f'<figure>\n<figcaption>{escape(title)}<br><span class="soft">{said}</span></figcaption>\n{shown}\n'
        f'<div class="ends">{ends}</div>\n</figure>\n'
    )


def _open(output: Output, title: str, paths: Sequence[str]) -> None:
    what = ", ".join(paths)
    output.write(head(f"{title} of {what}", _STYLE))
    output.write(f'<h1>{title}</h1>\n<p class="soft">{escape(what)}</p>\n<main>\n')


def _close(output: Output) -> None:
    output.write("</main>\n</body>\n</html>\n")


def _figures(output: Output, figures: Sequence[tuple[str, float, bool]]) -> None:
    items = "".join(f"<li>{name}<b{_BAD if bad else ''}>{value:,}</b></li>\n" for name, value, bad in figures)
    output.write(f'<ul class="figures">\n{items}</ul>\n')


def _row(name: str, share: float, value: str, title: str = "") -> str:
    about = f' title="{escape(title)}"' if title else ""
    return (
        f'<div class="row"><span class="name"{about}>{escape(name)}</span>{bar(share, label=f"{name}: {value}")}'
        f'<span class="value soft">{value}</span></div>\n'
    )
