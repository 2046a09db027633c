"""What a study runs: a specification, and the settings from which its rows are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pgce_mini.checks import check_seed
from pgce_mini.evaluation import EvaluationConfig
from pgce_mini.paths import expanded
from pgce_mini.study.arms import Arm
from pgce_mini.study.rows import Row
from pgce_mini.training import CONTROLS, GRPOConfig, PretrainConfig


@dataclass(frozen=True)
class Spec:
    """A study that is ready to run. Rows are ordered by variant, seed and arm."""

    name: str
    question: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def folder(self) -> Path:
        """Where its rows leave their results."""
        return self.rows[0].folder

    def units(self) -> list[tuple[Row, ...]]:
        """The rows of each variant and seed. No two units write into one folder, so each can run on a machine of
        its own.
        """
        return [tuple(rows) for _, rows in groupby(self.rows, key=lambda row: (row.variant, row.seed))]


@dataclass(frozen=True)
class Templates:
    """The settings of one variant of a study. `row` fills in folders, seed and what the arm sets."""

    study: str
    folder: Path
    """folder of the study"""
    runs: Path
    """folder of the trainings of this variant, in ARM-seedN/prior, midtrained and policy"""
    pretrain: PretrainConfig
    rl: GRPOConfig | None
    evaluation: EvaluationConfig
    midtrain: PretrainConfig | None = None
    midtrain_by_ce: bool = False
    """mid-training uses cross-entropy; by default the arm's own loss"""
    varied: tuple[tuple[str, Any], ...] = ()
    """the settings of this variant, by their names in a specification"""
    keep_evaluations: bool = False
    """leave evaluation.json and samples.jsonl beside each model"""
    fresh_problems: bool = False
    """documents, problems and samples of an evaluation are drawn from the row's seed; by default all rows share
    those of `evaluation.seed`"""

    def __post_init__(self) -> None:
        for name in ("folder", "runs"):
            object.__setattr__(self, name, expanded(getattr(self, name)))

    def row(self, arm: Arm, seed: int, reference: Row | None = None) -> Row:
        """reference: the row of the arm whose entropy is matched."""

        def folder(name: str, kind: str) -> Path:
            return self.runs / f"{name}-seed{seed}" / kind

        def trained(template: PretrainConfig, arm: Arm, kind: str) -> PretrainConfig:
            return replace(
                template, run_dir=folder(arm.prior, kind), seed=seed, shaping=arm.shaping,
                steps=round(template.steps * arm.steps_factor),
                **{name: getattr(arm, name) or getattr(template, name) for name in CONTROLS},
            )  # fmt: skip

        midtrain, rl = None, None
        if self.midtrain:
            loss = Arm(arm.prior) if self.midtrain_by_ce else replace(arm, steps_factor=1.0)
            midtrain = trained(self.midtrain, loss, "midtrained")
        if self.rl:
            temperature = self.rl.temperature * arm.rl_temperature
            rl = replace(self.rl, run_dir=folder(arm.policy, "policy"), seed=seed, temperature=temperature)
        evaluation = self.evaluation
        if not evaluation.scored_at:
            evaluation = replace(evaluation, temperature=evaluation.temperature * arm.evaluation_temperature)
        if self.fresh_problems:
            evaluation = replace(evaluation, seed=seed)
        return Row(
            self.study, self.folder, self.varied, arm, seed, trained(self.pretrain, arm, "prior"), midtrain, rl,
            evaluation, reference, self.keep_evaluations, self.fresh_problems,
        )  # fmt: skip

    def spec(self, question: str, arms: Sequence[Arm], seeds: Sequence[int]) -> Spec:
        """A study of this one variant, of arms that match no other."""
        seeds = [check_seed(seed, "seeds") for seed in seeds]
        rows = tuple(self.row(arm, seed) for seed in seeds for arm in arms)
        return Spec(self.study, question, tuple(arm.name for arm in arms), tuple(seeds), rows)
