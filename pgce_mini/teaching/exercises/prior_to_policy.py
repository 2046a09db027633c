"""The judges of notebook 07: what RL buys, what it pushes first, and how a curve is read."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pgce_mini.evaluation import pass_at_k
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.study.analysis import EARLY, LATER
from pgce_mini.tasks import ChainSum
from pgce_mini.teaching.exercises import call, exercise, numbers, require
from pgce_mini.theory import predict_chain

CORRECT_BEFORE = (3, 2, 1, 4, 2, 1)
"""right samples of 64, problem by problem, before RL"""
CORRECT_AFTER = (52, 60, 0, 47, 0, 12)
"""and after"""
SAMPLES = 64
REASONED_SHARE = 0.1  # in the last exercise


@exercise("07-1")
def where_before_overtakes(answer: Any) -> str:
    """The least k at which Pass@k before RL is above that after it."""
    k = float(numbers(answer))
    require(k == int(k) and 1 <= k <= SAMPLES, f"k is a whole number from 1 to {SAMPLES}.")
    gaps = [_mean_pass(CORRECT_BEFORE, n) - _mean_pass(CORRECT_AFTER, n) for n in range(1, SAMPLES + 1)]
    require(gaps[int(k) - 1] > 0, f"At k = {k:g} Pass@k is still higher after RL: draw more samples.")
    require(k == 1 or gaps[int(k) - 2] <= 0, "Before RL is ahead there, but it was already with one sample fewer.")
    return "RL made likely answers likelier and gave up two problems: with enough samples the prior solves more."


def _mean_pass(correct: tuple[int, ...], k: int) -> float:
    return float(np.mean(pass_at_k(SAMPLES, np.array(correct), k)))


@exercise("07-2")
def first_advantage(answer: Any) -> str:
    """The expected advantage, before scaling, of a reasoned completion."""
    cases = [(share, slip, arm) for share in (0.1, 0.2, 0.6) for slip in (0.1, 0.3) for arm in ("ce", "diversity")]
    for share, slip, arm in cases:
        task = ChainSum(reasoned_share=share, slip_rate=slip)
        found = predict_chain(task, PAPER_ARMS[arm])
        value = float(numbers(call(answer, task, PAPER_ARMS[arm])))
        require(
            abs(value - (found.accuracy_if_reasoned - found.accuracy_if_direct)) > 1e-4,
            "That is what reasoning earns more than guessing. An advantage is the reward minus the mean of the "
            "whole group, in which the reasoned completions count, too.",
        )
        right = found.accuracy_if_reasoned - found.accuracy
        require(
            abs(value - right) < 1e-4,
            f"For {arm} with reasoned_share={share:g} and slip_rate={slip:g} it gives {value:.3f}, which is "
            f"too {'high' if value > right else 'low'}. What does the group earn on average?",
        )
    return "Above 0 RL should begin by reasoning more, below 0 by reasoning less: a prediction for runs to test."


@exercise("07-3")
def early_change(answer: Any) -> str:
    """Mean over RL steps 16 to 20 minus mean over steps 1 to 5, from steps and values."""
    ramp = list(range(1, 41))
    value = float(numbers(call(answer, list(ramp), [float(step) ** 2 for step in ramp])))
    early, later = (float(np.mean([step**2 for step in steps])) for steps in (EARLY, LATER))
    for wrong, hint in (
        (early - later, "The sign: a curve that rises has a positive change."),
        (5 * (later - early), "A difference of means is asked for, not of sums."),
        (later / early, "A difference is asked for, not a ratio."),
        (later, "That is the later mean alone: from what has it changed?"),
    ):
        require(abs(value - wrong) > 1e-6, hint)
    require(
        abs(value - (later - early)) < 1e-6,
        f"On the curve step² it gives {value:g}. Which steps are early, which are later? Both ends count.",
    )
    gap = [1, 2, 3, 5, 6, *range(8, 16), 18, 19, 20, 21]  # a step whose groups all taught nothing has no entropy
    value = float(numbers(call(answer, list(gap), [float(step) ** 2 for step in gap])))
    early, later = (float(np.mean([step**2 for step in steps if step in gap])) for steps in (EARLY, LATER))
    missing = [sum(step**2 for step in steps if step in gap) / 5 for steps in (EARLY, LATER)]
    require(
        abs(value - (missing[1] - missing[0])) > 1e-6, "A missing step is not 0: divide by the steps there are."
    )
    require(
        abs(value - (later - early)) < 1e-6,
        "Right on a whole curve, but steps can be missing (no group taught anything): take the mean of those "
        "that are there, by the step's number and not by its place in the list.",
    )
    return "This is `rl_entropy_change` of the study's protocol, fixed before the runs."


@exercise("07-4")
def edge_of_the_trap(answer: Any) -> str:
    """The slip rate above which a diversity prior earns less by reasoning than by guessing."""
    value = float(numbers(answer))
    require(0 < value < 1, "A slip rate lies between 0 and 1.")
    edge = _edge("diversity")
    require(
        abs(value - edge) < 0.005 or abs(_gap("ce", value)) > 0.005,
        "That is the edge for cross-entropy. What does diversity do to the working before RL begins?",
    )
    gap = _gap("diversity", value)
    require(
        abs(value - edge) < 0.005,
        f"There, reasoning is right {100 * abs(gap):.1f} points {'more' if gap > 0 else 'less'} than guessing: "
        "the edge is where they are equal.",
    )
    return "A flatter prior slips more often at every total, so its trap begins long before that of cross-entropy."


def _gap(arm: str, slip_rate: float) -> float:
    found = predict_chain(ChainSum(reasoned_share=REASONED_SHARE, slip_rate=slip_rate), PAPER_ARMS[arm])
    return found.accuracy_if_reasoned - found.accuracy_if_direct


@cache
def _edge(arm: str) -> float:
    low, high = 0.0, 0.9  # reasoning pays at the one and not at the other
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if _gap(arm, middle) > 0 else (low, middle)
    return (low + high) / 2
