"""A study's tables as explorer and notebooks take them: over seeds, over steps, over settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pgce_mini.evaluation import AREAS, CHANGES, LOGGED, STEPS_TO, WHEN, Estimate
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import RunError
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis.compare import Summary
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.hypotheses import place
from pgce_mini.study.analysis.protocol_1 import AFTER_RL, RL_STUDIES
from pgce_mini.study.analysis.protocol_2 import LONG, TEMPERATURES
from pgce_mini.study.analysis.statistics import PairedDifference, by_seed, compare, expanded_interval
from pgce_mini.study.tables import Columns, Curve, Key
from pgce_mini.tasks import ChainSum, task_from_dict
from pgce_mini.theory import ChainPrediction, predict_chain

Metrics = list[dict[str, Any]]  # like the lines of metrics.jsonl


def variants(rows: Iterable[Columns]) -> list[str]:
    return list(dict.fromkeys(row["variant"] for row in rows))


def arms(rows: Iterable[Columns]) -> list[str]:
    """The baseline first."""
    return list(dict.fromkeys(row["arm"] for row in rows))


def measures(rows: Iterable[Columns]) -> list[str]:
    """The columns METRIC_before and METRIC_after that hold a number, and those that are derived from curves of RL;
    Avg@m after RL first, then the areas. Steps to a reward that every row or none needs alike are left out."""
    found: dict[str, set[Any]] = {}
    for name, value in ((name, value) for row in rows for name, value in row.items() if value is not None):
        found.setdefault(name, set()).add(value)
    names = [
        name for name, values in found.items()
        if name.rpartition("_")[2] in WHEN or name in {*CHANGES, *AREAS}
        or (name.startswith(STEPS_TO) and len(values) > 1)
    ]  # fmt: skip
    return sorted(names, key=lambda name: (name != AFTER_RL, name not in AREAS))


def over_seeds(rows: Sequence[Columns], arms: Sequence[str], variant: str = "") -> Summary:
    """Accuracy and Pass@k of each arm, the mean over seeds; with two seeds or more also its 95 % interval."""
    names = {re.sub("_(before|after)$", "", name) for row in rows for name in row}
    metrics = ["avg_at_m", *sorted((n for n in names if n.startswith("pass_at_")), key=lambda n: int(n[8:]))]

    def of(arm: str, column: str) -> Estimate:
        values = list(by_seed(rows, arm, column, variant).values())
        low, high = expanded_interval(values, 0) if len(values) > 1 else (None, None)
        return {"value": fmean(values) if values else None, "low": low, "high": high}

    return {
        arm: {when: {metric: of(arm, f"{metric}_{when}") for metric in metrics} for when in WHEN} for arm in arms
    }


def paired_differences(
    rows: Sequence[Columns], arms: Sequence[str], baseline: str, metric: str, variant: str = ""
) -> dict[str, PairedDifference]:
    """Each arm minus the baseline, paired over seeds; without those that share fewer than two with it."""
    found = {arm: compare(rows, arm, baseline, metric, variant) for arm in arms if arm != baseline}
    return {arm: difference for arm, difference in found.items() if difference is not None}


def learning_curves_of(
    curves: Mapping[Key, Sequence[Curve]], arms: Sequence[str], training: str, metric: str = "", variant: str = ""
) -> dict[str, list[Metrics]]:
    """arm -> for each seed the lines of a training, as `figures.learning_curves` and `through_rl` take them.

    training: "pretrain", "midtrain" or "rl"; metric: that one alone, by default all.
    """
    found: dict[str, list[Metrics]] = {arm: [] for arm in arms}
    for (of_variant, arm, _), of_row in sorted(curves.items()):
        if arm not in found or of_variant != variant:
            continue
        lines: dict[int, dict[str, Any]] = {}
        for curve in of_row:
            if curve["stage"] == training and metric in ("", curve["metric"]):
                for step, value in zip(curve["steps"], curve["values"], strict=True):
                    lines.setdefault(step, {"step": step})[curve["metric"]] = value
        if lines:
            found[arm].append([lines[step] for step in sorted(lines)])
    return {arm: seeds for arm, seeds in found.items() if seeds}


class Drawn(NamedTuple):
    """A picture of learning curves."""

    title: str
    metric: str
    y_title: str
    curves: dict[str, list[Metrics]]
    """as of `learning_curves_of`"""


def drawn_curves(evidence: Evidence, study: str) -> dict[str, Drawn]:
    """name of a picture -> what it shows: rewards of a study's arms over RL, a picture a variant. Studies whose
    question their table answers have none."""
    if study in RL_STUDIES:
        metric, of_arms = "reward", tuple(PAPER_ARMS)
    elif study in LONG:
        metric, of_arms = "heldout_reward", ("ce", "precision", *TEMPERATURES)
    else:
        return {}
    found = variants(evidence.rows(study))
    pictures = {}
    for number, variant in enumerate(found, 1):
        if curves := learning_curves_of(evidence.curves(study), of_arms, "rl", metric, variant):
            name = f"{study}-reward{f'-{number}' if len(found) > 1 else ''}"
            logged = LOGGED["rl"][metric]
            title = f"{place(study, variant)}: {logged.title[0].lower()}{logged.title[1:]}"
            pictures[name] = Drawn(title, metric, logged.axis_title, curves)
    return pictures


def rows_of(study: str, folder: Path = RESULTS) -> list[Columns]:
    """The finished rows of a study; a missing table is an error.

    Raises:
        RunError: the table is missing, and which command makes it; or it is damaged.
        ValueError: pyarrow, which reads the tables, is missing.
    """
    rows = Evidence(folder).rows(study)
    if not rows:
        raise RunError(_missing(f"{study}.parquet", study))
    return rows


def curves_of(study: str, training: str, arms: Sequence[str], folder: Path = RESULTS) -> dict[str, list[Metrics]]:
    """`learning_curves_of` a study without variants; a missing table or arm is an error.

    Raises:
        RunError: the table, or an arm in it, is missing, and which command makes it; or it is damaged.
        ValueError: pyarrow, which reads the tables, is missing.
    """
    curves = Evidence(folder).curves(study)
    found = learning_curves_of(curves, arms, training)
    absent = [arm for arm in arms if arm not in found]
    if absent:
        file = f"{study}-curves.parquet"
        raise RunError(_missing(f"{file} of {', '.join(absent)}" if curves else file, study))
    return found


def predicted(row: Columns) -> ChainPrediction:
    """What the stationary policy says about the prior of a row of a chain-sum study: task and shaping are those in
    its settings.

    Raises:
        ValueError: the row is of another task.
    """
    settings = json.loads(row["settings"])["pretrain"]
    task = task_from_dict(settings["corpus"])
    if not isinstance(task, ChainSum):
        raise ValueError(f"row must be of a chain-sum study, got one of {task.name}")
    return predict_chain(task, RewardShaping(**settings["shaping"]))


def _missing(what: str, study: str) -> str:
    return (
        f"the study's table {what} is missing: it comes with the package in {RESULTS}, "
        f"and `pgce study {study} --results {RESULTS}` makes it again"
    )


class Phase(NamedTuple):
    """A difference over two settings that vary."""

    x_name: str
    y_name: str
    xs: list[float]
    ys: list[float]
    values: list[list[float | None]]
    """a row for each of ys; None where fewer than two seeds are finished"""


def phase(rows: Sequence[Columns], arm: str, baseline: str, metric: str) -> Phase | None:
    """The mean difference at each pair of settings; None unless just two numbers vary in this study."""
    settings = [dict(re.findall(r"(\w+)=([^,]*)", name)) for name in variants(rows)]
    if len(settings[0]) != 2:
        return None
    x_name, y_name = settings[0]
    try:
        xs, ys = (sorted({float(found[name]) for found in settings}) for name in (x_name, y_name))
    except ValueError:  # words
        return None
    if min(len(xs), len(ys)) < 2 or len(xs) * len(ys) > 2 * len(settings):  # as width, which goes with another
        return None
    at: dict[tuple[float, float], float] = {}
    for name, found in zip(variants(rows), settings, strict=True):
        if difference := compare(rows, arm, baseline, metric, name):
            at[float(found[x_name]), float(found[y_name])] = difference.mean
    return Phase(x_name, y_name, xs, ys, [[at.get((x, y)) for x in xs] for y in ys])
