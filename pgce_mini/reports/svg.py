"""Static pictures for documents: SVG by hand, which needs no browser and gives the same bytes each time.

They follow the reader's light or dark scheme; colour is never alone (marker and label, or dash and legend).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from pgce_mini.figures.style import DASHES, arm_style, row_style

WIDTH = 720
ROW = 26  # height of a row of a forest
TOP, BOTTOM = 46, 52
STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #1a1a1a } .soft { fill: #595959 } .title { font-weight: 600 }
.grid { stroke: #8886 } .zero { stroke: #595959; stroke-dasharray: 3 3 } .paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #ececec } .soft { fill: #b0b0b0 } .paper { fill: #14161a } .zero { stroke: #b0b0b0 }
}
</style>"""
DASH_ARRAYS = dict(zip(DASHES, ("", "7 4", "2 3", "7 3 2 3", "11 4", "11 3 2 3"), strict=True))


class Interval(NamedTuple):
    """A row of a forest: `arm` gives colour and marker, `label` stands at its left."""

    label: str
    arm: str
    mean: float
    low: float
    high: float


def forest(title: str, x_title: str, rows: Sequence[Interval], alt: str) -> str:
    """Means with their intervals, a row each, around a line at 0."""
    left, right = 16 + 7.6 * max(len(row.label) for row in rows), WIDTH - 20
    height = TOP + ROW * len(rows) + BOTTOM
    ticks = nice_ticks(min(0.0, *(row.low for row in rows)), max(0.0, *(row.high for row in rows)))
    low, high = ticks[0], ticks[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = [*_frame(title, x_title, height, left, right)]
    for tick in ticks:
        kind = "zero" if tick == 0 else "grid"
        parts.append(_line(x(tick), x(tick), TOP - 6, height - BOTTOM, f'class="{kind}"'))
        parts.append(_text(x(tick), height - BOTTOM + 18, _number(tick), "soft", "middle"))
    for i, row in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        colour, marker = row_style(row.arm)
        parts.append(_text(8, y + 5, row.label))
        parts.append(_line(x(row.low), x(row.high), y, y, f'stroke="{colour}" stroke-width="3"'))
        parts.append(_marker(marker, x(row.mean), y, colour))
    return _document(height, alt, parts)


def lines(
    title: str, x_title: str, y_title: str, series: Mapping[str, Sequence[tuple[float, float]]], alt: str
) -> str:
    """A curve an arm, of (x, y) points; the legend below."""
    left, right, height = 62.0, WIDTH - 20.0, 380 + 22 * math.ceil(len(series) / 3)
    bottom = 330
    points = [point for curve in series.values() for point in curve]
    x_ticks = nice_ticks(min(p[0] for p in points), max(p[0] for p in points))
    y_ticks = nice_ticks(min(p[1] for p in points), max(p[1] for p in points))

    def x(value: float) -> float:
        return left + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - TOP - 14)

    parts = [*_frame(title, "", height, left, right)]
    parts.append(_text(8, TOP, y_title, "soft"))
    parts.append(_text((left + right) / 2, bottom + 40, x_title, "soft", "middle"))
    for tick in y_ticks:
        parts.append(_line(left, right, y(tick), y(tick), 'class="grid"'))
        parts.append(_text(left - 8, y(tick) + 5, _number(tick), "soft", "end"))
    for tick in x_ticks:
        parts.append(_text(x(tick), bottom + 18, _number(tick), "soft", "middle"))
    for i, (arm, curve) in enumerate(series.items()):
        colour, dash, _ = arm_style(arm, list(series))
        look = f'fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{DASH_ARRAYS[dash]}"'
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in curve)
        parts.append(f'<polyline {look} points="{path}"/>')
        column, row = i % 3, i // 3
        at_x, at_y = left + column * 215, bottom + 66 + 22 * row
        parts.append(_line(at_x, at_x + 34, at_y - 5, at_y - 5, look))
        parts.append(_text(at_x + 42, at_y, arm))
    return _document(height, alt, parts)


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers that hold [low, high], about five."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _frame(title: str, x_title: str, height: float, left: float, right: float) -> list[str]:
    return [
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        _text(8, 22, title, "title"),
        _text((left + right) / 2, height - 12, x_title, "soft", "middle"),
    ]


def _text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def _line(x1: float, x2: float, y1: float, y2: float, look: str) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" {look}/>'


def _document(height: float, alt: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(alt)}</title>", STYLE, *parts, "</svg>"]) + "\n"


def _marker(kind: str, x: float, y: float, colour: str) -> str:
    r = 6
    star = [(1.3 * r * (0.45 if i % 2 else 1), math.pi * i / 5) for i in range(10)]  # (radius, angle)
    corners: dict[str, list[tuple[float, float]]] = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "diamond": [(0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)],
        "triangle-up": [(0, -r - 1), (r + 1, r), (-r - 1, r)],
        "star": [(radius * math.sin(angle), -radius * math.cos(angle)) for radius, angle in star],
    }
    if kind in corners:
        points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[kind])
        return f'<polygon points="{points}" fill="{colour}"/>'
    if kind == "x":
        return (
            f'<path d="M{x - r:.1f} {y - r:.1f} l{2 * r} {2 * r} m0 {-2 * r} l{-2 * r} {2 * r}" '
            f'stroke="{colour}" stroke-width="4"/>'
        )
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
