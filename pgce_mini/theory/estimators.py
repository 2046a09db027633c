"""Three ways to the same gradient: cross-entropy, the exact policy gradient, and REINFORCE with N samples.

One state with policy pi = softmax(z), rewards r_a held constant and J = E_{a~pi}[r_a]. Because
d log pi_a / dz = 1_a - pi,

    dJ/dz = sum_a w_a (1_a - pi) = w - pi sum(w),      w_a = pi_a r_a                  (exact)

REINFORCE draws N samples: it replaces pi_a by n_a / N, the share of samples that are token a, and may subtract a
baseline b from the reward. Its mean is the exact gradient for every b; its variance falls as 1/N.

All gradients here are dJ/dz, minus the gradient of a loss. NumPy in float64. What names no source is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.checks import check_finite, check_seed, check_whole, is_whole
from pgce_mini.theory.distributions import FloatArray, check_distribution

MOST_REWARD = 1e100  # of either sign: its square is a float
REPEATS = 200  # estimates of each size, whose error `compare_gradients` measures


def cross_entropy_gradient(probs: ArrayLike, target: int) -> FloatArray:
    """-d/dz of the cross-entropy -log pi(x): 1_x - pi.

    Shapes:
        probs: (V,), a distribution; target: the id of x -> (V,)

    Raises:
        ValueError: when `probs` is not a distribution or `target` not one of its ids.
    """
    pi = _as_policy(probs, target)
    return np.asarray(np.eye(pi.size)[target] - pi)


def cross_entropy_rewards(probs: ArrayLike, target: int) -> FloatArray:
    """The reward whose policy gradient is cross-entropy's: 1 / pi(x) for the true token x, 0 for all others.

    Shapes:
        probs: (V,), a distribution; target: the id of x -> (V,)

    Raises:
        ValueError: as `cross_entropy_gradient`, and when pi(x) is 0, where the reward is infinite.

    Source: paper Eq. 10.
    """
    pi = _as_policy(probs, target)
    if pi[target] < np.finfo(np.float64).tiny:
        raise ValueError("probs must give the target more than 0: its reward 1 / pi(x) is infinite there")
    rewards = np.zeros_like(pi)
    rewards[target] = 1 / pi[target]
    return rewards


def policy_gradient(probs: ArrayLike, rewards: ArrayLike) -> FloatArray:
    """dJ/dz in closed form: w - pi sum(w) with w = pi r.

    Shapes:
        probs: (V,), a distribution; rewards: (V,) -> (V,)

    Raises:
        ValueError: when `probs` is not a distribution or `rewards` are not finite numbers of its shape.

    Source: paper Eq. 5 summed over all actions; ours.
    """
    pi = _as_policy(probs)
    weights = pi * _as_rewards(rewards, pi)
    return np.asarray(weights - pi * weights.sum())


def sample_counts(probs: ArrayLike, samples: int, seed: int) -> list[int]:
    """How often each token comes in `samples` draws from the policy.

    Shapes:
        probs: (V,), a distribution -> (V,)

    Raises:
        ValueError: when `probs` is not a distribution; when `samples` is no whole number of at least 1.
    """
    pi = _as_policy(probs)
    rng = np.random.default_rng(check_seed(seed))
    counts: list[int] = rng.multinomial(check_whole("samples", samples, 1), pi / pi.sum()).tolist()
    return counts


def reinforce_gradient(
    probs: ArrayLike, rewards: ArrayLike, counts: ArrayLike, baseline: float = 0.0
) -> FloatArray:
    """REINFORCE's estimate of dJ/dz from N samples a ~ pi: the mean of (r_a - baseline) (1_a - pi).

    Shapes:
        probs: (V,), a distribution; rewards: (V,); counts: (..., V), how often each token was drawn -> (..., V)

    Raises:
        ValueError: as `policy_gradient`, and when `counts` do not fit `probs` or hold no sample.

    Source: paper Eq. 5; Williams 1992.
    """
    pi = _as_policy(probs)
    advantages = _as_rewards(rewards, pi) - check_finite("baseline", baseline)
    drawn = np.asarray(counts, dtype=np.float64)
    whole = np.isfinite(drawn) & (drawn >= 0) & (drawn == np.floor(drawn))
    if drawn.shape[-1:] != pi.shape or not whole.all() or not (drawn.sum(-1) > 0).all():
        raise ValueError(
            f"counts must be whole numbers of shape (..., {pi.size}), at least 0, and hold a sample in every row"
        )
    weights = drawn / drawn.sum(-1, keepdims=True) * advantages  # (..., V)
    return np.asarray(weights - pi * weights.sum(-1, keepdims=True))


def reinforce_variance(probs: ArrayLike, rewards: ArrayLike, baseline: float = 0.0) -> float:
    """E |estimate - dJ/dz|^2 of REINFORCE with one sample; with N it is this divided by N.

    Shapes:
        probs: (V,), a distribution; rewards: (V,)

    Raises:
        ValueError: as `policy_gradient`.
    """
    pi, baseline = _as_policy(probs), check_finite("baseline", baseline)
    second_moment = (pi * (_as_rewards(rewards, pi) - baseline) ** 2 * _score_norms(pi)).sum()
    return float(max(second_moment - (policy_gradient(pi, rewards) ** 2).sum(), 0.0))


def optimal_baseline(probs: ArrayLike, rewards: ArrayLike) -> float:
    """The constant baseline of least `reinforce_variance`: E[r |1_a - pi|^2] / E[|1_a - pi|^2].

    The usual baseline, the mean reward E[r], can be far from it and can even add variance.

    Shapes:
        probs: (V,), a distribution; rewards: (V,)

    Raises:
        ValueError: as `policy_gradient`, and when one token has all the probability, so that the gradient is 0.

    Source: Weaver and Tao 2001.
    """
    pi = _as_policy(probs)
    mass = pi * _score_norms(pi)
    if mass.sum() == 0:
        raise ValueError(
            "probs must leave something to a second token: otherwise the gradient is 0 under any baseline"
        )
    return float((mass * _as_rewards(rewards, pi)).sum() / mass.sum())


def reinforce_residual(
    probs: ArrayLike, rewards: ArrayLike, samples: int, repeats: int, seed: int, baseline: float = 0.0
) -> float:
    """The relative error |estimate - dJ/dz| / |dJ/dz|, measured: its root mean square over `repeats` estimates of
    `samples` samples each.

    Shapes:
        probs: (V,), a distribution; rewards: (V,)

    Raises:
        ValueError: as `policy_gradient`; when `samples` or `repeats` are no whole numbers of at least 1; when
            dJ/dz is 0.
    """
    samples, repeats = check_whole("samples", samples, 1), check_whole("repeats", repeats, 1)
    seed = check_seed(seed)
    pi = _as_policy(probs)
    exact = policy_gradient(pi, rewards)
    size = math.sqrt((exact**2).sum())
    if size == 0:
        raise ValueError(
            "rewards must differ among the tokens: otherwise the gradient is 0, and no error is relative to it"
        )
    counts = np.random.default_rng([seed, samples]).multinomial(
        samples, pi / pi.sum(), size=repeats
    )  # (repeats, V)
    estimates = reinforce_gradient(pi, rewards, counts, baseline)
    return float(np.sqrt(((estimates - exact) ** 2).sum(-1).mean()) / size)


def _score_norms(pi: FloatArray) -> FloatArray:
    """|1_a - pi|^2 of each token. (V,) -> (V,)"""
    return np.asarray(1 - 2 * pi + (pi**2).sum())


def _as_policy(probs: ArrayLike, target: int = 0) -> FloatArray:
    pi = check_distribution("probs", probs, tolerance=1e-9)
    if not is_whole(target) or not 0 <= target < pi.size:
        raise ValueError(f"target must be an id in [0, {pi.size}), got {target!r}")
    return pi


def _as_rewards(rewards: ArrayLike, pi: FloatArray) -> FloatArray:
    r = np.asarray(rewards, dtype=np.float64)
    if r.shape != pi.shape or not (np.abs(r) <= MOST_REWARD).all():
        raise ValueError(f"rewards must be {pi.size} finite numbers, a token each, of at most {MOST_REWARD:g}")
    return r


class GradientComparison(NamedTuple):
    """What `compare_gradients` finds. Errors are |estimate - exact| / |exact|."""

    rewards: list[float]
    """(V,)"""
    baseline: float
    """subtracted from the rewards by REINFORCE"""
    counts: list[int]
    """(V,), how often REINFORCE drew each token"""
    gradients: dict[str, list[float]]
    """name -> dJ/dz, (V,): cross-entropy's, which is the exact one; the policy gradient's; REINFORCE's estimate"""
    gap: float
    """largest difference between the first two"""
    error: float
    """of the estimate"""
    measured: list[float]
    """one at each of the sample sizes: root mean square of the error over repeated estimates"""
    expected: list[float]
    """the same in expectation"""
    variance_change: float
    """by the baseline, relative to the variance without one"""


