"""The loop of both trainings: it logs each step, saves states to resume from, and stops on Ctrl-C after a step.

Of several processes the first reads and writes; all stop after the same step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from torch.optim import Optimizer

from pgce_mini.gpt import GPT
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import Run, check_finished, deferred_interrupt, save_model, state_tensors
from pgce_mini.tasks import Corpus
from pgce_mini.training.config import GRPOConfig, PretrainConfig
from pgce_mini.training.distributed import agreed, check_same, counts, gathered, is_first
from pgce_mini.training.fsdp import start_alike, whole
from pgce_mini.training.optimizer import adamw

Kind = Literal["pretrain", "rl"]
TrainStep = Callable[[Optimizer, int], Mapping[str, float | None]]
"""(optimizer, step from 1 on) -> the metrics of this step, which has updated the model."""


def run_training(
    kind: Kind, config: PretrainConfig | GRPOConfig, settings: Mapping[str, Any], model: GPT,
    corpus: Corpus, train_step: TrainStep, *, shown: str, progress: bool,
) -> Run:  # fmt: skip
    """Runs or continues a training in `config.run_dir`; returns its finished run.

    `settings` go into config.json and must be the same when the run is continued; `model` has its first weights;
    `shown` formats a step's metrics for the progress bar. RunError and Ctrl-C are as `pretrain` says.
    """
    check_same((settings, config.gradient_accumulation_steps, config.fsdp))
    with _started(config.run_dir, kind, settings) as run:
        if gathered(run.finished)[0]:
            with agreed():
                if is_first():
                    check_finished(run, model, corpus, config.steps)
            return run
        if not config.fsdp:  # which moves a layer at a time
            model.to(config.device)
        optimizer: Optimizer = adamw(model, config.lr, config.weight_decay)
        with agreed():
            done = run.load_state(model, optimizer) if is_first() else 0
        done = gathered(done)[0]
        optimizer = start_alike(model, optimizer, config)
        silent = not progress or not is_first()
        bar = ProgressBar(total=config.steps, initial=done, desc=run.path.name, unit="step", silent=silent)
        with bar, deferred_interrupt() as interrupted:
            for step in range(done + 1, config.steps + 1):
                row = train_step(optimizer, step)
                if is_first():
                    run.append_metrics({"step": step, **row})
                bar.set_postfix_str(shown.format_map(row))
                bar.update()
                stop = any(counts(interrupted()))
                if stop or step % config.save_every == 0:
                    tensors = whole(state_tensors(model, optimizer))
                    if is_first():
                        run.save_state(step, tensors)
                if stop:
                    raise KeyboardInterrupt
        weights = whole(model.state_dict())
        with agreed():
            if is_first():
                run.sync_metrics()  # the model makes the run a finished one
                save_model(run.model_path, model, corpus, weights)
        return run


@contextlib.contextmanager
def _started(path: Path, kind: Kind, settings: Mapping[str, Any]) -> Iterator[Run]:
    """`Run.start` by the first process; the others learn of its refusal."""
    with contextlib.ExitStack() as stack:
        with agreed():
            run = stack.enter_context(Run.start(path, kind, settings)) if is_first() else Run(path)
        yield run
