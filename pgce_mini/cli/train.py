"""`pgce pretrain` and `pgce rl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, arg

from pgce_mini.cli.options import Arm, WithBar
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.runs import Run, RunError
from pgce_mini.tasks import Task
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo


@dataclass(frozen=True)
class Pretrain(WithBar):
    """Pre-train a model with the shaped loss, or go on from an earlier prior (--init-from)."""

    arm: Arm | None = None
    """arm of the paper to start from; --beta, --lambda-head, --lambda-tail, --top-k, --form change its values"""
    config: Annotated[OmitArgPrefixes[PretrainConfig], arg(name="")] = PretrainConfig()

    def with_defaults_of_arm(self, words: Sequence[str]) -> Pretrain:
        """The command parsed again from its `words`, with the values of --arm as defaults."""
        if self.arm is None:
            return self
        default = Pretrain(config=PretrainConfig(shaping=PAPER_ARMS[self.arm]))
        return tyro.cli(Pretrain, args=words, default=default, prog="pgce pretrain")

    def run(self) -> None:
        self.prepare()
        run = pretrain(self.config, progress=not self.quiet)
        last = _last_step(run)
        text = (
            f"{run.path}: held-out cross-entropy {last['heldout_cross_entropy']:.3f}, "
            f"entropy {last['heldout_entropy']:.3f} nats/token after {last['step']} steps\n"
        )
        if "expert_load_max" in last:
            text += (
                f"the busiest expert has {last['expert_load_max']:.2f} times an even share of its layer's tokens\n"
            )
        text += f"next: pgce evaluate {run.path}, pgce sample {run.path}"
        if isinstance(self.config.corpus, Task):
            text += f", pgce rl --prior {run.path}"
        self.say(text, {"run": str(run.path), **last})


@dataclass(frozen=True)
class RL(WithBar):
    """Train a prior further with GRPO on its task's verifier."""

    config: Annotated[OmitArgPrefixes[GRPOConfig], arg(name="")] = GRPOConfig()

    def run(self) -> None:
        self.prepare()
        run = train_grpo(self.config, progress=not self.quiet)
        last = _last_step(run)
        text = (
            f"{run.path}: reward {last['reward']:.3f}, mean length {last['completions/mean_length']:.1f} tokens "
            f"after {last['step']} steps\nnext: pgce evaluate {run.path}, pgce sample {run.path}"
        )
        self.say(text, {"run": str(run.path), **last})


def _last_step(run: Run) -> dict[str, Any]:
    """The last line of a finished run's metrics.

    Raises:
        RunError: the metrics are gone.
    """
    rows = run.metrics()
    if not rows:
        damage = f"{run.metrics_path} is missing or empty"
        raise RunError(f"{damage}: restore a copy; the model beside it is finished and whole")
    return rows[-1]
