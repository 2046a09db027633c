"""What all figures share: the colours, dashes and markers of the arms.

Arms keep one colour (Okabe-Ito, safe for colour-blind eyes) and one dash and marker everywhere. Text is a
grey that reads on white and on black; a page that knows its colours sets `font.color`.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    place = [*ARM_ORDER, *(name for name in arms if name not in ARM_ORDER)].index(arm)
    dash = DASHES[(place + place // len(DASHES)) % len(DASHES)]
    return ARM_COLOURS[place % len(ARM_COLOURS)], dash, MARKERS[place % len(MARKERS)]


def row_style(arm: str) -> tuple[str, str]:
    """(colour, marker) of an arm whose row is labelled: the paper's keep theirs, others are grey circles."""
    colour, _, marker = arm_style(arm, ()) if arm in ARM_ORDER else (TEXT, "", MARKERS[0])
    return colour, marker
