"""Small plots as inline SVG.

They stretch to the width of the page, so text stands beside them and never within; colours come from the page's style.
A library of plots would bring megabytes of script, or pictures that neither stretch nor follow the colours of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .webpage import escape


def bar(value: float, interval: tuple[float, float] | None = None, *, label: str) -> str:
    """Draw a bar from 0 to 1.

    Args:
        value: Its length.
        interval: Ends of the whisker.
        label: What it shows, for those who do not see it.
    """
    parts = [_box("track", 0, 100), _box("fill", 0, 100 * value)]
    if interval:
        parts.append(_whisker(100 * interval[0], 100 * interval[1]))
    return _svg("bar", label, 10, parts)


def difference_bar(value: float, interval: tuple[float, float] | None, scale: float, *, label: str) -> str:
    """Draw a bar to the right of the middle for gains, to its left for losses.

    Args:
        value: Its length.
        interval: Ends of the whisker.
        scale: The value that reaches the edge.
        label: What it shows.
    """

    def at(number: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, number / scale))

    start, end = sorted((50.0, at(value)))
    parts = [_box("track", 0, 100), _box("fill" if value >= 0 else "loss", start, end)]
    parts.append(_line("axis", [(50, 0), (50, 10)]))
    if interval:
        parts.append(_whisker(at(interval[0]), at(interval[1])))
    return _svg("bar", label, 10, parts)


def curve(points: Sequence[tuple[float, float]], *, label: str) -> str:
    """Draw a curve over the range of its points.

    Args:
        points: In the order of x, at least one.
        label: What it shows.
    """
    (left, right), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))
    width, height = (right - left) or 1, (high - low) or 1
    placed = [(2 + 96 * (x - left) / width, 37 - 34 * (y - low) / height) for x, y in points]
    dots = "".join(f'<path class="dot" d="M{x:.2f} {y:.2f}h0"/>' for x, y in placed)
    return _svg("curve", label, 40, [_line("axis", [(0, 39.5), (100, 39.5)]), _line("line", placed), dots])


def reliability(bins: Iterable[tuple[float, float, float]], *, label: str) -> str:
    """Draw the share of correct ones over scores, with the diagonal on which perfect scores lie.

    Args:
        bins: From which score to which, and the share.
        label: What it shows.
    """
    parts = [
        f'<rect class="fill" x="{100 * low + 1:.2f}" y="{40 - 40 * share:.2f}" '
        f'width="{100 * (high - low) - 2:.2f}" height="{40 * share:.2f}"/>'
        for low, high, share in bins
    ]
    return _svg("curve", label, 40, [*parts, _line("axis", [(0, 40), (100, 0)])])


def histogram(counts: Sequence[int], *, label: str) -> str:
    """Draw a column for each number, the greatest as high as the plot.

    Args:
        counts: The numbers, at least one.
        label: What it shows.
    """
    width, top = 100 / len(counts), max(counts) or 1
    columns = [
        f'<rect class="fill" x="{i * width + width / 20:.2f}" y="{40 - 38 * count / top:.2f}" '
        f'width="{width * 0.9:.2f}" height="{38 * count / top:.2f}"/>'
        for i, count in enumerate(counts)
    ]
    return _svg("curve", label, 40, columns)


def _svg(kind: str, label: str, height: int, parts: Iterable[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 100 {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _box(kind: str, start: float, end: float) -> str:
    return f'<rect class="{kind}" x="{start:.2f}" y="0" width="{end - start:.2f}" height="10"/>'


def _line(kind: str, points: Iterable[tuple[float, float]]) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in points)}"/>'


def _whisker(low: float, high: float) -> str:
    return f'<path class="whisker" d="M{low:.2f} 5H{high:.2f}M{low:.2f} 2V8M{high:.2f} 2V8"/>'
