"""What a comparison of arms over seeds can say: paired differences, intervals, and what would have been missed.

A seed is the unit: it draws initial weights, data and samples, and every arm is run on the same seeds, so an arm
is compared with another by its differences seed by seed. Intervals over problems (`evaluate.bootstrap_interval`)
answer another question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgce_mini.study.tables import Columns, check_installed

Array = NDArray[np.float64]
Direction = Literal["higher", "lower", "no difference seen"]

LEVEL = 0.05  # chance of a false alarm
CONFIDENCE = 1 - LEVEL
RESAMPLES = 10_000
POWER = 0.8
EXACT_UP_TO = 16  # seeds whose 2^n signs are all tried; above, 2^16 of them are drawn


@dataclass(frozen=True)
class PairedDifference:
    """The mean of arm minus baseline over `n` shared seeds.

    low, high: 95 % interval; p: of the sign-flip test (two-sided, not corrected); detectable: the true difference
    that this comparison alone, not corrected either, would have found with probability 0.8 at the 5 % level, given
    the spread seen.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float
    detectable: float


def paired_over_seeds(arm: Mapping[int, float], baseline: Mapping[int, float], seed: int = 0) -> PairedDifference:
    """Compares two arms on the seeds that both have.

    arm, baseline: seed -> number; `seed` draws the bootstrap.

    Raises:
        ValueError: they share fewer than two seeds.
    """
    shared = sorted(arm.keys() & baseline.keys())
    if len(shared) < 2:
        raise ValueError(f"arm and baseline must share at least two seeds, got {shared}")
    differences = np.array([arm[s] - baseline[s] for s in shared])
    low, high = expanded_interval(differences, seed)
    detectable = minimum_detectable(float(differences.std(ddof=1)), len(shared))
    p = sign_flip_test(differences, seed)
    return PairedDifference(len(shared), float(differences.mean()), low, high, p, detectable)


def expanded_interval(values: ArrayLike, seed: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bootstrap percentile interval of the mean, its tails widened for a small sample.

    The plain percentile interval of 5 or 10 values is too narrow: it treats the standard deviation with 1/n as
    known. The tails are therefore taken at Phi(-sqrt(n / (n - 1)) t), with t the quantile of Student's
    distribution, which makes the interval of normal data that of the t-test.

    Shapes:
        values: (n,), n >= 2 -> (low, high)

    Source: Hesterberg 2015 (arXiv 1411.5279), section 5.3, "expanded percentile interval".
    """
    sample = _sample(values)
    n = len(sample)
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * _student_t().ppf((1 + confidence) / 2, n - 1))
    means = sample[np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))].mean(1)
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def sign_flip_test(values: ArrayLike, seed: int) -> float:
    """Two-sided p-value of the mean being 0: the share of ways to flip the signs of `values` whose mean is at
    least as far from 0 as theirs. Exact when the differences are symmetric around 0 under the hypothesis; every
    way is tried up to 16 values. n values give at least 2 / 2^n: five seeds can never pass 5 %.

    Source: Fisher's randomisation test for paired data.
    """
    sample = _sample(values)
    n = len(sample)
    if n <= EXACT_UP_TO:  # as scipy.stats.permutation_test, in a hundredth of its time
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        flips = np.random.default_rng(seed).integers(2, size=(2**EXACT_UP_TO, n))
        flips[0] = 0  # the data themselves are one of the ways
    sums = np.abs((1 - 2 * flips) @ sample)
    tolerance = 1e-12 * np.abs(sample).sum()  # ties, but for rounding
    return float((sums >= abs(sample.sum()) - tolerance).mean())


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of a family of hypotheses: rejecting those below a level keeps the chance of any false
    rejection below that level.

    Source: Holm 1979.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def minimum_detectable(deviation: float, n: int, tests: int = 1) -> float:
    """The true mean difference that a two-sided test of n differences with this standard deviation finds with
    probability 0.8 at the 5 % level, or at 5 % / `tests`, which Holm's correction asks of the first to pass:
    (t(1 - 0.025 / tests) + t(0.8)) deviation / sqrt(n), an approximation that is close from n = 5 on for a t-test;
    the sign-flip test of 10 finds it with probability 0.8 alone and about 0.7 among 8."""
    level = LEVEL / tests
    t = _student_t()
    return float(t.ppf(1 - level / 2, n - 1) + t.ppf(POWER, n - 1)) * deviation / math.sqrt(n)


def verdict(difference: PairedDifference, adjusted_p: float | None = None) -> Direction:
    """By the interval, and by Holm's p-value below 5 % where a family is tested."""
    decided = adjusted_p is None or adjusted_p < LEVEL
    if decided and difference.low > 0:
        return "higher"
    if decided and difference.high < 0:
        return "lower"
    return "no difference seen"


def by_seed(rows: Sequence[Columns], arm: str, metric: str, variant: str = "") -> dict[int, float]:
    """seed -> number, of the finished rows of an arm in a variant of one study."""
    return {
        row["seed"]: row[metric]
        for row in rows
        if (row["arm"], row["variant"]) == (arm, variant) and row.get(metric) is not None
    }


def compare(
    rows: Sequence[Columns], arm: str, baseline: str, metric: str, variant: str = ""
) -> PairedDifference | None:
    """`arm` minus `baseline`, paired over seeds; None when they share fewer than two."""
    left, right = (by_seed(rows, name, metric, variant) for name in (arm, baseline))
    return paired_over_seeds(left, right) if len(left.keys() & right.keys()) > 1 else None


def _student_t() -> Any:
    """
    Raises:
        ValueError: SciPy, of the extra `study`, is missing.
    """
    check_installed("scipy")
    from scipy.stats import t

    return t


def _sample(values: ArrayLike) -> Array:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise ValueError(f"values must be a row of at least two finite numbers, got shape {sample.shape}")
    return sample
