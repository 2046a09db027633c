"""What all figures share: the colours, dashes and markers of the arms, and the bare frame.

Arms keep one colour (Okabe-Ito, safe for colour-blind eyes) and one dash and marker everywhere. Backgrounds are
transparent and text is a grey that reads on white and on black; a page that knows its colours sets `font.color`.
Every figure is legible from 328 px (a phone, less the margins of a page) upwards.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.reward import PAPER_ARMS

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
# Of arms: for sky blue, too near the blue of ce, their yellow, darkened until it reads on white.
ARM_COLOURS = (*OKABE_ITO[:5], "#A08C00", OKABE_ITO[6])
# In px where Plotly's own would be longer than the piece of line in a legend.
DASHES = ("solid", "dash", "dot", "dashdot", "9px,3px", "9px,3px,2px,3px")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "hexagon")
TEXT = "#767676"
# Of heat maps: opaque and light enough for one ink in either scheme.
INK = "#1A1A1A"
BLUES = [[0.0, "#EDF2F6"], [1.0, OKABE_ITO[5]]]
DIVERGING = [[0.0, OKABE_ITO[4]], [0.5, BLUES[0][1]], [1.0, BLUES[1][1]]]
GRID = "rgba(128, 128, 128, 0.25)"
ARM_ORDER = tuple(PAPER_ARMS)


def arm_style(arm: str, arms: Sequence[str]) -> tuple[str, str, str]:
    """(colour, dash, marker) of an arm; arms beyond the paper's follow in the order of `arms`.

    After one round of the dashes each colour gets another dash, so that two lines never share both.
    """
    names = [*ARM_ORDER, *(name for name in arms if name not in ARM_ORDER)]
    place = names.index(arm)
    turn = place // len(DASHES)
    return (
        ARM_COLOURS[place % len(ARM_COLOURS)],
        DASHES[(place + turn) % len(DASHES)],
        MARKERS[place % len(MARKERS)],
    )


def row_style(arm: str) -> tuple[str, str]:
    """(colour, marker) of an arm whose row is labelled: the paper's keep theirs, others are grey circles."""
    colour, _, marker = arm_style(arm, ()) if arm in ARM_ORDER else (TEXT, "", MARKERS[0])
    return colour, marker


TITLE, LEGEND, AXIS = 48, 32, 52  # px above, below and under a panel: title; a row of legend; ticks and axis title
TITLE_LINE, TITLE_WIDTH = 20, 40  # px of a further line of the title; characters of a line, as a phone shows them
AXIS_STYLE = {"title_font_size": 13, "gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}


def base_figure(title: str, x_title: str, y_title: str, height: int = 380, *, legend: bool = True) -> go.Figure:
    below = AXIS + LEGEND * legend
    layout = _layout(title, height - LEGEND * (not legend), TITLE, below) | {"showlegend": legend}
    layout["xaxis"] = {"title_text": x_title, "title_standoff": 10} | AXIS_STYLE
    layout["yaxis"] = {"title_text": y_title} | AXIS_STYLE
    return go.Figure(layout=layout)


def in_lines(title: str) -> str:
    """A title, broken into lines that fit a phone."""
    return "<br>".join(textwrap.wrap(title, TITLE_WIDTH))


def _layout(title: str, height: int, top: int, bottom: int) -> dict[str, Any]:
    """The layout of a new figure, given all at once: updating a figure costs four times as much."""
    lines = in_lines(title)
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

    Traces go to panel i, counted from 1, with `xaxis=f"x{i}", yaxis=f"y{i}"`. A panel without an x title shares
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
        layout[f"xaxis{number}"] = {
            "title_text": x_title,
            "title_standoff": 10,
            "anchor": f"y{number}",
        } | AXIS_STYLE
        if not x_title:
            layout[f"xaxis{number}"] |= {"matches": f"x{i + 1}", "showticklabels": False}
        if legend_rows:
            legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": top / inner, "yanchor": "bottom"}
            layout[f"legend{number}"] = layout.get(f"legend{number}", {}) | legend
        top -= height + (gaps[i - 1] if i < len(panels) else 0)
    return go.Figure(layout=layout)


def mark(figure: go.Figure, x: float, panels: int) -> None:
    """A dotted upright line at `x` in each of the panels of a stacked figure."""
    for panel in range(1, panels + 1):
        number = "" if panel == 1 else panel
        figure.add_shape(
            type="line", x0=x, x1=x, y0=0, y1=1, xref=f"x{number}", yref=f"y{number} domain",
            line={"color": TEXT, "dash": "dot", "width": 1.5},
        )  # fmt: skip
