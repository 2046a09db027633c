"""Priors that come with the package: for each task a model of every arm of the paper, trained on the same data,
and for chain sums more along beta.

    model, corpus = priors.load("text", "precision")
    models = {beta: priors.load("chain-sum", arm)[0] for beta, arm in priors.OVER_BETA.items()}

    TASK-ARM.safetensors       weights in half precision, with shape, corpus and tokens in the header
    text-windows.safetensors   windows of the manual, held out and trained on, as token ids: each version of Python
                               words its manual differently
    manifest.json              of each prior its settings, SHA-256, held-out cross-entropy and entropy, and of a
                               task's how its samples do

`pgce build-priors` makes all of it again from nothing but the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pgce_mini.checks import check_choice
from pgce_mini.evaluation import EvaluationConfig, evaluate, evaluate_documents
from pgce_mini.gpt import GPT
from pgce_mini.paths import expanded
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import Run, config_to_dict, load_model, load_tensors, save_tensors
from pgce_mini.shipped.build import build_models, read_manifest
from pgce_mini.tasks import ChainSum, Corpus, Countdown, Task, Text
from pgce_mini.training import ModelShape, PretrainConfig, pretrain

FOLDER = Path(__file__).parent
RUNS = Path("runs/priors")
WINDOWS = "text-windows.safetensors"
HELDOUT_DOCUMENTS = 256
HELDOUT_SEED = 1  # not the one that the documents of the training's own evaluations are drawn with
TRAINING_DOCUMENTS = 64
EVALUATION = EvaluationConfig(problems=96, samples=64)
RECORDED = ("avg_at_m", "cons_at_m", "completion_length", "reasoned_share", "entropy")
"""What the manifests say of a model's samples, of those that `evaluate` measures."""

# The arms' k: the paper's 100 where the vocabulary is large enough, else a head as small as in our own studies.
SETTINGS: dict[str, tuple[PretrainConfig, int]] = {
    "chain-sum": (PretrainConfig(corpus=ChainSum(), steps=600), 6),
    "countdown": (PretrainConfig(corpus=Countdown(), steps=1000), 8),
    "text": (
        PretrainConfig(
            corpus=Text(vocab_size=1024, context_length=96),
            model=ModelShape(hidden_size=96, intermediate_size=192),
            batch_size=32,
            lr=4e-3,
            steps=800,
        ),
        100,
    ),
}
"""task -> (settings of its pre-training, size of the head)"""

OVER_BETA = {
    -0.75: "beta-0.75", -0.5: "beta-0.5", -0.25: "precision", 0.0: "ce",
    0.25: "beta+0.25", 0.5: "diversity", 0.75: "beta+0.75", 1.0: "beta+1",
}  # fmt: skip
"""beta -> the arm with that beta alone; chain sums have them all, named as in the study"""
ARMS = PAPER_ARMS | {arm: RewardShaping(beta=beta) for beta, arm in OVER_BETA.items() if arm not in PAPER_ARMS}


def arms_of(task: str) -> list[str]:
    """The arms of which a task has a prior."""
    return list(ARMS if task == "chain-sum" else PAPER_ARMS)


def settings(task: str, arm: str) -> PretrainConfig:
    """The settings that a prior was trained with; its run_dir is where `build` trains it.

    Raises:
        ValueError: naming the task or arm of which there is no prior.
    """
    check_choice("task", task, SETTINGS)
    if arm not in arms_of(task):
        raise ValueError(f"arm must be one of {', '.join(arms_of(task))} for {task}, got {arm!r}")
    config, top_k = SETTINGS[task]
    return replace(config, run_dir=RUNS / f"{task}-{arm}", shaping=replace(ARMS[arm], top_k=top_k))


def path(task: str, arm: str) -> Path:
    """The file of a prior, as `GRPOConfig.prior` or `pgce sample` take it; raises as `settings`."""
    return FOLDER / f"{settings(task, arm).run_dir.name}.safetensors"


