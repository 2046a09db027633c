"""A tiny pre-training and a tiny RL, and what they leave behind when nothing disturbs them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tiny import SHAPE, TASK

from pgce_mini.runs import Run
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo

Config = PretrainConfig | GRPOConfig
TIMES = ("tokens_per_second", "rollout_tokens_per_second")


@dataclass
class Training:
    """A tiny training, and what it leaves behind when nothing disturbs it."""

    run: Callable[..., Run]
    config: Config
    model: bytes
    metrics: list[dict[str, Any]]

    def at(self, path: Path) -> Config:
        return replace(self.config, run_dir=path)

    def assert_finished_as_undisturbed(self, path: Path) -> None:
        assert Run(path).model_path.read_bytes() == self.model
        assert without_times(Run(path)) == self.metrics
        assert not list(path.rglob(".*.tmp"))


def without_times(run: Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in run.metrics()]


def undisturbed(kind: str, prior: Path, path: Path) -> Training:
    config: Config
    if kind == "pretrain":
        config = PretrainConfig(
            run_dir=path, corpus=TASK, model=SHAPE, steps=8, batch_size=4, warmup_steps=2, decay_steps=2,
            eval_every=5, eval_documents=4, save_every=3,
        )  # fmt: skip
        run = pretrain(config, progress=False)
        return Training(pretrain, config, run.model_path.read_bytes(), without_times(run))
    config = GRPOConfig(
        run_dir=path, prior=prior, steps=8, prompts_per_step=3, num_generations=4, dynamic_sampling=False,
        mask_truncated_completions=False, max_completion_length=5, weight_decay=0.1, save_every=3,
        eval_every=2, eval_problems=5,
    )  # fmt: skip
    run = train_grpo(config, progress=False)
    assert sum(row["grad_norm"] > 0 for row in run.metrics()) > 4
    return Training(train_grpo, config, run.model_path.read_bytes(), without_times(run))


def press_ctrl_c(step: int, monkeypatch: pytest.MonkeyPatch, signum: int = signal.SIGINT) -> None:
    """Ctrl-C, or another signal, while the training logs this step."""
    append = Run.append_metrics

    def press(self: Run, row: dict[str, Any]) -> None:
        if row["step"] == step:
            signal.raise_signal(signum)
        append(self, row)

    monkeypatch.setattr(Run, "append_metrics", press)
