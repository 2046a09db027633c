"""Trained priors along beta: what each expects next and writes, how often it reasons, what RL made of such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from pgce_mini.figures.frames import curve, in_panel, stacked_figure
from pgce_mini.figures.style import BLUES, INK, OKABE_ITO, TEXT
from pgce_mini.figures.text import visible

ROW = 26  # px of a token's bar, and of a completion
CURVES = 110  # px
HERE = OKABE_ITO[0]


class Prior(NamedTuple):
    """probs: of the next tokens shown; entropy: of all, in nats; completions: pairs of token and probability;
    reasons: the share of its answers that do."""

    probs: Sequence[float]
    entropy: float
    completions: Sequence[Sequence[tuple[str, float]]]
    reasons: float


def priors_over_beta(
    priors: Mapping[float, Prior],
    tokens: Sequence[str],
    shown: float,
    predicted: Sequence[float],
    seeds: Mapping[float, Sequence[tuple[float, float]]],
) -> go.Figure:
    """The prior of the beta `shown`. Its bars, its answers and the ring on the curve are the first three traces,
    which the explorer's page changes while beta is dragged.

    priors: beta -> a prior, 0 among them; predicted: what theory expects of their `reasons`; seeds: beta -> (share
    of reasoning before RL, accuracy after it) of each seed of a study.
    """
    here, betas, rows = priors[shown], list(priors), range(len(tokens))
    lines, longest = len(here.completions), longest_answer(priors.values())
    panels = [
        ("probability", "next token", ROW * len(tokens)), ("", "answers", ROW * lines),
        ("", "reasons<br>(share)", CURVES), ("β", "right after<br>RL (share)", CURVES),
    ]  # fmt: skip
    number = f"{shown:g}".replace("-", "−")
    figure = stacked_figure(f"β = {number}: {here.entropy:.2f} nats, reasons in {here.reasons:.0%}", panels)
    figure.add_bar(
        x=list(here.probs), y=list(rows), orientation="h", marker={"color": HERE}, name="this prior",
        hovertemplate="%{x:.4f}<extra></extra>", **in_panel(1),
    )  # fmt: skip
    texts, probs = answer_cells(here, longest)
    figure.add_heatmap(
        x=list(range(longest)), y=list(range(lines)), z=probs, text=texts, texttemplate="%{text}",
        textfont={"size": 13, "color": INK}, colorscale=BLUES, zmin=0, zmax=1, showscale=False, xgap=2, ygap=2,
        hoverongaps=False, hovertemplate="%{text}: probability %{z:.3f}<extra></extra>", **in_panel(2),
    )  # fmt: skip
    figure.add_scatter(
        x=[shown], y=[here.reasons], mode="markers", showlegend=False, cliponaxis=False, hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 15, "color": HERE, "line": {"width": 3}}, **in_panel(3),
    )  # fmt: skip
    figure.add_bar(
        x=list(priors[0.0].probs), y=list(rows), orientation="h", name="cross-entropy", hoverinfo="skip",
        marker={"color": "rgba(0,0,0,0)", "line": {"color": TEXT, "width": 2}}, **in_panel(1),
    )  # fmt: skip
    measured = [prior.reasons for prior in priors.values()]
    figure.add_scatter(**curve(betas, predicted, "theory", TEXT, "dot", 2), **in_panel(3))
    figure.add_scatter(**curve(betas, measured, "these priors", HERE, "solid"), **in_panel(3))
    for panel in (3, 4):
        points = [(beta, pair[panel - 3]) for beta, pairs in seeds.items() for pair in pairs]
        figure.add_scatter(
            x=[x for x, _ in points], y=[y for _, y in points], mode="markers", name="a seed of the study",
            legendgroup="seeds", showlegend=panel == 3, cliponaxis=False,
            marker={"color": OKABE_ITO[1], "symbol": "diamond", "size": 6}, **in_panel(panel),
        )  # fmt: skip
    bare: dict[str, Any] = {"showgrid": False, "zeroline": False}
    names = {"tickvals": list(rows), "ticktext": [visible(token) for token in tokens], "ticklabelstandoff": 6}
    figure.update_layout(
        barmode="overlay", bargap=0.25, meta={"columns": [[1, 2], [3, 4]]}, xaxis={"range": [0, 1]},
        yaxis={**names, **bare, "range": [len(tokens) - 0.5, -0.5]},
        xaxis2={"visible": False, "matches": None, "range": [-0.5, longest - 0.5]},
        yaxis2={**bare, "tickvals": [], "range": [lines - 0.5, -0.5]},
        yaxis3={"range": [-0.02, max(0.5, *predicted)]}, yaxis4={"range": [-0.04, 1.04]},
        xaxis4={"dtick": 0.5, "range": [betas[0] - 0.1, betas[-1] + 0.1]},
    )  # fmt: skip
    return figure


def answer_cells(prior: Prior, longest: int) -> tuple[list[list[str]], list[list[float | None]]]:
    """The answers as rows of `longest` cells: what stands in each, and its probability."""
    rows = [[*row, *[("", None)] * (longest - len(row))] for row in prior.completions]
    texts = [[visible(token) if token else "" for token, _ in row] for row in rows]
    return texts, [[prob for _, prob in row] for row in rows]


def longest_answer(priors: Iterable[Prior]) -> int:
    return max(len(row) for prior in priors for row in prior.completions)
