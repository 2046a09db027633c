"""What all figures share: the colours, dashes and markers of the arms, and the bare frame.

Arms keep one colour (Okabe-Ito, safe for colour-blind eyes) and one dash and marker everywhere. Backgrounds are
transparent and text is a grey that reads on white and on black; a page that knows its colours sets `font.color`.
Every figure is legible from 328 px (a phone, less the margins of a page) upwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star")
TEXT = "#767676"
GRID = "rgba(128, 128, 128, 0.25)"
ARM_ORDER = ("ce", "precision", "diversity", "tail-penalty", "head-reward")


def arm_style(arm: str, arms: Sequence[str]) -> tuple[str, str, str]:
    """(colour, dash, marker) of an arm; arms beyond the paper's follow in the order of `arms`."""
    names = [*ARM_ORDER, *(name for name in arms if name not in ARM_ORDER)]
    place = names.index(arm)
    return (
        OKABE_ITO[place % len(OKABE_ITO)],
        DASHES[place % len(DASHES)],
        MARKERS[place % len(MARKERS)],
    )


def base_figure(title: str, x_title: str, y_title: str, height: int = 380) -> go.Figure:
    top, bottom, axis = 48, 84, 52  # px: title; axis and a row of legend; tick labels and axis title
    figure = go.Figure()
    figure.update_layout(
        title={
            "text": title, "font": {"size": 16}, "xref": "container", "x": 0, "xanchor": "left",
            "yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 12, "l": 2},
        },
        height=height,
        margin={"l": 60, "r": 12, "t": top, "b": bottom},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT, "size": 13},
        legend={"orientation": "h", "x": 0, "yanchor": "top", "y": -axis / (height - top - bottom)},
        hovermode="closest",
        dragmode=False,  # a finger that scrolls the page past a figure must not zoom it
    )  # fmt: skip
    axis_style = {"title_font_size": 13, "gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}
    figure.update_xaxes(title_text=x_title, title_standoff=10, **axis_style)
    figure.update_yaxes(title_text=y_title, **axis_style)
    return figure
