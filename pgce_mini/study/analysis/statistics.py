"""What a comparison of arms over seeds can say: paired differences, intervals, and what would have been missed.

A seed is the unit: it draws initial weights, data and samples, and every arm is run on the same seeds, so an arm
is compared with another by its differences seed by seed. Intervals over problems (`evaluation.bootstrap_interval`)
answer another question.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.installation import check_installed
from pgce_mini.study.tables import Columns
from pgce_mini.theory import FloatArray

Direction = Literal["higher", "lower", "null", "undecided"]

LEVEL = 0.05  # chance of a false alarm
CONFIDENCE = 1 - LEVEL
EQUIVALENCE = 1 - 2 * LEVEL  # confidence of the interval that two one-sided tests at LEVEL ask to lie inside +-d
RESAMPLES = 10_000
POWER = 0.8
EXACT_UP_TO = 30  # seeds whose 2^n signs are all counted; above, DRAWN of them are drawn
DRAWN = 2**16


@dataclass(frozen=True)
class PairedDifference:
    """The mean of arm minus baseline over `n` shared seeds.

    low, high: 95 % interval; p: of the sign-flip test (two-sided, not corrected); deviation: the standard
    deviation of the differences; low_90, high_90: the 90 % interval, made as the 95 % one; detectable: the true
    difference that this comparison alone, not corrected either, would have found with probability 0.8 at the 5 %
    level, given the spread seen.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float
    deviation: float
    low_90: float
    high_90: float

    @property
    def detectable(self) -> float:
        return minimum_detectable(self.deviation, self.n)

    def within(self, margin: float) -> bool:
        """Whether the true difference is shown to lie inside +-margin by two one-sided tests at 5 %: the 90 %
        interval lies inside. Never with so few seeds that an exact one-sided test could not pass either.

        Source: Schuirmann 1987; here with the expanded bootstrap interval in the place of Student's.
        """
        return 2**-self.n < LEVEL and -margin < self.low_90 and self.high_90 < margin


def paired_over_seeds(arm: Mapping[int, float], baseline: Mapping[int, float]) -> PairedDifference:
    """Compares two arms on the seeds that both have.

    arm, baseline: seed -> number

    Raises:
        ValueError: they share fewer than two seeds.
    """
    shared = sorted(arm.keys() & baseline.keys())
    if len(shared) < 2:
        raise ValueError(f"arm and baseline must share at least two seeds, got {shared}")
    differences = np.array([arm[s] - baseline[s] for s in shared])
    p, deviation = sign_flip_test(differences, seed=0), float(differences.std(ddof=1))
    wide, narrow = _expanded_intervals(differences, 0, CONFIDENCE, EQUIVALENCE)
    return PairedDifference(len(shared), float(differences.mean()), *wide, p, deviation, *narrow)


