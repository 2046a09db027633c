"""Policies that come with the package: the priors of `pgce_mini.shipped.priors` after RL on their task's verifier.

    model, task = policies.load("chain-sum", "precision")

    TASK-ARM.safetensors    weights in half precision, as a prior's
    manifest.json           of each policy its settings, SHA-256, and held-out problems solved before and after RL

`pgce build-policies` makes all of it again from the priors and one seed. That shows what a policy is like; which
arm is better is the question of the study, with its many seeds.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pgce_mini.evaluation import EvaluationConfig, evaluate
from pgce_mini.gpt import GPT
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.runs import config_to_dict, load_model, read_json, save_model, write_json
from pgce_mini.shipped import priors
from pgce_mini.tasks import Corpus
from pgce_mini.training import GRPOConfig, train_grpo

FOLDER = Path(__file__).parent
RUNS = Path("runs/policies")

SETTINGS: dict[str, GRPOConfig] = {"chain-sum": GRPOConfig(steps=80), "countdown": GRPOConfig(steps=80)}
"""task -> settings of its RL"""
TASKS = tuple(SETTINGS)
EVALUATION = EvaluationConfig(problems=96, samples=64)
RECORDED = ("avg_at_m", "cons_at_m", "completion_length", "reasoned_share", "entropy")


def settings(task: str, arm: str) -> GRPOConfig:
    """The settings that a policy was trained with; its run_dir is where `build` trains it.

    Raises:
        ValueError: naming the task or arm of which there is no policy.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    prior = priors.path(task, arm)
    return replace(SETTINGS[task], run_dir=RUNS / prior.stem, prior=prior)


def path(task: str, arm: str, folder: Path = FOLDER) -> Path:
    """The file of a policy, as `pgce sample` takes it.

    Raises:
        ValueError: as `settings`.
    """
    return folder / settings(task, arm).prior.name


def load(task: str, arm: str) -> tuple[GPT, Corpus]:
    """A policy in single precision, and the task that reads and writes its tokens.

    Raises:
        ValueError: as `settings`.
        RunError: the file is missing or damaged.
    """
    return load_model(path(task, arm))


@cache
def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    """What is known of the policies: `policies`, TASK-ARM -> its settings, sha256, and its numbers `before` and
    `after` RL; `built_with`, the versions."""
    return read_json(folder / "manifest.json")


def build(
    folder: Path = FOLDER,
    runs: Path = RUNS,
    tasks: Sequence[str] = TASKS,
    arms: Sequence[str] = tuple(PAPER_ARMS),
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains the policies in `runs` (a finished one is kept, an interrupted one goes on), and writes their files
    and the manifest into `folder`; what is there of other tasks and arms stays. Returns the manifest.

    Raises:
        ValueError: as `settings`.
        RunError: a run in `runs` has other settings, or a file is damaged.
    """
    wanted = [settings(task, arm) for task in tasks for arm in arms]
    known = read_json(folder / "manifest.json")["policies"] if (folder / "manifest.json").exists() else {}
    for config in wanted:
        run = train_grpo(replace(config, run_dir=runs / config.run_dir.name), progress=progress)
        model, corpus = load_model(run.path)
        file = folder / config.prior.name
        save_model(file, model.half(), corpus)
        known[file.stem] = {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "prior_sha256": hashlib.sha256(config.prior.read_bytes()).hexdigest(),
            "settings": {k: v for k, v in config_to_dict(config).items() if k not in ("run_dir", "prior")},
            "before": _solved(config.prior),
            "after": _solved(file),
        }
        versions = {"python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
        content = {
            "command": "pgce build-policies",
            "built_with": versions,
            "policies": dict(sorted(known.items())),
        }
        write_json(folder / "manifest.json", content)
    manifest.cache_clear()
    return read_json(folder / "manifest.json")


def _solved(file: Path) -> dict[str, float | None]:
    """How a model does on held-out problems: point estimates of `evaluate`."""
    model, corpus = load_model(file)
    samples = evaluate(model, corpus, EVALUATION)["samples"]
    assert samples is not None  # the tasks have verifiers
    numbers = {name: samples[name]["value"] for name in RECORDED}  # type: ignore[literal-required] # in RECORDED
    return numbers | {f"pass_at_{k}": estimate["value"] for k, estimate in samples["pass_at_k"].items()}
