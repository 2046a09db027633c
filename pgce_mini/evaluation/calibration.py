"""Calibration: does the model's confidence agree with its accuracy?"""

from __future__ import annotations

from itertools import pairwise
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.checks import check_whole


class ReliabilityBin(TypedDict):
    """Predictions whose confidence lies in (low, high]; means are None in an empty bin."""

    low: float
    high: float
    confidence: float | None
    accuracy: float | None
    count: int


class Calibration(TypedDict):
    """Expected calibration error, and its bins."""

    ece: float
    reliability: list[ReliabilityBin]


def calibration(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Calibration:
    """Expected calibration error, sum_b (n_b / n) |accuracy_b - confidence_b|, over equal-width bins
    (low, high] of [0, 1]; a confidence of 0 goes to the first.

    Shapes:
        confidence: (N,) in [0, 1]; correct: (N,), nonzero where the prediction is right

    Raises:
        ValueError: when the shapes differ or are empty, a confidence leaves [0, 1], or bins < 1.

    Source: Guo et al. 2017 (arXiv 1706.04599), Eq. 3.
    """
    predicted, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct) != 0
    if predicted.ndim != 1 or predicted.size == 0 or predicted.shape != right.shape:
        raise ValueError(
            f"confidence and correct must be rows of one length, got {predicted.shape} and {right.shape}"
        )
    if not ((predicted >= 0) & (predicted <= 1)).all():
        raise ValueError("confidence must lie in [0, 1]")
    check_whole("bins", bins, 1)
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], predicted)  # bin b holds edges[b] < confidence <= edges[b + 1]
    ece, reliability = 0.0, []
    for b, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = index == b
        row: ReliabilityBin = {"low": low, "high": high, "confidence": None, "accuracy": None, "count": 0}
        if inside.any():
            mean, accuracy = float(predicted[inside].mean()), float(right[inside].mean())
            row = {**row, "confidence": mean, "accuracy": accuracy, "count": int(inside.sum())}
            ece += row["count"] / predicted.size * abs(accuracy - mean)
        reliability.append(row)
    return {"ece": ece, "reliability": reliability}
