"""The bare frame of a figure, of one panel or several, and what many figures draw into it.

Backgrounds are transparent. Every figure is legible from 328 px (a phone, less the margins of a page) upwards.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.evaluation import Estimate
from pgce_mini.figures.style import GRID, TEXT

TITLE, LEGEND, AXIS = 48, 32, 52  # px above, below and under a panel: title; a row of legend; ticks and axis title
TITLE_LINE, TITLE_WIDTH = 20, 40  # px of a further line of the title; characters of a line, as a phone shows them
AXIS_STYLE = {"title_font_size": 13, "gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}


def base_figure(title: str, x_title: str, y_title: str, height: int = 380, *, legend: bool = True) -> go.Figure:
    layout = _layout(title, height - LEGEND * (not legend), TITLE, AXIS + LEGEND * legend)
    layout["showlegend"] = legend
    layout["xaxis"] = {"title_text": x_title, "title_standoff": 10} | AXIS_STYLE
    layout["yaxis"] = {"title_text": y_title} | AXIS_STYLE
    return go.Figure(layout=layout)


def _layout(title: str, height: int, top: int, bottom: int) -> dict[str, Any]:
    """The layout of a new figure, given all at once: updating a figure costs four times as much."""
    lines = "<br>".join(textwrap.wrap(title, TITLE_WIDTH))  # that a phone can show
    more = TITLE_LINE * lines.count("<br>")
    pad = 23 if more else 12  # Plotly draws several lines 11 px higher than one
    return {
        "title": {
            "text": lines, "font": {"size": 16}, "xref": "container", "x": 0, "xanchor": "left",
            "yref": "container", "y": 1, "yanchor": "top", "pad": {"t": pad, "l": 2},
        },
        "height": height + more,
        "margin": {"l": 60, "r": 12, "t": top + more, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 13},
        "legend": {"orientation": "h", "x": 0, "yanchor": "top", "y": -AXIS / (height - TITLE - AXIS - LEGEND)},
        "hovermode": "closest",
        "dragmode": False,  # a finger that scrolls the page past a figure must not zoom it
    }  # fmt: skip


def stacked_figure(title: str, panels: Sequence[tuple[str, str, int]], legend_rows: int = 0) -> go.Figure:
    """Panels one above the other, so that a phone shows them as a wall does; each (x title, y title, px high).

    Traces go to panel i, counted from 1, with `**in_panel(i)`. A panel without an x title shares
    the axis of the next one and shows no ticks of its own. With `legend_rows` (on a phone) each panel has a legend
    of its own above it, `legend=f"legend{i}"`; without, there is one below all.
    """
    row = 20  # px of a legend
    above = legend_rows * row + 4 if legend_rows else 0
    gaps = [above + (AXIS + 16 if x_title else 24) for x_title, _, _ in panels[:-1]]  # px
    inner = sum(height for _, _, height in panels) + sum(gaps)
    above_all, below_all = TITLE + above, AXIS if legend_rows else AXIS + LEGEND
    layout = _layout(title, inner + above_all + below_all, above_all, below_all)
    top = inner
    for i, (x_title, y_title, height) in enumerate(panels, 1):
        number = "" if i == 1 else i
        domain = [(top - height) / inner, top / inner]
        layout[f"yaxis{number}"] = {"title_text": y_title, "domain": domain} | AXIS_STYLE
        below = {"title_text": x_title, "title_standoff": 10, "anchor": f"y{number}"}
        layout[f"xaxis{number}"] = below | AXIS_STYLE
        if not x_title:
            layout[f"xaxis{number}"] |= {"matches": f"x{i + 1}", "showticklabels": False}
        if legend_rows:
            legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": top / inner, "yanchor": "bottom"}
            layout[f"legend{number}"] = layout.get(f"legend{number}", {}) | legend
        top -= height + (gaps[i - 1] if i < len(panels) else 0)
    return go.Figure(layout=layout)


def in_panel(number: int) -> dict[str, Any]:
    """Puts a trace into a panel of a stacked figure."""
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def curve(
    x: Sequence[float | None],
    y: Sequence[float | None],
    name: str | None,
    colour: str,
    dash: str,
    width: float = 2.5,
    marker: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A trace: a line through the points, which have a `marker` or are not seen."""
    trace: dict[str, Any] = {"x": list(x), "y": list(y), "mode": "lines", "name": name}
    trace["line"] = {"color": colour, "dash": dash, "width": width}
    return trace | ({"mode": "lines+markers", "marker": marker} if marker else {}) | more


def mark(figure: go.Figure, x: float, panels: int) -> None:
    """A dotted upright line at `x` in each of the panels of a stacked figure."""
    for panel in range(1, panels + 1):
        number = "" if panel == 1 else panel
        figure.add_shape(
            type="line", x0=x, x1=x, y0=0, y1=1, xref=f"x{number}", yref=f"y{number} domain",
            line={"color": TEXT, "dash": "dot", "width": 1.5},
        )  # fmt: skip


def rows(labels: Sequence[str], *, lines: bool = False) -> dict[str, Any]:
    """A y axis with a row for each label, the first on top; the i-th is at y = i. `lines` part the rows."""
    axis: dict[str, Any] = {
        "tickvals": list(range(len(labels))), "ticktext": list(labels), "range": [len(labels) - 0.5, -0.5],
        "zeroline": False, "showgrid": False, "ticklabelstandoff": 6,
    }  # fmt: skip
    if lines:
        places = [i + 0.5 for i in range(len(labels) - 1)]
        axis["minor"] = {"tickvals": places, "showgrid": True, "gridcolor": GRID}
    return axis


def shifts(count: int, width: float) -> list[float]:
    """How far each of `count` markers stands beside the middle of its row, so that those that agree can all be
    seen; together they take `width`."""
    return [(place - (count - 1) / 2) * width / count for place in range(count)]


def legend_marker(figure: go.Figure, name: str, marker: dict[str, Any], **more: Any) -> None:
    """A marker in the legend alone."""
    figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, **more)


def error_bars(points: Sequence[Estimate], colour: str) -> dict[str, Any]:
    """Asymmetric bars from each value to its interval; none where there is no value."""
    known = [(p["value"], p["low"], p["high"]) for p in points]
    above = [0 if v is None or high is None else high - v for v, _, high in known]
    below = [0 if v is None or low is None else v - low for v, low, _ in known]
    look = {"color": colour, "thickness": 1.2, "width": 4}
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, **look}
