"""How far theory errs about priors on chain sums: the predictors of docs/study-protocol-2.md (ours).

All but the first map one loss to another by `theory.stationary_policy`. What they start from differs: the corpus
(A), or what the priors of cross-entropy have learnt of it, in every state (B) or as three rates (C).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgce_mini.reward import RewardShaping
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.tables import Columns, Curve, Key, key_of
from pgce_mini.tasks import ChainSum, task_from_dict
from pgce_mini.theory import fit_chain, predict_chain

SHAPED = ("precision", "diversity", "tail-penalty", "head-reward", "precision-exponent", "diversity-exponent")
PREDICTORS = {
    "no map": "the arm does what ce does",
    "A": "the corpus' rates, mapped",
    "B": "the next-token policy of the ce prior of the same seed, mapped",
    "C": "the rates of the ce priors, mapped",
}
SHARE, ACCURACY, ENTROPY = "share of reasoned answers", "accuracy if reasoned", "entropy by position"
REGISTERED = {("C", SHARE): 0.01, ("C", ACCURACY): 0.04, ("B", ENTROPY): 0.08}
"""How far a predictor may be from the mean over seeds. The errors of the others are told beside."""
SURE = 2.0  # standard errors
PRIORS_ALONE = "theory"  # the part of study II that tests them
MEASURES = ("reasoned_share", "accuracy_if_reasoned", "accuracy_if_direct")
ENTROPY_CURVE = "before", "entropy"

Numbers = NDArray[np.float64]  # (3 + positions,): the MEASURES, then the entropy at each position
BySeed = Mapping[int, Numbers]


class Prediction(NamedTuple):
    """A predictor's number beside the mean over seeds of what an arm's priors do."""

    study: str
    variant: str
    arm: str
    seeds: int
    predictor: str
    """of PREDICTORS"""
    measure: str
    """SHARE, ACCURACY or ENTROPY: this one at the position with the largest error"""
    predicted: float
    measured: float
    standard_error: float
    """of the error: over seeds, both numbers vary"""
    tolerance: float | None
    """None: nothing was registered"""

    @property
    def error(self) -> float:
        return self.predicted - self.measured

    @property
    def right(self) -> bool:
        return self.tolerance is not None and abs(self.error) <= self.tolerance

    @property
    def sure(self) -> bool:
        """Whether the error is at least two standard errors away from the tolerance, on either side."""
        return self.tolerance is None or abs(abs(self.error) - self.tolerance) >= SURE * self.standard_error


def check_predictors(evidence: Evidence, study: str) -> list[Prediction]:
    """Every predictor of each arm of SHAPED in every variant of a study, over the seeds that the arm shares with
    what the prediction starts from: the arm predicted-ARM for B, ce for the others.

    The standard error is the jackknife's: each seed is left out once, of the arm and of what the prediction starts
    from.

    Raises:
        ValueError: the study is of another task.
    """
    found = []
    of_arm: dict[tuple[str, str], list[Columns]] = {}
    for row in evidence.rows(study):
        of_arm.setdefault((row["variant"], row["arm"]), []).append(row)
    curves = evidence.curves(study)
    for (variant, arm), rows in of_arm.items():
        if arm not in SHAPED:
            continue
        settings = json.loads(rows[0]["settings"])["pretrain"]
        task, shaping = task_from_dict(settings["corpus"]), RewardShaping(**settings["shaping"])
        if not isinstance(task, ChainSum):
            raise ValueError(f"study must be one of chain sums, got {study}, of {task.name}")
        for predictor in PREDICTORS:
            start = of_arm.get((variant, f"predicted-{arm}" if predictor == "B" else "ce"), [])
            case = _Case(predictor, task, shaping, numbers(start, curves), numbers(rows, curves))
            if len(case.seeds) > 1:
                found += case.judged(study, variant, arm)
    return found


def numbers(rows: Sequence[Columns], curves: Mapping[Key, Sequence[Curve]]) -> BySeed:
    """Of the priors in these rows; a row that lacks one of the numbers is left out."""
    found = {}
    for row in rows:
        entropy = [c["values"] for c in curves.get(key_of(row), ()) if (c["stage"], c["metric"]) == ENTROPY_CURVE]
        rates = [row.get(f"{name}_before") for name in MEASURES]
        if entropy and None not in rates:
            found[row["seed"]] = np.array([*rates, *entropy[0]], dtype=np.float64)
    return found


@dataclass(frozen=True)
class _Case:
    """A predictor of an arm: of its seeds, what the prediction starts from and what is measured."""

    predictor: str
    task: ChainSum
    shaping: RewardShaping
    start: BySeed
    measured: BySeed

    @property
    def seeds(self) -> list[int]:
        return sorted(self.start.keys() & self.measured.keys())

    def both(self, seeds: Sequence[int]) -> Numbers:
        """What is predicted and what is measured, over these seeds: (2, 3 + positions)"""
        start, measured = (np.mean([of[seed] for seed in seeds], 0) for of in (self.start, self.measured))
        if self.predictor in ("A", "C"):
            share, if_reasoned, if_direct = start[: len(MEASURES)].tolist()
            fitted = self.predictor == "C"
            task = fit_chain(share, if_reasoned, if_direct, self.task) if fitted else self.task
            prediction = predict_chain(task, self.shaping)
            rates = [getattr(prediction, name) for name in MEASURES]
            start = np.array([*rates, *prediction.entropy_by_position])
        return np.stack([start, measured])

    def judged(self, study: str, variant: str, arm: str) -> list[Prediction]:
        seeds = self.seeds
        predicted, measured = self.both(seeds)
        without_one = [np.subtract(*self.both([s for s in seeds if s != left_out])) for left_out in seeds]
        standard_error = np.std(without_one, axis=0) * math.sqrt(len(seeds) - 1)
        worst = len(MEASURES) + int(np.abs(predicted - measured)[len(MEASURES) :].argmax())
        return [
            Prediction(
                study, variant, arm, len(seeds), self.predictor, measure, float(predicted[at]),
                float(measured[at]), float(standard_error[at]), REGISTERED.get((self.predictor, measure)),
            )
            for measure, at in ((SHARE, 0), (ACCURACY, 1), (ENTROPY, worst))
        ]  # fmt: skip
