"""Is a shaping only a temperature? The end of training beside the labels at a temperature (ours).

A model that has learnt q samples, at temperature T, from q^(1/T), normalised. With two tokens training by the
product form with beta alone ends exactly there, at T = 1 + beta. With more tokens it does not; the distance to
the labels at the temperature that gives the same entropy says by how much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.checks import is_finite
from pgce_mini.reward import RewardShaping
from pgce_mini.theory.distributions import FloatArray, entropy, label_probabilities
from pgce_mini.theory.dynamics import stationary_policies, stationary_policy


def tempered(label_distribution: ArrayLike, temperature: float) -> FloatArray:
    """q^(1/T), normalised: sharper than q below T = 1, flatter above; a probability of 0 stays 0.

    Shapes:
        label_distribution: (V,) -> (V,)

    Raises:
        ValueError: when `label_distribution` is not a distribution or `temperature` not a positive number.
    """
    if not is_finite(temperature) or not temperature > 0:
        raise ValueError(f"temperature must be a positive number, got {temperature!r}")
    with np.errstate(divide="ignore", over="ignore"):  # log 0 = -inf, a probability of 0
        seen = np.log(label_probabilities(label_distribution))
        logits = seen / float(temperature)
        if not np.isfinite(logits.max()):  # the temperature is next to 0: what is left are the likeliest
            logits = (seen - seen.max()) / float(temperature)
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def matched_temperature(label_distribution: ArrayLike, nats: float) -> float:
    """The temperature at which `label_distribution` has the entropy `nats`; its logarithm is right to 1e-12.

    Shapes:
        label_distribution: (V,)

    Raises:
        ValueError: when `label_distribution` is not a distribution; when no temperature in [1e-4, 1e4] gives the
            entropy: it is log V or more, or less than that of equal shares for the most probable tokens.
    """
    low, high = math.log(1e-4), math.log(1e4)
    q = label_probabilities(label_distribution)
    seen = np.log(q[q > 0])

    def entropy_at(temperature: float) -> float:
        logits = (seen - seen.max()) / temperature
        weights = np.exp(logits)
        total = weights.sum()
        return float(np.log(total) - weights @ logits / total)

    if not is_finite(nats) or not entropy_at(1e-4) <= nats <= entropy_at(1e4):
        raise ValueError(f"nats must be an entropy that some temperature in [1e-4, 1e4] gives, got {nats}")
    while high - low > 1e-12:  # the entropy rises with the temperature
        middle = (low + high) / 2
        low, high = (middle, high) if entropy_at(math.exp(middle)) < nats else (low, middle)
    return math.exp((low + high) / 2)


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Half the sum of |p - q|: how much probability must be moved to turn one distribution into the other.

    Raises:
        ValueError: the two are not of one shape, or not finite.
    """
    left, right = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if left.shape != right.shape or not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError(f"p and q must be finite and of one shape, got {left.shape} and {right.shape}")
    return float(np.abs(left - right).sum() / 2)


class Ending(NamedTuple):
    """Where training ends, compared with the labels and with a temperature."""

    policy: list[float]
    entropy: float
    """nats"""
    confidence: float
    """probability of the likeliest token"""
    accuracy: float
    """how often that token is the label; equal to the confidence if the policy is calibrated"""
    temperature: float | None
    """at which the labels have the entropy of the policy; None if no temperature gives it"""
    residual: float | None
    """total variation between the policy and the labels at that temperature: 0 where shaping is a temperature"""


def ending(label_distribution: ArrayLike, shaping: RewardShaping) -> Ending:
    """The stationary policy of a shaping, with the numbers that compare it.

    Shapes:
        label_distribution: (V,)

    Raises:
        ValueError: as `stationary_policy`.
    """
    q = label_probabilities(label_distribution)
    return _compared(q, stationary_policy(q, shaping))


def endings(label_distribution: ArrayLike, shapings: Sequence[RewardShaping]) -> list[Ending | None]:
    """`ending` of several shapings, solved at once; None where training does not end.

    Raises:
        ValueError: as `stationary_policies`.
    """
    q = label_probabilities(label_distribution)
    return [None if np.isnan(policy[0]) else _compared(q, policy) for policy in stationary_policies(q, shapings)]


def _compared(q: FloatArray, policy: FloatArray) -> Ending:
    nats = float(entropy(policy))
    temperature = residual = None
    with suppress(ValueError):
        temperature = matched_temperature(q, nats)
        residual = total_variation(policy, tempered(q, temperature))
    top = int(policy.argmax())
    return Ending(policy.tolist(), nats, float(policy[top]), float(q[top]), temperature, residual)
