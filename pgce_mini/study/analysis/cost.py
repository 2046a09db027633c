"""What RL draws, beside plain cross-entropy, and what is left of a gain at equal cost (ours).

It was asked after the tables of `long` were seen: estimates, no verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pgce_mini.evaluation import LENGTH
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.statistics import PairedDifference, paired_over_seeds
from pgce_mini.study.analysis.views import variants
from pgce_mini.study.tables import Curve

COSTS = ("steps", "groups", "tokens")


@dataclass(frozen=True)
class Cost:
    """Of an arm in a variant, beside cross-entropy."""

    variant: str
    arm: str
    times: Mapping[str, float]
    """cost -> spent through all steps, in multiples of what cross-entropy spends; of means over seeds"""
    at_equal: Mapping[str, PairedDifference]
    """cost -> difference in held-out reward where both have spent the smaller of their totals"""


def costs(evidence: Evidence, study: str, arms: Sequence[str], baseline: str = "ce") -> Iterator[Cost]:
    """Every variant and arm whose curves say how many groups were drawn.

    A group has as many completions in all arms. Tokens are groups times the mean length of the completions that
    are trained on: those of groups that were left out, all right or all wrong, are taken to be as long.
    """
    of_study = evidence.curves(study)
    for variant in variants(evidence.rows(study)):
        runs = {
            (arm, seed): _Run.of(curves) for (place, arm, seed), curves in of_study.items() if place == variant
        }
        for arm in arms:
            pairs = {
                seed: (run, other)
                for (name, seed), run in sorted(runs.items())
                if name == arm and run and (other := runs.get((baseline, seed)))
            }
            if len(pairs) > 1:
                yield Cost(
                    variant,
                    arm,
                    {cost: _times(cost, pairs.values()) for cost in COSTS},
                    {cost: _at_equal(cost, pairs) for cost in COSTS},
                )


@dataclass(frozen=True)
class _Run:
    spent: dict[str, np.ndarray]
    """cost -> spent up to each evaluation"""
    rewards: list[float]
    """held-out, of the evaluations"""

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> _Run | None:
        """None without held-out rewards, or where RL did not count its groups."""
        found = {
            curve["metric"]: dict(zip(curve["steps"], curve["values"], strict=True))
            for curve in curves
            if curve["stage"] == "rl"
        }
        if not {"heldout_reward", "sampled_groups", LENGTH} <= found.keys():
            return None
        evaluated, groups, lengths = (found[name] for name in ("heldout_reward", "sampled_groups", LENGTH))
        drawn = np.cumsum(list(groups.values()))
        tokens = np.cumsum([groups[step] * lengths[step] for step in groups])
        at = [list(groups).index(step) for step in evaluated]
        return cls(
            {"steps": np.array(list(evaluated)), "groups": drawn[at], "tokens": tokens[at]},
            list(evaluated.values()),
        )


def _times(cost: str, pairs: Iterable[tuple[_Run, _Run]]) -> float:
    ours, theirs = zip(*pairs, strict=True)
    return fmean(run.spent[cost][-1] for run in ours) / fmean(run.spent[cost][-1] for run in theirs)


def _at_equal(cost: str, pairs: Mapping[int, tuple[_Run, _Run]]) -> PairedDifference:
    """Rewards are interpolated between evaluations."""
    ours, theirs = {}, {}
    for seed, (run, other) in pairs.items():
        total = min(run.spent[cost][-1], other.spent[cost][-1])
        ours[seed], theirs[seed] = (float(np.interp(total, r.spent[cost], r.rewards)) for r in (run, other))
    return paired_over_seeds(ours, theirs)
