"""The loop of both trainings: it logs each step, saves states to resume from, and stops on Ctrl-C after a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch.optim import Optimizer

from pgce_mini.gpt import GPT
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import Run, check_finished, deferred_interrupt, save_model
from pgce_mini.tasks import Corpus
from pgce_mini.training.config import GRPOConfig, PretrainConfig
from pgce_mini.training.optimizer import adamw

TrainStep = Callable[[Optimizer, int], Mapping[str, float | None]]
"""(optimizer, step from 1 on) -> the metrics of this step, which has updated the model."""


def run_training(
    kind: Literal["pretrain", "rl"], config: PretrainConfig | GRPOConfig, settings: Mapping[str, Any], model: GPT,
    corpus: Corpus, train_step: TrainStep, *, shown: str, progress: bool,
) -> Run:  # fmt: skip
    """Runs or continues a training in `config.run_dir`; returns its finished run.

    `settings` go into config.json and must be the same when the run is continued; `model` has its first weights;
    `shown` formats a step's metrics for the progress bar. RunError and Ctrl-C are as `pretrain` says.
    """
    with Run.start(config.run_dir, kind, settings) as run:
        if run.finished:
            check_finished(run, model, corpus, config.steps)
            return run
        model.to(config.device)
        optimizer = adamw(model, config.lr, config.weight_decay)
        done = run.load_state(model, optimizer)
        bar = ProgressBar(total=config.steps, initial=done, desc=run.path.name, unit="step", silent=not progress)
        with bar, deferred_interrupt() as interrupted:
            for step in range(done + 1, config.steps + 1):
                row = train_step(optimizer, step)
                run.append_metrics({"step": step, **row})
                bar.set_postfix_str(shown.format_map(row))
                bar.update()
                stop = interrupted()
                if stop or step % config.save_every == 0:
                    run.save_state(step, model, optimizer)
                if stop:
                    raise KeyboardInterrupt
        save_model(run.model_path, model, corpus)
        return run
