"""What the stationary policy of a loss predicts of its priors on chain sums, and by how much it errs (ours).

It is docs/study-protocol.md that asks this. That of study II asks about more predictors: see `predictors`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.predictors import ACCURACY, ENTROPY, SHARE, numbers
from pgce_mini.study.analysis.views import predicted

PREDICTED = ("ce", "precision", "diversity", "precision-exponent", "diversity-exponent")
STUDIES = ("chain", "trap")
TOLERANCES = {SHARE: 0.05, ACCURACY: 0.10, ENTROPY: 0.15}


class Checked(NamedTuple):
    """A prediction beside the mean over seeds of what the priors do."""

    study: str
    arm: str
    seeds: int
    predicted_share: float
    """of reasoned answers"""
    share: float
    predicted_accuracy: float
    """of reasoned answers"""
    accuracy: float
    entropy_error: float
    """the largest of any position of a completion, nats"""


def check_predictions(evidence: Evidence) -> list[Checked]:
    """Every prediction of the protocol whose priors are in the tables."""
    found = []
    for study in STUDIES:
        for arm in PREDICTED:
            rows = [row for row in evidence.rows(study) if row["arm"] == arm]
            measured = numbers(rows, evidence.curves(study))
            if not measured:
                continue
            prediction = predicted(rows[0])
            share, accuracy, _, *entropy = np.mean(list(measured.values()), 0).tolist()
            errors = [abs(a - b) for a, b in zip(prediction.entropy_by_position, entropy, strict=True)]
            found.append(Checked(
                study, arm, len(measured), prediction.reasoned_share, share, prediction.accuracy_if_reasoned,
                accuracy, max(errors),
            ))  # fmt: skip
    return found


def largest_errors(found: Iterable[Checked]) -> dict[str, float]:
    """For each of TOLERANCES the largest error of any arm and study; a prediction within it is right."""
    errors = [
        (abs(row.share - row.predicted_share), abs(row.accuracy - row.predicted_accuracy), row.entropy_error)
        for row in found
    ]
    return dict(zip(TOLERANCES, map(max, zip(*errors, strict=True)), strict=True))
