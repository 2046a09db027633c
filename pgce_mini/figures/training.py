"""Pictures of a training as it goes on: pre-training, RL, and one probability on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, in_panel, stacked_figure
from pgce_mini.figures.style import DASHES, MARKERS, OKABE_ITO, TEXT, arm_style

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
        shown = _thinned(rows)
        for place, (key, name) in enumerate(lines):
            xs, ys = [row["step"] for row in shown], [row.get(key) for row in shown]
            colour, dash = OKABE_ITO[2 * (i - 1) + place], DASHES[place]
            figure.add_scatter(**curve(xs, ys, name, colour, dash, 2, **in_panel(i)))
        apart = {"ticklabelstandoff": 6}  # the two zeros of the corner
        figure.update_layout(
            {f"xaxis{i}": {"range": [0, last], **apart}, f"yaxis{i}": {"rangemode": "tozero", **apart}}
        )
    if rl_steps:
        figure.update_layout(yaxis2={"range": [0, 1.02]})
    return figure


class Trained(NamedTuple):
    """A training: its arm, and the rows of metrics.jsonl of pre-training and of RL, as many as there are."""

    arm: str
    pretraining: Rows
    rl: Rows


def trainings_overlaid(trainings: Mapping[str, Trained], title: str) -> go.Figure:
    """Several trainings of one task, a line each in every panel: entropy through pre-training; through RL, where
    there is any, the reward and the share of reasoned answers. Seeds of one arm share its colour and dash.

    trainings: name -> training.
    """
    stages = [("pretraining", "entropy", "entropy<br>(nats)")]
    if any(training.rl for training in trainings.values()):
        stages += [("rl", "reward", "reward<br>(share)"), ("rl", "reasoned_share", "reasons<br>(share)")]
    axes = ["pre-training step", "", "RL step"][: len(stages)]
    figure = stacked_figure(title, [(x, y, 170) for x, (_, _, y) in zip(axes, stages, strict=True)])
    arms = [training.arm for training in trainings.values()]
    for panel, (stage, key, _) in enumerate(stages, 1):
        for place, (name, training) in enumerate(trainings.items()):
            rows = _thinned(getattr(training, stage))
            colour, dash, _ = arm_style(training.arm, ())
            symbol = MARKERS[arms[:place].count(training.arm) % len(MARKERS)]
            look = {"symbol": symbol, "size": 7, "maxdisplayed": 8}
            xs, ys = [row["step"] for row in rows], [row.get(key) for row in rows]
            figure.add_scatter(**curve(
                xs, ys, name, colour, dash, 2, look, legendgroup=name, showlegend=panel == 1, **in_panel(panel)
            ))  # fmt: skip
        apart = {"ticklabelstandoff": 6}
        shares = {"range": [-0.02, 1.02]} if stage == "rl" else {"rangemode": "tozero"}
        figure.update_layout({f"xaxis{panel}": {"rangemode": "tozero", **apart}, f"yaxis{panel}": shares | apart})
    return figure


def _thinned(rows: Rows) -> Rows:
    """At most POINTS of the rows, the newest among them."""
    stride = -(-len(rows) // POINTS) or 1
    return rows[(len(rows) - 1) % stride :: stride]


def rl_curves(rows: Rows, title: str) -> go.Figure:
    """One RL run over its steps: what improves (reward, reasoned answers), how long the completions are, and
    below the loss and the norm of its gradient, which do not say whether anything improves.

    rows: of metrics.jsonl; a step that trained on no group has neither loss nor norm.
    """
    panels = [("", "share", 150), ("", "tokens", 100), ("RL step", "loss, norm", 130)]
    figure = stacked_figure(title, panels)
    lines = [
        (1, "reward", "reward"), (1, "reasoned_share", "reasoned answers"),
        (2, "completions/mean_length", "mean length"), (3, "loss", "loss"), (3, "grad_norm", "gradient norm"),
    ]  # fmt: skip
    for i, (panel, key, name) in enumerate(lines):
        xs, ys = [row["step"] for row in rows], [row.get(key) for row in rows]
        figure.add_scatter(**curve(xs, ys, name, OKABE_ITO[i], DASHES[i], 2, **in_panel(panel)))
    figure.update_layout(
        yaxis1={"range": [0, 1.02]}, yaxis2={"rangemode": "tozero"}, yaxis3={"zerolinecolor": TEXT}
    )
    return figure


def probability_paths(paths: Mapping[str, Sequence[float]], title: str, y_title: str) -> go.Figure:
    """One probability along training, under up to six losses: name -> a value at each step, the start included."""
    figure = base_figure(title, "step of training", y_title, height=440)
    for (name, path), colour, dash, marker in zip(paths.items(), OKABE_ITO, DASHES, MARKERS, strict=False):
        look = {"symbol": marker, "size": 9, "maxdisplayed": 8}
        figure.add_scatter(**curve(range(len(path)), path, name, colour, dash, marker=look))
    figure.update_layout(yaxis_range=[-0.02, 1.02])
    return figure
