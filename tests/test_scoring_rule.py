"""The score behind each beta: closed forms, the gradient it must have, and where it is least."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import softmax

from pgce_mini import RewardShaping, stationary_policy
from pgce_mini.theory import expected_gradient, expected_score, hidden_score

PROBS = np.array([1e-9, 0.001, 0.2, 0.5, 0.9, 0.999, 1.0])
CLOSED = {
    0.0: -np.log(PROBS),
    1.0: -np.log(PROBS) - (1 - PROBS),
    2.0: -np.log(PROBS) - 2 * (1 - PROBS) + (1 - PROBS**2) / 2,
    -0.5: 2 * np.log1p(np.sqrt(1 - PROBS)) - np.log(PROBS),
}


@pytest.mark.parametrize("beta", list(CLOSED))
def test_score_is_the_integral_in_closed_form(beta: float) -> None:
    np.testing.assert_allclose(hidden_score(PROBS, beta), CLOSED[beta], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", [-0.95, -0.97, -0.99, -0.999, -1 + 1e-6])
def test_score_near_beta_minus_one_is_the_series_in_one_minus_p(beta: float) -> None:
    u, k = np.array([0.05, 0.5, 0.9]), np.arange(2000)[:, None]  # sum of u^(k + 1 + beta) / (k + 1 + beta)
    series = (u ** (k + 1 + beta) / (k + 1 + beta)).sum(0)
    np.testing.assert_allclose(hidden_score(1 - u, beta), series, rtol=1e-8)


def test_what_was_certain_and_came_is_free_and_what_was_impossible_costs_infinitely_much() -> None:
    for beta in (-0.25, 0.0, 0.5):
        assert hidden_score(1.0, beta) == 0
        assert math.isinf(hidden_score(0.0, beta))
        assert expected_score([1.0, 0.0], [1.0, 0.0], beta) == 0  # what never comes costs nothing


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=6), st.floats(-0.9, 2), st.integers(0, 2**32 - 1))
def test_gradient_of_the_expected_score_is_the_shaped_gradient(
    logits: list[float], beta: float, seed: int
) -> None:
    z = np.array(logits)
    q = np.random.default_rng(seed).dirichlet(np.ones(z.size))
    steps = np.eye(z.size) * 1e-5
    up = [float(expected_score(softmax(z + step), q, beta)) for step in steps]
    down = [float(expected_score(softmax(z - step), q, beta)) for step in steps]
    numeric = (np.array(up) - np.array(down)) / 2e-5
    np.testing.assert_allclose(numeric, expected_gradient(z, q, RewardShaping(beta)), atol=2e-7)


@pytest.mark.parametrize("beta", [-0.5, -0.25, 0.0, 0.5, 1.0])
def test_expected_score_is_least_where_training_ends(beta: float) -> None:
    q = np.array([0.5, 0.3, 0.15, 0.05])
    end = stationary_policy(q, RewardShaping(beta))
    others = np.random.default_rng(0).dirichlet(np.ones(4), size=2000)
    assert expected_score(end, q, beta) < expected_score(others, q, beta).min()
    if beta:
        assert expected_score(end, q, beta) < expected_score(q, q, beta) - 1e-4  # not proper


@pytest.mark.parametrize(
    ("probs", "beta", "named"), [(1.2, 0, "probs"), (math.nan, 0, "probs"), (0.5, -1, "beta")]
)
def test_what_makes_no_sense_is_refused_by_name(probs: float, beta: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        hidden_score(probs, beta)


def test_a_policy_that_does_not_fit_the_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="policy"):
        expected_score([0.5, 0.5], [0.2, 0.3, 0.5], 0.0)
