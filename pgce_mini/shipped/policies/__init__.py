"""Policies that come with the package: the priors of `pgce_mini.shipped.priors` after RL on their task's verifier.

    model, task = policies.load("chain-sum", "precision")

    TASK-ARM.safetensors    weights in half precision, as a prior's
    manifest.json           of each policy its settings, SHA-256, and held-out problems solved before and after RL

`pgce build-policies` makes all of it again from the priors and one seed. That shows what a policy is like; which
arm is better is the question of the study, with its many seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pgce_mini.checks import check_choice
from pgce_mini.gpt import GPT
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.runs import config_to_dict, load_model
from pgce_mini.shipped import priors
from pgce_mini.shipped.build import build_models, file_sha256, read_manifest
from pgce_mini.tasks import Corpus, Task
from pgce_mini.training import GRPOConfig, train_grpo

FOLDER = Path(__file__).parent
RUNS = Path("runs/policies")

SETTINGS: dict[str, GRPOConfig] = {"chain-sum": GRPOConfig(steps=80), "countdown": GRPOConfig(steps=80)}
"""task -> settings of its RL"""


def settings(task: str, arm: str) -> GRPOConfig:
    """The settings that a policy was trained with; its run_dir is where `build` trains it.

    Raises:
        ValueError: naming the task or arm of which there is no policy.
    """
    check_choice("task", task, SETTINGS)
    check_choice("arm", arm, PAPER_ARMS)
    prior = priors.path(task, arm)
    return replace(SETTINGS[task], run_dir=RUNS / prior.stem, prior=prior)


def path(task: str, arm: str) -> Path:
    """The file of a policy, as `pgce sample` takes it; raises as `settings`."""
    return FOLDER / settings(task, arm).prior.name


def load(task: str, arm: str) -> tuple[GPT, Corpus]:
    """A policy and its task; as `priors.load`."""
    return load_model(path(task, arm))


def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    """What is recorded: `policies`, TASK-ARM -> its settings, sha256, its numbers `before` and `after` RL and
    the versions that it was `built_with`."""
    return read_manifest(folder)


def build(
    folder: Path = FOLDER,
    runs: Path = RUNS,
    tasks: Sequence[str] = tuple(SETTINGS),
    arms: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains the policies and writes their files and the manifest; as `priors.build`."""
    wanted = [settings(task, arm) for task in tasks for arm in (PAPER_ARMS if arms is None else arms)]
    order = sorted(f"{task}-{arm}" for task in SETTINGS for arm in PAPER_ARMS)
    return build_models("policies", wanted, folder, runs, partial(train_grpo, progress=progress), _describe, order)


def _describe(config: GRPOConfig, file: Path) -> dict[str, Any]:
    recorded = config_to_dict(config)
    del recorded["prior"]  # a path of this machine; its SHA-256 stands for it
    return {
        "prior_sha256": file_sha256(config.prior),
        "settings": recorded,
        "before": _solved(config.prior),
        "after": _solved(file),
    }


def _solved(file: Path) -> dict[str, float | None]:
    model, corpus = load_model(file)
    assert isinstance(corpus, Task)
    return priors.solved(model, corpus)
