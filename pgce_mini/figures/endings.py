"""The picture of where training ends, over one setting of the reward."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from pgce_mini.figures.style import DASHES, OKABE_ITO, TEXT, mark, stacked_figure
from pgce_mini.temperature import Ending


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
        [("", "probability", 250), ("", "entropy (nats)", 150), (setting, "probability", 150)],
        legend_rows=3,
    )
    xs = list(values)

    def line(
        panel: int, name: str, ys: Sequence[float | None], colour: str, dash: str, width: float = 2.5
    ) -> None:
        figure.add_scatter(
            x=xs, y=list(ys), mode="lines", name=name, line={"color": colour, "dash": dash, "width": width},
            xaxis=f"x{panel}", yaxis=f"y{panel}", hovertemplate=f"{setting} %{{x:.2f}}: %{{y:.4f}}",
            legend=f"legend{panel}",
        )  # fmt: skip

    for i, token in enumerate(tokens):
        colour = OKABE_ITO[i % 6]
        line(1, token, [None if e is None else e.policy[i] for e in endings], colour, DASHES[i % 6])
        figure.add_scatter(
            x=[min(xs), max(xs)], y=[labels.policy[i]] * 2, mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": colour, "dash": "dot", "width": 1}, xaxis="x1", yaxis="y1",
        )  # fmt: skip
    line(2, "entropy of the end", [None if e is None else e.entropy for e in endings], OKABE_ITO[0], "solid")
    if tempered_entropies is not None:
        line(2, "labels at temperature 1 + β", tempered_entropies, OKABE_ITO[1], "dash")
    line(2, "labels", [labels.entropy] * len(xs), TEXT, "dot", 1.5)
    gaps = [None if e is None else e.confidence - e.accuracy for e in endings]
    line(3, "overconfidence", gaps, OKABE_ITO[3], "solid")
    line(
        3, "missed by any temperature", [None if e is None else e.residual for e in endings], OKABE_ITO[2], "dash"
    )
    mark(figure, now, 3)
    figure.update_layout(yaxis1_rangemode="tozero", yaxis2_rangemode="tozero", yaxis3={"zerolinecolor": TEXT})
    return figure
