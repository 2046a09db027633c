"""Known losses as rewards: for each loss the reward whose policy gradient is the gradient of the loss.

If L is a function of the policy pi, dL = sum_a (dL/dpi_a) dpi_a, and dpi_a = pi_a dlog pi_a, so

    -dL/dz = sum_a pi_a r_a dlog pi_a/dz      with the reward      r_a = -dL/dpi_a.

A constant added to all rewards (a baseline) changes no gradient; here it is chosen so that a token that the loss
does not mention earns 0. `push` is pi r, the weight of grad log pi: under cross-entropy it is 1 for the true
token, whatever its probability.

If the true token is random, x ~ f, training rests where all tokens of positive probability earn the same on
average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pgce_mini.checks import is_finite, is_whole
from pgce_mini.reward import Form, RewardShaping, true_token_weight
from pgce_mini.theory.distributions import FloatArray, label_probabilities

Push = Callable[[FloatArray, float, int], FloatArray]  # (pi, strength, vocabulary) -> pi r


@dataclass(frozen=True)
class HiddenReward:
    """A loss with one parameter or none, its reward and its end. `loss`, `reward` and `wrong_reward` are TeX, in
    `end` it stands between $."""

    loss: str
    reward: str
    """of the true token x"""
    source: str
    end: str
    """where training ends if token a is the true one with frequency f(a)"""
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

    def stationary_policy(self, label_distribution: ArrayLike, strength: float | None = None) -> FloatArray:
        """Where training ends when it starts from the policy of cross-entropy, f.

        A token whose mean reward stays below that of the others, however rare it is, ends at 0.

        Shapes:
            label_distribution: (V,), the frequencies f -> (V,)

        Raises:
            ValueError: when `label_distribution` is not a distribution or `strength` out of range.

        Source: ours.
        """
        f = label_probabilities(label_distribution)
        top = int(f.argmax())
        others = np.flatnonzero(np.arange(f.size) != top)

        def mean_reward(tokens: NDArray[np.intp], pi: FloatArray) -> FloatArray:
            as_true, as_wrong = (at(pi, strength, f.size) for at in (self.reward_at, self.wrong_reward_at))
            return np.asarray(f[tokens] * as_true + (1 - f[tokens]) * as_wrong)

        def probs_earning(reward: float) -> FloatArray:
            """The probability at which each of `others` earns `reward`, 0 where it always earns less. (V - 1)"""
            low, high = np.full(others.size, -690.0), np.zeros(others.size)  # logits: pi is 1e-300 and 1/2
            vanishes = mean_reward(others, _sigmoid(low)) <= reward
            for _ in range(60):
                middle = (low + high) / 2
                more = mean_reward(others, _sigmoid(middle)) > reward
                low, high = np.where(more, middle, low), np.where(more, high, middle)
            return np.where(vanishes, 0.0, _sigmoid(high))

        # The mean reward falls as pi grows, but for one token above 1/2: the likeliest gets what the others leave.
        least, most = -1e6, 1e6
        for _ in range(75):
            reward = (least + most) / 2
            left = 1 - probs_earning(reward).sum()
            too_low = left <= 0 or (left < 1 and mean_reward(np.array([top]), np.array([left]))[0] > reward)
            least, most = (reward, most) if too_low else (least, reward)
        probs = np.insert(probs_earning(most), top, 0.0)
        probs[top] = 1 - probs.sum()
        alike = f == f[top]
        probs[alike] = probs[alike].mean()
        return probs

    def _checked(self, probs: ArrayLike, strength: float | None) -> tuple[FloatArray, float]:
        pi = np.asarray(probs, dtype=np.float64)
        if not ((pi >= np.finfo(np.float64).tiny) & (pi < 1)).all():  # 1 / pi is a float
            raise ValueError("probs must lie strictly between 0 and 1")
        value = self.default if strength is None else strength
        if not is_finite(value) or not self.low <= value <= self.high:
            raise ValueError(f"strength must be in [{self.low:g}, {self.high:g}], got {value}")
        return pi, float(value)


@dataclass(frozen=True)
class _SecondDistribution(HiddenReward):
    """GEM pushes by rho = softmax(z / tau), so that a reward depends on the whole policy: `reward_at` and the like
    take the other tokens as equally likely, `rewards` takes the policy as it is. The baseline is 1, with which
    tau = 1 is cross-entropy."""

    def rewards(self, probs: ArrayLike, target: int, strength: float | None = None) -> FloatArray:
        rewards = super().rewards(probs, target, strength)  # checks the arguments
        pi, tau = self._checked(probs, strength)
        second = pi ** (1 / tau) / (pi ** (1 / tau)).sum()
        rewards[:] = 1 - second / pi
        rewards[target] += 1 / pi[target]
        return rewards

    def stationary_policy(self, label_distribution: ArrayLike, strength: float | None = None) -> FloatArray:
        _, tau = self._checked(0.5, strength)
        powers = label_probabilities(label_distribution) ** tau
        return np.asarray(powers / powers.sum())


def _second(pi: FloatArray, tau: float, vocab_size: int) -> FloatArray:
    """The share of a token in softmax(z / tau) if the others are equally likely."""
    odds = (vocab_size - 1) * ((1 - pi) / ((vocab_size - 1) * pi)) ** (1 / tau)
    return np.asarray(1 / (1 + odds))


def _coverage(pi: FloatArray, samples: float, vocab_size: int) -> FloatArray:
    log_complement = np.log1p(-pi)
    return samples * pi * np.exp((samples - 1) * log_complement) / -np.expm1(samples * log_complement)


def _sigmoid(logit: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-logit)))


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
        end="at $f$",
    ),
    "shaped (product)": HiddenReward(
        loss=r"-\mathrm{sg}\left[(1-\pi(x))^\beta\right]\log\pi(x)",
        reward=r"\dfrac{(1-\pi(x))^\beta}{\pi(x)}",
        push=partial(_shaped, "product"),
        parameter="β", low=-1, high=2, default=-0.25,
        source="the paper, Eq. 11, first version",
        end=r"at $\pi(a) \propto f(a)\,(1-\pi(a))^\beta$",
    ),
    "shaped (exponent)": HiddenReward(
        loss=r"-\mathrm{sg}\left[\pi(x)^{1-(1-\pi(x))^\beta}\right]\log\pi(x)",
        reward=r"\left(\frac{1}{\pi(x)}\right)^{(1-\pi(x))^\beta}",
        push=partial(_shaped, "exponent"),
        parameter="β", low=-1, high=2, default=-0.25,
        source="the paper, Eq. 11, later version",
        end="sharper than $f$ for β < 0, flatter or sharper for β > 0",
    ),
    "focal": HiddenReward(
        loss=r"-(1-\pi(x))^\gamma\log\pi(x)",
        reward=r"\dfrac{(1-\pi(x))^\gamma}{\pi(x)} - \gamma\,(1-\pi(x))^{\gamma-1}\log\pi(x)",
        push=_focal,
        parameter="γ", low=0, high=5, default=2,
        source="Lin et al. 2017",
        end="flatter than $f$ where a few tokens are likely, sharper where all are unlikely",
    ),
    "generalised cross-entropy": HiddenReward(
        loss=r"\dfrac{1-\pi(x)^q}{q}",
        reward=r"\pi(x)^{q-1}",
        push=lambda pi, q, vocab_size: pi**q,
        parameter="q", low=0.05, high=1, default=0.7,
        source="Zhang and Sabuncu 2018",
        end=r"at $\pi \propto f^{1/(1-q)}$, for q = 1 with the likeliest token alone",
    ),
    "dynamic fine-tuning": HiddenReward(
        loss=r"-\mathrm{sg}\left[\pi(x)\right]\log\pi(x)",
        reward="1",
        push=lambda pi, strength, vocab_size: pi.copy(),
        source="Wu et al. 2025, arXiv 2508.05629",
        end="with the likeliest token alone",
    ),
    "label smoothing": HiddenReward(
        loss=r"-(1-\varepsilon)\log\pi(x) - \frac{\varepsilon}{V}\sum_a\log\pi(a)",
        reward=r"\dfrac{1-\varepsilon+\varepsilon/V}{\pi(x)}",
        push=lambda pi, epsilon, vocab_size: np.full_like(pi, 1 - epsilon + epsilon / vocab_size),
        wrong_reward=r"\dfrac{\varepsilon/V}{\pi(a)}",
        wrong_push=lambda pi, epsilon, vocab_size: np.full_like(pi, epsilon / vocab_size),
        parameter="ε", low=0, high=0.5, default=0.1,
        source="Szegedy et al. 2016",
        end=r"at $(1-\varepsilon)\,f + \varepsilon/V$",
    ),
    "unlikelihood": HiddenReward(
        loss=r"-\log\pi(x) - \alpha\sum_{a\neq x}\log(1-\pi(a))",
        reward=r"\dfrac{1}{\pi(x)}",
        push=lambda pi, alpha, vocab_size: np.ones_like(pi),
        wrong_reward=r"-\dfrac{\alpha}{1-\pi(a)}",
        wrong_push=lambda pi, alpha, vocab_size: -alpha * pi / (1 - pi),
        parameter="α", low=0, high=2, default=1,
        source="Welleck et al. 2020, here with every wrong token as a negative candidate",
        end="at $f$, whatever α",
    ),
    "GEM": _SecondDistribution(
        loss=r"-\log\pi(x) + \sum_a\mathrm{sg}\left[\rho(a)\right]\log\pi(a),\ \rho\propto\pi^{1/\tau}",
        reward=r"1+\dfrac{1-\rho(x)}{\pi(x)}",
        push=lambda pi, tau, vocab_size: 1 + pi - _second(pi, tau, vocab_size),
        wrong_reward=r"1-\dfrac{\rho(a)}{\pi(a)}",
        wrong_push=lambda pi, tau, vocab_size: pi - _second(pi, tau, vocab_size),
        parameter="τ", low=0.5, high=2, default=0.7,
        source="Li et al. 2025, arXiv 2408.16673, linear h; τ is their β",
        end=r"at $\pi \propto f^\tau$",
    ),
    "direct coverage": HiddenReward(
        loss=r"-\log\left(1-(1-\pi(x))^N\right)",
        reward=r"\dfrac{N(1-\pi(x))^{N-1}}{1-(1-\pi(x))^N}",
        push=_coverage,
        parameter="N", low=0.25, high=16, default=4,
        source="Chen et al. 2025, arXiv 2502.07154; N below 1 is ours",
        end="flatter than $f$ for N > 1, sharper for N < 1",
    ),
    "MaxRL": HiddenReward(
        loss=r"\sum_{k=1}^{T}\frac{1}{k}(1-\pi(x))^k",
        reward=r"\dfrac{1-(1-\pi(x))^T}{\pi(x)}",
        push=lambda pi, terms, vocab_size: -np.expm1(terms * np.log1p(-pi)),
        parameter="T", low=1, high=40, default=4,
        source="Tajwar et al. 2026, arXiv 2602.02710, here of one token; T = 1 is dynamic fine-tuning",
        end=r"sharper than $f$, without the tokens for which $f(a)\,T$ is below the mean reward",
    ),
}  # fmt: skip
"""The losses by name, cross-entropy first."""
