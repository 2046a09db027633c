"""Pictures of a single state, solved exactly: what a token earns, where it is pushed, where training ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.figures.style import DASHES, MARKERS, OKABE_ITO, TEXT, base_figure


def stationary_bars(
    label_distribution: Sequence[float],
    policy: Sequence[float],
    tokens: Sequence[str],
    top_k: int,
    title: str = "Where training ends",
) -> go.Figure:
    """Where training ends, token by token: under cross-entropy, which is at the label distribution, and under
    another reward. `tokens` come likeliest first; a line closes the head of `top_k`.
    """
    figure = base_figure(title, "probability", "", height=140 + 32 * len(tokens))
    figure.update_layout(bargap=0.2)
    figure.update_xaxes(range=[0, 1.2 * max(*label_distribution, *policy)])  # with room for the numbers
    figure.update_yaxes(type="category", autorange="reversed", gridcolor="rgba(0,0,0,0)", ticklabelstandoff=6)
    styles: list[tuple[str, Sequence[float], dict[str, Any]]] = [
        (
            "cross-entropy (= labels)",
            label_distribution,
            {"color": TEXT, "pattern": {"shape": "/", "fillmode": "replace"}, "line": {"width": 1, "color": TEXT}},
        ),
        ("this reward", policy, {"color": OKABE_ITO[0]}),
    ]
    for name, probs, marker in styles:
        figure.add_bar(
            x=list(probs), y=list(tokens), orientation="h", name=name, marker=marker, texttemplate="%{x:.3f}",
            textposition="outside", textfont={"size": 11}, cliponaxis=False,
        )  # fmt: skip
    if top_k < len(tokens):
        line = {"color": TEXT, "dash": "dot", "width": 1.5}
        figure.add_hline(y=top_k - 0.5, line=line, name="end of the head", showlegend=True)
    return figure


def probability_paths(paths: Mapping[str, Sequence[float]], title: str, y_title: str) -> go.Figure:
    """One probability along training, under up to six losses: name -> a value at each step, the start included."""
    figure = base_figure(title, "step of training", y_title, height=440)
    for (name, path), colour, dash, marker in zip(paths.items(), OKABE_ITO, DASHES, MARKERS, strict=False):
        figure.add_scatter(
            x=list(range(len(path))), y=list(path), mode="lines+markers", name=name,
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"symbol": marker, "size": 9, "maxdisplayed": 8},
        )  # fmt: skip
    figure.update_layout(yaxis_range=[-0.02, 1.02])
    return figure
