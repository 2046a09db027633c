"""RL as it goes on: reward, reasoning, length and entropy one above the other; predictions beside measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.evaluation import LENGTH, LOGGED, STEPS
from pgce_mini.figures.frames import base_figure, curve, in_panel, rows, shifts, stacked_figure
from pgce_mini.figures.runs import means_by_step
from pgce_mini.figures.style import TEXT, arm_style
from pgce_mini.theory import ChainPrediction

PANELS = {"reward": 150, "reasoned_share": 110, LENGTH: 110, "entropy": 110}
"""key of metrics.jsonl -> px high"""
VERTICES = 24  # of the thin line of one seed, at most, besides its last point


def through_rl(
    curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], title: str, keys: Sequence[str] = tuple(PANELS)
) -> go.Figure:
    """Reward, share of reasoned completions, their length (tokens) and the entropy of the tokens trained on (nats)
    over RL steps: an arm a line, the mean of its seeds; of several each has a thin line, too.

    curves: arm -> for each seed the rows of metrics.jsonl; keys: which of the measures, from top to bottom.
    """
    logged = [LOGGED["rl"][key] for key in keys]
    units = [found.unit.partition("/")[0] for found in logged]  # a panel has no room for "a token"
    panels = [
        (STEPS["rl"] if key == keys[-1] else "", f"{found.label}<br>({unit})", PANELS[key])
        for key, found, unit in zip(keys, logged, units, strict=True)
    ]
    figure = stacked_figure(title, panels)
    for arm, seeds in curves.items():
        colour, dash, _ = arm_style(arm, list(curves))
        for i, key in enumerate(keys, 1):
            means = means_by_step(seeds, key)  # a step without a group to train on has no entropy
            for of_seed in seeds if len(seeds) > 1 else ():
                points = [(row["step"], round(row[key], 3)) for row in of_seed if row.get(key) is not None]
                points = [*points[: -1 : -(-len(points) // VERTICES)], *points[-1:]]
                figure.add_scatter(
                    x=[step for step, _ in points], y=[value for _, value in points], mode="lines", opacity=0.4,
                    line={"color": colour, "width": 1}, hoverinfo="skip", showlegend=False, legendgroup=arm,
                    **in_panel(i),
                )  # fmt: skip
            values = [round(mean, 3) for mean in means.values()]
            figure.add_scatter(**curve(
                list(means), values, arm, colour, dash, 2.2, legendgroup=arm, showlegend=i == 1,
                hovertemplate=f"step %{{x}}: {logged[i - 1].label} %{{y:.3f}}<extra>{arm}</extra>", **in_panel(i),
            ))  # fmt: skip
    for i, unit in enumerate(units, 1):
        shares = {"range": [-0.02, 1.02]} if unit == "share" else {"rangemode": "tozero"}
        figure.update_layout({f"yaxis{i}": shares})
    return figure


def predicted_measured(
    points: Mapping[str, Sequence[tuple[float, float]]], tolerance: float, title: str, quantity: str
) -> go.Figure:
    """What was predicted (across) and measured (up) for each arm; on the line they agree, in the band to within
    `tolerance`.

    points: arm -> (predicted, measured) pairs, in the unit that `quantity` names.
    """
    height = 420 + 20 * max(0, len(points) - 2)  # rows of the legend, on a phone
    figure = base_figure(title, f"{quantity}, predicted", f"{quantity}, measured", height)
    values = [value for pairs in points.values() for pair in pairs for value in pair]
    low, high = min(values) - tolerance, max(values) + tolerance
    figure.add_scatter(
        x=[low, high, high, low], y=[low - tolerance, high - tolerance, high + tolerance, low + tolerance],
        fill="toself", mode="none", fillcolor=TEXT, opacity=0.15, hoverinfo="skip",
        name=f"within {tolerance:g}",
    )  # fmt: skip
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", name="as predicted", hoverinfo="skip",
        line={"color": TEXT, "dash": "dot", "width": 1.5},
    )  # fmt: skip
    for arm, pairs in points.items():
        colour, _, marker = arm_style(arm, list(points))
        figure.add_scatter(
            x=[x for x, _ in pairs], y=[y for _, y in pairs], mode="markers", name=arm,
            marker={"color": colour, "symbol": marker, "size": 11, "line": {"width": 1, "color": TEXT}},
            hovertemplate="predicted %{x:.3f}, measured %{y:.3f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[low, high])
    figure.update_yaxes(range=[low - tolerance, high + tolerance])
    return figure


def prediction_dots(predictions: Mapping[str, ChainPrediction], title: str) -> go.Figure:
    """What priors are predicted to do with chain sums, an arm a marker: how often they reason, how often reasoned
    and direct answers are right (shares)."""
    names = ("reasons", "right if reasoned", "right if direct")
    figure = base_figure(title, "share", "", height=320)
    for shift, (arm, prediction) in zip(shifts(len(predictions), 0.5), predictions.items(), strict=True):
        colour, _, marker = arm_style(arm, list(predictions))
        figure.add_scatter(
            x=[prediction.reasoned_share, prediction.accuracy_if_reasoned, prediction.accuracy_if_direct],
            y=[row + shift for row in range(len(names))],
            mode="markers", name=arm, marker={"color": colour, "symbol": marker, "size": 12},
            customdata=names, hovertemplate="%{customdata}: %{x:.3f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    figure.update_yaxes(**rows(names))
    figure.update_xaxes(range=[0, 1])
    return figure
