"""Pictures of arms against cross-entropy: ours with intervals and seeds, the paper's as it gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pgce_mini.evaluation import Estimate
from pgce_mini.figures.frames import base_figure, error_bars, legend_marker, rows, shifts
from pgce_mini.figures.style import TEXT, arm_style


def arm_differences(
    differences: Mapping[str, Estimate], seeds: Mapping[str, Sequence[float]], baseline: str, title: str
) -> go.Figure:
    """Each arm minus the baseline in Avg@m after RL: filled the mean over seeds with its interval over problems,
    hollow each seed. An interval that keeps clear of 0 is no finding while the seeds disagree."""
    figure = base_figure(title, f"arm minus {baseline} (share)", "", height=150 + 56 * len(differences))
    arms = list(differences)
    figure.update_yaxes(**rows(arms))
    for row, (arm, estimate) in enumerate(differences.items()):
        colour, _, marker = arm_style(arm, [baseline, *arms])
        figure.add_scatter(
            x=list(seeds.get(arm, ())), y=[row + 0.24] * len(seeds.get(arm, ())), mode="markers", showlegend=False,
            marker={"symbol": f"{marker}-open", "size": 8, "color": colour, "line": {"width": 1.5}},
            hovertemplate="one seed: %{x:+.3f}<extra>" + arm + "</extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[estimate["value"]], y=[row], mode="markers", showlegend=False, name=arm,
            marker={"symbol": marker, "size": 13, "color": colour}, error_x=error_bars([estimate], colour),
            hovertemplate="mean: %{x:+.3f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    mark = arm_style(arms[0], [baseline, *arms])[2] if arms else "circle"  # one that stands in the picture
    for name, symbol, size in (("mean, 95 % interval", mark, 10), ("a seed", f"{mark}-open", 8)):
        look = {"symbol": symbol, "size": size, "color": TEXT, "line": {"width": 1.5, "color": TEXT}}
        legend_marker(figure, name, look)
    figure.update_xaxes(zerolinecolor=TEXT, zerolinewidth=2)
    return figure


def paper_dots(differences: Mapping[str, Mapping[str, float]], title: str) -> go.Figure:
    """The paper's arms minus its cross-entropy, a row a model: single runs, no intervals."""
    figure = base_figure(title, "arm minus ce (points of 100)", "", height=180 + 48 * len(differences))
    arms = list(dict.fromkeys(arm for row in differences.values() for arm in row))
    for shift, arm in zip(shifts(len(arms), 0.6), arms, strict=True):
        colour, _, marker = arm_style(arm, arms)
        dots = [(row[arm], i + shift, model) for i, (model, row) in enumerate(differences.items()) if arm in row]
        figure.add_scatter(
            x=[x for x, _, _ in dots], y=[y for _, y, _ in dots], mode="markers", name=arm,
            marker={"symbol": marker, "size": 10, "color": colour}, customdata=[model for _, _, model in dots],
            hovertemplate="%{customdata}: %{x:+.2f}<extra>" + arm + "</extra>",
        )  # fmt: skip
    figure.update_yaxes(**rows(list(differences)))
    figure.update_xaxes(zerolinecolor=TEXT, zerolinewidth=2)
    return figure
