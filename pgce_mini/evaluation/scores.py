"""Scores of samples: Pass@k, Avg@m, Cons@m."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from pgce_mini.checks import check_whole
from pgce_mini.theory import FloatArray


@overload
def pass_at_k(n: int, c: int, k: int) -> float: ...


@overload
def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> FloatArray: ...


def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> FloatArray | float:
    """Pass@k = 1 - C(n-c, k) / C(n, k): the probability that k of n samples, drawn without replacement, contain a
    right one when c of the n are right. An unbiased estimate of the same probability for k new samples.

    Shapes:
        n, c: whole numbers that broadcast together (one entry a problem) -> the same shape; k: one number

    Raises:
        ValueError: unless 1 <= k <= n and 0 <= c <= n.

    Source: paper, metrics; Chen et al. 2021 (arXiv 2107.03374), Eq. 1.
    """
    k = check_whole("k", k, 1)
    total, right = np.broadcast_arrays(n, c)
    if not (np.issubdtype(total.dtype, np.integer) and np.issubdtype(right.dtype, np.integer)):
        raise ValueError(f"n and c must be whole numbers, got {total.dtype} and {right.dtype}")
    if ((right < 0) | (right > total)).any():
        raise ValueError("c must count some of the n samples: 0 <= c <= n")
    if (k > total).any():
        raise ValueError(f"k must lie between 1 and n, got k={k} and n={total.min()}: draw more samples")
    drawn = np.arange(k)
    # C(n-c, k) / C(n, k) as a product of k ratios in [0, 1]; one is 0 where fewer than k samples are wrong.
    all_wrong = ((total - right)[..., None] - drawn).clip(0) / (total[..., None] - drawn)  # (..., k)
    result: FloatArray = 1.0 - all_wrong.prod(-1)
    return result if total.ndim else float(result)


def avg_at_m(rewards: ArrayLike) -> FloatArray:
    """Avg@m of each problem, the mean of its m rewards; its mean over problems is the Avg@m of the set.

    Shapes:
        rewards: (P, m) -> (P,)

    Raises:
        ValueError: rewards is not a table of finite numbers with at least one sample a problem.

    Source: paper, metrics.
    """
    table = np.asarray(rewards, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"rewards must be (problems, samples), at least one sample each, got {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("rewards must hold finite numbers")
    return np.asarray(table.mean(axis=1))


def cons_at_m(answers: Sequence[Sequence[str | None]], correct: ArrayLike) -> FloatArray:
    """Cons@m of each problem: is the most frequent of its m answers right?

    None is no answer and does not vote; without a vote the problem scores 0. Among tied answers one would be
    picked at random: the score is the expected value, whatever the order of the samples.

    Shapes:
        answers: P rows of m; correct: (P, m), nonzero where the sample is right -> (P,) in [0, 1]

    Raises:
        ValueError: answers and correct have different shapes, or correct holds nan or no numbers.

    Source: paper, metrics; Wang et al. 2022 (arXiv 2203.11171); ties are ours.
    """
    given = np.asarray(correct)
    right = given != 0
    if given.dtype.kind not in "biuf" or not (given == given).all():  # "no", None and nan are not 0 either
        raise ValueError(
            "correct must say of each sample whether it is right: a truth value, or a number, not nan"
        )
    if right.ndim != 2 or [len(row) for row in answers] != [right.shape[1]] * right.shape[0]:
        raise ValueError(f"answers must have the rows and columns of correct, which is {right.shape}")
    scores = np.zeros(len(answers))
    for problem, row in enumerate(answers):
        votes = Counter(answer for answer in row if answer is not None)
        if votes:
            most = max(votes.values())
            # Tied answers have equally many samples: a mean over their samples is a mean over the answers.
            tied = [answer is not None and votes[answer] == most for answer in row]
            scores[problem] = right[problem, tied].mean()
    return scores
