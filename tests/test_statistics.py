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
    seeds_to_find,
    sign_flip_test,
    verdict,
)
from pgce_mini.study.analysis.statistics import sign_flip_tests


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
    values = np.random.default_rng(4).normal(0.5, 1, 40)
    assert sign_flip_test(values, seed=0) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)
    assert sign_flip_test(np.full(40, 5.0), seed=0) >= 1 / 2**16  # never 0


@pytest.mark.parametrize("values", [
    np.random.default_rng(5).normal(0.2, 1, 17),
    np.array([0.1] * 9 + [-0.1] * 4 + [0.3, 0.2, 0.0, -0.3]),  # ties
])  # fmt: skip
def test_every_sign_flip_of_many_seeds_is_counted(values: np.ndarray) -> None:
    signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    expected = (np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean()
    assert sign_flip_test(values, seed=0) == expected
    assert sign_flip_test(np.full(20, 5.0), seed=0) == 2 / 2**20


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
        (0.1, 0.3, 0.2, "undecided"),
        (-0.3, -0.1, 0.049, "lower"),
        (-0.3, -0.1, 0.05, "undecided"),
        (-0.1, 0.1, None, "null"),
        (-0.1, 0.1, 0.01, "null"),
        (-0.1, 0.3, 0.01, "undecided"),
    ],
)
def test_verdict_needs_the_interval_and_the_corrected_test(
    low: float, high: float, adjusted: float | None, expected: str
) -> None:
    narrow = (low + 0.01, high - 0.01)
    difference = PairedDifference(10, (low + high) / 2, low, high, 0.01, 0.1, *narrow)
    assert verdict(difference, 0.1, adjusted) == expected


def test_equivalence_is_scipys_two_one_sided_tests_but_for_cases_at_the_edge() -> None:
    rng, margin = np.random.default_rng(7), 0.5
    studies = rng.normal(rng.uniform(-0.6, 0.6, (300, 1)), 0.5, (300, 10))
    ends = [stats.ttest_1samp(studies, end, axis=1, alternative=way).pvalue
            for end, way in ((-margin, "greater"), (margin, "less"))]  # fmt: skip
    larger_p = np.max(ends, axis=0)
    ours = np.array([paired_over_seeds(dict(enumerate(row)), dict.fromkeys(range(10), 0.0)).within(margin)
                     for row in studies.tolist()])  # fmt: skip
    clear = (larger_p < 0.03) | (larger_p > 0.08)
    assert 0.3 < (larger_p < 0.05).mean() < 0.8  # both answers occur
    assert (ours == (larger_p < 0.05))[clear].all()


@pytest.mark.parametrize(("n", "null"), [(4, False), (5, True)])
def test_too_few_seeds_show_no_similarity(n: int, null: bool) -> None:
    nothing = dict.fromkeys(range(n), 0.0)
    assert paired_over_seeds(nothing, nothing).within(0.03) == null  # 1 / 2^4 > 0.05


@pytest.mark.parametrize("n", [6, 10])
def test_a_true_difference_at_the_margin_is_called_null_in_one_of_twenty(n: int) -> None:
    studies = np.random.default_rng(8).normal(0.5, 0.3, (1000, n))
    null = [expanded_interval(row, seed, 0.9)[1] < 0.5 for seed, row in enumerate(studies)]
    assert 0.03 < np.mean(null) < 0.075  # +- 3 standard errors, and a little as the interval is a bootstrap's


@pytest.mark.parametrize(("deviation", "seeds"), [(0.049, 10), (0.204, 133), (0.032, 6), (0.045, 9), (0.229, 167)])
def test_seeds_that_find_a_true_difference_of_a_twentieth(deviation: float, seeds: int) -> None:
    assert seeds_to_find(0.05, deviation) == seeds  # computed by another program


@pytest.mark.parametrize("tests", [1, 6])
def test_so_many_seeds_find_it_four_times_in_five_and_one_fewer_does_not(tests: int) -> None:
    rng, power = np.random.default_rng(9), {}
    enough = seeds_to_find(0.3, 0.5, tests)
    for n in (enough, enough - 5):
        studies = rng.normal(0.3, 0.5, (20_000, n))
        power[n] = (stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05 / tests).mean()
    assert 0.79 < power[enough] < 0.83
    assert power[enough - 5] < 0.78


def test_the_sign_flip_test_sets_the_fewest_seeds() -> None:
    assert seeds_to_find(1.0, 0.0) == seeds_to_find(1.0, 1e-6) == 6  # 2 / 2^6 < 0.05
    assert seeds_to_find(1.0, 1e-6, tests=12) == 9  # 2 / 2^9 < 0.05 / 12


@pytest.mark.parametrize(("effect", "deviation"), [(0.0, 1.0), (-0.1, 1.0), (0.1, -1.0), (0.1, float("nan"))])
def test_what_no_number_of_seeds_can_find_is_refused(effect: float, deviation: float) -> None:
    with pytest.raises(ValueError, match="effect must be above 0"):
        seeds_to_find(effect, deviation)


def test_many_sign_flip_tests_at_once_are_those_one_by_one() -> None:
    studies = np.random.default_rng(10).normal(0.3, 1, (40, 7))
    studies[0] = [1, 1, 1, -1, 0, 0, 0]  # ties
    assert sign_flip_tests(studies) == pytest.approx([sign_flip_test(row, 0) for row in studies])
