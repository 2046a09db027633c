"""What the stationary policy of a loss predicts of its priors on chain sums, and by how much it errs (ours).

It is docs/study-protocol.md that asks this. That of study II asks about more predictors: see `predictors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.views import predicted

PREDICTED = ("ce", "precision", "diversity", "precision-exponent", "diversity-exponent")
TOLERANCES = {"share of reasoned answers": 0.05, "accuracy if reasoned": 0.10, "entropy by position": 0.15}


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


def check_predictions(evidence: Evidence, studies: Sequence[str] = ("chain", "trap")) -> list[Checked]:
    """Every prediction of the protocol whose priors are in the tables."""
    found = []
    for study in studies:
        entropy = _entropy_by_position(evidence, study)
        for arm in PREDICTED:
            rows = [row for row in evidence.rows(study) if row["arm"] == arm]
            if not rows:
                continue
            prediction = predicted(rows[0])
            errors = [abs(a - b) for a, b in zip(prediction.entropy_by_position, entropy[arm], strict=False)]
            share, accuracy = (
                fmean(row[f"{name}_before"] for row in rows) for name in ("reasoned_share", "accuracy_if_reasoned")
            )
            found.append(Checked(
                study, arm, len(rows), prediction.reasoned_share, share, prediction.accuracy_if_reasoned, accuracy,
                max(errors),
            ))  # fmt: skip
    return found


def largest_errors(found: Iterable[Checked]) -> dict[str, float]:
    """For each of TOLERANCES the largest error of any arm and study; a prediction within it is right."""
    errors = [
        (abs(row.share - row.predicted_share), abs(row.accuracy - row.predicted_accuracy), row.entropy_error)
        for row in found
    ]
    return dict(zip(TOLERANCES, map(max, zip(*errors, strict=True)), strict=True))


def _entropy_by_position(evidence: Evidence, study: str) -> dict[str, list[float]]:
    """arm -> entropy at each position before RL, the mean over seeds."""
    columns: dict[str, list[list[float]]] = {}
    for (_, arm, _), of_row in evidence.curves(study).items():
        for curve in of_row:
            if (curve["stage"], curve["metric"]) == ("before", "entropy"):
                columns.setdefault(arm, []).append(curve["values"])
    return {arm: [fmean(values) for values in zip(*curves, strict=False)] for arm, curves in columns.items()}
