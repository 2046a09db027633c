"""Pictures of what a token earns under a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from pgce_mini.figures.style import DASHES, OKABE_ITO, TEXT, mark, stacked_figure

LOSS_DASHES = (*DASHES, "2px,7px", "14px,3px,2px,3px,2px,3px")  # a loss each: there are more of them than of arms


class Earnings(NamedTuple):
    """What a loss pays a token, at each of some probabilities."""

    reward: Sequence[float]
    """r of the true token"""
    push: Sequence[float]
    """pi r of the true token, the weight on grad log pi"""
    wrong: Sequence[float]
    """r of a wrong token"""


def hidden_rewards(
    probs: Sequence[float], earnings: Mapping[str, Earnings], names: Sequence[str], probe: float
) -> go.Figure:
    """Reward and push of the true token and reward of a wrong one over the probability of that token.

    names: all the losses that may be compared, so that each keeps its colour and dash whichever are. A line marks
    `probe`.
    """
    figure = stacked_figure(
        "What a token earns",
        [
            ("", "true token:<br>reward r (log)", 190),
            ("", "true token:<br>push π r", 190),
            ("probability π of that token", "a wrong token:<br>reward r", 190),
        ],
    )
    for name, values in earnings.items():
        place = names.index(name)
        colour = TEXT if place == 0 else OKABE_ITO[(place - 1) % 6]  # its seventh is another grey
        dash = LOSS_DASHES[place % len(LOSS_DASHES)]
        line = {"color": colour, "dash": dash, "width": 2.5}
        for panel, curve in enumerate(values, 1):
            figure.add_scatter(
                x=list(probs), y=list(curve), mode="lines", name=name, legendgroup=name, showlegend=panel == 1,
                line=line, xaxis=f"x{panel}", yaxis=f"y{panel}",
                hovertemplate="π = %{x:.2f}: %{y:.3g}",
            )  # fmt: skip
    mark(figure, probe, 3)
    figure.update_layout(
        xaxis3={"range": [0, 1]}, yaxis1={"type": "log", "dtick": 1}, yaxis2_rangemode="tozero",
        yaxis3={"range": [-5, 1.5], "zerolinecolor": TEXT},
    )  # fmt: skip
    return figure


def both_pushes(probs: Sequence[float], pushes: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """Over the probability of the true token: the push pi r on it, and pi r (1 - pi) on its logit, by reward.

    The axes stay where they are, so that a slider shows what moves; a push above 3 leaves them.
    """
    figure = stacked_figure(
        title,
        [
            ("", "push on the token,<br>π r", 200),
            ("probability π of the true token", "push on its logit,<br>π r (1 − π)", 200),
        ],
    )
    for place, (name, push) in enumerate(pushes.items()):
        colour = TEXT if place == 0 else OKABE_ITO[place - 1]
        on_logit = [weight * (1 - prob) for weight, prob in zip(push, probs, strict=True)]
        for panel, curve in enumerate((list(push), on_logit), 1):
            figure.add_scatter(
                x=list(probs), y=curve, mode="lines", name=name, legendgroup=name, showlegend=panel == 1,
                line={"color": colour, "dash": DASHES[place % 6], "width": 2.5},
                xaxis=f"x{panel}", yaxis=f"y{panel}", hovertemplate="π = %{x:.3f}: %{y:.3g}",
            )  # fmt: skip
    figure.update_layout(xaxis2={"range": [0, 1]}, yaxis1={"range": [0, 3]}, yaxis2={"range": [0, 1.05]})
    figure.update_yaxes(ticklabelstandoff=6)
    return figure