def compare_gradients(
    probs: ArrayLike,
    target: int,
    samples: int,
    seed: int,
    baseline: float,
    sample_sizes: Sequence[int],
) -> GradientComparison:
    """The gradient of cross-entropy, the same as a policy gradient, and REINFORCE's estimate of it from `samples`
    draws; and how the error of the estimate falls over `sample_sizes`.

    Shapes:
        probs: (V,), a distribution; target: the id of x

    Raises:
        ValueError: as `cross_entropy_rewards` and `reinforce_residual`; when the target has all the probability.
    """
    pi = _as_policy(probs)
    rewards = cross_entropy_rewards(pi, target)
    samples, seed = check_whole("samples", samples, 1), check_seed(seed)
    counts = sample_counts(pi, samples, seed)
    gradients = {
        "cross-entropy": cross_entropy_gradient(pi, target),
        "policy gradient, exact": policy_gradient(pi, rewards),
        "REINFORCE": reinforce_gradient(pi, rewards, counts, baseline),
    }
    exact, again, estimate = gradients.values()
    size = float(np.linalg.norm(exact))
    if size == 0:
        raise ValueError(
            "probs must leave something to a second token: the gradient is 0, and no error relative to it"
        )
    variance, plain = (reinforce_variance(pi, rewards, b) for b in (baseline, 0.0))
    return GradientComparison(
        rewards.tolist(),
        baseline,
        counts,
        {name: values.tolist() for name, values in gradients.items()},
        float(np.abs(again - exact).max()),
        float(np.linalg.norm(estimate - exact)) / size,
        [reinforce_residual(pi, rewards, n, REPEATS, seed, baseline) for n in sample_sizes],
        [(variance / n) ** 0.5 / size for n in sample_sizes],
        variance / plain - 1,
    )
