"""RL on one state: closed forms against every group there is, and the laws of a step."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from pgce_mini.theory import (
    all_alike,
    entropy,
    expected_group_push,
    expected_group_run,
    group_push,
    group_run,
    right_in_k,
    sample_tokens,
    uniforms,
)
from pgce_mini.training.grpo_loss import group_advantages

SETTINGS: dict[str, Any] = {"group_size": 4, "steps": 30, "lr": 1.0}


def test_numbers_of_a_seed_are_those_of_mulberry32() -> None:
    def mulberry32(seed: int, count: int) -> list[float]:
        numbers, low = [], 2**32 - 1
        for _ in range(count):
            seed = (seed + 0x6D2B79F5) & low
            t = (seed ^ (seed >> 15)) * (1 | seed) & low
            t = (t + (((t ^ (t >> 7)) * (61 | t)) & low)) & low ^ t
            numbers.append((t ^ (t >> 14)) / 2**32)
        return numbers

    for seed in (0, 1, 2**32 - 1):
        assert uniforms(seed, 50).tolist() == mulberry32(seed, 50)
    many = uniforms(7, 20000)
    assert abs(many.mean() - 0.5) < 4 / np.sqrt(12 * many.size)
    counts = np.histogram(many, 20, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-squared of 19 degrees of freedom


def test_token_is_drawn_by_the_inverse_of_the_cumulated_probabilities() -> None:
    assert sample_tokens([0.5, 0.0, 0.25, 0.25], [0, 0.4999, 0.5, 0.7499, 0.75, 0.99]).tolist() == [
        0,
        0,
        2,
        2,
        3,
        3,
    ]
    nearly = np.array([0.7, 0.3 - 1e-12, 0.0])  # the sum is short of 1 by rounding
    assert sample_tokens(nearly, [1 - 2**-32 / 2**20]).tolist() == [1]


@pytest.mark.parametrize("scale_rewards", ["none", "group"])
def test_push_of_a_group_is_the_policy_gradient_with_the_librarys_advantages(scale_rewards: Any) -> None:
    tokens, right = np.array([[0, 2, 2, 1, 3], [3, 3, 3, 3, 3], [1, 0, 1, 0, 0]]), [0, 3]
    z = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    rewards = torch.tensor(np.isin(tokens, right), dtype=torch.float64)
    advantages = group_advantages(rewards, scale_rewards)
    for i, drawn in enumerate(torch.from_numpy(tokens)):
        (gradient,) = torch.autograd.grad((advantages[i] * z.log_softmax(-1)[drawn]).mean(), z)
        np.testing.assert_allclose(group_push(tokens, right, 4, scale_rewards)[i], gradient, atol=1e-14)


@pytest.mark.parametrize("scale_rewards", ["none", "group"])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("right", [[0], [1, 3], [0, 1, 2, 3], []])
def test_expected_push_is_the_mean_over_every_group(right: list[int], size: int, scale_rewards: Any) -> None:
    probs = np.array([0.6, 0.25, 0.15, 0.0])
    groups = np.array(list(itertools.product(range(4), repeat=size)))
    chances = probs[groups].prod(-1)
    brute = chances @ group_push(groups, right, 4, scale_rewards)
    np.testing.assert_allclose(expected_group_push(probs, right, size, scale_rewards), brute, atol=1e-14)
    p = probs[right].sum()
    earned = np.isin(groups, right).sum(-1)
    assert all_alike(p, size) == pytest.approx(chances[(earned == 0) | (earned == size)].sum(), abs=1e-12)
    assert right_in_k(p, size) == pytest.approx(chances[earned > 0].sum(), abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from(["none", "group"]))
def test_no_step_makes_a_right_answer_rarer_and_a_group_of_equals_changes_nothing(seed: int, scale: Any) -> None:
    rng = np.random.default_rng(seed)
    z, right = 2 * rng.standard_normal(5), rng.choice(5, 2, replace=False)
    run = group_run(z, right, seed=seed, scale_rewards=scale, **SETTINGS)
    mass = run.policies[:, right].sum(-1)
    assert (np.diff(mass) > -1e-12).all()
    np.testing.assert_array_equal(run.policies[1:][~run.teaches], run.policies[:-1][~run.teaches])
    assert (np.diff(mass)[run.teaches] > 0).all() or mass[-1] > 1 - 1e-6
    expected = expected_group_run(z, right, scale_rewards=scale, **SETTINGS)
    assert (np.diff(expected[:, right].sum(-1)) > -1e-12).all()


def test_step_of_many_groups_is_the_expected_step() -> None:
    probs = np.array([0.5, 0.3, 0.2])
    groups = sample_tokens(probs, uniforms(3, 40000 * 4).reshape(-1, 4))
    pushes = group_push(groups, [2], 3)
    error = pushes.std(0) / np.sqrt(len(groups))
    assert (np.abs(pushes.mean(0) - expected_group_push(probs, [2], 4)) < 4 * error).all()


def test_run_goes_on_as_it_began_and_a_token_of_probability_0_stays() -> None:
    z = np.array([1.0, 0.0, -np.inf, -1.0])
    long = group_run(z, [1], seed=5, **SETTINGS)
    short = group_run(z, [1], seed=5, **{**SETTINGS, "steps": 7})
    np.testing.assert_array_equal(long.policies[:8], short.policies)
    assert (long.policies[:, 2] == 0).all()
    assert long.tokens.shape == (30, 4)
    assert entropy(long.policies[-1]) < entropy(long.policies[0])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: uniforms(-1, 3), "seed must be a whole number"),
        (lambda: sample_tokens([0.5, 0.6], [0.1]), "probs must hold probabilities that sum to 1"),
        (lambda: group_push([0], [0], 2), "tokens must have shape"),
        (lambda: group_push([0, 2], [0], 2), "tokens must hold whole numbers from 0 to 1"),
        (lambda: group_push([0, 1], [0.5], 2), "right must hold whole numbers from 0 to 1"),
        (lambda: expected_group_push([0.5, 0.5], [0], 1), "group_size must be a whole number"),
        (lambda: expected_group_push([0.5, 0.5], [0], 2, "batch"), "scale_rewards must be one of none, group"),
        (lambda: group_run([np.inf, 0], [0], seed=0, **SETTINGS), "logits must have shape"),
        (lambda: right_in_k(1.5, 2), "prob_right must hold probabilities"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
