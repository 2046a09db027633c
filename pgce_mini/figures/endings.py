"""Pictures of one state, solved exactly: where training ends, token by token and over a setting, and why there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pgce_mini.figures.frames import base_figure, curve, in_panel, mark, stacked_figure
from pgce_mini.figures.style import DASHES, MARKERS, OKABE_ITO, TEXT, arm_style
from pgce_mini.theory import Ending

LOG_SCALE = {  # of probabilities, written out: 0.0003, not 300µ
    "type": "log",
    "tickvals": [digit * 10.0**-power for power in range(7) for digit in (1, 3)],
    "exponentformat": "none",
}


def stationary_bars(
    label_distribution: Sequence[float],
    policy: Sequence[float],
    tokens: Sequence[str],
    top_k: int,
    title: str = "Where training ends",
) -> go.Figure:
    """Where training ends, token by token: under cross-entropy, which is at the frequencies q, and under
    another reward. `tokens` come likeliest first; a line closes the head of `top_k`.
    """
    figure = base_figure(title, "probability", "", height=140 + 32 * len(tokens))
    figure.update_layout(bargap=0.2)
    figure.update_xaxes(range=[0, 1.2 * max(*label_distribution, *policy)])  # with room for the numbers
    figure.update_yaxes(type="category", autorange="reversed", gridcolor="rgba(0,0,0,0)", ticklabelstandoff=6)
    hatch = {"shape": "/", "fillmode": "replace"}
    hatched = {"color": TEXT, "pattern": hatch, "line": {"width": 1, "color": TEXT}}
    for name, probs, marker in (
        ("cross-entropy (= q)", label_distribution, hatched),
        ("this reward", policy, {"color": OKABE_ITO[0]}),
    ):
        figure.add_bar(
            x=list(probs), y=list(tokens), orientation="h", name=name, marker=marker, texttemplate="%{x:.3f}",
            textposition="outside", textfont={"size": 11}, cliponaxis=False,
        )  # fmt: skip
    if top_k < len(tokens):
        line = {"color": TEXT, "dash": "dot", "width": 1.5}
        figure.add_hline(y=top_k - 0.5, line=line, name="end of the head", showlegend=True)
    return figure


def endings_over(
    setting: str,
    values: Sequence[float],
    endings: Sequence[Ending | None],
    tokens: Sequence[str],
    labels: Ending,
    now: float,
    tempered_entropies: Sequence[float] | None = None,
) -> go.Figure:
    """Policy, entropy and calibration where training ends, over the values of a setting.

    endings: one a value, None where training does not end.
    labels: the ending of cross-entropy. A line marks the value `now`.
    tempered_entropies: what temperature 1 + beta would give, when the setting is beta.
    """
    figure = stacked_figure(
        "Where training ends",
        [("", "probability (log)", 250), ("", "entropy (nats)", 150), (setting, "probability", 150)],
        legend_rows=3,
    )
    traces: list[dict[str, Any]] = []  # all are added at once: one by one they take twice the time

    def line(panel: int, name: str, ys: Sequence[float | None], *look: Any) -> None:
        place = in_panel(panel) | {"legend": f"legend{panel}"}
        traces.append(curve(values, ys, name, *look, hovertemplate=f"{setting} %{{x:.2f}}: %{{y:.4f}}", **place))

    for i, token in enumerate(tokens):
        colour = OKABE_ITO[i % 6]
        line(1, token, [None if e is None else e.policy[i] for e in endings], colour, DASHES[i % 6])
        ends, level = (min(values), max(values)), [labels.policy[i]] * 2
        traces.append(curve(ends, level, None, colour, "dot", 1, hoverinfo="skip", showlegend=False))
    line(2, "entropy of the end", [None if e is None else e.entropy for e in endings], OKABE_ITO[0], "solid")
    if tempered_entropies is not None:
        line(2, "q at temperature 1 + β", tempered_entropies, OKABE_ITO[1], "dash")
    line(2, "frequencies q", [labels.entropy] * len(values), TEXT, "dot", 1.5)
    gaps = [None if e is None else e.confidence - e.accuracy for e in endings]
    line(3, "overconfidence", gaps, OKABE_ITO[3], "solid")
    line(3, "missed by temperature", [None if e is None else e.residual for e in endings], OKABE_ITO[2], "dash")
    figure.add_traces(traces)
    mark(figure, now, 3)
    figure.update_layout(yaxis1=LOG_SCALE, yaxis2_rangemode="tozero", yaxis3={"zerolinecolor": TEXT})
    return figure


def policies_over_labels(labels: Sequence[float], policies: Mapping[str, Sequence[float]]) -> go.Figure:
    """Each token's probability in the end, for up to six policies, over its frequency q, both on a logarithmic
    scale: q at another temperature lies on a straight line, whose slope is 1 / T.
    """
    x_title, y_title = "frequency q<sub>a</sub> of the token (log scale)", "policy π<sub>a</sub> (log scale)"
    figure = base_figure("The end against the frequencies q", x_title, y_title, height=460)
    order = sorted(range(len(labels)), key=labels.__getitem__)
    xs = [labels[i] for i in order]
    figure.add_scatter(**curve(xs, xs, "π = q", TEXT, "dot", 1.5, hoverinfo="skip"))
    for (name, policy), colour, dash, marker in zip(policies.items(), OKABE_ITO, DASHES, MARKERS, strict=False):
        ys, look = [policy[i] for i in order], {"symbol": marker, "size": 9}
        trace = curve(xs, ys, name, colour, dash, 2, look, hovertemplate="q %{x:.4f}: π %{y:.4f}")
        figure.add_scatter(**trace)
    figure.update_layout(xaxis=LOG_SCALE, yaxis=LOG_SCALE)
    return figure


def score_valleys(probs: Sequence[float], scores: Mapping[str, Sequence[float]], truth: float) -> go.Figure:
    """Mean score over the probability given to one of two tokens, less its least value, which a star marks.

    A proper score is least where the probability is `truth`, the frequency of that token: the dotted line.
    """
    title = "Where is the mean score least?"
    figure = base_figure(title, "probability π of the token", "nats above the least", height=460)
    for name, values in scores.items():
        colour, dash, _ = arm_style(name, list(scores))
        least = min(values)
        figure.add_scatter(**curve(probs, [v - least for v in values], name, colour, dash))
        figure.add_scatter(
            x=[probs[list(values).index(least)]], y=[0], mode="markers", name=f"{name}, least", showlegend=False,
            marker={"symbol": "star", "size": 15, "color": colour}, cliponaxis=False,
        )  # fmt: skip
    mark(figure, truth, 1)
    figure.add_annotation(
        x=truth, y=1, yref="y domain", text=f"q = {truth:g}", showarrow=False, xanchor="right", yanchor="top",
        xshift=-4,
    )  # fmt: skip
    return figure
