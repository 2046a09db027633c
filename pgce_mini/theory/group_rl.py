"""RL with a verifier on one state: groups of G tokens, rewards of 1 or 0, group-relative advantages.

A group y_1 ... y_G is drawn from pi = softmax(z), k of it right. Its push, what a step of size 1 adds to z, is

    1/G sum_i A_i (onehot(y_i) - pi),        A_i = r_i - mean(r), or that divided by the standard deviation of r.

The advantages of a group sum to 0, so pi drops out: a token that was not drawn keeps its logit, and a group whose
tokens all earn the same pushes nothing. With p the probability of being right, k is binomial and the expected push

    E[f(k)] pi_a / p  on a right token,    - E[f(k)] pi_a / (1 - p)  on a wrong one,

where f(k) = k (G - k) / G^2, divided by the standard deviation if the advantages are; if not, E[f(k)] is
(1 - 1/G) p (1 - p). No step lowers p: what goes wrong is that no right token is drawn.

The same seed draws the same numbers in `playground/group_rl.js`.

Source: DeepSeekMath (arXiv 2402.03300), section 4.1.2; without dividing, Dr. GRPO (arXiv 2503.20783); the closed
form is ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgce_mini.checks import check_choice, check_positive, check_whole
from pgce_mini.theory.distributions import FloatArray, check_distribution

GroupScaling = Literal["none", "group"]
STD_EPSILON = 1e-4  # added to the standard deviation of rewards, here and in `training`, as TRL does


class GroupRun(NamedTuple):
    """RL on one state, step by step."""

    policies: FloatArray
    """the start included, (steps + 1, V)"""
    tokens: NDArray[np.intp]
    """what each group drew, (steps, G)"""
    teaches: NDArray[np.bool_]
    """whether not all of a group earned the same, (steps,)"""


def uniforms(seed: int, count: int) -> FloatArray:
    """`count` numbers in [0, 1) from the generator mulberry32, a hash of a counter. Shapes: -> (count,)

    Raises:
        ValueError: when `seed` is no whole number of at least 0 and below 2^32, or `count` none of at least 0.

    Source: Tommy Ettinger, public domain.
    """
    check_whole("seed", seed, 0, 2**32 - 1)
    check_whole("count", count, 0)
    state = (seed + 0x6D2B79F5 * np.arange(1, count + 1, dtype=np.uint64)).astype(np.uint32)
    mixed = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
    mixed ^= mixed + (mixed ^ (mixed >> np.uint32(7))) * (mixed | np.uint32(61))
    return np.asarray((mixed ^ (mixed >> np.uint32(14))) / 2**32)


def sample_tokens(probs: ArrayLike, draws: ArrayLike) -> NDArray[np.intp]:
    """The token at which the cumulated probabilities first exceed each number of `draws`: the inverse CDF.

    Two policies that take the same numbers differ in their tokens only as far as they differ themselves.

    Shapes:
        probs: (V,); draws: (...), in [0, 1) -> (...)

    Raises:
        ValueError: when `probs` is not a distribution.
    """
    pi = check_distribution("probs", probs, tolerance=1e-9)
    return _sampled(pi, np.asarray(draws, dtype=np.float64))


def group_push(
    tokens: ArrayLike, right: ArrayLike, vocab_size: int, scale_rewards: GroupScaling = "none"
) -> FloatArray:
    """The push on the logits that a group of drawn tokens gives. Shapes: tokens (..., G); right (N,) -> (..., V)

    right: the tokens that earn 1.

    Raises:
        ValueError: when a token of either is not in 0 ... V - 1, there is no group of two or more, or there is no
            such `scale_rewards`.
    """
    check_choice("scale_rewards", scale_rewards, get_args(GroupScaling))
    drawn = np.asarray(tokens)
    if drawn.ndim == 0 or drawn.shape[-1] < 2:
        raise ValueError(f"tokens must have shape (..., G) with G >= 2, got {drawn.shape}")
    is_right = _mask("right", right, vocab_size)
    _mask("tokens", drawn.ravel(), vocab_size)
    return _push(drawn, is_right, scale_rewards)


def expected_group_push(
    probs: ArrayLike, right: ArrayLike, group_size: int, scale_rewards: GroupScaling = "none"
) -> FloatArray:
    """`group_push` averaged over all groups that the policy may draw, in closed form. Shapes: (V,), (N,) -> (V,)

    Raises:
        ValueError: when `probs` is not a distribution, or as `group_push`.
    """
    pi = check_distribution("probs", probs, tolerance=1e-9)
    check_choice("scale_rewards", scale_rewards, get_args(GroupScaling))
    group_size = check_whole("group_size", group_size, 2)
    return _expected_push(pi, _mask("right", right, pi.size), group_size, scale_rewards)


def group_run(
    logits: ArrayLike,
    right: ArrayLike,
    *,
    group_size: int,
    steps: int,
    lr: float,
    seed: int,
    scale_rewards: GroupScaling = "none",
) -> GroupRun:
    """RL from these logits: in each step a group is drawn, and the logits move by lr times its push.

    Step i draws with the numbers i G ... i G + G - 1 of the seed, whatever the start.

    Shapes:
        logits: (V,), -inf for a token of probability 0; right: (N,)

    Raises:
        ValueError: when an argument makes no sense.
    """
    z, is_right = _checked(logits, right, group_size, steps, lr, scale_rewards)
    draws = uniforms(seed, steps * group_size).reshape(steps, group_size)
    policies, groups = [_softmax(z)], np.empty((steps, group_size), dtype=np.intp)
    for step in range(steps):
        groups[step] = _sampled(policies[-1], draws[step])
        z = z + lr * _push(groups[step], is_right, scale_rewards)
        policies.append(_softmax(z))
    earned = is_right[groups].sum(-1)
    return GroupRun(np.stack(policies), groups, (earned > 0) & (earned < group_size))


def expected_group_run(
    logits: ArrayLike,
    right: ArrayLike,
    *,
    group_size: int,
    steps: int,
    lr: float,
    scale_rewards: GroupScaling = "none",
) -> FloatArray:
    """The policy along RL that takes the expected push in each step, as from many groups at once.

    Shapes:
        logits: (V,), -inf for a token of probability 0; right: (N,) -> (steps + 1, V)

    Raises:
        ValueError: when an argument makes no sense.
    """
    z, is_right = _checked(logits, right, group_size, steps, lr, scale_rewards)
    policies = [_softmax(z)]
    for _ in range(steps):
        z = z + lr * _expected_push(policies[-1], is_right, group_size, scale_rewards)
        policies.append(_softmax(z))
    return np.stack(policies)


def right_in_k(prob_right: ArrayLike, k: int) -> FloatArray:
    """Pass@k of one state: that of k new tokens one or more are right, 1 - (1 - p)^k. Shapes: (...) -> (...)

    Raises:
        ValueError: when `k` is no whole number of at least 1, or `prob_right` holds no probabilities.
    """
    k = check_whole("k", k, 1)
    p = np.asarray(prob_right, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("prob_right must hold probabilities")
    with np.errstate(divide="ignore"):  # log 0 where p = 1
        return np.asarray(-np.expm1(k * np.log1p(-p)))


def all_alike(prob_right: ArrayLike, group_size: int) -> FloatArray:
    """How probable it is that all of a group earn the same, p^G + (1 - p)^G, and nothing is pushed. (...) -> (...)

    Raises:
        ValueError: as `right_in_k`, of `group_size`.
    """
    group_size = check_whole("group_size", group_size, 1)
    p = np.asarray(prob_right, dtype=np.float64)
    return np.asarray(p**group_size + 1 - right_in_k(p, group_size))


def _checked(
    logits: ArrayLike, right: ArrayLike, group_size: int, steps: int, lr: float, scale_rewards: str
) -> tuple[FloatArray, NDArray[np.bool_]]:
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 1 or z.size < 2 or not np.isfinite(z.max()):
        raise ValueError("logits must have shape (V,) with V >= 2, of numbers or -inf, a finite one among them")
    check_whole("group_size", group_size, 2)
    check_whole("steps", steps, 0)
    check_positive("lr", lr, least=0)
    check_choice("scale_rewards", scale_rewards, get_args(GroupScaling))
    return z, _mask("right", right, z.size)


def _mask(name: str, tokens: ArrayLike, vocab_size: int) -> NDArray[np.bool_]:
    """Which tokens are among these. (N,) -> (V,)"""
    listed = np.asarray(tokens)
    whole = listed.size == 0 or np.issubdtype(listed.dtype, np.integer)
    if listed.ndim != 1 or not (whole and ((listed >= 0) & (listed < vocab_size)).all()):
        raise ValueError(f"{name} must hold whole numbers from 0 to {vocab_size - 1}")
    mask = np.zeros(vocab_size, dtype=bool)
    mask[listed.astype(np.intp)] = True
    return mask


def _softmax(logits: FloatArray) -> FloatArray:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def _sampled(probs: FloatArray, draws: FloatArray) -> NDArray[np.intp]:
    last = np.flatnonzero(probs)[-1]  # the sum may round to less than 1
    found = np.searchsorted(np.cumsum(probs), draws, side="right")
    return np.asarray(np.minimum(found, last), dtype=np.intp)


def _push(tokens: NDArray[np.intp], is_right: NDArray[np.bool_], scale_rewards: str) -> FloatArray:
    rewards = is_right[tokens].astype(np.float64)  # (..., G)
    advantages = rewards - rewards.mean(-1, keepdims=True)
    if scale_rewards == "group":
        advantages /= rewards.std(-1, ddof=1, keepdims=True) + STD_EPSILON
    drawn = tokens[..., None] == np.arange(is_right.size)  # (..., G, V)
    return np.asarray((advantages[..., None] * drawn).mean(-2))


def _expected_push(
    probs: FloatArray, is_right: NDArray[np.bool_], group_size: int, scale_rewards: str
) -> FloatArray:
    p, wrong = probs[is_right].sum(), probs[~is_right].sum()
    if p <= 0 or wrong <= 0:
        return np.zeros_like(probs)
    k = np.arange(group_size + 1)
    log_ways = np.concatenate([[0.0], np.cumsum(np.log((group_size - k[1:] + 1) / k[1:]))])
    chance = np.exp(log_ways + k * np.log(p) + (group_size - k) * np.log(wrong))  # of k right ones
    variance = k * (group_size - k) / group_size**2  # of the group's rewards
    if scale_rewards == "group":
        force = variance / (np.sqrt(variance * group_size / (group_size - 1)) + STD_EPSILON)
    else:
        force = variance
    return np.asarray((chance @ force) * np.where(is_right, probs / p, -probs / wrong))
