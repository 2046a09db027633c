"""Pictures of one state in training: what the loss says and what happens, what was predicted and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, in_panel, legend_marker, stacked_figure
from pgce_mini.figures.style import ARM_ORDER, TEXT, arm_style


def arms_by_panel(
    title: str, x_title: str, steps: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[float]]]
) -> go.Figure:
    """Several quantities over the steps of training, one above the other, each for the arms that it has.

    panels: what is on the upright axis, <br> breaking it -> arm -> a value a step.
    """
    below = [""] * (len(panels) - 1) + [x_title]
    figure = stacked_figure(title, [(x, name, 170) for x, name in zip(below, panels, strict=True)])
    arms = list(dict.fromkeys(arm for curves in panels.values() for arm in curves))
    named: set[str] = set()
    for panel, curves in enumerate(panels.values(), 1):
        for arm, values in curves.items():
            colour, dash, _ = arm_style(arm, arms)
            look = {"legendgroup": arm, "showlegend": arm not in named, **in_panel(panel)}
            hover = f"{x_title} %{{x}}: %{{y:.4f}}"
            figure.add_scatter(**curve(steps, values, arm, colour, dash, hovertemplate=hover, **look))
            named.add(arm)
    figure.update_yaxes(zerolinecolor=TEXT, rangemode="tozero", ticklabelstandoff=6)
    return figure


def entropy_predicted(
    steps: Sequence[int], entropies: Mapping[str, Sequence[float]], predicted: Mapping[str, float], title: str
) -> go.Figure:
    """Entropy of each arm over the steps of training (lines), and the one predicted for its end (open markers).

    Arms beyond the paper's are drawn thin: theirs are the colours and dashes that come round again.
    """
    figure = base_figure(title, "step", "entropy (nats)", height=420)
    for arm, values in entropies.items():
        colour, dash, marker = arm_style(arm, list(entropies))
        width = 2.5 if arm in ARM_ORDER else 1.25
        figure.add_scatter(**curve(steps, values, arm, colour, dash, width))
        figure.add_scatter(
            x=[steps[-1]], y=[predicted[arm]], mode="markers", name=f"{arm}, predicted", showlegend=False,
            cliponaxis=False,
            marker={"color": colour, "symbol": f"{marker}-open", "size": 13, "line": {"width": width}},
        )  # fmt: skip
    look = {"color": TEXT, "symbol": "circle-open", "size": 11, "line": {"width": 2.5}}
    legend_marker(figure, "predicted", look)
    return figure
