"""Notebook 04: ends of training, temperature, and proper scores."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from pgce_mini.reward import RewardShaping
from pgce_mini.teaching.exercises import call, exercise, numbers, require
from pgce_mini.theory import FloatArray, simplex_field, stationary_policy, tempered

TRUTHS = np.array([[0.62, 0.27, 0.11], [0.34, 0.33, 0.33], [0.08, 0.13, 0.79]])
BESIDE = 1e-3 * np.array(list(permutations((1, 0, -1))))  # (6, 3), small steps that keep the sum


@exercise("04-1")
def two_tokens_end(answer: Any) -> str:
    end = float(numbers(answer))
    right = float(stationary_policy([0.8, 0.2], RewardShaping(beta=-0.5))[0])
    require(0 < end < 1, "A probability is asked for, between 0 and 1.")
    require(end > 0.8, "Below 0 beta makes the likelier token likelier still.")
    require(abs(end - right) > 2e-3 or abs(end - right) < 1e-3, "Nearly: give three digits.")
    require(
        abs(end - right) < 1e-3, "Work with odds, p / (1 - p), and turn them back into a probability at the end."
    )
    return "Odds of 4, squared."


@exercise("04-2")
def temperature_that_undoes(answer: Any) -> str:
    for beta in (-0.5, -0.25, 0.5, 1.0, 0.0):
        temperature = float(numbers(call(answer, beta)))
        require(temperature > 1e-3, f"At beta = {beta} it gives {temperature + 0:g}: a temperature is above 0.")
        trained = stationary_policy([0.7, 0.3], RewardShaping(beta))
        sampled = tempered(trained, temperature)
        miss, untouched = abs(sampled[0] - 0.7), abs(trained[0] - 0.7)
        require(beta != 0 or miss < 1e-3, "At beta = 0 there is nothing to undo.")
        right_side = (temperature - 1) * beta <= 0
        require(right_side, f"At beta = {beta} this makes it worse. On which side of 1 must T be?")
        require(miss < untouched + 1e-3, f"At beta = {beta} this corrects far too much.")
        require(
            miss < 1e-3,
            f"At beta = {beta} the first of (0.7, 0.3) is sampled with {sampled[0]:.3f}. Training was a "
            "temperature: what do two of them in a row do to the logits?",
        )
    return "The two temperatures multiply to 1."


@exercise("04-3")
def a_reward_for_each_wrong_token(answer: Any) -> str:
    rng = np.random.default_rng(7)
    for spread in (0.0, 0.5, 1.0, 3.0):
        q = rng.dirichlet(np.full(int(rng.integers(3, 7)), 2.0))
        lam = spread * rng.uniform(-1, 1, q.size)
        policy = numbers(call(answer, q.copy(), lam.copy()), q.shape)
        if spread == 0:
            require(float(np.abs(policy - q).max()) < 1e-4, "With every lambda at 0 it must end at q.")
        require(
            abs(policy.sum() - 1) < 1e-3,
            f"The probabilities sum to {policy.sum():.3f}. What in the formula can be moved until they sum to 1?",
        )
        error = float(np.abs(policy - _end(q, lam)).max())
        require(
            error < 2e-4,
            f"With {q.size} tokens some probability is off by {error:.4f}. Does every token earn the same at your "
            "policy, as right and as wrong one together?",
        )
    return "One equation for one unknown number: the mean reward."


def _end(q: FloatArray, lam: FloatArray) -> FloatArray:
    """Where training ends if a earns lam_a when wrong: pi_a = q_a / (W - (1 - q_a) lam_a). (V,), (V,) -> (V,)"""
    wrong = (1 - q) * lam
    low, high = float(wrong.max()), float(wrong.max()) + 1  # the sum of pi is above 1, and at most 1
    for _ in range(60):
        W = (low + high) / 2
        low, high = (W, high) if (q / (W - wrong)).sum() > 1 else (low, W)
    return q / (high - wrong)


@exercise("04-4")
def another_proper_score(answer: Any) -> str:
    def charges(forecasts: FloatArray) -> FloatArray:
        """What each forecast is charged under each true token. (N, 3) -> (N, 3)"""
        rows = [[float(numbers(call(answer, pi.copy(), x))) for x in range(3)] for pi in forecasts]
        return np.array(rows)

    lattice, _ = simplex_field(RewardShaping(), [1 / 3] * 3, 16)  # (N, 3), inside the triangle
    on_lattice = charges(lattice)
    for truth in TRUTHS:
        beside = truth + BESIDE  # where a score that is nearly proper is least
        means = np.concatenate([on_lattice, charges(beside)]) @ truth  # (N + 6,)
        least = int(means.argmin())
        honest = float((charges(truth[None]) @ truth)[0])
        require(
            abs(honest - means[least]) > 1e-12,
            f"Honesty does not pay: when the truth is {truth.tolist()}, the forecast "
            f"{np.concatenate([lattice, beside])[least].round(3).tolist()} is charged just the same.",
        )
        require(
            honest < means[least],
            f"Not proper: when the truth is {truth.tolist()}, the forecast "
            f"{np.concatenate([lattice, beside])[least].round(3).tolist()} is charged less than the truth.",
        )
    constants = np.tile(np.eye(3), (len(lattice), 1))  # one for each true token
    columns = np.concatenate([-np.log(lattice).reshape(-1, 1), constants], -1)  # a logarithm, and constants
    fit, *_ = np.linalg.lstsq(columns, on_lattice.ravel(), rcond=None)
    left = on_lattice.ravel() - columns @ fit
    require(
        float(left.std()) > 1e-3 * float(on_lattice.std()),
        "Proper, but it is the logarithm, and another score is asked for.",
    )
    return "Honesty pays under it, and it looks at more than the probability of what came."
