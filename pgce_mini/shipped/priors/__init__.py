"""Priors that come with the package: for each task a model of every arm of the paper, trained on the same data.

    model, corpus = priors.load("text", "precision")

    TASK-ARM.safetensors       weights in half precision, with shape, corpus and tokens in the header
    text-windows.safetensors   windows, held out and trained on, as token ids: each Python words its manual anew
    manifest.json              of each prior its settings, SHA-256, held-out cross-entropy and entropy

`pgce build-priors` makes all of it again from nothing but the seeds.
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

from pgce_mini.evaluation import evaluate_documents
from pgce_mini.gpt import GPT
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.runs import (
    config_to_dict,
    load_model,
    load_tensors,
    read_json,
    save_model,
    save_tensors,
    write_json,
)
from pgce_mini.tasks import ChainSum, Corpus, Countdown, Text
from pgce_mini.training import ModelShape, PretrainConfig, pretrain

FOLDER = Path(__file__).parent
RUNS = Path("runs/priors")
HELDOUT_DOCUMENTS = 256
HELDOUT_SEED = 1  # not the one that the documents of the training's own evaluations are drawn with
TRAINING_DOCUMENTS = 64

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
TASKS = tuple(SETTINGS)


def settings(task: str, arm: str) -> PretrainConfig:
    """The settings that a prior was trained with; its run_dir is where `build` trains it.

    Raises:
        ValueError: naming the task or arm of which there is no prior.
    """
    for name, value, known in (("task", task, TASKS), ("arm", arm, tuple(PAPER_ARMS))):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    config, top_k = SETTINGS[task]
    return replace(config, run_dir=RUNS / f"{task}-{arm}", shaping=replace(PAPER_ARMS[arm], top_k=top_k))


def path(task: str, arm: str, folder: Path = FOLDER) -> Path:
    """The file of a prior, as `GRPOConfig.prior` or `pgce sample` take it.

    Raises:
        ValueError: as `settings`.
    """
    return folder / f"{settings(task, arm).run_dir.name}.safetensors"


def load(task: str, arm: str) -> tuple[GPT, Corpus]:
    """A prior in single precision, and the corpus that reads and writes its tokens.

    Raises:
        ValueError: as `settings`.
        RunError: the file is missing or damaged.
    """
    return load_model(path(task, arm))


@cache
def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    """What is known of the priors: `priors`, TASK-ARM -> its settings, sha256 and held-out numbers; `characters`,
    those of the text that they have seen; `built_with`, the versions."""
    return read_json(folder / "manifest.json")


def heldout(task: str, folder: Path = FOLDER) -> list[list[int]]:
    """The held-out documents behind the manifest's numbers, as token ids.

    Raises:
        ValueError: as `settings`.
    """
    corpus = settings(task, "ce").corpus
    return _windows("heldout", folder) if isinstance(corpus, Text) else _heldout(corpus)


def training(task: str, folder: Path = FOLDER) -> list[list[int]]:
    """The first documents that every prior of a task was trained on, as token ids.

    Raises:
        ValueError: as `settings`.
    """
    config = settings(task, "ce")
    return (
        _windows("training", folder) if isinstance(config.corpus, Text) else _training(config.corpus, config.seed)
    )


def build(
    folder: Path = FOLDER,
    runs: Path = RUNS,
    tasks: Sequence[str] = TASKS,
    arms: Sequence[str] = tuple(PAPER_ARMS),
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains the priors in `runs` (a finished one is kept, an interrupted one goes on), and writes their files and
    the manifest into `folder`; what is there of other tasks and arms stays. Returns the manifest.

    Raises:
        ValueError: as `settings`.
        RunError: a run in `runs` has other settings, or a file is damaged.
    """
    wanted = [settings(task, arm) for task in tasks for arm in arms]
    for config in wanted:
        config = replace(config, run_dir=runs / config.run_dir.name)
        run = pretrain(config, progress=progress)
        model, corpus = load_model(run.path)
        save_model(folder / f"{run.path.name}.safetensors", model.half(), corpus)
        if isinstance(corpus, Text):
            documents = {"heldout": _heldout(corpus), "training": _training(corpus, config.seed)}
            tensors = {name: torch.tensor(rows, dtype=torch.int16) for name, rows in documents.items()}
            save_tensors(_windows_path(folder), tensors, {"characters": corpus.characters})
    found = {
        file.stem: _describe(task, arm, folder)
        for task in TASKS
        for arm in PAPER_ARMS
        if (file := path(task, arm, folder)).exists()
    }
    versions = {"python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
    text = _windows_path(folder)
    content = {
        "command": "pgce build-priors",
        "built_with": versions,
        "characters": load_tensors(text)[1]["characters"] if text.exists() else "",
        "priors": found,
    }
    write_json(folder / "manifest.json", content)
    manifest.cache_clear()
    return content


def _heldout(corpus: Corpus) -> list[list[int]]:
    return [corpus.document(HELDOUT_SEED, index, "heldout") for index in range(HELDOUT_DOCUMENTS)]


def _training(corpus: Corpus, seed: int) -> list[list[int]]:
    return [corpus.document(seed, index) for index in range(TRAINING_DOCUMENTS)]


def _windows_path(folder: Path) -> Path:
    return folder / "text-windows.safetensors"


def _windows(name: str, folder: Path) -> list[list[int]]:
    tensors, _ = load_tensors(_windows_path(folder))
    documents: list[list[int]] = tensors[name].tolist()
    return documents


def _describe(task: str, arm: str, folder: Path) -> dict[str, Any]:
    file, config = path(task, arm, folder), settings(task, arm)
    model, _ = load_model(file)
    numbers = evaluate_documents(model, heldout(task, folder), config.batch_size)
    return {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "settings": config_to_dict(config),
        "heldout": {name: numbers[name] for name in ("documents", "tokens", "cross_entropy", "entropy", "ece")},
    }
