"""Pass@k, Avg@m and Cons@m against enumeration."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pgce_mini.evaluation import avg_at_m, cons_at_m, pass_at_k


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_pass_at_k_counts_the_subsets_that_hold_a_right_sample(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations([i < c for i in range(n)], k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-15)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_exact_fraction(case: tuple[int, int, int]) -> None:
    n, c, k = case
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12, abs=1e-14)


def test_pass_at_k_stays_exact_where_binomials_overflow_a_float() -> None:
    exact = 1 - Fraction(math.comb(9_990, 5_000), math.comb(10_000, 5_000))
    assert pass_at_k(10_000, 10, 5_000) == pytest.approx(float(exact), rel=1e-12)
    assert pass_at_k(10_000, 9_990, 9_999) == 1


def test_pass_at_k_broadcasts_over_problems() -> None:
    c = np.array([[0, 1], [3, 4]])
    expected = [[0, 0.5], [1, 1]]
    np.testing.assert_allclose(pass_at_k(4, c, 2), expected, atol=1e-15)
    np.testing.assert_allclose(pass_at_k(np.array([2, 4]), 1, 2), [1, 0.5], atol=1e-15)
    assert isinstance(pass_at_k(4, 1, 2), float)


@pytest.mark.parametrize(
    ("n", "c", "k", "named"),
    [(4, 2, 5, "k"), (4, 2, 0, "k"), (4, 5, 1, "c"), (4, -1, 1, "c"), (4.0, 2, 1, "n"), ([8, 4], 1, 5, "k")],
)
def test_pass_at_k_refuses_impossible_counts(n: object, c: object, k: int, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} "):
        pass_at_k(n, c, k)


def test_avg_at_m_is_a_mean_for_each_problem() -> None:
    np.testing.assert_array_equal(avg_at_m([[1, 0, 0, 1], [0, 0, 0, 0]]), [0.5, 0])
    with pytest.raises(ValueError, match="rewards"):
        avg_at_m([1, 0, 1])


@pytest.mark.parametrize(
    ("votes", "score"),
    [
        ([("7", 1), ("7", 1), ("8", 0)], 1),
        ([("7", 1), ("8", 0), ("8", 0)], 0),
        ([("7", 1), ("8", 0)], 1 / 2),
        ([("7", 1), ("8", 0), ("9", 0)], 1 / 3),
        ([("7", 1), ("7", 1), ("8", 0), ("8", 0), ("9", 0)], 1 / 2),
        ([(None, 0), (None, 0), ("7", 1)], 1),  # no answer does not vote
        ([(None, 0), (None, 0), (None, 0)], 0),
    ],
)
def test_cons_at_m_is_the_expected_verdict_on_the_majority_whatever_the_order(
    votes: list[tuple[str | None, int]], score: float
) -> None:
    orders = list(permutations(votes))
    answers, correct = [[a for a, _ in o] for o in orders], [[r for _, r in o] for o in orders]
    np.testing.assert_allclose(cons_at_m(answers, correct), np.full(len(orders), score))


def test_cons_at_m_refuses_tables_of_different_shapes() -> None:
    with pytest.raises(ValueError, match="answers"):
        cons_at_m([["1", "2"], ["1"]], [[1, 0], [1, 0]])
