"""Columns that are derived from a row's curves of RL: early changes, areas, steps to a reward.

rl_entropy_change, rl_length_change   mean over RL steps 16 to 20 minus that over steps 1 to 5
rl_area                mean over all RL steps of the training reward, at the arm's own sampling temperature
rl_heldout_area        mean over the evaluations through RL of the held-out reward, at temperature 1
rl_steps_to_X          the first RL step at which the mean reward of the last five is at least X; one more than
                       there are steps, if none is
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from pgce_mini.evaluation import AREAS, CHANGES, STEPS_TO, threshold_of
from pgce_mini.study.tables import Columns, Curve

EARLY, LATER = range(1, 6), range(16, 21)  # RL steps between which entropy and length change
WINDOW = 5  # RL steps over which a reward is averaged before it is held against a threshold
THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))  # of the columns that every table gets


def derived(curves: Sequence[Curve]) -> Columns:
    """Every column that the curves of a row give, rl_steps_to_X for the tenths (`derived_column`: for any X)."""
    names = (*CHANGES, *AREAS, *(f"{STEPS_TO}{threshold:g}" for threshold in THRESHOLDS))
    found = {name: derived_column(curves, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def derived_column(curves: Sequence[Curve], column: str) -> float | None:
    """One of them; None where the curves lack the steps that it is made of.

    Raises:
        ValueError: there is no such column.
    """
    metric = CHANGES.get(column) or AREAS.get(column) or "reward"
    threshold = math.nan if column in (*CHANGES, *AREAS) else threshold_of(column)
    through_rl = (curve for curve in curves if (curve["stage"], curve["metric"]) == ("rl", metric))
    values: Mapping[int, float] = next(
        (dict(zip(curve["steps"], curve["values"], strict=True)) for curve in through_rl), {}
    )
    if not values:
        return None
    if column in AREAS:
        return fmean(values.values())
    if column not in CHANGES:
        return float(_steps_to(threshold, list(values.values())))
    early, later = ([values[step] for step in steps if step in values] for steps in (EARLY, LATER))
    return fmean(later) - fmean(early) if early and later else None


def _steps_to(threshold: float, rewards: Sequence[float]) -> int:
    """rewards: of steps 1, 2, ..."""
    for step in range(WINDOW, len(rewards) + 1):
        if fmean(rewards[step - WINDOW : step]) >= threshold:
            return step
    return len(rewards) + 1