def expanded_interval(values: ArrayLike, seed: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bootstrap percentile interval of the mean, its tails widened for a small sample.

    The plain percentile interval of 5 or 10 values is too narrow: it treats the standard deviation with 1/n as
    known. The tails are therefore taken at Phi(-sqrt(n / (n - 1)) t), with t the quantile of Student's
    distribution, which makes the interval of normal data that of the t-test.

    Shapes:
        values: (n,), n >= 2 -> (low, high)

    Source: Hesterberg 2015 (arXiv 1411.5279), section 5.3, "expanded percentile interval".
    """
    return _expanded_intervals(values, seed, confidence)[0]


def _expanded_intervals(values: ArrayLike, seed: int, *confidences: float) -> list[tuple[float, float]]:
    """One of each confidence, of the same resamples."""
    sample = _sample(values)
    n, t = len(sample), _distributions().t
    means = sample[np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))].mean(1)
    intervals = []
    for confidence in confidences:
        tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * t.ppf((1 + confidence) / 2, n - 1))
        low, high = np.quantile(means, (tail, 1 - tail))
        intervals.append((float(low), float(high)))
    return intervals


def sign_flip_test(values: ArrayLike, seed: int) -> float:
    """Two-sided p-value of the mean being 0: the share of ways to flip the signs of `values` whose mean is at
    least as far from 0 as theirs. Exact when the differences are symmetric around 0 under the hypothesis; every
    way is counted up to 30 values. n values give at least 2 / 2^n: five seeds can never pass 5 %.

    Source: Fisher's randomisation test for paired data.
    """
    sample = _sample(values)
    far = abs(sample.sum()) - 1e-12 * np.abs(sample).sum()  # less what rounding can part of two that are tied
    if far <= 0:
        return 1.0
    if len(sample) > EXACT_UP_TO:
        flips = np.random.default_rng(seed).integers(2, size=(DRAWN, len(sample)))
        flips[0] = 0  # the data themselves are one of the ways
        return float((np.abs((1 - 2 * flips) @ sample) >= far).mean())
    # A way to flip all is one for each half: a sum of the first half is met by all of the second that reach far.
    half = len(sample) // 2
    first, second = _signed_sums(sample[:half]), np.sort(_signed_sums(sample[half:]))
    above = len(second) - np.searchsorted(second, far - first, "left")
    below = np.searchsorted(second, -far - first, "right")
    return float((above + below).sum() / 2 ** len(sample))


def _signed_sums(values: FloatArray) -> FloatArray:
    """(n,) -> (2^n,): the sum under every way to flip signs"""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def sign_flip_tests(studies: FloatArray) -> FloatArray:
    """`sign_flip_test` of many samples of one length, at most 16, at once.

    Shapes:
        studies: (N, n) -> (N,)
    """
    n = studies.shape[1]
    signs = 1.0 - 2 * ((np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1)  # the last stays: -x is as far as x
    bounds = np.abs(studies.sum(1)) - 1e-12 * np.abs(studies).sum(1)
    return np.asarray((np.abs(studies @ signs.T) >= bounds[:, None]).mean(1))


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
    t = _distributions().t
    return float(t.ppf(1 - level / 2, n - 1) + t.ppf(POWER, n - 1)) * deviation / math.sqrt(n)


def seeds_to_find(effect: float, deviation: float, tests: int = 1) -> int:
    """The least number of seeds with which a two-sided paired t-test at 5 % / `tests` finds a true mean difference
    of `effect` with probability 0.8, and the sign-flip test can pass at all.

    deviation: the standard deviation of the differences; tests: in the family that is corrected.

    Raises:
        ValueError: effect is not above 0, or deviation below it.

    Source: the power of the t-test, by the noncentral t distribution (exact for normal differences).
    """
    if not (effect > 0 and 0 <= deviation < math.inf):
        raise ValueError(f"effect must be above 0 and deviation a number from 0 on, got {effect} and {deviation}")
    level, found = LEVEL / tests, _distributions()
    fewest = next(n for n in itertools.count(2) if 2 / 2**n < level)
    if deviation == 0:
        return fewest

    def power(n: int) -> float:
        far, shift = found.t.ppf(1 - level / 2, n - 1), effect * math.sqrt(n) / deviation
        return float(found.nct.sf(far, n - 1, shift) + found.nct.cdf(-far, n - 1, shift))

    enough = fewest
    while power(enough) < POWER:
        enough *= 2
    return bisect.bisect_left(range(enough), POWER, lo=fewest, key=power) if enough > fewest else fewest


def verdict(difference: PairedDifference, within: float, adjusted_p: float | None = None) -> Direction:
    """What may be said of a difference: *higher* or *lower* by the 95 % interval, and by Holm's p below 5 % where
    a family is tested; else *null* if it is shown to lie within +-`within`; else *undecided*."""
    decided = adjusted_p is None or adjusted_p < LEVEL
    if decided and difference.low > 0:
        return "higher"
    if decided and difference.high < 0:
        return "lower"
    return "null" if difference.within(within) else "undecided"


def by_seed(rows: Sequence[Columns], arm: str, metric: str, variant: str = "") -> dict[int, float]:
    """seed -> number, of the finished rows of an arm in a variant of one study."""
    return {
        row["seed"]: row[metric]
        for row in rows
        if (row["arm"], row["variant"]) == (arm, variant) and row.get(metric) is not None
    }


def log_odds(share: float) -> float:
    """Of a share above 0 and below 1: near either end, where there is little room, it stretches differences."""
    return math.log(share / (1 - share))


def compare(
    rows: Sequence[Columns], arm: str, baseline: str, metric: str, variant: str = ""
) -> PairedDifference | None:
    """`arm` minus `baseline`, paired over seeds; None when they share fewer than two."""
    left, right = (by_seed(rows, name, metric, variant) for name in (arm, baseline))
    return paired_over_seeds(left, right) if len(left.keys() & right.keys()) > 1 else None


def _distributions() -> Any:
    """
    Raises:
        ValueError: SciPy, of the extra `study`, is missing.
    """
    check_installed("scipy")
    from scipy import stats

    return stats


def _sample(values: ArrayLike) -> FloatArray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise ValueError(f"values must be a row of at least two finite numbers, got shape {sample.shape}")
    return sample
