"""Pictures of a gradient and of estimates of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pgce_mini.figures.style import MARKERS, OKABE_ITO, TEXT, stacked_figure


def gradient_estimates(
    tokens: Sequence[str],
    gradients: Mapping[str, Sequence[float]],
    samples: Sequence[int],
    measured: Sequence[float],
    expected: Sequence[float],
    now: tuple[int, float],
) -> go.Figure:
    """Above, gradients over the tokens side by side; below, how the error of REINFORCE falls with its samples.

    gradients: name -> dJ/dz, one value a token.
    measured, expected: relative error |estimate - exact| / |exact| at each of `samples`, root mean square.
    now: (samples, relative error) of the estimate above; an error of 0 has no place on the logarithmic axis.
    """
    figure = stacked_figure(
        "One gradient, three ways",
        [
            ("push on each logit, dJ/dz", "", 44 * len(tokens)),
            ("samples N (log scale)", "relative error (log scale)", 230),
        ],
        legend_rows=3,
    )
    for (name, values), colour, shape in zip(
        gradients.items(), (TEXT, OKABE_ITO[0], OKABE_ITO[1]), ("/", "", "x"), strict=True
    ):
        pattern = {"shape": shape, "fillmode": "replace" if shape == "/" else "overlay"}
        figure.add_bar(
            x=list(values), y=list(tokens), orientation="h", name=name, xaxis="x1", yaxis="y1", legend="legend1",
            marker={"color": colour, "pattern": pattern},
        )  # fmt: skip
    below = {"xaxis": "x2", "yaxis": "y2", "legend": "legend2"}
    figure.add_scatter(
        x=list(samples), y=list(measured), mode="markers", name="measured", **below,
        marker={"color": OKABE_ITO[1], "symbol": MARKERS[1], "size": 8},
    )  # fmt: skip
    figure.add_scatter(
        x=list(samples), y=list(expected), mode="lines", name="expected, falls as 1/√N", **below,
        line={"color": TEXT, "dash": "dash", "width": 2},
    )  # fmt: skip
    figure.add_scatter(
        x=[now[0]], y=[now[1] or None], mode="markers", name="the estimate above", **below,
        marker={"color": OKABE_ITO[1], "symbol": "star-open", "size": 16, "line": {"width": 2}},
    )  # fmt: skip
    figure.update_layout(
        bargap=0.2,
        legend2_itemsizing="constant",
        yaxis1={"type": "category", "autorange": "reversed", "gridcolor": "rgba(0,0,0,0)", "ticklabelstandoff": 6},
        xaxis1={"zerolinecolor": TEXT},
        xaxis2={"type": "log", "dtick": 1},
        yaxis2={"type": "log", "dtick": 1},
    )
    return figure
