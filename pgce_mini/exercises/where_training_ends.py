"""Notebook 04: ends of training, temperature, and proper scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from pgce_mini.dynamics import simplex_field, stationary_policy
from pgce_mini.exercises import call, exercise, numbers, require
from pgce_mini.reward import RewardShaping
from pgce_mini.temperature import tempered


@exercise("04-1")
def two_tokens_end(answer: Any) -> str:
    require(answer is not None, "Write a number in the place of None.")
    given = float(numbers(answer))
    right = float(stationary_policy([0.8, 0.2], RewardShaping(beta=-0.5))[0])
    require(0 < given < 1, "A probability is asked for, between 0 and 1.")
    require(given > 0.8, "Below 0 beta makes the likelier token likelier still.")
    require(
        abs(given - right) < 1e-3, "Work with odds, p / (1 - p), and turn them back into a probability at the end."
    )
    return "Odds of 4, squared."


@exercise("04-2")
def temperature_that_undoes(answer: Any) -> str:
    for beta in (-0.5, -0.25, 0.5, 1.0, 0.0):
        value = call(answer, beta)
        require(value is not None, "Your function returns nothing.")
        given = float(numbers(value))
        require(given > 0, f"At beta = {beta} this is no temperature: {given:g}.")
        trained = stationary_policy([0.7, 0.3], RewardShaping(beta))
        sampled = tempered(trained, given)
        miss, untouched = abs(sampled[0] - 0.7), abs(trained[0] - 0.7)
        require(miss < untouched + 1e-3, f"At beta = {beta} this makes it worse. On which side of 1 must T be?")
        require(
            miss < 1e-3,
            f"At beta = {beta} the first of (0.7, 0.3) is sampled with {sampled[0]:.3f}. Training was a "
            "temperature: what do two of them in a row do to the logits?",
        )
    return "The two temperatures multiply to 1."


@exercise("04-3")
def fixed_point_by_hand(answer: Any) -> str:
    rng = np.random.default_rng(7)
    for beta in (0.0, -0.3, 0.5, 1.0, -0.6):
        q = rng.dirichlet(np.full(int(rng.integers(3, 7)), 2.0))
        value = call(answer, q.copy(), beta)
        require(value is not None, "Your function returns nothing.")
        given = numbers(value, q.shape)
        require(abs(given.sum() - 1) < 1e-6, "The probabilities do not sum to 1.")
        right = stationary_policy(q, RewardShaping(beta))
        error = float(np.abs(given - right).max())
        require(
            error < 1e-4,
            f"At beta = {beta} with {q.size} tokens some probability is off by {error:.4f}. Put your policy into "
            "the right side of the formula: does it come out on the left?",
        )
    return "It stays where the formula puts it."


@exercise("04-4")
def another_proper_score(answer: Any) -> str:
    policies, _ = simplex_field(RewardShaping(), [1 / 3] * 3, 30)  # (N, 3), a lattice inside the triangle
    truths = np.array([[0.62, 0.27, 0.11], [0.34, 0.33, 0.33], [0.08, 0.13, 0.79]])
    everywhere = np.concatenate([policies, truths])  # (N + 3, 3)

    def charge(policy: Any, label: int) -> float:
        value = call(answer, policy.copy(), label)
        require(value is not None, "Your function returns nothing.")
        return float(numbers(value))

    charges = np.array([[charge(policy, label) for label in range(3)] for policy in everywhere])  # (N + 3, 3)
    for place, truth in enumerate(truths, len(policies)):
        means = charges @ truth  # (N + 3)
        better = int(np.delete(means, place).argmin())
        least = float(np.delete(means, place)[better])
        require(
            means[place] < least - 1e-9,
            f"Not proper: when the truth is {truth.tolist()}, the forecast "
            f"{np.delete(everywhere, place, axis=0)[better].round(2).tolist()} is charged no more than the truth.",
        )
    logs = -np.log(np.stack([everywhere, np.ones_like(everywhere)], -1)).reshape(-1, 2)
    logs[:, 1] = 1
    _, residual, *_ = np.linalg.lstsq(logs, charges.reshape(-1), rcond=None)
    spread = float(((charges - charges.mean()) ** 2).sum())
    require(
        float(residual.sum()) > 1e-6 * spread, "Proper, but it is the logarithm, and another score is asked for."
    )
    return "Honesty pays under it, and it looks at more than the probability of what came."
