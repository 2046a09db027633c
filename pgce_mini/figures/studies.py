"""Pictures of a study over seeds: differences with their intervals, and a map over two settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pgce_mini.evaluation import Estimate
from pgce_mini.figures.frames import base_figure, error_bars
from pgce_mini.figures.style import DIVERGING, INK, TEXT, row_style
from pgce_mini.study.analysis import PairedDifference, format_difference


def paired_forest(differences: Mapping[str, PairedDifference], title: str, x_title: str) -> go.Figure:
    """An arm a row: the mean difference from the baseline and its 95 % interval over seeds, around a line at 0.

    differences: arm, or arm in a study as in "trap: precision", -> difference, from top to bottom.
    """
    figure = base_figure(title, x_title, "", height=150 + 34 * len(differences), legend=False)
    figure.update_yaxes(autorange="reversed", gridcolor="rgba(0,0,0,0)", ticklabelstandoff=6)
    figure.add_vline(x=0, line={"color": TEXT, "width": 1, "dash": "dot"})
    for label, difference in differences.items():
        colour, marker = row_style(label.rpartition(": ")[2])
        interval: Estimate = {"value": difference.mean, "low": difference.low, "high": difference.high}
        figure.add_scatter(
            x=[difference.mean], y=[label], mode="markers", name=label,
            marker={"symbol": marker, "size": 8, "color": colour},
            error_x=error_bars([interval], colour) | {"thickness": 2, "width": 7},
            hovertemplate=(
                f"{format_difference(difference)}, {difference.n} seeds<br>"
                f"detectable: {difference.detectable:.3f}<extra>{label}</extra>"
            ),
        )  # fmt: skip
    return figure


def phase_map(
    xs: Sequence[float], ys: Sequence[float], values: Sequence[Sequence[float | None]],
    title: str, x_title: str, y_title: str, value_title: str, largest: float | None = None,
) -> go.Figure:  # fmt: skip
    """A number for each pair of settings, written in its cell; orange below 0, pale at 0, blue above.

    values: a row for each of `ys`, a column for each of `xs`; None where nothing was measured.
    largest: at which size a colour is full, for maps that are to be compared; by default the largest of `values`.
    """
    figure = base_figure(title, x_title, y_title, height=420, legend=False)
    largest = largest or max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
    figure.add_heatmap(
        x=[f"{x:g}" for x in xs],
        y=[f"{y:g}" for y in ys],
        z=[list(row) for row in values],
        text=[["" if value is None else f"{value:+.2f}".replace("-", "−") for value in row] for row in values],
        texttemplate="%{text}", textfont={"size": 13, "color": INK}, showscale=False,  # each cell has its number
        colorscale=DIVERGING, zmin=-largest, zmax=largest, xgap=2, ygap=2,
        hovertemplate=f"{x_title} %{{x}}<br>{y_title} %{{y}}<br>{value_title} %{{z:+.3f}}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    return figure
