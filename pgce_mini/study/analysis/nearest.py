"""Which setting of a chain-sum study lies nearest to one that somebody asks for, and what its seeds did (ours)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pgce_mini.reward import RewardShaping
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.arms import Arm, arm_named
from pgce_mini.study.tables import Columns
from pgce_mini.tasks import ChainSum
from pgce_mini.theory import fit_chain

STUDIES = ("trap", "chain", "phase", "grids")  # on chain sums of one size; those with the most seeds first
STEP = 0.25  # of beta: as far as a factor of 2 in the share of reasoning or in the slips
LEAST_SLIP = 0.01  # below, twice as often makes no difference
REASONS = 0.5  # a seed has come to reason when it does so in more answers than this


@dataclass(frozen=True)
class Recorded:
    """The seeds of one setting; the four measures have a value a seed, `_after` RL or before it."""

    study: str
    reasoned_share: float
    """of the documents, as the slip rate"""
    slip_rate: float
    beta: float
    rl_steps: int
    seeds: tuple[int, ...]
    reasons: tuple[float, ...]
    """share of reasoned answers before RL"""
    if_reasoned: tuple[float, ...]
    """of the reasoned answers before RL, the share that is right"""
    if_direct: tuple[float, ...]
    """of the others"""
    right: tuple[float, ...]
    """Avg@m before RL"""
    reasons_after: tuple[float, ...]
    right_after: tuple[float, ...]

    @property
    def came_to_reason(self) -> int:
        """Seeds that reason after RL."""
        return sum(share > REASONS for share in self.reasons_after)

    @property
    def accuracy(self) -> float:
        """Avg@m after RL, the mean over seeds."""
        return fmean(self.right_after)

    @property
    def learnt(self) -> ChainSum:
        """Of a setting of cross-entropy: the task whose rates fit what its priors do, `theory.fit_chain`."""
        return fit_chain(fmean(self.reasons), fmean(self.if_reasoned), fmean(self.if_direct), ChainSum())

    def higher_than(self, other: Recorded) -> int:
        """Seeds of both that end above the other's."""
        theirs = dict(zip(other.seeds, other.right_after, strict=True))
        own = zip(self.seeds, self.right_after, strict=True)
        return sum(value > theirs[seed] for seed, value in own if seed in theirs)


def recorded_settings(evidence: Evidence, studies: Sequence[str] = STUDIES) -> list[Recorded]:
    """Every setting of cross-entropy and of beta alone, whose rows have been through RL."""
    rows: dict[tuple[str, str, str], list[Columns]] = {}
    for study in studies:
        for row in evidence.rows(study):
            if _is_beta_alone(arm_named(row["arm"])):
                rows.setdefault((study, row["variant"], row["arm"]), []).append(row)
    return [_recorded(study, found) for (study, _, _), found in rows.items()]


def nearest(settings: Iterable[Recorded], reasoned_share: float, slip_rate: float, beta: float) -> Recorded:
    """The setting nearest to these numbers whose beta has the sign of this one; of equally near ones the first.

    Raises:
        ValueError: when no setting has it.
    """

    def sign(value: float) -> int:
        return (value > 0) - (value < 0)

    def distance(setting: Recorded) -> float:
        return math.hypot(
            math.log2(setting.reasoned_share / max(reasoned_share, LEAST_SLIP)),
            math.log2(max(setting.slip_rate, LEAST_SLIP) / max(slip_rate, LEAST_SLIP)),
            (setting.beta - beta) / STEP,
        )

    return min((setting for setting in settings if sign(setting.beta) == sign(beta)), key=distance)


def beside(settings: Iterable[Recorded], setting: Recorded) -> Recorded:
    """The same setting of the same study with cross-entropy."""
    wanted = (setting.study, setting.reasoned_share, setting.slip_rate, 0.0)
    return next(s for s in settings if (s.study, s.reasoned_share, s.slip_rate, s.beta) == wanted)


def _is_beta_alone(arm: Arm) -> bool:
    shaping = arm.shaping
    return arm == Arm(arm.name, shaping) and shaping == RewardShaping(shaping.beta, top_k=shaping.top_k)


def _recorded(study: str, rows: Sequence[Columns]) -> Recorded:
    rows = sorted(rows, key=lambda row: row["seed"])
    settings: dict[str, Any] = json.loads(rows[0]["settings"])
    corpus = settings["pretrain"]["corpus"]

    def column(name: str) -> tuple[float, ...]:
        return tuple(row[name] for row in rows)

    return Recorded(
        study, corpus["reasoned_share"], corpus["slip_rate"], settings["pretrain"]["shaping"]["beta"],
        settings["rl"]["steps"], tuple(row["seed"] for row in rows), column("reasoned_share_before"),
        column("accuracy_if_reasoned_before"), column("accuracy_if_direct_before"), column("avg_at_m_before"),
        column("reasoned_share_after"), column("avg_at_m_after"),
    )  # fmt: skip
