"""The evaluation in the folder of a run: evaluation.json and samples.jsonl, made again when they do not fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import cast

from pgce_mini.evaluation.config import EvaluationConfig
from pgce_mini.evaluation.evaluate import Evaluation, evaluate
from pgce_mini.evaluation.sampling import sample_records
from pgce_mini.paths import expanded
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import (
    RunError,
    config_to_dict,
    fingerprint,
    is_made_from,
    load_model,
    read_json,
    write_atomic,
    write_json,
)
from pgce_mini.tasks import Task

EVALUATION, SAMPLES = "evaluation.json", "samples.jsonl"


def evaluate_run(path: Path, config: EvaluationConfig, *, progress: bool = True) -> Evaluation:
    """Evaluates a finished run and writes evaluation.json and samples.jsonl into its folder. An evaluation that is
    there with the same settings, of the same weights, with its samples, is returned as it is; what does not fit or
    is missing is made again. Where `path` is the file of a model, nothing is written.

    Raises:
        RunError: naming the file, when the run is not finished or a file is damaged.
    """
    path = expanded(path)
    if is_evaluated(path, config):
        return load_evaluation(path)
    model, corpus = load_model(path)
    silent = not progress or not isinstance(corpus, Task)  # a text has no problems
    with ProgressBar(total=config.problems, desc=f"evaluate {path}", unit="problem", silent=silent) as bar:
        evaluation = evaluate(model, corpus, config, lambda done, total: bar.update(done - bar.n))
    if path.is_file():
        return evaluation
    (path / SAMPLES).unlink(missing_ok=True)  # of another model: a text has none
    if isinstance(corpus, Task):
        records = [json.dumps(record).encode() + b"\n" for record in sample_records(model, corpus, config)]
        write_atomic(path / SAMPLES, b"".join(records))
    made_from = {"weights": fingerprint(model), "samples_file": _sha256(path / SAMPLES)}
    write_json(path / EVALUATION, {**evaluation, **made_from})
    return evaluation


def is_evaluated(path: Path, config: EvaluationConfig) -> bool:
    """Whether a run's folder has its evaluation with these settings: of the weights that are there, and with the
    samples that were written beside it.

    Raises:
        RunError: naming the file that is damaged.
    """
    if not (path / EVALUATION).exists():
        return False
    found = read_json(path / EVALUATION)
    if found.get("config") != config_to_dict(config):
        return False
    return found.get("samples_file") == _sha256(path / SAMPLES) and is_made_from(path, found.get("weights"))


def load_evaluation(path: Path) -> Evaluation:
    """The evaluation of a run's folder.

    Raises:
        RunError: naming the file, when it is missing or damaged, or not about the weights beside it.
    """
    path = expanded(path)
    if path.is_file():
        raise RunError(f"{path} is a file: name the folder of a run that has been evaluated")
    if path.is_dir() and not (path / EVALUATION).exists():
        raise RunError(f"{path} has not been evaluated: pgce evaluate {path}")
    found = read_json(path / EVALUATION)
    missing = Evaluation.__annotations__.keys() - found.keys()
    if missing:
        raise RunError(
            f"{path / EVALUATION} lacks {', '.join(sorted(missing))}: delete it, then pgce evaluate {path}"
        )
    if not is_made_from(path, found.get("weights")):
        raise RunError(
            f"{path / EVALUATION} is of another model than the one beside it: pgce evaluate {path}, or the "
            "command of its study again"
        )
    return cast(Evaluation, {name: found[name] for name in Evaluation.__annotations__})


def _sha256(file: Path) -> str | None:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" if file.exists() else None
