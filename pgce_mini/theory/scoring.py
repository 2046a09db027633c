"""The loss that is really descended: integrate the reward, and every beta has a score of its own.

The value of the shaped loss is a surrogate: its weight is held constant. With beta alone, product form, its
gradient is nevertheless that of an honest function of pi(x), the probability of the token that came:

    score(p) = integral from p to 1 of (1 - t)^beta / t dt,      which is -log p at beta = 0.

A score is *proper* when its mean over labels x ~ q is least at pi = q. There a little probability may move from
one token to another at no cost, so q_a score'(q_a) is the same for all a. With three or more tokens only the
logarithm has that, up to a factor and a constant, among the smooth scores that look at pi(x) alone (Shuford,
Albert and Massengill 1966; for densities Bernardo 1979): every other beta gives calibration up.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.theory.dynamics import FloatArray, _as_distribution

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


def hidden_score(probs: ArrayLike, beta: float) -> FloatArray:
    """What the shaped loss of product form charges for a label of probability p, in nats; infinite at 0, 0 at 1.

    Shapes:
        probs: (...), in [0, 1] -> (...)

    Raises:
        ValueError: a probability is none; beta <= -1, where the integral is infinite for every p < 1.

    Source: ours. The clamp of 1 - pi at 1e-6, which keeps a training finite, is left out.
    """
    p = np.asarray(probs, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probs must lie between 0 and 1")
    if not (math.isfinite(beta) and beta > -1):
        raise ValueError(f"beta must be above -1 for a finite score, got {beta}")
    # -log p and the integral of (u^beta - 1) / (1 - u) over u = 1 - t; u = s^n makes it smooth at u = 0.
    n = 4 / min(1.0, 1 + beta)
    end = (1 - p[..., None]) ** (1 / n)  # (..., 1)
    log_u = n * (np.log((NODES + 1) / 2) + np.log(np.where(end > 0, end, 1)))  # (..., nodes)
    slope = np.expm1(beta * log_u) / -np.expm1(log_u) * n * np.exp(log_u * (1 - 1 / n))
    with np.errstate(divide="ignore"):  # log 0: infinite, as it should be
        return np.asarray(-np.log(p) + (slope * WEIGHTS).sum(-1) * end[..., 0] / 2)


def expected_score(policy: ArrayLike, label_distribution: ArrayLike, beta: float) -> FloatArray:
    """The mean of `hidden_score` over labels x ~ q: what gradient descent lowers, least at `stationary_policy`.

    Shapes:
        policy: (..., V), each row a distribution; label_distribution: (V,) -> (...)

    Raises:
        ValueError: as `hidden_score`, or when `label_distribution` is no distribution or does not fit.

    Source: ours.
    """
    q = _as_distribution(label_distribution)
    pi = np.asarray(policy, dtype=np.float64)
    if pi.ndim == 0 or pi.shape[-1] != q.size:
        raise ValueError(f"policy must have shape (..., {q.size}) as label_distribution, got {pi.shape}")
    seen = q > 0  # 0 * infinity: what never comes costs nothing
    return np.asarray((q[seen] * hidden_score(pi[..., seen], beta)).sum(-1))
