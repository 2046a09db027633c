"""The picture of three tokens: every policy is a point of a triangle, and training moves it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from pgce_mini.figures.frames import base_figure
from pgce_mini.figures.style import OKABE_ITO, TEXT
from pgce_mini.theory import FloatArray, simplex_xy

ARROW = 0.075  # length of the longest arrow, in sides of the triangle
UNFADED = {"marker": {"opacity": 1}}  # a click selects a point, and Plotly would fade all others
MOVING: list[dict[str, Any]] = [  # with beta
    {"mode": "lines", "name": "flow", "line": {"color": TEXT, "width": 1.2}, "hoverinfo": "skip"},
    {"mode": "lines", "name": "path", "line": {"color": OKABE_ITO[1], "width": 3}, "hoverinfo": "skip"},
    {
        "mode": "markers", "name": "end", "marker": {"symbol": "star", "size": 16, "color": OKABE_ITO[0]},
        "unselected": UNFADED,
    },
]  # fmt: skip


class SimplexFrame(NamedTuple):
    """What one value of beta shows; all are probabilities of three tokens, or their velocities."""

    beta: float
    points: ArrayLike  # (N, 3), where the arrows begin
    velocities: ArrayLike  # (N, 3)
    path: ArrayLike  # (T, 3), the policy along training
    end: Sequence[float] | None  # (3,), where training rests; None where it does not


def simplex_flow(
    tokens: Sequence[str],
    label_distribution: Sequence[float],
    frames: Sequence[SimplexFrame],
    active: int,
    betas: Sequence[float] = (),
) -> go.Figure:
    """The flow of three tokens for several beta; frame `active` is shown first, and a slider shows the others, if
    there are any.

    betas: of a slider that shows nothing by itself, for a page that draws what it says; with a single frame.
    The points of trace "start here" are those of the arrows of the first frame: a page may let readers click them.
    """
    figure = base_figure("Where training goes", "", "", height=600)
    corners = simplex_xy(np.eye(3))
    outline = corners[[0, 1, 2, 0]]
    figure.add_scatter(
        x=outline[:, 0], y=outline[:, 1], mode="lines", line={"color": TEXT, "width": 1.5}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    points = np.asarray(frames[0].points)
    lattice = simplex_xy(points)
    figure.add_scatter(
        x=lattice[:, 0], y=lattice[:, 1], mode="markers", name="start here", showlegend=False,
        customdata=points.round(4).tolist(),
        marker={"size": 18, "color": "rgba(128, 128, 128, 0.01)"}, hovertemplate="start here<extra></extra>",
        unselected=UNFADED,
    )  # fmt: skip
    for coordinates, look in zip(_moving(frames[active]), MOVING, strict=True):
        figure.add_scatter(**coordinates, **look)
    start, labels = simplex_xy(np.asarray(frames[active].path)[0]), simplex_xy(label_distribution)
    for name, at, marker in (
        ("start", start, {"symbol": "circle", "size": 11, "color": OKABE_ITO[1]}),
        ("frequencies q", labels, {"symbol": "x-thin", "size": 12, "line": {"width": 3, "color": TEXT}}),
    ):
        figure.add_scatter(x=[at[0]], y=[at[1]], mode="markers", name=name, marker=marker, unselected=UNFADED)
    for token, (x, y), side in zip(tokens, corners, ("top", "top", "bottom"), strict=True):
        figure.add_annotation(
            x=x, y=y, text=f"only<br>{token}", showarrow=False, yanchor=side, yshift=-4 if side == "top" else 4
        )
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(
        xaxis=hidden | {"range": [-0.09, 1.09], "constrain": "domain"},
        yaxis=hidden | {"range": [-0.15, math.sqrt(3) / 2 + 0.15], "scaleanchor": "x", "constrain": "domain"},
        margin={"l": 8, "r": 8, "b": 150 if len(frames) > 1 or betas else 56},
        legend={"y": -0.02, "yanchor": "top"},
    )
    if betas:
        _add_slider(figure, [{"method": "skip", "label": f"{beta:.2f}"} for beta in betas], 0)
    elif len(frames) > 1:
        _add_frames(figure, frames, active)
    return figure


def _add_frames(figure: go.Figure, frames: Sequence[SimplexFrame], active: int) -> None:
    figure.frames = [
        {"name": f"{frame.beta:.2f}", "data": _moving(frame), "traces": [2, 3, 4]} for frame in frames
    ]
    how = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    steps = [{"method": "animate", "label": f"{f.beta:.2f}", "args": [[f"{f.beta:.2f}"], how]} for f in frames]
    _add_slider(figure, steps, active)


def _add_slider(figure: go.Figure, steps: Sequence[dict[str, Any]], active: int) -> None:
    slider = {
        "active": active, "steps": steps, "pad": {"t": 72}, "x": 0.02, "len": 0.96, "tickcolor": TEXT,
        "currentvalue": {"prefix": "drag β: ", "xanchor": "left"}, "font": {"size": 12},
        "minorticklen": 0, "ticklen": 0, "bordercolor": TEXT, "bgcolor": OKABE_ITO[0],
    }  # fmt: skip
    figure.update_layout(sliders=[slider])


def _moving(frame: SimplexFrame) -> list[dict[str, Any]]:
    """The coordinates of MOVING at one beta."""
    arrows = arrow_lines(simplex_xy(frame.points), simplex_xy(frame.velocities)).astype(np.float32)
    path = simplex_xy(frame.path).astype(np.float32)
    end = [None, None] if frame.end is None else simplex_xy(frame.end).tolist()
    lines = [{"x": points[:, 0], "y": points[:, 1]} for points in (arrows, path)]
    return [*lines, {"x": end[:1], "y": end[1:]}]


def arrow_lines(tails: FloatArray, velocities: FloatArray) -> FloatArray:
    """Arrows as one broken line: tail, tip, barb, tip, barb, gap. Length goes with the root of the speed.

    (N, 2), (N, 2) -> (6 N, 2)
    """
    speed = np.linalg.norm(velocities, axis=-1, keepdims=True)
    shafts = ARROW * velocities / np.sqrt(np.maximum(speed, 1e-12) * max(speed.max(), 1e-12))
    tips = tails + shafts
    left = np.stack([-shafts[:, 1], shafts[:, 0]], axis=-1)
    barbs = (tips - 0.3 * shafts + 0.2 * left, tips - 0.3 * shafts - 0.2 * left)
    gap = np.full_like(tails, np.nan)
    return np.stack([tails, tips, barbs[0], tips, barbs[1], gap], axis=1).reshape(-1, 2)
