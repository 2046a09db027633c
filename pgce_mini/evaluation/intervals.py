"""Percentile bootstrap intervals over problems.

Problems, not samples, are the independent draws: resampling the m samples of a problem as if they were
independent would make the interval too narrow. The spread over training seeds is not in the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgce_mini.checks import check_number, check_seed, check_whole
from pgce_mini.theory import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 2000
LARGEST = 1e150  # of a value: the sum of any number of them is finite


class Estimate(TypedDict):
    """A mean over problems and its 95 % interval; all None when there was nothing to average."""

    value: float | None
    low: float | None
    high: float | None


def estimate(values: ArrayLike, seed: int, counts: ArrayLike | None = None) -> Estimate:
    """The mean of `values` (P,), or sum(values) / sum(counts), with its `bootstrap_interval`; raises as it does,
    but counts may all be 0."""
    values = np.asarray(values, dtype=np.float64)
    counts = np.ones_like(values) if counts is None else np.asarray(counts)
    if values.size and not counts.any():
        return {"value": None, "low": None, "high": None}
    low, high = bootstrap_interval(values, seed, counts=counts)
    return {"value": float(values.sum() / counts.sum()), "low": low, "high": high}


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int) -> Estimate:
    """Mean of a - b over the same problems, with its interval. Pairing takes out the spread that both arms share
    because some problems are hard.

    Shapes:
        a, b: (P,), row i of both about problem i

    Raises:
        ValueError: a and b have different shapes, or are not non-empty rows of finite numbers.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"a and b must be about the same problems, got {left.shape} and {right.shape}")
    return estimate(left - right, seed)


def bootstrap_interval(
    values: ArrayLike,
    seed: int,
    *,
    counts: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """`percentile_interval` of the mean of `values`. With `counts`, problem i holds counts[i] items that sum to
    values[i], and the statistic is the mean over items, sum(values) / sum(counts); resamples without any item are
    dropped. Where all problems agree (Pass@k saturated at 1) the interval has no width.

    Shapes:
        values, counts: (P,) -> (low, high)

    Raises:
        ValueError: when values is not a non-empty row of finite numbers, counts do not match or are all 0,
            or confidence or resamples makes no sense.

    Source: the cluster (ratio) form of the bootstrap.
    """
    total = np.asarray(values, dtype=np.float64)
    if total.ndim != 1 or total.size == 0 or not np.isfinite(total).all():
        raise ValueError(f"values must be a non-empty row of finite numbers, got shape {total.shape}")
    if np.abs(total).max() > LARGEST:
        raise ValueError(f"values must be numbers of at most {LARGEST:g}, as their sums would overflow")
    count = np.ones_like(total) if counts is None else np.asarray(counts, dtype=np.float64)
    whole = np.isfinite(count) & (count >= 0) & (count == np.floor(count))
    if count.shape != total.shape or not whole.all() or not count.any():
        raise ValueError("counts must hold a whole number of at least 0 for each value, and not only zeros")

    def means(rows: NDArray[np.int64]) -> FloatArray:
        totals, items = total[rows].sum(1), count[rows].sum(1)  # (resamples,)
        if not items.any():
            raise ValueError("resamples must be more: not one of them drew a problem with an item")
        return np.asarray(totals[items > 0] / items[items > 0])

    return percentile_interval(means, total.size, seed, confidence, resamples)


def percentile_interval(
    statistic: Callable[[NDArray[np.int64]], FloatArray],
    problems: int,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Percentile bootstrap interval of any statistic of problems; `statistic` gets the indices of the problems
    drawn, a row a resample.

    Shapes:
        statistic: (resamples, problems) -> (resamples,)

    Raises:
        ValueError: confidence, problems, seed or resamples makes no sense.

    Source: Efron 1979.
    """
    if not 0 < check_number("confidence", confidence, 1) < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    check_seed(seed)
    check_whole("problems", problems, 1)
    check_whole("resamples", resamples, 1)
    rows = np.random.default_rng(seed).integers(problems, size=(resamples, problems))
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(rows), (tail, 1 - tail))
    return float(low), float(high)
