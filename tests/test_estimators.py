"""Cross-entropy, the exact policy gradient and REINFORCE agree, each in the sense that it promises."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st

from pgce_mini.theory import (
    compare_gradients,
    cross_entropy_gradient,
    cross_entropy_rewards,
    optimal_baseline,
    policy_gradient,
    reinforce_gradient,
    reinforce_residual,
    reinforce_variance,
    sample_counts,
)

POLICY = np.array([0.6, 0.3, 0.1])


def random_state(seed: int, vocab_size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """(policy, rewards)"""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(vocab_size)), rng.normal(size=vocab_size)


# --- Exact ------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), target=st.integers(0, 4))
def test_cross_entropy_is_the_policy_gradient_of_one_over_pi(seed: int, target: int) -> None:
    pi, _ = random_state(seed)
    rewards = cross_entropy_rewards(pi, target)
    np.testing.assert_allclose(
        policy_gradient(pi, rewards), cross_entropy_gradient(pi, target), rtol=1e-12, atol=1e-14
    )
    assert (pi * rewards).sum() == pytest.approx(1)  # the mean reward is 1, whatever the policy


def test_cross_entropy_gradient_is_autograds() -> None:
    z = torch.tensor([0.3, -1.2, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    F.cross_entropy(z, torch.tensor(2)).backward()
    np.testing.assert_allclose(cross_entropy_gradient(z.detach().softmax(-1), 2), -z.grad, rtol=1e-12, atol=1e-14)


@given(seed=st.integers(0, 2**32 - 1))
def test_policy_gradient_is_autograds_of_the_expected_reward(seed: int) -> None:
    pi, rewards = random_state(seed)
    z = torch.from_numpy(np.log(pi)).requires_grad_()
    (z.softmax(-1) * torch.from_numpy(rewards)).sum().backward()
    np.testing.assert_allclose(policy_gradient(pi, rewards), z.grad, rtol=1e-10, atol=1e-13)


def test_policy_gradient_by_hand() -> None:
    # w = (0.6, 0, 0.2), W = 0.8
    assert policy_gradient(POLICY, [1, 0, 2]) == pytest.approx([0.12, -0.24, 0.12])


# --- REINFORCE --------------------------------------------------------------------------------------------


def test_tokens_are_drawn_as_often_as_the_policy_says() -> None:
    n = 100_000
    off = np.array(sample_counts(POLICY, n, 0)) - n * POLICY
    assert (np.abs(off) < 4 * np.sqrt(n * POLICY * (1 - POLICY))).all()


def test_reinforce_by_hand() -> None:
    # 1 of 4 samples drew token 0 (reward 1), 3 token 1 (reward 0): (1/4) (1_0 - pi)
    assert reinforce_gradient(POLICY, [1, 0, 2], [1, 3, 0]) == pytest.approx([0.1, -0.075, -0.025])
    # with a baseline of 1 the second pushes token 1 down: 3/4 * -1 * (1_1 - pi)
    assert reinforce_gradient(POLICY, [1, 0, 2], [1, 3, 0], 1) == pytest.approx([0.45, -0.525, 0.075])


@pytest.mark.parametrize("baseline", [0.0, 1.0, -0.7])
def test_reinforce_is_unbiased_and_its_variance_is_the_formulas(baseline: float) -> None:
    """Every outcome of two samples, weighted with its probability."""
    pi, rewards = random_state(1, 4)
    mean, second = np.zeros(4), 0.0
    for pair in itertools.product(range(4), repeat=2):
        probability = math.prod(pi[list(pair)])
        estimate = reinforce_gradient(pi, rewards, np.bincount(pair, minlength=4), baseline)
        mean += probability * estimate
        second += probability * ((estimate - policy_gradient(pi, rewards)) ** 2).sum()
    np.testing.assert_allclose(mean, policy_gradient(pi, rewards), rtol=1e-12, atol=1e-14)
    assert second == pytest.approx(reinforce_variance(pi, rewards, baseline) / 2)


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-2, 2))
def test_no_baseline_has_less_variance_than_the_optimal_one(seed: int, shift: float) -> None:
    pi, rewards = random_state(seed)
    best = optimal_baseline(pi, rewards)
    assert reinforce_variance(pi, rewards, best) <= reinforce_variance(pi, rewards, best + shift) + 1e-12


@given(seed=st.integers(0, 2**32 - 1), target=st.integers(0, 4))
def test_relative_variance_of_cross_entropy_is_that_of_a_coin(seed: int, target: int) -> None:
    """Without a baseline each estimate is (n_x / N pi_x) times the gradient, n_x ~ Binomial(N, pi_x)."""
    pi, _ = random_state(seed)
    size = (cross_entropy_gradient(pi, target) ** 2).sum()
    variance = reinforce_variance(pi, cross_entropy_rewards(pi, target))
    assert variance / size == pytest.approx((1 - pi[target]) / pi[target], rel=1e-6, abs=1e-9)


def test_mean_reward_as_baseline_adds_variance_where_the_policy_is_nearly_right() -> None:
    sure = [0.9, 0.06, 0.04]
    rewards = cross_entropy_rewards(sure, 0)
    assert reinforce_variance(sure, rewards, 1.0) > reinforce_variance(sure, rewards)
    unsure = cross_entropy_rewards(POLICY, 1)
    assert reinforce_variance(POLICY, unsure, 1.0) < reinforce_variance(POLICY, unsure)


@pytest.mark.parametrize("baseline", [0.0, 1.0])
def test_measured_residual_falls_as_one_over_the_root_of_the_samples(baseline: float) -> None:
    rewards = cross_entropy_rewards(POLICY, 2)
    size = math.sqrt((policy_gradient(POLICY, rewards) ** 2).sum())
    for samples in (16, 256, 4096):
        expected = math.sqrt(reinforce_variance(POLICY, rewards, baseline) / samples) / size
        measured = reinforce_residual(POLICY, rewards, samples, 2000, seed=0, baseline=baseline)
        assert measured == pytest.approx(expected, rel=0.1)


def test_residual_is_the_same_for_the_same_seed_only() -> None:
    rewards = cross_entropy_rewards(POLICY, 2)
    first, again, other = (reinforce_residual(POLICY, rewards, 8, 50, seed=seed) for seed in (3, 3, 4))
    assert first == again != other


def test_comparison_has_the_same_gradient_twice_and_an_estimate_whose_error_shrinks() -> None:
    found = compare_gradients(POLICY, 2, 64, seed=3, baseline=1.0, sample_sizes=[16, 4096])
    exact, again, estimate = map(np.array, found.gradients.values())
    np.testing.assert_allclose(exact, cross_entropy_gradient(POLICY, 2), atol=1e-15)
    assert found.gap == pytest.approx(np.abs(exact - again).max())
    np.testing.assert_array_equal(estimate, reinforce_gradient(POLICY, found.rewards, found.counts, 1.0))
    assert sum(found.counts) == 64
    assert found.error == pytest.approx(math.dist(estimate, exact) / math.hypot(*exact))
    assert found.measured == [reinforce_residual(POLICY, found.rewards, n, 200, 3, 1.0) for n in (16, 4096)]
    assert found.measured[1] < found.measured[0] / 10
    assert found.expected[1] == pytest.approx(found.expected[0] / 16)
    with_baseline, without = (reinforce_variance(POLICY, found.rewards, b) for b in (1.0, 0.0))
    assert found.variance_change == pytest.approx(with_baseline / without - 1)


# --- What makes no sense ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: policy_gradient([0.5, 0.6], [0, 1]), "probs must hold probabilities that sum to 1"),
        (lambda: policy_gradient([1.0], [0]), "probs must have shape"),
        (lambda: policy_gradient([0.5, 0.5], [0, math.inf]), "rewards must be 2 finite numbers"),
        (lambda: cross_entropy_gradient([0.5, 0.5], 2), "target must be an id"),
        (lambda: cross_entropy_rewards([1.0, 0.0], 1), "probs must give the target more than 0"),
        (lambda: reinforce_gradient([0.5, 0.5], [0, 1], [0, 0]), "counts must be"),
        (lambda: reinforce_residual([0.5, 0.5], [1, 0], 0, 1, 0), "samples must be"),
        (lambda: reinforce_residual([0.5, 0.5], [1, 1], 1, 1, 0), "rewards must differ"),
        (lambda: optimal_baseline([1.0, 0.0], [1, 0]), "probs must leave something"),
        (lambda: compare_gradients([1.0, 0.0], 0, 1, 0, 0.0, []), "probs must leave something"),
    ],
)
def test_senseless_arguments_are_named(call, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=reason):
        call()


def test_policy_that_sums_to_a_little_more_than_1_is_sampled() -> None:
    probs = [0.5, 0.5 + 5e-10, 0.0]
    assert sum(sample_counts(probs, 10, 0)) == 10
    assert reinforce_residual(probs, [1, 0, 0], 11, 2, 0) > 0
