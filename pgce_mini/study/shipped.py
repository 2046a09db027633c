"""The study's tables that come with the package, as the notebooks read them: there, or said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgce_mini.checkpoint import RunError
from pgce_mini.mechanism import ChainPrediction, predict_chain
from pgce_mini.reward import RewardShaping
from pgce_mini.study.claims import RESULTS, Evidence
from pgce_mini.study.rows import Columns
from pgce_mini.study.tables import read_curves
from pgce_mini.tasks import ChainSum, task_from_dict

Metrics = list[dict[str, Any]]  # like the lines of metrics.jsonl


def shipped_rows(part: str, results_dir: Path = RESULTS) -> list[Columns]:
    """The finished rows of a part of the study.

    Raises:
        RunError: the table is missing, and which command makes it; or it is damaged.
        ValueError: pyarrow, which reads the tables, is missing.
    """
    rows = Evidence(results_dir).rows(part)
    if not rows:
        raise RunError(_missing(f"{part}.parquet", part))
    return rows


def shipped_curves(
    part: str, stage: str, arms: Sequence[str], results_dir: Path = RESULTS
) -> dict[str, list[Metrics]]:
    """arm -> for each seed the learning curves of a stage, a line a step, as `figures.learning_curves` takes them.

    stage: "pretrain", "midtrain" or "rl"; of a part without variants.

    Raises:
        RunError: the table, or an arm in it, is missing, and which command makes it; or it is damaged.
        ValueError: pyarrow, which reads the tables, is missing.
    """
    file = f"{part}-curves.parquet"
    found = read_curves(results_dir / file)
    seeds: dict[str, list[Metrics]] = {arm: [] for arm in arms}
    for (_, arm, _), curves in sorted(found.items()):
        steps: dict[int, dict[str, Any]] = {}
        for curve in curves:
            if curve["stage"] == stage:
                for step, value in zip(curve["steps"], curve["values"], strict=True):
                    steps.setdefault(step, {"step": step})[curve["metric"]] = value
        if arm in seeds and steps:
            seeds[arm].append([steps[step] for step in sorted(steps)])
    absent = [arm for arm in arms if not seeds[arm]]
    if absent:
        raise RunError(_missing(f"{file} of {', '.join(absent)}" if found else file, part))
    return seeds


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


def _missing(what: str, part: str) -> str:
    return (
        f"the study's table {what} is missing: it comes with the repository in pgce_mini/results/, "
        f"and `make study-full PART={part}` makes it again"
    )
