"""The pictures of a study's table. Each is a function of its own, whose text *Copy as Python* gives."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go

from pgce_mini.evaluation import LOGGED, STEPS, column_title
from pgce_mini.figures import (
    before_after,
    learning_curves,
    paired_forest,
    pass_at_k_curves,
    phase_map,
    predicted_measured,
)
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis import (
    REGISTERED,
    Evidence,
    PairedDifference,
    Summary,
    check_predictors,
    samples,
    views,
)


def accuracy(
    study: str, arms: list[str], variant: str, title: str, folder: Path = RESULTS
) -> tuple[Summary, go.Figure]:
    """Avg@m of each arm before and after RL, over seeds."""
    rows = Evidence(folder).rows(study)
    summary = views.over_seeds(rows, arms, variant)
    return summary, before_after(summary, "avg_at_m", title, f"Avg@{samples(rows)} (share)")


def pass_at_k(
    study: str, arms: list[str], variant: str, title: str, folder: Path = RESULTS
) -> tuple[Summary, go.Figure]:
    """Pass@k of each arm before and after RL, over seeds."""
    summary = views.over_seeds(Evidence(folder).rows(study), arms, variant)
    return summary, pass_at_k_curves(summary, title)


def training(
    study: str, arms: list[str], stage: str, metric: str, variant: str, title: str, folder: Path = RESULTS
) -> tuple[dict[str, list[views.Metrics]], go.Figure]:
    """A metric over the steps of a training, each seed of each arm."""
    curves = views.learning_curves_of(Evidence(folder).curves(study), arms, stage, metric, variant)
    return curves, learning_curves(curves, metric, title, STEPS[stage], LOGGED[stage][metric].axis_title)


def differences(
    study: str, arms: list[str], baseline: str, metric: str, variant: str, title: str, folder: Path = RESULTS
) -> tuple[dict[str, PairedDifference], go.Figure]:
    """Each arm minus the baseline, paired over seeds."""
    rows = Evidence(folder).rows(study)
    found = views.paired_differences(rows, arms, baseline, metric, variant)
    return found, paired_forest(found, title, f"Δ {column_title(metric, samples(rows))}")


def phase_diagram(
    study: str, arm: str, baseline: str, metric: str, folder: Path = RESULTS
) -> tuple[views.Phase, go.Figure]:
    """An arm minus the baseline, over the two settings that vary in the study."""
    rows = Evidence(folder).rows(study)
    found = views.phase(rows, arm, baseline, metric)
    assert found is not None  # other studies have no such picture
    x_title, y_title = (name.replace("_", " ") for name in found[:2])
    title, value_title = f"{arm} minus {baseline}", column_title(metric, samples(rows))
    return found, phase_map(found.xs, found.ys, found.values, title, x_title, y_title, value_title)


def predictions(
    study: str, measure: str, quantity: str, title: str, folder: Path = RESULTS
) -> tuple[dict[str, list[tuple[float, float]]], go.Figure]:
    """What the registered predictor says of each arm beside what its priors do, a point a setting."""
    predictor, tolerance = next((p, tolerance) for (p, m), tolerance in REGISTERED.items() if m == measure)
    points: dict[str, list[tuple[float, float]]] = {}
    for found in check_predictors(Evidence(folder), study):
        if (found.predictor, found.measure) == (predictor, measure):
            points.setdefault(found.arm, []).append((found.predicted, found.measured))
    return points, predicted_measured(points, tolerance, title, quantity)