def load(task: str, arm: str) -> tuple[GPT, Corpus]:
    """A prior in single precision, and the corpus that encodes and decodes its tokens.

    Raises:
        ValueError: as `settings`.
        RunError: the file is missing or damaged.
    """
    return load_model(path(task, arm))


def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    """What is recorded: `priors`, TASK-ARM -> its settings, sha256, held-out numbers and the versions that it
    was `built_with`; `characters`, those of the text."""
    return read_manifest(folder)


def heldout(task: str, folder: Path = FOLDER) -> list[list[int]]:
    """The held-out documents behind the manifest's numbers, as token ids; raises as `settings`."""
    return _documents("heldout", task, folder)


def training(task: str, folder: Path = FOLDER) -> list[list[int]]:
    """The first documents that every prior of a task was trained on, as token ids; raises as `settings`."""
    return _documents("training", task, folder)


def build(
    folder: Path = FOLDER,
    runs: Path = RUNS,
    tasks: Sequence[str] = tuple(SETTINGS),
    arms: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains the priors of `arms`, by default of all, in `runs` (a finished one is kept, an interrupted one goes
    on), and writes their files and the manifest into `folder`; files and entries of other tasks and arms stay.
    Returns the manifest.

    Raises:
        ValueError: as `settings`.
        RunError: a run in `runs` has other settings, or a file is damaged.
    """
    folder = expanded(folder)
    windows = folder / WINDOWS

    def train(config: PretrainConfig) -> Run:
        run = pretrain(config, progress=progress)
        _, corpus = load_model(run.path)
        if isinstance(corpus, Text):
            documents = _draw(corpus, config.seed)
            tensors = {name: torch.tensor(rows, dtype=torch.int16) for name, rows in documents.items()}
            save_tensors(windows, tensors, {"characters": corpus.characters})
        return run

    def characters() -> dict[str, str]:
        return {"characters": load_tensors(windows)[1]["characters"] if windows.exists() else ""}

    wanted = [settings(task, arm) for task in tasks for arm in (arms_of(task) if arms is None else arms)]
    order = [f"{task}-{arm}" for task in SETTINGS for arm in arms_of(task)]
    return build_models("priors", wanted, folder, runs, train, _describe, order, characters)


def _describe(config: PretrainConfig, file: Path) -> dict[str, Any]:
    model, corpus = load_model(file)
    numbers = evaluate_documents(model, heldout(corpus.name, file.parent), config.batch_size)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "settings": config_to_dict(config),
        "heldout": {name: numbers[name] for name in ("documents", "tokens", "cross_entropy", "entropy", "ece")},
    } | ({"samples": solved(model, corpus)} if isinstance(corpus, Task) else {})


def solved(model: GPT, task: Task) -> dict[str, float | None]:
    """How a model does on held-out problems: point estimates of `evaluate`."""
    samples = evaluate(model, task, EVALUATION)["samples"]
    assert samples is not None  # the tasks have verifiers
    numbers = {name: samples[name]["value"] for name in RECORDED}  # type: ignore[literal-required] # in RECORDED
    return numbers | {f"pass_at_{k}": estimate["value"] for k, estimate in samples["pass_at_k"].items()}


def _documents(name: str, task: str, folder: Path) -> list[list[int]]:
    config = settings(task, "ce")
    if not isinstance(config.corpus, Text):
        return _draw(config.corpus, config.seed)[name]
    windows: list[list[int]] = load_tensors(folder / WINDOWS)[0][name].tolist()
    return windows


def _draw(corpus: Corpus, seed: int) -> dict[str, list[list[int]]]:
    return {
        "heldout": [corpus.document(HELDOUT_SEED, index, "heldout") for index in range(HELDOUT_DOCUMENTS)],
        "training": [corpus.document(seed, index) for index in range(TRAINING_DOCUMENTS)],
    }
