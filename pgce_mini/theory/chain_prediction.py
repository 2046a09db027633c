"""What the stationary policy of a shaped loss says that a chain-sum prior will do, before any network is trained.

Every token of a chain-sum document is drawn from a distribution q that is known in closed form. A network that
fits its loss everywhere has, at each of them, the stationary policy of the shaping on q (`stationary_policy`);
what follows for whole completions is a sum over a Markov chain. It predicts the prior, not what RL makes of it.

Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pgce_mini.reward import RewardShaping
from pgce_mini.tasks.chain_sum import ANSWER_ID, ZERO_ID, ChainSum
from pgce_mini.theory.dynamics import stationary_policy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ChainPrediction:
    """reasoned_share: completions that reason; accuracy_if_reasoned, accuracy_if_direct: of those that do, and do
    not; accuracy: of all; entropy_by_position: nats, over the completions that reach the position."""

    reasoned_share: float
    accuracy_if_reasoned: float
    accuracy_if_direct: float
    accuracy: float
    entropy_by_position: tuple[float, ...]


@lru_cache(maxsize=1024)
def predict_chain(task: ChainSum, shaping: RewardShaping, problems: int = 96) -> ChainPrediction:
    """What the stationary policy of `shaping` does with held-out problems of `task` (a mean over `problems`).

    Three kinds of token are uncertain: the first (to reason, at which total, or to guess), a running total (it may
    slip) and a guess. All others follow from what stands before them.
    """
    total_count = task.num_operands * task.max_operand + 1
    slip = np.full(total_count, task.slip_rate / total_count)

    step = slip.copy()
    step[0] += 1 - task.slip_rate  # the right total; which one it is makes no difference
    after_step = stationary_policy(step, shaping)
    right, wrong = float(after_step[0]), float(after_step[1])

    first = np.zeros(len(task.vocab))
    first[ZERO_ID : ZERO_ID + total_count] = task.reasoned_share * step
    first[ANSWER_ID] = 1 - task.reasoned_share
    after_first = stationary_policy(first, shaping)
    reasoned = 1 - float(after_first[ANSWER_ID])

    # On the right total or not, from the first written one to the last. From a wrong total the right one is
    # reached by a slip alone, and totals that a slip has pushed over the edge are counted as any other wrong one.
    on_track = float(after_first[ZERO_ID]) / reasoned if reasoned else 0.0
    for _ in range(task.num_operands - 1):
        on_track = on_track * right + (1 - on_track) * wrong

    sums = [sum(task.problem(0, index, "heldout").operands) for index in range(problems)]
    guesses = {total: stationary_policy(_guess(task, total, total_count), shaping) for total in set(sums)}
    direct = float(np.mean([guesses[total][total] for total in sums]))
    guess_entropy = float(np.mean([_entropy(guesses[total]) for total in sums]))

    # A total for each operand, '#', the sum and EOS; '#', the guess and EOS reach the first three positions alone.
    steps, certain = task.num_operands - 1, (0.0, 0.0, 0.0)
    by_position = [
        (reasoned if position < 3 else 1.0) * uncertain
        for position, uncertain in enumerate((*[_entropy(after_step)] * steps, *certain), start=1)
    ]
    by_position[0] += (1 - reasoned) * guess_entropy
    return ChainPrediction(
        reasoned_share=reasoned,
        accuracy_if_reasoned=on_track,
        accuracy_if_direct=direct,
        accuracy=reasoned * on_track + (1 - reasoned) * direct,
        entropy_by_position=(_entropy(after_first), *by_position),
    )


def _guess(task: ChainSum, total: int, total_count: int) -> Array:
    """The distribution of a direct answer: rounded, clipped normal noise around the sum."""
    if task.direct_noise == 0:
        return np.asarray(np.eye(total_count)[total])
    normal = NormalDist(total, task.direct_noise)
    edges = [0.0, *(normal.cdf(value + 0.5) for value in range(total_count - 1)), 1.0]
    shares: Array = np.diff(edges)
    return shares


def _entropy(probs: Array) -> float:
    return float(-(probs * np.log(np.where(probs > 0, probs, 1.0))).sum())
