"""Pictures of GRPO: a group of completions and what it does to their tokens, and the clipped objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, in_panel, legend_marker, mark, stacked_figure
from pgce_mini.figures.style import BLUES, DASHES, DIVERGING, INK, MARKERS, OKABE_ITO, TEXT
from pgce_mini.figures.text import visible

Measure = Literal["push", "ratio", "probability"]

ROW = 24  # px
NAMES: dict[Measure, str] = {"push": "weight", "ratio": "ratio", "probability": "probability"}
SIDES: dict[Measure, tuple[str, ...]] = {  # what blue and orange mean
    "push": ("made likelier", "made less likely"),
    "ratio": ("likelier than sampled", "less likely"),
    "probability": ("likely",),
}


def completion_group(
    tokens: Sequence[Sequence[str]],
    rewards: Sequence[float],
    advantages: Sequence[float],
    values: Sequence[Sequence[float]],
    held_back: Sequence[Sequence[bool]],
    measure: Measure,
    title: str,
) -> go.Figure:
    """Completions as columns, read downwards: above, the advantage of each; below, its tokens, coloured by values.

    tokens, values, held_back: a row a completion, a number a token; rewards, advantages: one a completion.
    measure: what the values are: "push" (weight on grad log pi), "ratio" (to the policy that sampled) or
    "probability" (when sampled). Tokens whose gradient the clip takes away are framed.
    """
    longest = max(map(len, tokens))
    figure = stacked_figure(title, [("", "advantage", 120), ("completion", "token", ROW * longest + 4)])
    places = list(range(1, len(tokens) + 1))
    for earned, name, pattern, colour in ((1.0, "right", "", OKABE_ITO[0]), (0.0, "wrong", "/", OKABE_ITO[1])):
        chosen = [i for i, reward in enumerate(rewards) if (reward == 1.0) == (earned == 1.0)]
        figure.add_bar(
            x=[places[i] for i in chosen], y=[advantages[i] for i in chosen], name=f"{name}, reward {earned:g}",
            **in_panel(1), width=0.8, marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate="completion %{x}: advantage %{y:.3f}<extra></extra>",
        )  # fmt: skip

    def cell(rows: Sequence[Sequence[Any]], i: int, place: int, empty: Any) -> Any:
        return rows[i][place] if place < len(tokens[i]) else empty

    def text(i: int, place: int) -> str:
        """The token, with an arrow where its ratio has risen or fallen: colour is not the only sign."""
        value = cell(values, i, place, 1.0)
        arrow = "" if measure != "ratio" or abs(value - 1) < 0.01 else "↑" if value > 1 else "↓"
        return visible(cell(tokens, i, place, "")) + arrow

    figure.add_heatmap(
        x=places, y=list(range(1, longest + 1)), **in_panel(2), **_scale(values, measure),
        z=[[cell(values, i, place, None) for i in range(len(tokens))] for place in range(longest)],
        text=[[text(i, place) for i in range(len(tokens))] for place in range(longest)],
        texttemplate="%{text}", textfont={"size": 11, "color": INK}, xgap=1, ygap=1, hoverongaps=False,
        hovertemplate="completion %{x}, token %{y}: %{text}<br>" + NAMES[measure] + " %{z:.3f}<extra></extra>",
        showscale=False,
    )  # fmt: skip
    framed = [(i + 1, place + 1) for i, row in enumerate(held_back) for place, held in enumerate(row) if held]
    figure.add_scatter(
        x=[x for x, _ in framed], y=[y for _, y in framed], **in_panel(2), mode="markers",
        name="held back by the clip", hoverinfo="skip", showlegend=bool(framed),
        marker={"symbol": "square-open", "size": 17, "color": TEXT, "line": {"width": 2.5}},
    )  # fmt: skip
    for side, deepest in zip(SIDES[measure], (DIVERGING[2][1], DIVERGING[0][1]), strict=False):
        legend_marker(figure, side, {"symbol": "square", "size": 12, "color": deepest}, **in_panel(2))
    edges = [0.5, len(tokens) + 0.5]
    figure.update_layout(
        bargap=0.2,
        xaxis1={"range": edges, "zeroline": False},
        xaxis2={"range": edges, "dtick": 1, "showgrid": False, "tickangle": 0, "tickfont_size": 11},
        yaxis1={"zerolinecolor": TEXT},
        yaxis2={"range": [longest + 0.5, 0.5], "dtick": 2 if longest > 12 else 1, "showgrid": False},
    )
    return figure


def clipped_objectives(
    ratios: Sequence[float], curves: Mapping[str, Sequence[float]], low: float, high: float, title: str
) -> go.Figure:
    """What one token adds to the objective over its ratio, a curve a name; dotted lines at the clip's ends.

    Where a curve is flat, the token has no gradient.
    """
    figure = base_figure(title, "ratio (policy / policy that sampled)", "objective (units of advantage)")
    for i, (name, values) in enumerate(curves.items()):
        figure.add_scatter(**curve(ratios, values, name, OKABE_ITO[i], DASHES[i]))
    mark(figure, low, 1)
    mark(figure, high, 1)
    return figure


def advantages_over_right(advantages: Mapping[str, Sequence[float]], chosen: int, title: str) -> go.Figure:
    """The advantage of a right completion over how many of its group are right, a line a way to scale it; a dotted
    upright line at the chosen number.

    advantages: name -> a number for 1, 2, ... right completions.
    """
    figure = base_figure(title, "right completions in the group", "advantage of each of them")
    for i, (name, values) in enumerate(advantages.items()):
        right, marker = range(1, len(values) + 1), {"symbol": MARKERS[i], "size": 7}
        figure.add_scatter(**curve(right, values, name, OKABE_ITO[i], DASHES[i], 2, marker))
    mark(figure, chosen, 1)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _scale(values: Sequence[Sequence[float]], measure: Measure) -> dict[str, Any]:
    """The colour scale: neutral at a weight of 0 and a ratio of 1, and as wide on both sides."""
    if measure == "probability":
        return {"colorscale": BLUES, "zmin": 0, "zmax": 1}
    middle = 1.0 if measure == "ratio" else 0.0
    reach = max((abs(value - middle) for row in values for value in row), default=0.0)
    return {"colorscale": DIVERGING, "zmid": middle, "zmin": middle - (reach or 1), "zmax": middle + (reach or 1)}
