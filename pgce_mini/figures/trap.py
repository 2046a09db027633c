"""The trap: what priors were expected to do with chain sums, what they did, and what RL made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from pgce_mini.figures.frames import in_panel, rows, stacked_figure
from pgce_mini.figures.style import TEXT, arm_style

BEFORE = ("reasons", "right if it reasons", "right if it guesses", "right, of all")
AFTER = ("reasons", "right, of all")
ROW = 46  # px


class Seeds(NamedTuple):
    """A value a seed for each row of BEFORE and of AFTER; None where a seed has no such answer."""

    before: Sequence[Sequence[float | None]]
    after: Sequence[Sequence[float | None]]
    name: str = ""
    """of their setting, where it is not the one that theory is asked for"""


def trap_dots(
    styles: Mapping[str, str],
    predicted: Mapping[str, Sequence[float]],
    seeds: Mapping[str, Seeds],
    bet: Sequence[float],
    title: str,
) -> go.Figure:
    """A row a measure, before RL and after it: what theory expects (open markers), the seeds (small), the bet.

    styles: name -> the arm whose colour and marker it has; predicted: name -> a share for each row of BEFORE;
    bet: for each row of AFTER. Names without a prediction or without seeds have none drawn.
    """
    figure = stacked_figure(title, [("", "before RL", ROW * len(BEFORE)), ("share", "after RL", ROW * len(AFTER))])
    for place, (name, arm) in enumerate(styles.items()):
        colour, _, marker = arm_style(arm, ())
        shift = (place - (len(styles) - 1) / 2) * 0.4
        common = {"legendgroup": name, "mode": "markers", "cliponaxis": False}
        if name in seeds:
            seed = f"{seeds[name].name or name}, a seed"
            for panel, measures in enumerate((seeds[name].before, seeds[name].after), 1):
                points = [(value, row + shift) for row, values in enumerate(measures) for value in values]
                figure.add_scatter(
                    x=[x for x, _ in points], y=[y for _, y in points], name=seed,
                    showlegend=panel == 1, hovertemplate="%{x:.3f}<extra>" + f"{seed}</extra>",
                    marker={"color": colour, "symbol": marker, "size": 7, "opacity": 0.7}, **common,
                    **in_panel(panel),
                )  # fmt: skip
        if name in predicted:
            look = {"color": colour, "symbol": f"{marker}-open", "size": 15, "line": {"width": 2.5}}
            figure.add_scatter(
                x=list(predicted[name]), y=[row + shift for row in range(len(BEFORE))], marker=look,
                name=f"{name}, theory", hovertemplate="%{x:.3f}<extra>" + f"{name}, theory</extra>", **common,
                **in_panel(1),
            )  # fmt: skip
    figure.add_scatter(
        x=list(bet), y=list(range(len(AFTER))), mode="markers", name="your bet", cliponaxis=False,
        marker={"color": TEXT, "symbol": "star-diamond-open", "size": 15, "line": {"width": 2}},
        hovertemplate="%{x:.2f}<extra>your bet</extra>", **in_panel(2),
    )  # fmt: skip
    for panel, names in ((1, BEFORE), (2, AFTER)):
        figure.update_layout({f"yaxis{panel}": rows(names, lines=True)})
        figure.update_layout({f"xaxis{panel}": {"range": [-0.02, 1.02]}})
    return figure
