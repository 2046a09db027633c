"""Pictures of a gradient and of estimates of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pgce_mini.figures.style import MARKERS, OKABE_ITO, TEXT, arm_style, mark, stacked_figure


def gradient_estimates(
    tokens: Sequence[str],
    gradients: Mapping[str, Sequence[float]],
    samples: Sequence[int],
    measured: Sequence[float],
    expected: Sequence[float],
    now: tuple[int, float],
    title: str = "One gradient, three ways",
) -> go.Figure:
    """Above, gradients over the tokens side by side; below, how the error of REINFORCE falls with its samples.

    gradients: name -> dJ/dz, one value a token.
    measured, expected: relative error |estimate - exact| / |exact| at each of `samples`, root mean square.
    now: (samples, relative error) of the estimate above; an error of 0 has no place on the logarithmic axis.
    """
    figure = stacked_figure(
        title,
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
            marker={"color": colour, "pattern": pattern, "line": {"width": 1, "color": colour}},
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


def gradient_by_rank(
    probs: Sequence[float],
    gradients: Mapping[str, Sequence[float]],
    target: int,
    top_k: int,
    title: str = "Who is pushed, by rank",
) -> go.Figure:
    """Three panels over the tokens, likeliest first: the push of each arm on the logit; its difference to the push
    of the first arm; and, for wrong tokens, the push per unit of probability, r_a - W.

    gradients: arm -> dJ/dz, one value a token. target: place of the true token, from 0. A line closes the head.
    """
    reference, base = next(iter(gradients.items()))
    figure = stacked_figure(
        title,
        [
            ("", "push dJ/dz", 170),
            ("", f"push minus<br>that of {reference}", 170),
            ("rank of the token", "wrong tokens:<br>push / π<sub>a</sub>", 170),
        ],
    )
    ranks = list(range(1, len(probs) + 1))
    for arm, push in gradients.items():
        colour, dash, marker = arm_style(arm, list(gradients))
        change = [p - b for p, b in zip(push, base, strict=True)]
        rate = [None if i == target else p / pi for i, (p, pi) in enumerate(zip(push, probs, strict=True))]
        for panel, values in enumerate((list(push), change, rate), 1):
            figure.add_scatter(
                x=ranks, y=values, mode="lines+markers", name=arm, legendgroup=arm, showlegend=panel == 1,
                line={"color": colour, "dash": dash, "width": 2, "shape": "hvh"},
                marker={"symbol": marker, "size": 8},
                xaxis=f"x{panel}", yaxis=f"y{panel}", hovertemplate="rank %{x}: %{y:.4f}",
            )  # fmt: skip
    notes = [(target + 1.5, "true token", "bottom", 0.72)]
    if top_k < len(probs):
        mark(figure, top_k + 0.5, 3)
        notes.append((top_k + 0.5, "end of the head", "top", 1))
    for x, text, side, y in notes:
        figure.add_annotation(
            x=x, y=y, xref="x", yref="y domain", xanchor="left", yanchor=side, showarrow=False, text=text,
            font={"size": 12}, xshift=4,
        )  # fmt: skip
    figure.update_layout(
        xaxis3={"tickvals": ranks, "range": [0.5, len(probs) + 0.5]},
        yaxis1_zerolinecolor=TEXT,
        yaxis2_zerolinecolor=TEXT,
        yaxis3_zerolinecolor=TEXT,
    )
    return figure
