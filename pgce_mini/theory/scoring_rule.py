"""The shaped loss as a scoring rule: the function of pi(x) whose gradient training follows, and its mean.

The value of the shaped loss is a surrogate, as its weight is held constant. With beta alone, in the product form,
its gradient is still that of a function of pi(x), the probability of the true token. It is the reward's integral:

    score(p) = integral from p to 1 of (1 - t)^beta / t dt,      which is -log p at beta = 0.

A score is *proper* when its mean over labels x ~ q is least at pi = q. At that minimum moving a little probability
from one token to another changes nothing, so q_a score'(q_a) is the same for all a. Of the smooth scores that
depend on pi(x) alone, with three or more tokens only the logarithm has this property, up to a factor and a
constant (Shuford, Albert and Massengill 1966; for densities Bernardo 1979). So under every other beta the policy
where training ends is not calibrated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.checks import check_finite
from pgce_mini.reward import BETAS
from pgce_mini.theory.distributions import FloatArray, label_probabilities

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


def hidden_score(probs: ArrayLike, beta: float) -> FloatArray:
    """The score, in nats, of a label that was given the probability p: infinite at p = 0, and 0 at p = 1.

    Shapes:
        probs: (...), in [0, 1] -> (...)

    Raises:
        ValueError: a value of `probs` is outside [0, 1]; beta <= -1, where the integral is infinite.

    Source: ours. Without the clamp of 1 - pi at 1e-6 that the loss has.
    """
    p = np.asarray(probs, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probs must lie between 0 and 1")
    if not check_finite("beta", beta, *BETAS) > -1:
        raise ValueError(f"beta must be above -1 for a finite score, got {beta}")
    # -log p and the integral of (u^beta - 1) / (1 - u) over u = 1 - t; u = s^n makes it smooth at u = 0.
    n = 4 / min(1.0, 1 + beta)
    end = (1 - p[..., None]) ** (1 / n)  # (..., 1)
    log_u = n * (np.log((NODES + 1) / 2) + np.log(np.where(end > 0, end, 1)))  # (..., nodes)
    raised, power = beta * log_u, log_u * (1 - 1 / n)
    small = np.expm1(np.minimum(raised, 1)) * np.exp(power)
    large = np.exp(raised + power) - np.exp(power)  # near beta = -1 u^beta alone overflows
    slope = np.where(raised < 1, small, large) / -np.expm1(log_u) * n
    with np.errstate(divide="ignore"):  # at p = 0 the score is infinite
        return np.asarray(-np.log(p) + (slope * WEIGHTS).sum(-1) * end[..., 0] / 2)


def expected_score(policy: ArrayLike, label_distribution: ArrayLike, beta: float) -> FloatArray:
    """The mean of `hidden_score` over labels x ~ q: what gradient descent lowers, least at `stationary_policy`.

    Shapes:
        policy: (..., V), each row a distribution; label_distribution: (V,) -> (...)

    Raises:
        ValueError: as `hidden_score`; `label_distribution` is not a distribution, or does not fit `policy`.

    Source: ours.
    """
    q = label_probabilities(label_distribution)
    pi = np.asarray(policy, dtype=np.float64)
    if pi.ndim == 0 or pi.shape[-1] != q.size:
        raise ValueError(f"policy must have shape (..., {q.size}) as label_distribution, got {pi.shape}")
    seen = q > 0  # the others cost nothing, where 0 * infinity would be nan
    return np.asarray((q[seen] * hidden_score(pi[..., seen], beta)).sum(-1))
