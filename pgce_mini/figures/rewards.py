"""Pictures of one state: what a token earns under a loss, and the gradient that comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, in_panel, mark, stacked_figure
from pgce_mini.figures.style import DASHES, MARKERS, OKABE_ITO, TEXT, arm_style

LOSS_DASHES = (*DASHES, "2px,7px", "14px,3px,2px,3px,2px,3px")  # a loss each: there are more of them than of arms


class Earnings(NamedTuple):
    """What a loss pays a token, at each of some probabilities."""

    reward: Sequence[float]  # r of the true token
    push: Sequence[float]  # pi r of the true token, the weight on grad log pi
    wrong: Sequence[float]  # r of a wrong token


def hidden_rewards(
    probs: Sequence[float], earnings: Mapping[str, Earnings], names: Sequence[str], probe: float
) -> go.Figure:
    """Reward and weight of the true token and reward of a wrong one over the probability of that token.

    names: all the losses that may be compared, so that each keeps its colour and dash whichever are. A line marks
    `probe`.
    """
    figure = stacked_figure(
        "What a token earns",
        [
            ("", "true token:<br>reward r (log)", 190),
            ("", "true token:<br>weight π r", 190),
            ("probability π of that token", "a wrong token:<br>reward r", 190),
        ],
    )
    for name, values in earnings.items():
        place = names.index(name)
        colour = TEXT if place == 0 else OKABE_ITO[(place - 1) % 6]  # its seventh is another grey
        dash = LOSS_DASHES[place % len(LOSS_DASHES)]
        for panel, ys in enumerate(values, 1):
            look = in_panel(panel) | {"legendgroup": name, "showlegend": panel == 1}
            hover = "π = %{x:.2f}: %{y:.3g}"
            figure.add_scatter(**curve(probs, ys, name, colour, dash, hovertemplate=hover, **look))
    mark(figure, probe, 3)
    figure.update_layout(
        xaxis3={"range": [0, 1]}, yaxis1={"type": "log", "dtick": 1}, yaxis2_rangemode="tozero",
        yaxis3={"range": [-5, 1.5], "zerolinecolor": TEXT},
    )  # fmt: skip
    return figure


def both_pushes(probs: Sequence[float], pushes: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """Over the probability of the true token: its weight pi r, and the push pi r (1 - pi) on its logit, by reward.

    The axes stay where they are, so that a slider shows what moves; a weight above 3 leaves them.
    """
    figure = stacked_figure(
        title,
        [
            ("", "weight of the token,<br>π r", 200),
            ("probability π of the true token", "push on its logit,<br>π r (1 − π)", 200),
        ],
    )
    for place, (name, push) in enumerate(pushes.items()):
        colour = TEXT if place == 0 else OKABE_ITO[place - 1]
        on_logit = [weight * (1 - prob) for weight, prob in zip(push, probs, strict=True)]
        for panel, ys in enumerate((push, on_logit), 1):
            look = in_panel(panel) | {"legendgroup": name, "showlegend": panel == 1}
            hover = "π = %{x:.3f}: %{y:.3g}"
            figure.add_scatter(**curve(probs, ys, name, colour, DASHES[place % 6], hovertemplate=hover, **look))
    figure.update_layout(xaxis2={"range": [0, 1]}, yaxis1={"range": [0, 3]}, yaxis2={"range": [0, 1.05]})
    figure.update_yaxes(ticklabelstandoff=6)
    return figure


def gradient_estimates(
    tokens: Sequence[str],
    gradients: Mapping[str, Sequence[float]],
    samples: Sequence[int],
    measured: Sequence[float],
    expected: Sequence[float],
    now: tuple[int, float],
    title: str = "One gradient, three ways",
    now_name: str = "the estimate above",
) -> go.Figure:
    """Above, gradients over the tokens side by side; below, how the error of REINFORCE falls with its samples.

    gradients: name -> dJ/dz, one value a token.
    measured, expected: relative error |estimate - exact| / |exact| at each of `samples`, root mean square.
    now: (samples, relative error) of the estimate above, `now_name` in the legend; an error of 0 has no place on
        the logarithmic axis.
    """
    above = ("push on each logit, dJ/dz", "", 44 * len(tokens))
    panels = [above, ("samples N (log scale)", "relative error (log scale)", 230)]
    figure = stacked_figure(title, panels, legend_rows=3)
    for (name, values), colour, shape in zip(
        gradients.items(), (TEXT, OKABE_ITO[0], OKABE_ITO[1]), ("/", "", "x"), strict=True
    ):
        pattern = {"shape": shape, "fillmode": "replace" if shape == "/" else "overlay"}
        figure.add_bar(
            x=list(values), y=list(tokens), orientation="h", name=name, **in_panel(1), legend="legend1",
            marker={"color": colour, "pattern": pattern, "line": {"width": 1, "color": colour}},
        )  # fmt: skip
    below = in_panel(2) | {"legend": "legend2"}
    figure.add_scatter(
        x=list(samples), y=list(measured), mode="markers", name="measured", **below,
        marker={"color": OKABE_ITO[1], "symbol": MARKERS[1], "size": 8},
    )  # fmt: skip
    figure.add_scatter(**curve(samples, expected, "expected, falls as 1/√N", TEXT, "dash", 2, **below))
    figure.add_scatter(
        x=[now[0]], y=[now[1] or None], mode="markers", name=now_name, **below,
        marker={"color": OKABE_ITO[1], "symbol": "star-open", "size": 16, "line": {"width": 2}},
    )  # fmt: skip
    figure.update_layout(
        bargap=0.2,
        legend2_itemsizing="constant",
        yaxis1={"type": "category", "autorange": "reversed", "gridcolor": "rgba(0,0,0,0)", "ticklabelstandoff": 6},
        xaxis1={"zerolinecolor": TEXT},
        xaxis2={"type": "log", "dtick": 1},
        yaxis2={"type": "log", "dtick": 1},
    )
    return figure


def held_reward(prob: float) -> go.Figure:
    """The mean reward J = pi(x) r(x) of cross-entropy's reward, over the probability of the true token x: r held
    at its value where pi(x) is `prob`, r following pi, and minus the cross-entropy, less its value there.

    Where pi(x) is `prob` the first and the last touch: they have one gradient.
    """
    probs = [i / 100 for i in range(1, 100)]
    figure = base_figure(
        "One slope, if r is held", "probability π(x) of the true token", "mean reward J", height=400
    )
    for name, ys, colour, dash in (
        (f"r held at 1/{prob:g}", [pi / prob for pi in probs], OKABE_ITO[0], DASHES[0]),
        ("r = 1/π follows: always 1", [1.0 for _ in probs], OKABE_ITO[1], DASHES[1]),
        ("log π(x), moved to touch", [1 + math.log(pi / prob) for pi in probs], TEXT, DASHES[2]),
    ):
        figure.add_scatter(**curve(probs, ys, name, colour, dash, hovertemplate="π %{x:.2f}: %{y:.3f}"))
    figure.add_scatter(
        x=[prob], y=[1], mode="markers", name="here", marker={"color": TEXT, "symbol": "star", "size": 14}
    )
    figure.update_layout(xaxis_range=[0, min(1, 3 * prob)], yaxis={"range": [-1, 3], "zerolinecolor": TEXT})
    return figure


def gradient_by_rank(
    probs: Sequence[float],
    gradients: Mapping[str, Sequence[float]],
    target: int,
    top_k: int,
    title: str = "Who is pushed, by rank",
) -> go.Figure:
    """Three panels over the tokens, likeliest first: the push of each arm on the logit; its difference to the push
    of the first arm; and, for wrong tokens, the push per unit of probability, r_a - W.

    gradients: arm -> dJ/dz, one value a token. target: place of the true token, from 0. A line closes the head.
    """
    reference, base = next(iter(gradients.items()))
    figure = stacked_figure(
        title,
        [
            ("", "push dJ/dz", 170),
            ("", f"push minus<br>that of {reference}", 170),
            ("rank of the token", "wrong tokens:<br>push / π<sub>a</sub>", 170),
        ],
    )
    ranks = list(range(1, len(probs) + 1))
    for arm, push in gradients.items():
        colour, dash, marker = arm_style(arm, list(gradients))
        change = [p - b for p, b in zip(push, base, strict=True)]
        rate = [None if i == target else p / pi for i, (p, pi) in enumerate(zip(push, probs, strict=True))]
        for panel, values in enumerate((list(push), change, rate), 1):
            figure.add_scatter(
                x=ranks, y=values, mode="lines+markers", name=arm, legendgroup=arm, showlegend=panel == 1,
                line={"color": colour, "dash": dash, "width": 2, "shape": "hvh"},
                marker={"symbol": marker, "size": 8}, **in_panel(panel), hovertemplate="rank %{x}: %{y:.4f}",
            )  # fmt: skip
    notes = [(target + 1.5, "true token", "bottom", 0.72)]
    if top_k < len(probs):
        mark(figure, top_k + 0.5, 3)
        notes.append((top_k + 0.5, "end of the head", "top", 1))
    for x, text, side, y in notes:
        figure.add_annotation(
            x=x, y=y, xref="x", yref="y domain", xanchor="left", yanchor=side, showarrow=False, text=text,
            font={"size": 12}, xshift=4,
        )  # fmt: skip
    figure.update_layout(
        {f"yaxis{panel}_zerolinecolor": TEXT for panel in (1, 2, 3)},
        xaxis3={"tickvals": ranks, "range": [0.5, len(probs) + 0.5]},
    )
    return figure
