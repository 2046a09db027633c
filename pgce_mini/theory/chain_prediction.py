"""What a chain-sum prior will do, predicted from the stationary policy of its loss before any network is trained.

Every token of a chain-sum document is drawn from a distribution q that is known in closed form. A network that has
reached the minimum of its loss has the stationary policy of that q at every token; whole completions are then a
Markov chain, summed here. The prediction is of the prior, not of what RL makes of it.

Training is finite, and leaves a prior with other rates than its corpus has. `fit_chain` finds those of a trained
prior of cross-entropy; from there `predict_chain` predicts the other arms, of which nothing need be measured.

Source: ours.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import torch

from pgce_mini.checks import check_number, check_whole
from pgce_mini.reward import RewardShaping
from pgce_mini.tasks.chain_sum import ANSWER_ID, ZERO_ID, ChainSum
from pgce_mini.theory.distributions import FloatArray, entropy
from pgce_mini.theory.dynamics import stationary_policy
from pgce_mini.theory.stationary_rows import LEAST_PROBABILITY, stationary_logits

MOST_NOISE = 1000  # deviation of a guess; its right total is then one of thousands


@dataclass(frozen=True)
class ChainPrediction:
    """reasoned_share: share of completions that reason; accuracy_if_reasoned, accuracy_if_direct: of those that
    do, of those that do not; accuracy: of all; entropy_by_position: in nats, over completions that reach the
    position."""

    reasoned_share: float
    accuracy_if_reasoned: float
    accuracy_if_direct: float
    accuracy: float
    entropy_by_position: tuple[float, ...]

    @property
    def reasoning_pays(self) -> bool:
        """Whether the first step of RL raises the share of reasoning: the policy gradient of the one decision, to
        reason or to guess, is s (1 - s) times the difference of the two accuracies. Later steps change both."""
        return self.accuracy_if_reasoned > self.accuracy_if_direct


def predict_chain(task: ChainSum, shaping: RewardShaping, problems: int = 96) -> ChainPrediction:
    """What the stationary policy of `shaping` does, in the mean over `problems` held-out problems of `task`.

    Three kinds of token are uncertain: the first (to reason, at which total, or to guess), a running total (it may
    slip) and a guess. All others follow from the tokens before them.

    Raises:
        ValueError: `problems` is no whole number of at least 1, or `shaping` has no stationary policy.
    """
    return _predicted(task, shaping, check_whole("problems", problems, 1))


@lru_cache(maxsize=1024)
def _predicted(task: ChainSum, shaping: RewardShaping, problems: int) -> ChainPrediction:
    total_count = task.num_operands * task.max_operand + 1
    slip = np.full(total_count, task.slip_rate / total_count)

    step = slip.copy()
    step[0] += 1 - task.slip_rate  # the right total, put first: its place makes no difference
    after_step = stationary_policy(step, shaping)
    right, wrong = float(after_step[0]), float(after_step[1])

    first = np.zeros(len(task.vocab))
    first[ZERO_ID : ZERO_ID + total_count] = task.reasoned_share * step
    first[ANSWER_ID] = 1 - task.reasoned_share
    after_first = stationary_policy(first, shaping)
    reasoned = 1 - float(after_first[ANSWER_ID])

    # Probability that the running total is right, from the first total to the last. Only a slip leads from a wrong
    # total to the right one; a total that a slip pushed out of range counts as any other wrong one.
    on_track = float(after_first[ZERO_ID]) / reasoned if reasoned else 0.0
    for _ in range(task.num_operands - 1):
        on_track = on_track * right + (1 - on_track) * wrong

    asked = guesses(task, problems)
    counts = [count for count, _ in asked.values()]
    before = np.stack([distribution for _, distribution in asked.values()])  # (totals asked, totals)
    log_ends = stationary_logits(torch.from_numpy(before).clamp_min(LEAST_PROBABILITY).log(), shaping)
    ends = log_ends.exp().numpy()
    direct = float(np.average([end[total] for total, end in zip(asked, ends, strict=True)], weights=counts))
    guess_entropy = float(np.average([float(entropy(end)) for end in ends], weights=counts))

    # With reasoning: a total for each operand, '#', the sum, EOS. Without: '#', the guess, EOS, three positions.
    steps, certain = task.num_operands - 1, (0.0, 0.0, 0.0)
    by_position = [
        (reasoned if position < 3 else 1.0) * uncertain
        for position, uncertain in enumerate((*[float(entropy(after_step))] * steps, *certain), start=1)
    ]
    by_position[0] += (1 - reasoned) * guess_entropy
    return ChainPrediction(
        reasoned_share=reasoned,
        accuracy_if_reasoned=on_track,
        accuracy_if_direct=direct,
        accuracy=reasoned * on_track + (1 - reasoned) * direct,
        entropy_by_position=(float(entropy(after_first)), *by_position),
    )


def fit_chain(
    reasoned_share: float,
    accuracy_if_reasoned: float,
    accuracy_if_direct: float,
    task: ChainSum,
    problems: int = 96,
) -> ChainSum:
    """`task` with the share, slip rate and noise of guesses at which `predict_chain` of cross-entropy gives these
    three numbers: measure them on a prior of cross-entropy, and predict every other arm from the result.

    A right total stays right with probability 1 - slip + slip / n, a wrong one becomes right with slip / n, for n
    totals: after k operands a reasoned answer is right with probability 1/n + (1 - 1/n) (1 - slip)^k.

    Raises:
        ValueError: a number is no share, or no slip rate or noise gives it.
    """
    share = check_number("reasoned_share", reasoned_share, 1)
    reasoned = check_number("accuracy_if_reasoned", accuracy_if_reasoned, 1)
    direct = check_number("accuracy_if_direct", accuracy_if_direct, 1)
    chance = 1 / (task.num_operands * task.max_operand + 1)
    if reasoned < chance:
        raise ValueError(
            f"accuracy_if_reasoned must be at least {chance:.4f}, what blind totals give, got {reasoned:g}: no "
            "slip rate fits this prior"
        )
    slip = 1 - ((reasoned - chance) / (1 - chance)) ** (1 / task.num_operands)

    asked = _sums(task, check_whole("problems", problems, 1))

    def right(noise: float) -> float:
        noisy = replace(task, direct_noise=noise)
        return sum(count * float(_guess(noisy, total)[total]) for total, count in asked.items()) / problems

    low, high = 0.0, float(MOST_NOISE)  # a guess is right less often, the more noise
    if direct < right(high):
        raise ValueError(
            f"accuracy_if_direct must be at least {right(high):.4f}, what guesses with a deviation of "
            f"{MOST_NOISE} give, got {direct:g}: no noise fits this prior"
        )
    while high - low > 1e-7 and direct < 1:
        middle = (low + high) / 2
        low, high = (middle, high) if right(middle) > direct else (low, middle)
    return replace(task, reasoned_share=share, slip_rate=slip, direct_noise=low)


def guesses(task: ChainSum, problems: int = 96) -> dict[int, tuple[int, FloatArray]]:
    """Of the sums of held-out problems, how many have each, and the distribution of a direct answer to it."""
    return {total: (count, _guess(task, total)) for total, count in _sums(task, problems).items()}


def _sums(task: ChainSum, problems: int) -> Counter[int]:
    return Counter(sum(task.problem(0, index, "heldout").operands) for index in range(problems))


def _guess(task: ChainSum, total: int) -> FloatArray:
    """The distribution of a direct answer: rounded, clipped normal noise around the sum."""
    total_count = task.num_operands * task.max_operand + 1
    if task.direct_noise == 0:
        return np.asarray(np.eye(total_count)[total])
    normal = NormalDist(total, task.direct_noise)
    edges = [0.0, *(normal.cdf(value + 0.5) for value in range(total_count - 1)), 1.0]
    shares: FloatArray = np.diff(edges)
    return shares
