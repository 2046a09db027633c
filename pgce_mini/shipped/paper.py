"""What the paper reports: its numbers, to stand beside ours and never to be taken for them.

From two public summaries of *Diversity or Precision? A Deep Dive into Next Token Prediction* (arXiv 2512.22955).
Its models have 4 to 20 billion parameters, ours a tenth of a million. It gives no error bars.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

SOURCE = "arXiv 2512.22955"

PaperMetric = Literal["before RL", "Avg@128", "Pass@64"]


class PaperResult(NamedTuple):
    """A number in points of 100: the benchmark average before RL (500B tokens), or one after 1000 steps of RL."""

    model: str
    metric: PaperMetric
    arm: str
    value: float


_TABLE: tuple[tuple[str, PaperMetric, dict[str, float]], ...] = (
    ("4B", "before RL", {"ce": 42.62, "precision": 43.11, "diversity": 42.44}),
    ("10B-A0.5B", "before RL", {"ce": 44.11, "precision": 44.89, "diversity": 44.52}),
    ("20B-A1B", "before RL", {"ce": 49.80, "precision": 50.27, "diversity": 49.99}),
    ("4B", "Avg@128", {"ce": 20.49, "precision": 21.34, "diversity": 21.37}),
    ("10B-A0.5B", "Avg@128", {"ce": 14.37, "precision": 16.18, "diversity": 14.49, "tail-penalty": 16.50}),
    ("20B-A1B", "Avg@128", {"ce": 34.79, "precision": 36.06, "diversity": 32.41, "tail-penalty": 36.02}),
    (
        "4B",
        "Pass@64",
        {"ce": 50.99, "precision": 50.43, "diversity": 50.09, "tail-penalty": 51.18, "head-reward": 50.26},
    ),
    (
        "10B-A0.5B",
        "Pass@64",
        {"ce": 47.52, "precision": 50.75, "diversity": 49.59, "tail-penalty": 49.87, "head-reward": 49.42},
    ),
    ("20B-A1B", "Pass@64", {"ce": 65.55, "precision": 67.54, "diversity": 68.03, "tail-penalty": 67.57}),
)

PAPER_RESULTS = tuple(
    PaperResult(model, metric, arm, value) for model, metric, values in _TABLE for arm, value in values.items()
)


def paper_differences(metric: PaperMetric) -> dict[str, dict[str, float]]:
    """model -> arm -> the paper's number minus that of its cross-entropy, in points.

    Raises:
        ValueError: naming the metric that the paper does not have.
    """
    found = {(r.model, r.arm): r.value for r in PAPER_RESULTS if r.metric == metric}
    if not found:
        known = ", ".join(dict.fromkeys(r.metric for r in PAPER_RESULTS))
        raise ValueError(f"metric must be one of {known}, got {metric!r}")
    differences: dict[str, dict[str, float]] = {}
    for (model, arm), value in found.items():
        if arm != "ce":
            differences.setdefault(model, {})[arm] = round(value - found[model, "ce"], 2)
    return differences
