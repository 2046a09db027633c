"""The study of `pgce demo`: arms of the paper x seeds on one setting, each model evaluated and its samples kept.

STUDY/config.json   ARM-seedN/prior/ (a pre-training run)   ARM-seedN/policy/ (an RL run)   rows/ (see `rows`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgce_mini.checks import check_seed, check_whole, plain_numbers
from pgce_mini.evaluation import Evaluation, EvaluationConfig, When, load_evaluation
from pgce_mini.paths import expanded
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import Run, RunError, config_to_dict
from pgce_mini.study.arms import arm_named
from pgce_mini.study.engines.local import run_spec
from pgce_mini.study.rows import error_path
from pgce_mini.study.templates import Spec, Templates
from pgce_mini.tasks import Task
from pgce_mini.training import GRPOConfig, PretrainConfig, check_head

FOLDERS: dict[When, str] = {"before": "prior", "after": "policy"}
"""the run folders of a row, before and after RL"""


@dataclass(frozen=True)
class StudyConfig:
    """What to compare. `pretrain` and `rl` are templates: the study sets their folders, seed, arm and prior.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    study_dir: Path = Path("runs/study")
    """folder of the study, made or continued"""
    arms: tuple[str, ...] = ("ce", "precision", "diversity")
    """names of arms of the paper; the others are compared with the first"""
    top_k: int | None = None
    """size of the head in place of the paper's 100: a small vocabulary needs a small head"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """each draws its own initial weights, documents and problems, the same for every arm"""
    pretrain: PretrainConfig = PretrainConfig()
    """settings of the pre-training"""
    rl: GRPOConfig = GRPOConfig()
    """settings of the RL"""
    evaluation: EvaluationConfig = EvaluationConfig()
    """settings of both evaluations"""
    workers: int = 2
    """processes at a time, one thread each"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(self, "study_dir", expanded(self.study_dir))
        object.__setattr__(self, "seeds", tuple(check_seed(seed, "seeds") for seed in self.seeds))
        object.__setattr__(self, "arms", tuple(self.arms))
        for arm in self.arms:
            if arm not in PAPER_ARMS:
                raise ValueError(f"arms must be among {', '.join(PAPER_ARMS)}, got {arm!r}")
        for name in ("arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must name at least one, none twice, got {values!r}")
        check_whole("workers", self.workers, 1)
        if not isinstance(self.pretrain.corpus, Task):
            raise ValueError(f"pretrain.corpus must be a task with a verifier, got {self.pretrain.corpus.name}")
        if self.pretrain.shaping != RewardShaping():
            raise ValueError("pretrain.shaping must be left out: the arms set it")
        for name in self.arms:
            check_head(arm_named(name, self.top_k).shaping, self.pretrain.corpus)

    def settings(self) -> dict[str, Any]:
        """For config.json, without what the rows set for themselves."""
        settings = config_to_dict(self)
        for name in ("shaping", "run_dir", "prior", "seed"):
            settings["pretrain"].pop(name, None)
            settings["rl"].pop(name, None)
        return settings

    def spec(self) -> Spec:
        """The study as the engine runs it."""
        arms = [arm_named(name, self.top_k) for name in self.arms]
        templates = Templates(
            self.study_dir.name, self.study_dir, self.study_dir, self.pretrain, self.rl, self.evaluation,
            keep_evaluations=True,
        )  # fmt: skip
        return templates.spec(f"How do {', '.join(self.arms)} differ before and after RL?", arms, self.seeds)


@dataclass(frozen=True)
class Results:
    """What a study found. evaluations: arm -> before or after RL -> seed -> evaluation; failed: row -> reason."""

    evaluations: dict[str, dict[When, dict[int, Evaluation]]]
    failed: dict[str, str]


def run_study(config: StudyConfig, *, progress: bool = True) -> Results:
    """Runs or continues the study in `workers` processes; a row that fails is reported and the rest goes on.

    Ctrl-C lets every worker save its state, then raises KeyboardInterrupt; the same call continues.

    Raises:
        RunError: study_dir holds another study or files of something else, another process is running it, or the
            disk has too little room for it.
        OSError: the disk is full all the same.
    """
    with Run.start(config.study_dir, "study", config.settings()):
        run_spec(config.spec(), None, workers=config.workers, progress=progress)
    return load_results(config.study_dir)


def load_results(study_dir: Path) -> Results:
    """The results on the disk, of a study that may still be unfinished.

    Raises:
        RunError: naming the file, when study_dir is no study or a file is damaged.
    """
    study_dir = expanded(study_dir)
    recorded = Run(study_dir).config()
    if recorded["kind"] != "study":
        raise RunError(f"{study_dir} is a {recorded['kind']} run, not a study: give the folder of a study")
    missing = {"arms", "seeds", "evaluation"} - recorded["config"].keys()
    if missing:
        raise RunError(f"{study_dir / 'config.json'} lacks {', '.join(sorted(missing))}: restore a copy")
    evaluations: dict[str, dict[When, dict[int, Evaluation]]] = {}
    failed = {}
    for arm in recorded["config"]["arms"]:
        evaluations[arm] = {when: {} for when in FOLDERS}
        for seed in recorded["config"]["seeds"]:
            path = study_dir / f"{arm}-seed{seed}"
            error = error_path(study_dir, f"{arm}/seed{seed}")
            if error.exists():
                failed[path.name] = error.read_text(encoding="utf-8", errors="replace").strip()
            elif all((path / folder / "evaluation.json").exists() for folder in FOLDERS.values()):
                for when, folder in FOLDERS.items():
                    evaluations[arm][when][seed] = load_evaluation(path / folder)
    return Results(evaluations, failed)


def load_curves(study_dir: Path, when: When) -> dict[str, list[list[dict[str, Any]]]]:
    """The curves of pre-training ("before") or RL ("after"): arm -> for each seed the lines of metrics.jsonl."""
    study_dir = expanded(study_dir)
    settings = Run(study_dir).config()["config"]
    return {
        arm: [Run(study_dir / f"{arm}-seed{seed}" / FOLDERS[when]).metrics() for seed in settings["seeds"]]
        for arm in settings["arms"]
    }
