"""`pgce build-priors` and `pgce build-policies`: make the models again that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.extras import literal_type_from_choices

from pgce_mini.cli.options import Arm, WithBar
from pgce_mini.shipped import policies, priors

if TYPE_CHECKING:
    PriorTask = str
    PriorArm = str
    PolicyTask = str
else:
    PriorTask = literal_type_from_choices(priors.SETTINGS)
    PriorArm = literal_type_from_choices(priors.ARMS)
    PolicyTask = literal_type_from_choices(policies.SETTINGS)


@dataclass(frozen=True)
class Build(WithBar):
    folder: Path = Path()
    """where the files go, by default in the place of those that came with the package"""
    runs_dir: Path = Path()
    """where the trainings run; what is finished there is not run again"""
    tasks: tuple[str, ...] = ()
    """tasks to build"""
    arms: tuple[str, ...] = ()
    """arms to build, by default all that a task has"""

    def make(self, build: Callable[..., dict[str, Any]], kind: str, numbers: Callable[[Any], str]) -> None:
        """`kind` is the models' key in the manifest; `numbers` puts what it says of a model into words."""
        self.prepare()
        manifest = build(self.folder, self.runs_dir, self.tasks, self.arms or None, progress=not self.quiet)
        lines = [f"{name:24} {numbers(model)}" for name, model in manifest[kind].items()]
        self.say("\n".join([*lines, f"in {self.folder}"]), manifest)


@dataclass(frozen=True)
class BuildPriors(Build):
    """Make the priors anew that come with the package: every arm of every task, chain sums at more values of beta;
    interrupted, the command goes on."""

    folder: Path = priors.FOLDER
    runs_dir: Path = priors.RUNS
    tasks: tuple[PriorTask, ...] = tuple(priors.SETTINGS)
    arms: tuple[PriorArm, ...] = ()
    """arms to build, by default all that a task has; beta-0.75 and the like are of chain-sum alone (--tasks)"""

    def run(self) -> None:
        def numbers(prior: dict[str, Any]) -> str:
            loss, entropy = (prior["heldout"][name] for name in ("cross_entropy", "entropy"))
            return f"held-out cross-entropy {loss:.4f}, entropy {entropy:.4f} nats/token"

        self.make(priors.build, "priors", numbers)


@dataclass(frozen=True)
class BuildPolicies(Build):
    """Make the policies anew that come with the package, from its priors; interrupted, the command goes on."""

    folder: Path = policies.FOLDER
    runs_dir: Path = policies.RUNS
    tasks: tuple[PolicyTask, ...] = tuple(policies.SETTINGS)
    arms: tuple[Arm, ...] = ()

    def run(self) -> None:
        def numbers(policy: dict[str, Any]) -> str:
            before, after = (policy[when]["avg_at_m"] for when in ("before", "after"))
            return f"Avg@{priors.EVALUATION.samples} {before:.3f} before RL, {after:.3f} after"

        self.make(policies.build, "policies", numbers)
