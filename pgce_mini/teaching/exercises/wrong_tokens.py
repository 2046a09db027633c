"""Notebook 03: what wrong tokens earn, and what the stop-gradient is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import RewardShaping, token_rewards
from pgce_mini.teaching.exercises import call, close, exercise, gradient_by, numbers, require
from pgce_mini.theory import FloatArray

SIX = torch.tensor([0.4, 0.25, 0.15, 0.1, 0.06, 0.04], dtype=torch.float64)
SIX_SHAPING, SIX_TARGET = RewardShaping(lambda_head=0.2, lambda_tail=-0.3, top_k=3), 1

CUP = torch.tensor([34.0, 20, 15, 9, 6.5, 4.5, 3.3, 2.4, 1.8, 1.4, 1.2, 0.9], dtype=torch.float64)
"""Weights of the notebook's state, "I drink a cup of ..."; its true token is the second, its head has 4."""


@exercise("03-1")
def what_six_tokens_earn(answer: Any) -> str:
    earned = numbers(answer, (6,))
    right = token_rewards(SIX, torch.tensor(SIX_TARGET), SIX_SHAPING).numpy()
    wrong = np.flatnonzero(np.abs(earned - right) > 2e-3)
    require(
        SIX_TARGET not in wrong, "Begin with the second token: it is the true one. Does Eq. 12 say what it earns?"
    )
    require(
        wrong.tolist() != [3],
        "Nearly. Count the head again: the true token is one of the three likeliest, and takes a place.",
    )
    require(
        not wrong.size, "The true token is right. The others earn by their rank alone, not by their probability."
    )
    return "The true token takes a place in the head, and earns its own reward all the same."


@exercise("03-2")
def where_the_runner_up_rises(answer: Any) -> str:
    threshold = float(numbers(answer))

    def push(lambda_head: float) -> float:
        """dJ/dz of the first token."""
        logits = (CUP / CUP.sum()).log().requires_grad_()
        shaping = RewardShaping(lambda_head=lambda_head, top_k=4)
        return -float(gradient_by(shaped_cross_entropy, logits, torch.tensor(1), shaping)[0])

    require(
        push(threshold + 0.01) > 0,
        "With a little more than this, tea still sinks: the mean rises with the reward.",
    )
    require(
        push(threshold - 0.01) < 0, "Tea rises already with less than this. Which tokens of the head earn lambda?"
    )
    return "The reward must exceed a mean that it raises itself; all wrong tokens of the head share in it."


@exercise("03-3")
def loss_by_hand(answer: Any) -> str:
    generator = torch.Generator().manual_seed(3)
    plain = RewardShaping(top_k=3)
    for shaping, hint in (
        (plain, "With beta = 0 and both lambdas 0 it must have the gradient of cross-entropy, and has not."),
        (replace(plain, beta=0.5), "Right for beta = 0, wrong for 0.5."),
        (replace(plain, lambda_head=0.4, lambda_tail=-0.7), "Right without lambdas, wrong with them."),
        (RewardShaping(-0.25, 0.4, -0.7, 3), "Each part is right alone, but not all of them together."),
    ):
        for _ in range(3):
            logits = torch.randn(8, dtype=torch.float64, generator=generator, requires_grad=True)
            target = torch.randint(8, (), generator=generator)
            settings = (shaping.beta, shaping.lambda_head, shaping.lambda_tail, shaping.top_k)
            gradient = gradient_by(answer, logits, target, *settings)
            right = gradient_by(shaped_cross_entropy, logits, target, shaping)
            require(not close(gradient, -right, atol=1e-6), "The sign: training goes *down* a loss.")
            why = f"{hint} {_why(gradient, logits, target, shaping)}".strip()
            require(close(gradient, right, atol=1e-6), why)
    return "The reward is held, the policy is not: the whole paper in three lines."


def _why(gradient: FloatArray, logits: torch.Tensor, target: torch.Tensor, shaping: RewardShaping) -> str:
    """Which usual mistake gives this gradient; "" if none does."""
    plain = gradient_by(shaped_cross_entropy, logits, target, RewardShaping())
    factor = float(gradient[target] / plain[target])
    if not close(gradient, factor * plain, atol=1e-6):
        head = logits.detach().softmax(-1).topk(shaping.top_k).indices
        if shaping.lambda_head and (head == target).any():
            return "The true token takes a place in the head, and keeps its own reward: are both so?"
        return ""
    if shaping.lambda_head or shaping.lambda_tail:
        return "The wrong tokens earn nothing in it."
    if close(factor, 1):
        return "beta is not in it."
    p = float(logits.detach().softmax(-1)[target])
    focal = (1 - p) ** shaping.beta - shaping.beta * (1 - p) ** (shaping.beta - 1) * p * np.log(p)
    if close(factor, focal):
        return "Which factor must not be differentiated?"
    return "The true token has the wrong factor."


@exercise("03-4")
def factor_of_uniform_reward(answer: Any) -> str:
    rng = np.random.default_rng(4)
    for trial in range(12):
        lam, beta = rng.uniform(-1, 1), 0.0 if trial < 4 else rng.uniform(-0.8, 1.5)
        logits = torch.from_numpy(rng.normal(size=7)).requires_grad_()
        target = torch.tensor(int(rng.integers(7)))
        p = float(logits.detach().softmax(-1)[target])
        factor = float(numbers(call(answer, p, lam, beta)))
        gradient = gradient_by(shaped_cross_entropy, logits, target, RewardShaping(beta, lambda_head=lam, top_k=7))
        right = float(gradient[target]) / (p - 1)  # cross-entropy's is p - 1 there
        hint = (
            "Look at beta = 0 first: subtract lambda from everybody, which changes no gradient."
            if trial < 4
            else "Right for beta = 0. Subtract lambda again: what does the true token earn now, and times pi(x)?"
        )
        require(abs(factor - right) < 1e-6, hint)
    return "Two ways to weigh one direction: they add up, they do not multiply."
