"""A picture of one training as it goes on: pre-training, and the RL after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.figures.style import OKABE_ITO, stacked_figure

POINTS = 200  # of a line: more cannot be told apart, and a live picture is sent again and again

Rows = Sequence[Mapping[str, Any]]


def training_curves(pretraining: Rows, rl: Rows, steps: int, rl_steps: int, title: str) -> go.Figure:
    """Cross-entropy and entropy over the steps of pre-training; below, if there is RL, its reward and the share of
    reasoned answers. The axes reach to the last step from the beginning on, so the lines show how far it is.

    pretraining, rl: rows of metrics.jsonl, as many as there are; rl_steps: 0 where there is no RL.
    """
    panels = [("pre-training step", "nats a token", 210)]
    if rl_steps:
        panels.append(("RL step", "share", 170))
    figure = stacked_figure(title, panels)
    for i, (rows, last, lines) in enumerate(
        (
            (pretraining, steps, (("cross_entropy", "cross-entropy"), ("entropy", "entropy"))),
            (rl, rl_steps, (("reward", "reward"), ("reasoned_share", "reasoned answers"))),
        )[: len(panels)],
        start=1,
    ):
        stride = -(-len(rows) // POINTS) or 1
        shown = rows[(len(rows) - 1) % stride :: stride]  # the newest among them
        for place, (key, name) in enumerate(lines):
            figure.add_scatter(
                x=[row["step"] for row in shown], y=[row.get(key) for row in shown], mode="lines", name=name,
                line={"color": OKABE_ITO[2 * (i - 1) + place], "dash": ("solid", "dash")[place], "width": 2},
                xaxis=f"x{i}", yaxis=f"y{i}",
            )  # fmt: skip
        apart = {"ticklabelstandoff": 6}  # the two zeros of the corner
        figure.update_layout(
            {f"xaxis{i}": {"range": [0, last], **apart}, f"yaxis{i}": {"rangemode": "tozero", **apart}}
        )
    if rl_steps:
        figure.update_layout(yaxis2={"range": [0, 1.02]})
    return figure
