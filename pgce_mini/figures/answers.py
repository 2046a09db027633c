"""What a class answered: a histogram of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure
from pgce_mini.figures.style import OKABE_ITO, TEXT

BINS = 20


def number_answers(
    answers: Sequence[float], low: float, high: float, unit: str = "", right: float | None = None
) -> go.Figure:
    """How many answers fall into each twentieth of [low, high], and where the right one is, if it is known."""
    counts, edges = np.histogram(answers, bins=BINS, range=(low, high))
    figure = base_figure("All predictions", unit or "answer", "people", height=340, legend=False)
    figure.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).tolist(), y=counts.tolist(), width=0.9 * (high - low) / BINS,
        marker={"color": OKABE_ITO[0]},
        customdata=[[f"{a:.6g} to {b:.6g}"] for a, b in pairwise(edges)],
        hovertemplate="%{customdata[0]}: %{y}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[low, high])
    figure.update_yaxes(rangemode="tozero", dtick=1 if counts.max() <= 8 else None, tickformat="d")
    if right is not None:
        line = {"color": TEXT, "dash": "dot", "width": 2}
        figure.add_shape(type="line", x0=right, x1=right, y0=0, y1=1, yref="y domain", line=line)
        figure.add_annotation(
            x=right, y=1, yref="y domain", text=f"right: {right:.6g}", showarrow=False, yanchor="bottom",
            xanchor="right" if right > (low + high) / 2 else "left",
        )  # fmt: skip
    return figure
