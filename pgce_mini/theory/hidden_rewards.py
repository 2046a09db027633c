"""Known losses as rewards: for each loss the reward whose policy gradient is the gradient of the loss.

If L is a function of the policy pi, dL = sum_a (dL/dpi_a) dpi_a, and dpi_a = pi_a dlog pi_a, so

    -dL/dz = sum_a pi_a r_a dlog pi_a/dz      with the reward      r_a = -dL/dpi_a.

A constant added to all rewards (a baseline) changes no gradient; here it is chosen so that a token that the loss
does not mention earns 0. `push` is pi r, the weight of grad log pi: under cross-entropy it is 1 for the true
token, whatever its probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike

from pgce_mini.checks import is_finite, is_whole
from pgce_mini.reward import Form, RewardShaping, true_token_weight
from pgce_mini.theory.distributions import FloatArray

Push = Callable[[FloatArray, float, int], FloatArray]  # (pi, strength, vocabulary) -> pi r


@dataclass(frozen=True)
class HiddenReward:
    """A loss with one parameter or none, and its reward. `loss`, `reward` and `wrong_reward` are TeX."""

    loss: str
    reward: str
    """of the true token x"""
    source: str
    push: Push
    """pi r of the true token at its probability pi"""
    wrong_reward: str = "0"
    """of any other token a"""
    wrong_push: Push = lambda pi, strength, vocab_size: np.zeros_like(pi)
    """pi r of a wrong token at its probability pi"""
    parameter: str = ""
    """its symbol; empty when there is none"""
    low: float = 0
    """the parameter lies in [low, high]"""
    high: float = 0
    default: float = 0

    def rewards(self, probs: ArrayLike, target: int, strength: float | None = None) -> FloatArray:
        """The reward of every token; `target` is the true one, `strength` the parameter (None: its default).

        Shapes:
            probs: (V,), all above 0 -> (V,)

        Raises:
            ValueError: when `strength` or `target` is out of range or a probability is not in (0, 1).
        """
        pi = np.asarray(probs, dtype=np.float64)
        if pi.ndim != 1 or not is_whole(target) or not 0 <= target < pi.size:
            raise ValueError(f"target must be an id of probs, a row of (V,), got {target!r} and {pi.shape}")
        rewards = self.wrong_reward_at(pi, strength, pi.size)
        rewards[target] = self.reward_at(pi[target], strength, pi.size)
        return rewards

    def push_at(self, probs: ArrayLike, strength: float | None = None, vocab_size: int = 2) -> FloatArray:
        """pi r of the true token at each probability in (0, 1); shapes: (...) -> (...)."""
        return np.asarray(self.push(*self._checked(probs, strength), vocab_size))

    def reward_at(self, probs: ArrayLike, strength: float | None = None, vocab_size: int = 2) -> FloatArray:
        """r of the true token at each probability in (0, 1); shapes: (...) -> (...)."""
        return self.push_at(probs, strength, vocab_size) / np.asarray(probs, dtype=np.float64)

    def wrong_reward_at(self, probs: ArrayLike, strength: float | None = None, vocab_size: int = 2) -> FloatArray:
        """r of a wrong token at each probability in (0, 1); shapes: (...) -> (...)."""
        pi, value = self._checked(probs, strength)
        return np.asarray(self.wrong_push(pi, value, vocab_size) / pi)

    def _checked(self, probs: ArrayLike, strength: float | None) -> tuple[FloatArray, float]:
        pi = np.asarray(probs, dtype=np.float64)
        if not ((pi >= np.finfo(np.float64).tiny) & (pi < 1)).all():  # 1 / pi is a float
            raise ValueError("probs must lie strictly between 0 and 1")
        value = self.default if strength is None else strength
        if not is_finite(value) or not self.low <= value <= self.high:
            raise ValueError(f"strength must be in [{self.low:g}, {self.high:g}], got {value}")
        return pi, float(value)


def _shaped(form: Form, pi: FloatArray, beta: float, vocab_size: int) -> FloatArray:
    weight = true_token_weight(torch.from_numpy(np.log(np.atleast_1d(pi))), RewardShaping(beta, form=form))
    return weight.numpy().reshape(pi.shape)


def _focal(pi: FloatArray, gamma: float, vocab_size: int) -> FloatArray:
    return np.asarray((1 - pi) ** gamma - gamma * pi * (1 - pi) ** (gamma - 1) * np.log(pi))


HIDDEN_REWARDS: dict[str, HiddenReward] = {
    "cross-entropy": HiddenReward(
        loss=r"-\log\pi(x)",
        reward=r"\dfrac{1}{\pi(x)}",
        push=lambda pi, strength, vocab_size: np.ones_like(pi),
        source="the paper, Eq. 10",
    ),
    "shaped (product)": HiddenReward(
        loss=r"-\mathrm{sg}\left[(1-\pi(x))^\beta\right]\log\pi(x)",
        reward=r"\dfrac{(1-\pi(x))^\beta}{\pi(x)}",
        push=partial(_shaped, "product"),
        parameter="β", low=-1, high=2, default=-0.25,
        source="the paper, Eq. 11, first version",
    ),
    "shaped (exponent)": HiddenReward(
        loss=r"-\mathrm{sg}\left[\pi(x)^{1-(1-\pi(x))^\beta}\right]\log\pi(x)",
        reward=r"\left(\frac{1}{\pi(x)}\right)^{(1-\pi(x))^\beta}",
        push=partial(_shaped, "exponent"),
        parameter="β", low=-1, high=2, default=-0.25,
        source="the paper, Eq. 11, later version",
    ),
    "focal": HiddenReward(
        loss=r"-(1-\pi(x))^\gamma\log\pi(x)",
        reward=r"\dfrac{(1-\pi(x))^\gamma}{\pi(x)} - \gamma\,(1-\pi(x))^{\gamma-1}\log\pi(x)",
        push=_focal,
        parameter="γ", low=0, high=5, default=2,
        source="Lin et al. 2017",
    ),
    "generalised cross-entropy": HiddenReward(
        loss=r"\dfrac{1-\pi(x)^q}{q}",
        reward=r"\pi(x)^{q-1}",
        push=lambda pi, q, vocab_size: pi**q,
        parameter="q", low=0.05, high=1, default=0.7,
        source="Zhang and Sabuncu 2018",
    ),
    "dynamic fine-tuning": HiddenReward(
        loss=r"-\mathrm{sg}\left[\pi(x)\right]\log\pi(x)",
        reward="1",
        push=lambda pi, strength, vocab_size: pi.copy(),
        source="Wu et al. 2025, arXiv 2508.05629",
    ),
    "label smoothing": HiddenReward(
        loss=r"-(1-\varepsilon)\log\pi(x) - \frac{\varepsilon}{V}\sum_a\log\pi(a)",
        reward=r"\dfrac{1-\varepsilon+\varepsilon/V}{\pi(x)}",
        push=lambda pi, epsilon, vocab_size: np.full_like(pi, 1 - epsilon + epsilon / vocab_size),
        wrong_reward=r"\dfrac{\varepsilon/V}{\pi(a)}",
        wrong_push=lambda pi, epsilon, vocab_size: np.full_like(pi, epsilon / vocab_size),
        parameter="ε", low=0, high=0.5, default=0.1,
        source="Szegedy et al. 2016",
    ),
    "unlikelihood": HiddenReward(
        loss=r"-\log\pi(x) - \alpha\sum_{a\neq x}\log(1-\pi(a))",
        reward=r"\dfrac{1}{\pi(x)}",
        push=lambda pi, alpha, vocab_size: np.ones_like(pi),
        wrong_reward=r"-\dfrac{\alpha}{1-\pi(a)}",
        wrong_push=lambda pi, alpha, vocab_size: -alpha * pi / (1 - pi),
        parameter="α", low=0, high=2, default=1,
        source="Welleck et al. 2020, here with every wrong token as a negative candidate",
    ),
}  # fmt: skip
"""The losses by name, cross-entropy first."""
