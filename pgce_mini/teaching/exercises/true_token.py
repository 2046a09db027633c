"""Judges of notebook 02: shaping the true token."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.teaching.exercises import call, close, exercise, numbers, require
from pgce_mini.theory import HIDDEN_REWARDS, FloatArray, stationary_policy, tempered

FREQUENCIES = ([0.5, 0.25, 0.15, 0.1], [0.4, 0.3, 0.2, 0.1], [0.34, 0.33, 0.33])
BETAS = (-0.25, 0.5, 1.0, 2.0)  # at 2 the equation, put into itself, jumps between two policies
PROBS = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)


@exercise("02-1")
def beta_of_a_push(answer: Any) -> str:
    beta = float(numbers(answer))
    require(-1 <= beta <= 2, "Look between -1 and 2.")
    weight = float(HIDDEN_REWARDS["shaped (product)"].push_at(0.9, beta))
    than = "as large as" if weight == 1 else "smaller than"
    require(weight > 1, f"At this beta the weight is {weight:.2f}: {than} that of cross-entropy.")
    require(abs(weight - 2) < 0.02, f"At this beta the weight is {weight:.2f}.")
    precision = PAPER_ARMS["precision"].beta
    push = float(HIDDEN_REWARDS["shaped (product)"].push_at(0.9, precision))
    return f"The paper's precision arm, beta = {precision}, pushes {push:.2f} times as hard there."


@exercise("02-2")
def reward_of_the_squared_error(answer: Any) -> str:
    probs = PROBS.clone().requires_grad_()
    loss = (1 - probs) ** 2
    (slope,) = torch.autograd.grad(loss.sum(), probs)
    truth = -slope.numpy()
    rewards = np.array([float(numbers(call(answer, prob))) for prob in PROBS.tolist()])
    require(not close(rewards, loss.detach()), "This is the loss itself. What does it lose as pi(x) rises?")
    require(not close(rewards, -truth), "The sign: a token *earns* what its probability takes off the loss.")
    require(
        not close(rewards, truth * PROBS.numpy()),
        "This is the weight, pi r, on the gradient of log pi. Asked for is r.",
    )
    require(close(rewards, truth, atol=1e-6), "It is not the reward at every pi(x): take the derivative again.")
    return "At pi(x) near 0 it pays 2 where cross-entropy pays without bound: a mistake in the data cannot shout."


@exercise("02-3")
def ending(answer: Any) -> str:
    for frequencies in FREQUENCIES:
        q = np.array(frequencies)
        for beta in BETAS:
            truth = stationary_policy(q, RewardShaping(beta))
            policy = numbers(call(answer, q.copy(), beta), q.shape)
            require(abs(policy.sum() - 1) < 1e-4, "What it returns is no distribution: divide by the sum.")
            require(
                not close(policy, _round(q, q, beta), atol=1e-9),
                "That is one step from q. Put what comes out into the right side again, until it stays.",
            )
            require(
                not close(policy, tempered(q, 1 + beta), atol=1e-9),
                "That is the temperature 1 + beta: right for two tokens, wrong for more (notebook 04).",
            )
            ends_there = close(policy, truth, atol=1e-4)
            returns = close(_round(q, _round(q, policy, beta), beta), policy, atol=1e-4)
            require(
                ends_there or not returns,
                f"At beta = {beta:g} it jumps to and fro between two policies: go half of the way in each round.",
            )
            require(
                ends_there,
                f"For q = {frequencies} and beta = {beta:g} it ends elsewhere: there training would still move.",
            )
    return "You can predict the end of any arm that shapes the true token alone."


def _round(q: FloatArray, policy: FloatArray, beta: float) -> FloatArray:
    """What comes out of the right side of pi = q (1 - pi)^beta / sum. (V,), (V,) -> (V,)"""
    with np.errstate(all="ignore"):  # an answer may lie outside 0 ... 1
        raw = q * (1 - policy) ** beta
        return np.asarray(raw / raw.sum())


@exercise("02-4")
def true_objective(answer: Any) -> str:
    values = numbers(call(answer, PROBS.clone()), tuple(PROBS.shape))
    falls = values[0] - values  # from the first probability on
    truth = _paid_between(PROBS.tolist())
    focal = (-(1 - PROBS) * PROBS.log()).numpy()
    require(
        not close(falls, focal[0] - focal, atol=1e-6),
        "That is the surrogate, or focal loss with gamma = 1: the factor moves too, and as a function of pi(x) "
        "it has a second term in its derivative.",
    )
    require(not close(falls, -truth, atol=1e-6), "The sign: the loss must fall as pi(x) rises.")
    require(
        not close(falls, (PROBS / PROBS[0]).log().numpy(), atol=1e-6),
        "That is cross-entropy: its derivative lacks the factor 1 - pi(x).",
    )
    require(
        close(falls, truth, atol=1e-6),
        "Its derivative is not minus the reward (1 - pi(x)) / pi(x): split that fraction, then integrate.",
    )
    return (
        "This one does fall at every step: with beta alone, there is an objective; it is just not the surrogate."
    )


def _paid_between(probs: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The integral of the reward of beta = 1 from the first probability to each: Gauss and Legendre's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    start = probs[0]
    half = (np.array(probs) - start) / 2
    points = start + half[:, None] * (1 + nodes)
    return np.asarray((HIDDEN_REWARDS["shaped (product)"].reward_at(points, 1.0) * weights).sum(-1) * half)
