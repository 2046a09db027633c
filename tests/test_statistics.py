"""Comparisons over seeds: hand-computed cases, SciPy as oracle, and simulations of what is promised."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy import stats

from pgce_mini.study.analysis import (
    PairedDifference,
    expanded_interval,
    holm,
    minimum_detectable,
    paired_over_seeds,
    sign_flip_test,
    verdict,
)


def test_sign_flips_by_hand() -> None:
    # Of the 8 sums of +-1 +-2 +-3, two are as far from 0 as 6; of +-1 +-1 +-1, whose sum with one flip is 1, all.
    assert sign_flip_test([1, 2, 3], seed=0) == 2 / 8
    assert sign_flip_test([1, 1, -1], seed=0) == 1.0
    assert sign_flip_test([0.0, 0.0], seed=0) == 1.0
    assert sign_flip_test([10, 11, 12, 13, 14], seed=0) == 2 / 32  # five seeds can never pass 5 %


def test_sign_flips_are_those_of_scipys_permutation_test() -> None:
    values = np.random.default_rng(3).normal(0.4, 1, 9)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(values, seed=0) == pytest.approx(expected.pvalue)


def test_drawn_sign_flips_come_close_to_the_t_test() -> None:
    values = np.random.default_rng(4).normal(0.5, 1, 20)
    assert sign_flip_test(values, seed=0) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)
    assert sign_flip_test(np.full(20, 5.0), seed=0) >= 1 / 2**16  # never 0


def test_holm_by_hand() -> None:
    # sorted .01, .02, .03, .5: times 4, 3, 2, 1 = .04, .06, .06, .5
    adjusted = holm({"a": 0.03, "b": 0.01, "c": 0.5, "d": 0.02})
    assert adjusted == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.5, "d": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_holm_keeps_the_chance_of_any_false_rejection_below_the_level() -> None:
    draws = np.random.default_rng(0).uniform(size=(4000, 6))
    false = [min(holm(dict(zip("abcdef", row, strict=True))).values()) < 0.05 for row in draws.tolist()]
    assert 0.035 < np.mean(false) < 0.06  # 5 % of 4000 families, +- 3 standard errors


@pytest.mark.parametrize("n", [5, 10])
def test_intervals_hold_the_true_mean_as_often_as_they_say(n: int) -> None:
    rng = np.random.default_rng(1)
    held = [low <= 0.3 <= high for low, high in (expanded_interval(rng.normal(0.3, 1, n), s) for s in range(800))]
    assert 0.925 < np.mean(held) < 0.975
    plain = [
        low <= 0.3 <= high
        for low, high in (
            np.quantile(v[rng.integers(n, size=(1000, n))].mean(1), (0.025, 0.975))
            for v in rng.normal(0.3, 1, (800, n))
        )
    ]
    assert np.mean(plain) < np.mean(held)  # what the widening is for


def test_interval_is_that_of_quantiles_of_resampled_means_with_widened_tails() -> None:
    values = np.random.default_rng(6).normal(1, 1, 7)
    tail = stats.norm.cdf(-np.sqrt(7 / 6) * 2.4469118511449692)  # t of 6 degrees, from a table
    means = values[np.random.default_rng(0).integers(7, size=(10_000, 7))].mean(1)
    assert expanded_interval(values, seed=0) == pytest.approx(np.quantile(means, (tail, 1 - tail)), rel=1e-12)


@pytest.mark.parametrize(("n", "tests"), [(5, 1), (10, 1), (10, 12)])
def test_the_detectable_difference_is_found_four_times_in_five(n: int, tests: int) -> None:
    rng = np.random.default_rng(5)
    differences = rng.normal(minimum_detectable(1.0, n, tests), 1, (4000, n))
    found = stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05 / tests
    assert 0.76 < found.mean() < 0.86


def test_arms_are_compared_seed_by_seed_on_those_that_both_have() -> None:
    difference = paired_over_seeds({0: 1.0, 1: 5.0, 2: 3.5, 9: 100.0}, {0: 0.5, 1: 4.0, 2: 2.0, 3: -50.0})
    assert difference.n == 3
    assert difference.mean == pytest.approx((0.5 + 1.0 + 1.5) / 3)
    assert difference.p == 2 / 8
    assert difference.low < 1.0 < difference.high
    assert difference.detectable == pytest.approx(minimum_detectable(0.5, 3))


@pytest.mark.parametrize("baseline", [{}, {0: 1.0}, {5: 1.0, 6: 1.0}])
def test_fewer_than_two_shared_seeds_are_no_comparison(baseline: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="at least two seeds"):
        paired_over_seeds({0: 1.0, 1: 2.0}, baseline)


def test_missing_scipy_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^scipy is not installed: pip install .*\[study\]"):
        minimum_detectable(1.0, 5)


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], [1.0, float("nan")]])
def test_what_is_no_sample_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two finite"):
        expanded_interval(values, seed=0)


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "expected"),
    [
        (0.1, 0.3, None, "higher"),
        (0.1, 0.3, 0.01, "higher"),
        (0.1, 0.3, 0.2, "no difference seen"),
        (-0.3, -0.1, 0.049, "lower"),
        (-0.1, 0.1, None, "no difference seen"),
        (-0.1, 0.1, 0.01, "no difference seen"),
    ],
)
def test_verdict_needs_the_interval_and_the_corrected_test(
    low: float, high: float, adjusted: float | None, expected: str
) -> None:
    difference = PairedDifference(10, (low + high) / 2, low, high, 0.01, 0.1)
    assert verdict(difference, adjusted) == expected
