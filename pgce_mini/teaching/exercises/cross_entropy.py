"""Judges of notebook 01: cross-entropy is a policy gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pgce_mini.teaching.exercises import close, exercise, gradient_by, numbers, require
from pgce_mini.theory import cross_entropy_gradient, cross_entropy_rewards, policy_gradient, reinforce_variance

THREE = np.array([0.5, 0.3, 0.2])  # the policy of 01-1; the true token is its second
SIX = np.array([0.6, 0.2, 0.1, 0.06, 0.03, 0.01])  # that of the notebook
RARE, ERROR = np.array([0.02, 0.98]), 0.05  # 01-3; that of the true token decides, however the rest is split


@exercise("01-1")
def push_on_each_logit(answer: Any) -> str:
    truth = cross_entropy_gradient(THREE, 1)
    push = numbers(answer, (3,))
    require(
        not close(push, cross_entropy_rewards(THREE, 1), atol=0.01),
        "This is what each token earns. The push also has a factor pi_a, and the softmax takes from the others.",
    )
    require(
        not close(push, -truth, atol=1e-3),
        "The right sizes, with the signs of dL/dz. Asked for is the push dJ/dz, along which training moves.",
    )
    require(abs(push.sum()) < 1e-3, "The pushes must add up to 0: what one logit gains, the others lose.")
    require(
        close(push, truth, atol=1e-3),
        "They add up to 0, but they are not w - pi W: put in w = pi r and W again.",
    )
    return "And it is 1(a = x) - pi_a, the gradient that you know from cross-entropy."


@exercise("01-2")
def surrogate(answer: Any) -> str:
    generator = torch.Generator().manual_seed(1)
    for size in (3, 2, 7):  # of two tokens every gradient has one direction
        logits = torch.randn(size, dtype=torch.float64, generator=generator, requires_grad=True)
        fixed = torch.randn(size, dtype=torch.float64, generator=generator)
        attached = fixed / logits.softmax(-1)  # rewards made from the policy, as 1 / pi is
        truth = policy_gradient(logits.softmax(-1).tolist(), attached.tolist())
        for rewards in (attached.detach(), attached):
            push = -gradient_by(answer, logits, rewards.clone())
            require(
                not close(push, -truth, atol=1e-6),
                "Its gradient has the wrong sign: training goes *down* a loss, and J is to go up.",
            )
            weights = rewards.detach().numpy()
            forgotten = weights - logits.softmax(-1).detach().numpy() * weights.sum()
            require(
                not close(push, forgotten, atol=1e-6),
                "Every token counts alike here. In an expectation over the policy, how much does each count?",
            )
            length = float(push @ truth / (truth @ truth))
            require(
                not close(push, length * truth, atol=1e-6) or min(abs(length - 1), abs(length)) < 1e-6,
                "The right direction, but not the right length: an expectation is a sum over the tokens.",
            )
            require(
                close(push, truth, atol=1e-6),
                "Its gradient is not pi W - w. Is there a factor, the reward among them, that should be held "
                "constant and still carries a gradient?",
            )
    return "Any reward can be trained with this one line; the library's loss writes the same gradient by hand."


@exercise("01-3")
def samples_for_an_error(answer: Any) -> str:
    rewards = cross_entropy_rewards(RARE, 0)
    size = float((policy_gradient(RARE, rewards) ** 2).sum())
    truth = reinforce_variance(RARE, rewards) / size / ERROR**2
    samples = float(numbers(answer))
    require(samples >= 1, "At least one sample has to be drawn.")
    error = (reinforce_variance(RARE, rewards) / size / samples) ** 0.5
    few = "How often is the true token drawn at all, and how does an error fall with N?"
    advice = few if samples < truth else "That is better than asked for: fewer will do."
    near = abs(samples / truth - 1) < 0.025  # 1 - pi(x) may be taken for 1
    require(near, f"With that many samples the error is {error:.2%}. {advice}")
    return "Rare tokens are what sampling learns worst, and cross-entropy needs no sample for any of them."


@exercise("01-4")
def punishment_alone(answer: Any) -> str:
    rewards = numbers(answer, (6,))
    require(abs(rewards[1]) < 1e-9, 'The true token "5" is to earn exactly 0.')
    require(bool(rewards.any()), "If every token earns the same, nothing is pushed.")
    push, truth = policy_gradient(SIX, rewards), cross_entropy_gradient(SIX, 1)
    ratio = float(push @ truth / (truth @ truth))
    along = close(push, ratio * truth, atol=1e-4)
    require(not along or ratio > 0, "That is the opposite direction: look at the sign.")
    require(
        not along or abs(ratio - 1) < 1e-3,
        f"The direction is right, but the push is too {'weak' if ratio < 1 else 'strong'}.",
    )
    require(
        close(push, truth, atol=1e-3),
        "This pushes the wrong tokens in other proportions than cross-entropy does. What may be added to all "
        "rewards at once without a change of the gradient?",
    )
    return "Rewarding one token and punishing all others are the same: only differences of rewards push."
