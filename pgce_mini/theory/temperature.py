"""Temperature, the control that the paper lacks: what a softmax at another temperature would give.

q^(1/T), normalised, is what a model that has learnt q samples from at temperature T. With two tokens the policy
where the product form with beta alone ends is just that at T = 1 + beta; with more it is not, and the difference
to the temperature of the same entropy measures by how much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.reward import RewardShaping
from pgce_mini.theory.dynamics import FloatArray, _as_distribution, entropy, stationary_policies, stationary_policy


def tempered(label_distribution: ArrayLike, temperature: float) -> FloatArray:
    """q^(1/T), normalised: below T = 1 sharper, above it flatter; a token of probability 0 keeps it.

    Shapes:
        label_distribution: (V,) -> (V,)

    Raises:
        ValueError: when `label_distribution` is not a distribution or `temperature` not a positive number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a positive number, got {temperature}")
    with np.errstate(divide="ignore"):  # log 0 = -inf stays there
        logits = np.log(_as_distribution(label_distribution)) / temperature
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def matched_temperature(label_distribution: ArrayLike, nats: float) -> float:
    """The temperature at which `label_distribution` has the entropy `nats`, to 1e-12 of its logarithm.

    Shapes:
        label_distribution: (V,)

    Raises:
        ValueError: when `label_distribution` is not a distribution; when no temperature in [1e-4, 1e4] gives the
            entropy, as at or above log V, or below the entropy of a tie for the first place.
    """
    low, high = math.log(1e-4), math.log(1e4)
    q = _as_distribution(label_distribution)
    seen = np.log(q[q > 0])

    def entropy_at(temperature: float) -> float:
        logits = (seen - seen.max()) / temperature
        weights = np.exp(logits)
        total = weights.sum()
        return float(np.log(total) - weights @ logits / total)

    if not entropy_at(1e-4) <= nats <= entropy_at(1e4):
        raise ValueError(f"nats must be an entropy that some temperature in [1e-4, 1e4] gives, got {nats}")
    while high - low > 1e-12:  # the entropy rises with the temperature
        middle = (low + high) / 2
        low, high = (middle, high) if entropy_at(math.exp(middle)) < nats else (low, middle)
    return math.exp((low + high) / 2)


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Half the sum of |p - q|: the probability that would have to move to turn one into the other."""
    return float(np.abs(np.asarray(p, dtype=np.float64) - np.asarray(q, dtype=np.float64)).sum() / 2)


class Ending(NamedTuple):
    """Where training ends, beside the labels and beside temperature."""

    policy: list[float]
    entropy: float
    """nats"""
    confidence: float
    """probability of the likeliest token"""
    accuracy: float
    """how often that token is the label: a calibrated policy has the same number twice"""
    temperature: float | None
    """at which the labels have the entropy of the policy; None when there is none"""
    residual: float | None
    """total variation between the policy and the labels at that temperature: 0 where shaping is a temperature"""


def ending(label_distribution: ArrayLike, shaping: RewardShaping) -> Ending:
    """`stationary_policy` and what distinguishes it.

    Shapes:
        label_distribution: (V,)

    Raises:
        ValueError: as `stationary_policy`.

    Source: ours.
    """
    q = _as_distribution(label_distribution)
    return _beside(q, stationary_policy(q, shaping))


def endings(label_distribution: ArrayLike, shapings: Sequence[RewardShaping]) -> list[Ending | None]:
    """`ending` of several shapings, of one form and top_k, at once; None where training does not end.

    Shapes:
        label_distribution: (V,)

    Raises:
        ValueError: as `stationary_policies`.

    Source: ours.
    """
    q = _as_distribution(label_distribution)
    return [None if np.isnan(policy[0]) else _beside(q, policy) for policy in stationary_policies(q, shapings)]


def _beside(q: FloatArray, policy: FloatArray) -> Ending:
    nats = float(entropy(policy))
    temperature: float | None = None
    residual: float | None = None
    with suppress(ValueError):
        temperature = matched_temperature(q, nats)
        residual = total_variation(policy, tempered(q, temperature))
    top = int(policy.argmax())
    return Ending(policy.tolist(), nats, float(policy[top]), float(q[top]), temperature, residual)
