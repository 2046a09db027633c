"""Pictures of trained models: learning curves, before and after RL, Pass@k, entropy, calibration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pgce_mini.evaluation import WHEN, Evaluation, ReliabilityBin, When
from pgce_mini.figures.frames import base_figure, curve, error_bars, legend_marker, rows
from pgce_mini.figures.style import TEXT, arm_style
from pgce_mini.study.analysis import Summary

FEW = 0.01  # share of the tokens: a bin with fewer says little


def learning_curves(
    curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], key: str, title: str, x_title: str, y_title: str
) -> go.Figure:
    """A metric of metrics.jsonl over steps: the mean over seeds as a line, each seed as a thin one.

    curves: arm -> for each seed the rows of metrics.jsonl; steps without the metric are left out.
    """
    figure = base_figure(title, x_title, y_title)
    for arm, seeds in curves.items():
        colour, dash, _ = arm_style(arm, list(curves))
        for of_seed in seeds if len(seeds) > 1 else ():
            points = [(row["step"], row[key]) for row in of_seed if row.get(key) is not None]
            figure.add_scatter(
                x=[step for step, _ in points], y=[value for _, value in points], mode="lines", opacity=0.3,
                line={"color": colour, "width": 1}, showlegend=False, hoverinfo="skip",
            )  # fmt: skip
        if means := means_by_step(seeds, key):  # an arm whose rows failed has no line, and none in the legend
            figure.add_scatter(**curve(list(means), list(means.values()), arm, colour, dash))
    return figure


def means_by_step(seeds: Sequence[Sequence[Mapping[str, Any]]], key: str) -> dict[int, float]:
    """step -> mean over the seeds that have the metric there, from the rows of metrics.jsonl of each seed."""
    by_step: dict[int, list[float]] = {}
    for row in itertools.chain.from_iterable(seeds):
        if row.get(key) is not None:
            by_step.setdefault(row["step"], []).append(row[key])
    return {step: float(np.mean(by_step[step])) for step in sorted(by_step)}


def before_after(summary: Summary, metric: str, title: str, x_title: str) -> go.Figure:
    """A metric of each arm before (hollow) and after RL (filled), with its interval."""
    figure = base_figure(title, x_title, "", height=140 + 56 * len(summary))
    figure.update_yaxes(**rows(list(summary)))
    for row, (arm, models) in enumerate(summary.items()):
        colour, _, marker = arm_style(arm, list(summary))
        values = [models[when][metric]["value"] for when in WHEN]
        places = dict(zip(WHEN, (row - 0.14, row + 0.14), strict=True))  # two that agree can both be seen
        figure.add_scatter(
            x=values, y=list(places.values()), mode="lines", line={"color": colour, "width": 1}, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
        for when, label in WHEN.items():
            point = models[when][metric]
            figure.add_scatter(
                x=[point["value"]], y=[places[when]], mode="markers", name=f"{arm}, {label}", showlegend=False,
                marker=_marker(marker, when, 12, colour), error_x=error_bars([point], colour),
            )  # fmt: skip
    for when, label in WHEN.items():
        legend_marker(figure, label, _marker("circle", when, 10, TEXT))
    return figure


def pass_at_k_curves(summary: Summary, title: str) -> go.Figure:
    """Pass@k over k: before RL thin and hollow, after RL thick and filled; intervals as bars."""
    figure = base_figure(title, "k, samples drawn (log scale)", "Pass@k (share of problems)")
    figure.update_xaxes(type="log", tickvals=[1, 2, 4, 8, 16, 32, 64, 128])
    figure.update_yaxes(range=[0, 1.03])
    widths: dict[When, float] = {"before": 1.2, "after": 2.5}
    lines = 2 * len(summary)
    for place, (arm, models) in enumerate(summary.items()):
        colour, dash, marker = arm_style(arm, list(summary))
        for after, (when, label) in enumerate(WHEN.items()):
            aside = 1.03 ** (2 * place + after - (lines - 1) / 2)  # so that intervals at one k can be told apart
            names = ["avg_at_m", *(name for name in models[when] if name.startswith("pass_at_"))]
            points = [models[when][name] for name in names]
            ks = [1 if name == "avg_at_m" else int(name.removeprefix("pass_at_")) for name in names]
            xs, ys = [aside * k for k in ks], [point["value"] for point in points]
            look = {"symbol": _symbol(marker, when), "size": 8}
            trace = curve(xs, ys, f"{arm}, {label}", colour, dash, widths[when], look, legendgroup=arm)
            figure.add_scatter(
                **trace, customdata=ks, hovertemplate="k = %{customdata}: %{y:.3f}", showlegend=False,
                error_y=error_bars(points, colour),
            )  # fmt: skip
        look = {"symbol": marker, "size": 8}
        figure.add_scatter(**curve([None], [None], arm, colour, dash, 2, look, legendgroup=arm))
    for when, label in WHEN.items():
        legend_marker(figure, label, {"symbol": _symbol("circle", when), "size": 8, "color": TEXT})
    return figure


def entropy_by_position(evaluations: Mapping[str, Sequence[Evaluation]], title: str) -> go.Figure:
    """Entropy of the sampling distribution at each token of the completions, the mean over seeds by arm."""
    figure = base_figure(title, "position in the completion (token)", "entropy (nats)")
    for arm, seeds in evaluations.items():
        colour, dash, marker = arm_style(arm, list(evaluations))
        columns = [e["samples"]["entropy_by_position"] for e in seeds if e["samples"]]
        shared = min(len(column) for column in columns)
        means = np.mean([column[:shared] for column in columns], axis=0).tolist()
        look = {"symbol": marker, "size": 7}
        figure.add_scatter(**curve(range(1, shared + 1), means, arm, colour, dash, 2, look))
    return figure


def reliability_diagram(tables: Mapping[str, Sequence[ReliabilityBin]], title: str) -> go.Figure:
    """Accuracy over confidence of the likeliest next token; on the diagonal a model is calibrated.

    The area of a marker grows with the tokens in its bin. One with less than a hundredth of them is mostly noise:
    hollow, and no line leads to it.
    """
    height = 380 + 20 * max(0, len(tables) - 3)  # rows of the legend, on a phone
    figure = base_figure(title, "confidence (probability)", "accuracy (share)", height)
    figure.add_scatter(**curve([0, 1], [0, 1], "calibrated", TEXT, "dot", 1))
    for arm, table in tables.items():
        colour, dash, marker = arm_style(arm, list(tables))
        filled = [row for row in table if row["count"]]
        counts = np.array([row["count"] for row in filled])
        few = counts < FEW * counts.sum()
        sizes = (5 + 12 * np.sqrt(counts / counts.sum())).tolist()
        looks = ((~few, arm, marker, "lines+markers"), (few, f"{arm}, few tokens", f"{marker}-open", "markers"))
        for chosen, name, symbol, mode in looks:
            hover = "confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{customdata} tokens"
            figure.add_scatter(
                x=[row["confidence"] for row in filled],
                y=[row["accuracy"] if here else None for row, here in zip(filled, chosen, strict=True)],
                mode=mode, name=name, legendgroup=arm, showlegend=symbol == marker,
                line={"color": colour, "dash": dash, "width": 1.5},
                marker={"symbol": symbol, "size": sizes, "color": colour, "opacity": 1, "line": {"width": 1}},
                customdata=counts.tolist(), hovertemplate=f"{hover}<extra>{arm}</extra>",
            )  # fmt: skip
    return figure


def _marker(symbol: str, when: When, size: int, colour: str) -> dict[str, Any]:
    line = {"width": 2, "color": colour}
    return {"symbol": _symbol(symbol, when), "size": size, "color": colour, "line": line}


def _symbol(symbol: str, when: When) -> str:
    """Hollow before RL, filled after."""
    return symbol if when == "after" else f"{symbol}-open"
