"""What the paper reports: its numbers, to stand beside ours and never to be taken for them.

From two public summaries of *Diversity or Precision? A Deep Dive into Next Token Prediction* (arXiv 2512.22955).
Its models have 4 to 20 billion parameters, ours a tenth of a million. It gives no error bars.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from pgce_mini.checks import check_choice

SOURCE = "arXiv 2512.22955"

PaperMetric = Literal["before RL", "Avg@128", "Pass@64"]


class PaperResult(NamedTuple):
    """A number in points of 100: the benchmark average before RL (500B tokens), or one after 1000 steps of RL."""

    model: str
    metric: PaperMetric
    arm: str
    value: float


_ARMS = ("ce", "precision", "diversity", "tail-penalty", "head-reward")
_TABLE: dict[PaperMetric, dict[str, tuple[float, ...]]] = {  # of the first arms, as far as the paper has them
    "before RL": {
        "4B": (42.62, 43.11, 42.44),
        "10B-A0.5B": (44.11, 44.89, 44.52),
        "20B-A1B": (49.80, 50.27, 49.99),
    },
    "Avg@128": {
        "4B": (20.49, 21.34, 21.37),
        "10B-A0.5B": (14.37, 16.18, 14.49, 16.50),
        "20B-A1B": (34.79, 36.06, 32.41, 36.02),
    },
    "Pass@64": {
        "4B": (50.99, 50.43, 50.09, 51.18, 50.26),
        "10B-A0.5B": (47.52, 50.75, 49.59, 49.87, 49.42),
        "20B-A1B": (65.55, 67.54, 68.03, 67.57),
    },
}

PAPER_RESULTS = tuple(
    PaperResult(model, metric, arm, value)
    for metric, models in _TABLE.items()
    for model, values in models.items()
    for arm, value in zip(_ARMS, values, strict=False)
)


def paper_differences(metric: PaperMetric) -> dict[str, dict[str, float]]:
    """model -> arm -> the paper's number minus that of its cross-entropy, in points.

    Raises:
        ValueError: naming the metric that the paper does not have.
    """
    check_choice("metric", metric, get_args(PaperMetric))
    return {
        model: {arm: round(value - values[0], 2) for arm, value in zip(_ARMS[1:], values[1:], strict=False)}
        for model, values in _TABLE[metric].items()
    }
