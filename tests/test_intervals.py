"""Bootstrap intervals over problems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgce_mini.evaluation import bootstrap_interval, paired_difference


def test_the_bootstrap_of_two_problems_has_three_outcomes() -> None:
    # The mean is 0, 1/2 or 1 with probability 1/4, 1/2, 1/4: quantiles .025 and .975, and .3 and .7.
    assert bootstrap_interval([0, 1], seed=0) == (0, 1)
    assert bootstrap_interval([0, 1], seed=0, confidence=0.4) == (0.5, 0.5)


def test_with_counts_the_bootstrap_is_about_the_mean_over_items() -> None:
    # One item, right, and three, all wrong: drawn together they are 1 right of 4, not a mean of means.
    assert bootstrap_interval([1, 0], seed=0, counts=[1, 3], confidence=0.4) == (0.25, 0.25)
    assert bootstrap_interval([1, 0], seed=0, counts=[1, 0]) == (1, 1)  # resamples without an item are dropped


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [
        bootstrap_interval(rng.exponential(size=60), i, confidence=0.9, resamples=400) for i in range(300)
    ]
    coverage = np.mean([low <= 1 <= high for low, high in intervals])
    assert 0.83 < coverage < 0.94  # three standard errors around what is known of skewed data at n = 60


def test_the_bootstrap_depends_on_its_seed_alone() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"values": []}, "values"),
        ({"values": [[1.0]]}, "values"),
        ({"values": [math.nan]}, "values"),
        ({"counts": [1]}, "counts"),
        ({"counts": [0, 0]}, "counts"),
        ({"counts": [2, -1]}, "counts"),
        ({"confidence": 1.0}, "confidence"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_the_bootstrap_names_the_argument_that_makes_no_sense(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        bootstrap_interval(**({"values": [0, 1], "seed": 0} | arguments))


def test_pairing_takes_out_what_the_arms_share() -> None:
    hardness = np.random.default_rng(0).normal(size=50)
    assert paired_difference(hardness + 0.25, hardness, seed=0) == pytest.approx(
        {"value": 0.25, "low": 0.25, "high": 0.25}
    )
    difference = paired_difference([1.0, 0.0], [0.0, 0.0], seed=0)
    assert difference == {"value": 0.5, "low": 0, "high": 1}
    with pytest.raises(ValueError, match="same problems"):
        paired_difference([1.0], [1.0, 2.0], seed=0)
