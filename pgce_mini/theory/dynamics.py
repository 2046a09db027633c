"""One state of the shaped loss, solved exactly: the expected gradient, the path of training, and its end.

The true token x is random, x ~ q, and the policy is pi = softmax(z). Averaged over x, token a has a weight w_a
and, divided by its own probability, a reward R_a:

    w_a = q_a omega(pi_a) + (1 - q_a) pi_a lambda_a,        R_a = w_a / pi_a,        W = sum_a w_a,

where omega(pi) = pi * r_pos(pi) is the weight of a true token and lambda_a the reward of a wrong one, by its rank.
Gradient descent is dz_a/dt = w_a - pi_a W = pi_a (R_a - W): a logit grows while its token earns more than the mean
reward W. The replicator equation of evolutionary game theory has the same right side, for d pi_a/dt; both are at
rest where all tokens of positive probability earn the same.

NumPy in float64, no sampling: tests and figures compare trained models with it. What names no source is ours.
The head is the `top_k` most probable tokens; of equal ones, those of the lowest index (a stable sort).
`torch.topk`, which the loss uses, promises no order among equal ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgce_mini.checks import check_positive, check_whole
from pgce_mini.reward import MIN_COMPLEMENT, MOST_LOG_WEIGHT, Form, RewardShaping
from pgce_mini.theory.distributions import FloatArray, label_probabilities

RESIDUAL_TOLERANCE = 1e-9  # largest gradient that a stationary policy may have left


def expected_gradient(logits: ArrayLike, label_distribution: ArrayLike, shaping: RewardShaping) -> FloatArray:
    """dL/dz of the shaped loss averaged over labels x ~ q: pi_a W - w_a, in closed form.

    Shapes:
        logits: (..., V), -inf for a token of probability 0; label_distribution: (V,) -> (..., V)

    Raises:
        ValueError: when `label_distribution` is not a distribution, or `logits` do not fit it or hold
            nan, +inf or a row of nothing but -inf.

    Source: ours, the average over x of the gradient of paper Eq. 4 under the reward of Eq. 11 and 12.
    """
    q = label_probabilities(label_distribution)
    return _gradient(_as_logits(logits, q.size), q, shaping)


def expected_reward(logits: ArrayLike, label_distribution: ArrayLike, shaping: RewardShaping) -> FloatArray:
    """W = sum_a w_a: what a token drawn from the policy earns on average. Under cross-entropy it is always 1.

    Shapes:
        logits: (..., V), -inf for a token of probability 0; label_distribution: (V,) -> (...)

    Raises:
        ValueError: as `expected_gradient`.

    Source: ours, the average over x of J in paper Eq. 4.
    """
    q = label_probabilities(label_distribution)
    _, weights = _expected_weights(_as_logits(logits, q.size), q, shaping)
    return np.asarray(weights.sum(-1))


def policy_flow(
    logits: ArrayLike,
    label_distribution: ArrayLike,
    shaping: RewardShaping | Sequence[RewardShaping],
    steps: int,
    lr: float,
) -> FloatArray:
    """The policy along `steps` steps of plain gradient descent on the logits, the start included.

    Several shapings of the same form and top_k are followed at once, each on its own path from the same start.

    Shapes:
        logits: (..., V); label_distribution: (V,) -> (steps + 1, ..., V) probabilities; with several shapings
        logits: (V,) -> (steps + 1, N, V)

    Raises:
        ValueError: as `expected_gradient`; when `steps` is no whole number of at least 0 or `lr` not a positive
            number; when there is no shaping, or not all are of the same form and top_k; when the path overflows.
    """
    steps, lr = check_whole("steps", steps, 0), check_positive("lr", lr, least=0)
    q = label_probabilities(label_distribution)
    z = _as_logits(logits, q.size)
    rewards: RewardShaping | _Shapings = shaping if isinstance(shaping, RewardShaping) else _Shapings.of(shaping)
    if isinstance(rewards, _Shapings):
        z = np.broadcast_to(z, (len(rewards.beta), q.size))
    path = [z]
    with np.errstate(over="ignore", invalid="ignore"):  # found out below
        for _ in range(steps):
            path.append(path[-1] - lr * _gradient(path[-1], q, rewards))
        probs = np.exp(_log_softmax(np.stack(path)))
    if not np.isfinite(probs).all():
        raise ValueError(
            f"lr must be lower, or the shaping milder: descent with lr={lr:g} leaves what a float holds"
        )
    return np.asarray(probs)


def stationary_policy(label_distribution: ArrayLike, shaping: RewardShaping) -> FloatArray:
    """Where training ends when it starts from the policy of cross-entropy, q; the head is the top_k of q.

    The policy solves pi_a (W - (1 - q_a) lambda_a) = q_a omega(pi_a); with beta alone, product form, that is
    pi_a = q_a (1 - pi_a)^beta / sum_b q_b (1 - pi_b)^beta. A token that is never the label ends at 0, unless W
    would fall below its lambda (which takes beta > 0, a lambda above 1 or a strongly negative lambda_head). Such
    tokens divide among them what the others leave. The equation determines only their sum; they get equal shares
    here, as they do in training when their logits start equal.

    As in the loss, 1 - pi is never taken below 1e-6, so above pi = 1 - 1e-6 the second formula does not hold.

    Shapes:
        label_distribution: (V,) -> (V,)

    Raises:
        ValueError: when `label_distribution` is not a distribution; when beta <= -1 (in the product form a token
            that leads far enough then takes all the probability, at -1 one with q_a above 1/2, so that the end may
            depend on the start); when being in the head drives a token out of it (lambda_head < lambda_tail), so
            that nothing is stationary.
    """
    q = label_probabilities(label_distribution)
    if shaping.beta <= -1:
        raise ValueError(
            f"beta must be above -1 for a stationary policy, got {shaping.beta}: below it, in the product form, a "
            "token that leads far enough takes all the probability, so the end may depend on the start"
        )
    probs, residual = _solved(q, _Shapings.of([shaping]))
    if not residual[0] <= RESIDUAL_TOLERANCE:  # the head of probs is then not that of q
        raise ValueError(
            "shaping has no stationary policy for this label_distribution: being in the head drives a token out "
            f"of it (a gradient of {residual[0]:.1e} is left); choose lambda_head >= lambda_tail or another top_k"
        )
    return np.asarray(probs[0])


def stationary_policies(label_distribution: ArrayLike, shapings: Sequence[RewardShaping]) -> FloatArray:
    """`stationary_policy` of several shapings of one form and top_k, solved at once; a row of nan if it has none.

    Shapes:
        label_distribution: (V,) -> (N, V)

    Raises:
        ValueError: when `label_distribution` is not a distribution, or as `policy_flow` about the shapings.
    """
    q = label_probabilities(label_distribution)
    resting = _Shapings.of(shapings).beta[:, 0] > -1
    found = np.full((len(shapings), q.size), np.nan)
    if resting.any():
        probs, residual = _solved(q, _Shapings.of([s for s in shapings if s.beta > -1]))
        found[resting] = np.where(residual[:, None] <= RESIDUAL_TOLERANCE, probs, np.nan)
    return found


def simplex_field(
    shaping: RewardShaping, label_distribution: ArrayLike, resolution: int
) -> tuple[FloatArray, FloatArray]:
    """The flow d pi/dt of three tokens under gradient descent on the logits.

    d pi_a/dt = pi_a (dz_a/dt - sum_b pi_b dz_b/dt) with dz/dt = -dL/dz. The points are a triangular lattice,
    `resolution` to a side, strictly inside the simplex: on its edge the velocity of a missing token is 0.

    Shapes:
        label_distribution: (3,) -> points (N, 3), velocities (N, 3), N = resolution (resolution + 1) / 2

    Raises:
        ValueError: when `label_distribution` is not a distribution over 3 tokens or `resolution` is below 1.
    """
    q = label_probabilities(label_distribution)
    if q.size != 3:
        raise ValueError(f"label_distribution must be over 3 tokens, got {q.size}")
    resolution = check_whole("resolution", resolution, 1)
    i, j = np.triu_indices(resolution)  # i <= j < resolution
    points = (np.stack([i, j - i, resolution - 1 - j], axis=-1) + 1 / 3) / resolution  # (N, 3)
    descent = -expected_gradient(np.log(points), q, shaping)
    return points, points * (descent - (points * descent).sum(-1, keepdims=True))


def simplex_xy(points: ArrayLike) -> FloatArray:
    """Points of the 3-token simplex in the plane: corners (0, 0), (1, 0) and (1/2, sqrt(3)/2).

    The map is linear and token 0 lies at the origin, so it takes velocities too.

    Shapes:
        points: (..., 3) -> (..., 2)
    """
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
    return np.asarray(np.asarray(points, dtype=np.float64) @ corners)


class _Shapings(NamedTuple):
    """Several `RewardShaping` at once, one a row; the functions below take it in the place of a single one."""

    beta: FloatArray  # (N, 1), as both lambdas
    lambda_head: FloatArray
    lambda_tail: FloatArray
    top_k: int
    form: Form

    @classmethod
    def of(cls, shapings: Sequence[RewardShaping]) -> _Shapings:
        kinds = {(shaping.top_k, shaping.form) for shaping in shapings}
        if len(kinds) != 1:
            raise ValueError(
                f"shapings must be one or more, all of the same top_k and form, got {len(kinds)} kinds"
            )
        numbers = np.array([(s.beta, s.lambda_head, s.lambda_tail) for s in shapings], dtype=np.float64)
        return cls(numbers[:, :1], numbers[:, 1:2], numbers[:, 2:], *kinds.pop())


def _as_logits(logits: ArrayLike, vocab_size: int) -> FloatArray:
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim == 0 or z.shape[-1] != vocab_size:
        raise ValueError(f"logits must have shape (..., {vocab_size}) as label_distribution, got {z.shape}")
    if not np.isfinite(z.max(-1)).all():  # nan and +inf spread to the maximum
        raise ValueError("logits must hold numbers or -inf, and a finite one in every row")
    return z


def _gradient(logits: FloatArray, q: FloatArray, shaping: RewardShaping | _Shapings) -> FloatArray:
    """`expected_gradient` of arguments that are checked."""
    probs, weights = _expected_weights(logits, q, shaping)
    return np.asarray(probs * weights.sum(-1, keepdims=True) - weights)


def _expected_weights(
    logits: FloatArray, q: FloatArray, shaping: RewardShaping | _Shapings
) -> tuple[FloatArray, FloatArray]:
    """pi_a and w_a of arguments that are checked. (..., V), (V,) -> (..., V), (..., V)"""
    log_probs = _log_softmax(logits)
    probs = np.exp(log_probs)
    weights = q * _true_token_weight(log_probs, shaping)
    if np.any(shaping.lambda_head) or np.any(shaping.lambda_tail):
        weights += (1 - q) * probs * _rank_lambda(probs, shaping)
    return probs, weights


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _rank_lambda(probs: FloatArray, shaping: RewardShaping | _Shapings) -> FloatArray:
    """The reward of each token when it is not the label (paper Eq. 12). (..., V) -> (..., V)"""
    head = np.argsort(-probs, axis=-1, kind="stable")[..., : shaping.top_k]
    lambdas = np.full_like(probs, shaping.lambda_tail)
    np.put_along_axis(lambdas, head, shaping.lambda_head, axis=-1)
    return lambdas


def _true_token_weight(log_probs: FloatArray, shaping: RewardShaping | _Shapings) -> FloatArray:
    """omega(pi) from log pi: `reward.true_token_weight` in NumPy."""
    scale = np.maximum(-np.expm1(log_probs), MIN_COMPLEMENT) ** shaping.beta  # (1 - pi)^beta
    if shaping.form == "product":
        return np.asarray(scale)
    log_weight = np.where(scale == 1, 0.0, log_probs) * (1 - scale)  # not -inf * 0 where pi = 0
    return np.asarray(np.exp(np.minimum(log_weight, MOST_LOG_WEIGHT)))


def _solved(q: FloatArray, shapings: _Shapings) -> tuple[FloatArray, FloatArray]:
    """Where training would end if the head stayed that of q, and the largest gradient left there.

    (V,) -> (N, V), (N,)
    """
    lambdas = _rank_lambda(np.broadcast_to(q, (len(shapings.beta), q.size)), shapings)
    probs = _equal_rewards(q, lambdas, shapings)
    with np.errstate(divide="ignore"):  # log 0: a token of probability 0
        left = _gradient(np.log(probs), q, shapings)
    return probs, np.abs(left).max(-1)


def _equal_rewards(q: FloatArray, lambdas: FloatArray, shapings: _Shapings) -> FloatArray:
    """The policy under which all tokens of positive probability earn the same, the ranks held fixed.

    R_a depends on pi_a alone and falls as pi_a grows, so each W has one pi_a(W), and W is found by bisection. Only
    in the product form with beta < 0 does R_a rise again, above pi_a = 1/2, which at most one token can reach:
    the likeliest token is therefore not solved for, but gets what the others leave.

    (V,), (N, V) -> (N, V)
    """
    as_wrong = (1 - q) * lambdas  # what a token earns on average where it is not the label
    seen = np.flatnonzero(q)
    top = int(q.argmax())
    others = seen[seen != top]
    floor = as_wrong[:, seen].max(-1, keepdims=True)  # W lies above; solving for W - floor keeps it exact near 0
    below_floor = floor - as_wrong

    def probs_earning(margin: FloatArray, tokens: NDArray[np.intp]) -> FloatArray:
        """The probability at which each of `tokens` earns floor + margin."""
        return _prob_of_log_reward(np.log(margin + below_floor[:, tokens]) - np.log(q[tokens]), shapings)

    def top_excess(log_margin: FloatArray) -> FloatArray:
        """What the top token earns above floor + margin on the probability that the others leave. (N, 1)"""
        margin = np.exp(log_margin)
        taken = probs_earning(margin, others).sum(-1, keepdims=True)
        room = taken < 1
        taken = np.where(room, taken, 0.0)
        weight = _true_token_weight(np.log1p(-taken), shapings)
        return np.where(room, q[top] * weight / (1 - taken) - margin - below_floor[:, [top]], math.inf)

    # The unknown is the logarithm of the margin, from about the smallest positive float on.
    margin = np.exp(_root_of_falling(top_excess, np.full_like(floor, -700.0), np.full_like(floor, 40.0)))

    # A token that is never the label earns lambda_a at any pi_a: it keeps some if the others would earn less.
    unseen = np.where(q == 0, lambdas, -math.inf)
    best_unseen = unseen.max(-1, keepdims=True)
    joined = best_unseen > floor + margin
    probs = np.zeros_like(lambdas)
    probs[:, seen] = probs_earning(np.where(joined, best_unseen - floor, margin), seen)
    heirs = np.where(joined, unseen == best_unseen, np.arange(q.size) == top)  # of what the others leave
    probs[heirs] = 0
    probs += heirs * (1 - probs.sum(-1, keepdims=True)) / heirs.sum(-1, keepdims=True)
    return probs


def _root_of_falling(
    function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Where decreasing functions, one a row, reach 0: by bisection and, near it, by the Illinois method."""
    at_low, at_high, side = function(low), function(high), np.zeros_like(low)
    for _ in range(200):  # about 25 are usual
        done = (at_high == 0) | (high - low <= 1e-15 * (1 + np.abs(high)))
        if done.all():
            break
        with np.errstate(invalid="ignore"):  # inf / inf, where the secant is not taken
            secant = np.clip(high + at_high * (high - low) / (at_low - at_high), low, high)
        near = (high - low < 1) & np.isfinite(at_low)
        middle = np.where(near, secant, (low + high) / 2)
        value = function(middle)
        rises, falls = ~done & (value > 0), ~done & ~(value > 0)
        # The Illinois method: an end that stays twice has its value halved.
        at_high = np.where(falls, value, np.where(rises & (side == 1), at_high / 2, at_high))
        at_low = np.where(rises, value, np.where(falls & (side == -1), at_low / 2, at_low))
        low, high = np.where(rises, middle, low), np.where(falls, middle, high)
        side = np.where(value > 0, 1.0, -1.0)
    return high


