"""What test_distributed runs on one process and, with `torchrun several_processes.py FOLDER PRIOR`, on two.

Each of the two leaves a file with the errors that it has met, process0.json and process1.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tiny import TASK

from pgce_mini import PAPER_ARMS
from pgce_mini.cli import main
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import Run
from pgce_mini.tasks import Countdown, Text
from pgce_mini.training import (
    GRPOConfig,
    ModelShape,
    PretrainConfig,
    distributed,
    loop,
    pretrain,
    rollout,
    train_grpo,
)
from pgce_mini.training.distributed import rank

SHAPE = ModelShape(32, 2, 4, 2, 32, 128)
EXPERTS = replace(SHAPE, num_experts=4, moe_intermediate_size=16, router_aux_loss_coef=1.0)
STOPS = {"stopped": (1, 3), "stopped in parts": (0, 6)}
"""The process that gets Ctrl-C, and the step."""


def pretrainings(folder: Path, prior: Path) -> dict[str, PretrainConfig]:
    """All arms and controls, documents of one length and of several, new and earlier weights."""
    text = folder / "text.txt"
    config = PretrainConfig(
        corpus=replace(TASK, reasoned_share=0.5), model=SHAPE, steps=10, batch_size=12, lr=2e-3, eval_every=5,
        eval_documents=8, save_every=1000,
    )  # fmt: skip
    arms = {name: replace(config, shaping=replace(arm, top_k=6)) for name, arm in PAPER_ARMS.items()}
    others = {
        "label smoothing": replace(config, label_smoothing=0.1),
        "focal": replace(config, focal_gamma=2.0),
        "countdown": replace(config, corpus=Countdown()),
        "text": replace(config, corpus=Text(path=str(text))),
        "mid-training": replace(config, init_from=prior, lr=1e-3),
        "in parts": replace(config, fsdp=True),
        "experts": replace(config, model=EXPERTS, gradient_accumulation_steps=2),
        "experts in parts": replace(config, model=EXPERTS, fsdp=True),
    }
    configs = {**arms, **others}
    configs["precision"] = replace(configs["precision"], steps=50)
    return {name: replace(config, run_dir=folder / name) for name, config in configs.items()}


def reinforcements(folder: Path, prior: Path) -> dict[str, GRPOConfig]:
    """With refills, with updates of fewer groups than there are processes, with each normalisation."""
    config = GRPOConfig(prior=prior, steps=4, prompts_per_step=4, num_generations=4, max_refills=2,
                        eval_every=2, eval_problems=5)  # fmt: skip
    all_kept = replace(config, dynamic_sampling=False, num_iterations=2)
    configs = {
        "rl": replace(config, num_minibatches=3),
        "rl grpo": replace(all_kept, kl_coef=0.5, loss_type="grpo", scale_rewards="batch"),
        "rl dr_grpo": replace(all_kept, loss_type="dr_grpo", temperature=0.8),
        "rl in parts": replace(config, num_minibatches=3, kl_coef=0.5, fsdp=True),
    }
    return {name: replace(c, run_dir=folder / name) for name, c in configs.items()}


def stopped(folder: Path) -> PretrainConfig:
    return PretrainConfig(
        run_dir=folder / "stopped", corpus=TASK, model=SHAPE, steps=10, batch_size=4, eval_documents=4,
        save_every=1000,
    )  # fmt: skip


def killed(folder: Path) -> list[str]:
    """A command whose process is killed."""
    options = "--steps 50 --batch-size 8 --eval-every 50 --eval-documents 4 --save-every 10 --quiet"
    return ["pretrain", "--run-dir", str(folder), *options.split()]


def ctrl_c_at(process: int, step: int) -> None:
    """Ctrl-C for one of the processes alone."""

    class Pressing(ProgressBar):
        def update(self, n: float = 1) -> None:
            super().update(n)
            self.done = getattr(self, "done", self.n) + 1  # a silent bar does not count
            if rank() == process and self.done == step:
                os.kill(os.getpid(), signal.SIGINT)

    loop.ProgressBar = Pressing  # type: ignore[misc]


def error_of(function: Callable[[], Any]) -> str:
    try:
        function()
    except (Exception, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def command(*words: str) -> list[Any]:
    """What it says on both streams, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as leaving:
            code = leaving.code
    return [out.getvalue(), err.getvalue(), code]


def all_on_several(folder: Path, prior: Path) -> None:
    for config in pretrainings(folder, prior).values():
        pretrain(config, progress=False)
    for rl_config in reinforcements(folder, prior).values():
        train_grpo(rl_config, progress=False)
    found: dict[str, Any] = {"undisturbed": command(*killed(folder / "undisturbed"))}
    plain = stopped(folder)
    for name, stop in STOPS.items():
        ctrl_c_at(*stop)
        config = replace(plain, fsdp=name != "stopped")
        found[name] = error_of(lambda config=config: pretrain(config, progress=False))
        found[f"{name} after"] = len(Run(plain.run_dir).metrics())
    loop.ProgressBar = ProgressBar  # type: ignore[misc]

    new = replace(plain, run_dir=folder / "refused")
    own = replace(new, lr=1e-3 * (1 + rank()))
    without_text = replace(new, corpus=Text(path=str(folder / f"{'no' * rank()}text.txt")))
    found |= {
        "diverged": error_of(lambda: pretrain(replace(plain, run_dir=folder / "div", lr=1e30, warmup_steps=0))),
        "other settings": error_of(lambda: pretrain(own)),
        "text of one": error_of(lambda: pretrain(without_text)),
        "odd batch": command("pretrain", "--run-dir", str(folder / "refused"), "--batch-size", "25"),
        "odd prompts": command("rl", "--run-dir", str(folder / "refused"), "--prior", str(prior),
                               "--prompts-per-step", "6", "--gradient-accumulation-steps", "2"),
        "other run": command("pretrain", "--run-dir", str(folder / "ce")),
        "demo": command("demo"),
        "slip": command("pretrain", "--bath-size", "2"),
    }  # fmt: skip
    (folder / f"process{rank()}.json").write_text(json.dumps(found))


def without_memory(folder: Path, prior: Path) -> None:
    """The first process has none left while it samples."""
    calls = 0

    def counts(own: int) -> list[int]:
        nonlocal calls
        calls += 1
        if rank() == 0 and calls == 3:
            raise MemoryError("it is full")
        return distributed.counts(own)

    rollout.counts = counts
    config = replace(reinforcements(folder, prior)["rl"], run_dir=folder / "full")
    found = error_of(lambda: train_grpo(config, progress=False))
    (folder / f"full{rank()}.txt").write_text(found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work = without_memory if sys.argv[3:] == ["full"] else all_on_several
    work(*map(Path, sys.argv[1:3]))
