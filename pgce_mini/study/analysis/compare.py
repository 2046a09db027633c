"""From evaluations to a table: arms (rows) by metrics, averaged over seeds, with intervals over problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgce_mini.evaluation import (
    Estimate,
    Evaluation,
    Metric,
    PerProblemValue,
    When,
    estimate,
    metrics,
    paired_difference,
    percentile_interval,
)
from pgce_mini.study.analysis.formats import format_estimate
from pgce_mini.theory import FloatArray

RowKey = TypeVar("RowKey", bound=tuple[str, ...])

Summary = dict[str, dict[When, dict[str, Estimate]]]
"""arm -> before or after RL -> metric -> estimate"""


def _compared(samples: int, ks: Sequence[int]) -> dict[str, Metric]:
    """The metrics that are compared problem by problem, by their names in an evaluation."""
    found = metrics(samples, ks).items()
    return {metric.key or name: metric for name, metric in found if metric.per_problem}


def labels(samples: int, ks: Sequence[int]) -> dict[str, str]:
    """The label of each metric, with its unit where it is not a share."""
    return {
        name: metric.label if metric.unit == "share" else f"{metric.label} ({metric.unit})"
        for name, metric in _compared(samples, ks).items()
    }


def summarize(evaluations: Sequence[Evaluation]) -> dict[str, Estimate]:
    """Each metric of one arm: the mean over seeds and problems, and a bootstrap interval over problems.

    Every number is first averaged over seeds for each problem (all seeds answer the same problems); the interval
    then says how far the choice of problems matters. It does *not* contain the spread between seeds. A ratio (the
    entropy of a token) is one of each seed, whose problems are resampled with both its sums.

    Raises:
        ValueError: no evaluation is given, or their settings differ.
    """
    samples, ks = _shared_settings(evaluations)
    return {name: _estimate(metric, samples, evaluations) for name, metric in _compared(samples, ks).items()}


def differences(arm: Sequence[Evaluation], baseline: Sequence[Evaluation]) -> dict[str, Estimate]:
    """Each metric of `arm` minus `baseline`, paired over problems; intervals as in `summarize`."""
    samples, ks = _shared_settings([*arm, *baseline])
    return {name: _estimate(metric, samples, arm, baseline) for name, metric in _compared(samples, ks).items()}


def heldout_means(evaluations: Sequence[Evaluation]) -> dict[str, float | None]:
    """Plain cross-entropy, entropy (nats/token) and ECE on held-out documents, means over seeds."""
    rows = [evaluation["heldout"] for evaluation in evaluations]
    losses = [row["cross_entropy"] for row in rows if row["cross_entropy"] is not None]
    return {
        "cross_entropy": fmean(losses) if len(losses) == len(rows) else None,
        "entropy": fmean(row["entropy"] for row in rows),
        "ece": fmean(row["ece"] for row in rows),
    }


def as_text(rows: Mapping[RowKey, Mapping[str, Estimate]]) -> str:
    """A table for the terminal: a line a row key, a column a name, `value [low, high]` in each cell. A first
    part of the key that repeats is not written again."""
    columns = list(next(iter(rows.values())))
    width = len(next(iter(rows)))
    lines: list[list[str]] = [[""] * width + columns]
    written = ""
    for key, row in rows.items():
        first, *rest = key
        lines.append([first if first != written else "", *rest, *(format_estimate(row[name]) for name in columns)])
        written = first
    sizes = [max(len(line[column]) for line in lines) for column in range(width + len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(size) for cell, size in zip(line, sizes, strict=True)).rstrip() for line in lines
    )


def by_metric(
    columns: Mapping[str, Mapping[str, Estimate]], labels: Mapping[str, str]
) -> dict[tuple[str], dict[str, Estimate]]:
    """Rows for `as_text`, a metric each, from name of a run -> metric -> estimate."""
    return {
        (label,): {name: column[metric] for name, column in columns.items()} for metric, label in labels.items()
    }


def check_comparable(evaluations: Sequence[Evaluation]) -> None:
    """
    Raises:
        ValueError: no evaluation is given, or their tasks or settings differ.
    """
    if not evaluations:
        raise ValueError("evaluations must hold at least one evaluation")
    first: dict[str, Any] = evaluations[0]["config"]
    for evaluation in evaluations:
        one, other = evaluations[0]["corpus"], evaluation["corpus"]
        if one != other:
            raise ValueError(f"evaluations do not compare: one is on {one}, another on {other}")
        other_config: dict[str, Any] = evaluation["config"]
        for key in sorted(first.keys() | other_config.keys()):
            here, there = first.get(key), other_config.get(key)
            if here != there:
                raise ValueError(
                    f"evaluations do not compare: {key} is {here} in one and {there} in another; "
                    "evaluate them with the same settings"
                )


def _shared_settings(evaluations: Sequence[Evaluation]) -> tuple[int, list[int]]:
    check_comparable(evaluations)
    if evaluations[0]["per_problem"] is None:
        raise ValueError("evaluations must be of a task with problems, and these are of plain text")
    shared: dict[str, Any] = evaluations[0]["config"]
    return shared["samples"], shared["ks"]


def _estimate(metric: Metric, samples: int, *arms: Sequence[Evaluation]) -> Estimate:
    """Of one arm, or of the first minus the second."""
    assert metric.per_problem is not None
    values = [_per_problem(arm, metric.per_problem, samples) for arm in arms]
    if metric.counts is None:
        means = [table.mean(0) for table in values]
        return estimate(means[0], seed=0) if len(arms) == 1 else paired_difference(means[0], means[1], seed=0)
    counts = [_per_problem(arm, metric.counts, samples) for arm in arms]

    def ratio(problems: NDArray[np.int64]) -> FloatArray:
        """(..., P) -> (...)"""
        of_arms = [
            (value[:, problems].sum(-1) / count[:, problems].sum(-1)).mean(0)
            for value, count in zip(values, counts, strict=True)
        ]
        return np.asarray(of_arms[0] - sum(of_arms[1:]))

    everyone = np.arange(values[0].shape[1])
    low, high = percentile_interval(ratio, len(everyone), seed=0)
    return {"value": float(ratio(everyone)), "low": low, "high": high}


def _per_problem(evaluations: Sequence[Evaluation], pick: PerProblemValue, samples: int) -> FloatArray:
    """(seeds, P)"""
    return np.array([pick(rows, samples) for evaluation in evaluations if (rows := evaluation["per_problem"])])