def _prob_of_log_reward(log_reward: FloatArray, shapings: _Shapings) -> FloatArray:
    """The probability at which a true token earns r_pos = exp(log_reward); ~1 where it always earns more.

    r_pos falls in pi, except in the product form with beta < 0, where it rises again above pi = 1 / (1 - beta):
    the root below that is taken. Newton's method on the logit of pi, kept inside a bracket. With L = -log pi,
    log r_pos is L + beta log(1 - pi) (product) or L (1 - pi)^beta (exponent). (N, K) -> (N, K)
    """
    beta, product = shapings.beta, shapings.form == "product"
    raised = np.maximum(beta, 0)
    low = -np.maximum(log_reward, 0) * 2**raised - raised  # log r_pos is larger there
    with np.errstate(divide="ignore", invalid="ignore"):  # no turning point: log 0; a slope of 0 at it
        turning_point = -np.log(np.maximum(-beta, 0)) if product else np.full_like(beta, math.inf)
        high = np.broadcast_to(np.minimum(turning_point, 40.0), low.shape)  # pi rounds to 1 at a logit of 40
        logit, done = np.clip(-log_reward, low, high), np.zeros(low.shape, dtype=bool)
        for _ in range(100):
            minus_log, log_complement = np.logaddexp(0, -logit), -np.logaddexp(0, logit)
            probs, complement = np.exp(-minus_log), np.exp(log_complement)
            if product:
                value, slope = minus_log + beta * log_complement, -complement - beta * probs
            else:
                scale = np.exp(beta * log_complement)
                value, slope = minus_log * scale, -scale * (complement + beta * probs * minus_log)
            gap = value - log_reward
            low, high = np.where(gap > 0, logit, low), np.where(gap > 0, high, logit)
            newton = logit - gap / slope
            following = np.where((low <= newton) & (newton <= high), newton, (low + high) / 2)
            following = np.where(done, logit, following)
            done |= np.abs(following - logit) <= 1e-15 * (1 + np.abs(logit))
            logit = following
            if done.all():
                break
    return np.asarray(np.exp(-np.logaddexp(0, -logit)))
