"""Arms x seeds of one setting through pre-training, evaluation, RL and evaluation again: the study of `pgce demo`.

Every cell (an arm with a seed) is a worker process of one thread; cells share nothing but the disk, where each
training is a run of its own (`pgce_mini.runs.run`). What is finished is not run again, so an interrupted study
continues. Arms with one seed see the same documents, problems and initial weights.

    STUDY/config.json   ARM-seedN/prior/ (a pre-training run)   ARM-seedN/policy/ (an RL run)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pgce_mini.checks import check_seed, check_whole
from pgce_mini.evaluation import Evaluation, EvaluationConfig, evaluate_run, load_evaluation
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import Run, RunError, config_to_dict
from pgce_mini.study.analysis import STAGE_LABELS, Stage
from pgce_mini.study.engines.workers import RL_STEP_WORK, run_jobs, sole_study
from pgce_mini.tasks import Task
from pgce_mini.training import GRPOConfig, PretrainConfig, check_head, pretrain, train_grpo


@dataclass(frozen=True)
class StudyConfig:
    """What to compare. `pretrain` and `rl` are templates: the study sets their folders, seed, arm and prior.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    study_dir: Path = Path("runs/study")
    """folder of the study, made or continued"""
    arms: tuple[str, ...] = ("ce", "precision", "diversity")
    """names of arms of the paper; the first is what the others are compared with"""
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
        for arm in self.arms:
            if arm not in PAPER_ARMS:
                raise ValueError(f"arms must be among {', '.join(PAPER_ARMS)}, got {arm!r}")
        for name in ("arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must name at least one, none twice, got {values!r}")
        for seed in self.seeds:
            check_seed(seed, "seeds")
        check_whole("workers", self.workers, 1)
        if not isinstance(self.pretrain.corpus, Task):
            raise ValueError(f"pretrain.corpus must be a task with a verifier, got {self.pretrain.corpus.name}")
        if self.pretrain.shaping != RewardShaping():
            raise ValueError("pretrain.shaping must be left out: the arms set it")
        for arm in self.arms:
            check_head(self.shaping(arm), self.pretrain.corpus)

    def shaping(self, arm: str) -> RewardShaping:
        """The reward of an arm, with the head of this study."""
        return PAPER_ARMS[arm] if self.top_k is None else replace(PAPER_ARMS[arm], top_k=self.top_k)

    def settings(self) -> dict[str, Any]:
        """For config.json, without what each cell sets for itself."""
        settings = config_to_dict(self)
        for template, names in (
            ("pretrain", ("shaping", "run_dir", "seed")),
            ("rl", ("run_dir", "prior", "seed")),
        ):
            for name in names:
                settings[template].pop(name, None)
        return settings

    @property
    def work_of_a_cell(self) -> int:
        """Pre-training steps, and what the RL steps are worth in them."""
        return self.pretrain.steps + RL_STEP_WORK * self.rl.steps


@dataclass(frozen=True)
class Cell:
    """One arm with one seed."""

    config: StudyConfig
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.arm}-seed{self.seed}"

    @property
    def path(self) -> Path:
        return self.config.study_dir / self.name

    @property
    def error_path(self) -> Path:
        return self.path / "error.txt"

    @property
    def finished(self) -> bool:
        """Both stages are evaluated, with the settings of this study."""
        wanted = config_to_dict(self.config.evaluation)
        paths = [self.path / stage for stage in STAGE_LABELS]
        return all(
            (path / "evaluation.json").exists() and load_evaluation(path)["config"] == wanted for path in paths
        )

    def work_done(self) -> int:
        """How much of `work_of_a_cell` is on the disk."""
        prior, policy = (lines_of(Run(self.path / stage).metrics_path) for stage in STAGE_LABELS)
        return prior + RL_STEP_WORK * policy

    def execute(self) -> None:
        """Runs what is missing of the cell."""
        config = self.config
        prior, policy = self.path / "prior", self.path / "policy"
        shaping = config.shaping(self.arm)
        pretrain(replace(config.pretrain, run_dir=prior, seed=self.seed, shaping=shaping), progress=False)
        evaluate_run(prior, config.evaluation, progress=False)
        train_grpo(replace(config.rl, run_dir=policy, prior=prior, seed=self.seed), progress=False)
        evaluate_run(policy, config.evaluation, progress=False)


@dataclass(frozen=True)
class Results:
    """What a study found. evaluations: arm -> stage -> seed -> evaluation; failed: cell -> reason."""

    evaluations: dict[str, dict[Stage, dict[int, Evaluation]]]
    failed: dict[str, str]


def run_study(config: StudyConfig, *, progress: bool = True) -> Results:
    """Runs or continues the study in `workers` processes; a cell that fails is reported and the rest goes on.

    Ctrl-C lets every worker save its state, then raises KeyboardInterrupt; the same call continues.

    Raises:
        RunError: study_dir holds another study or files of something else, or another process is running it.
        OSError: the disk is full.
    """
    with Run.start(config.study_dir, "study", config.settings()), sole_study(config.study_dir) as lock:
        cells = [Cell(config, arm, seed) for seed in config.seeds for arm in config.arms]
        for cell in cells:
            cell.error_path.unlink(missing_ok=True)
        bar = tqdm(
            total=len(cells) * config.work_of_a_cell,
            initial=sum(cell.work_done() for cell in cells),
            desc=config.study_dir.name,
            unit="step",
            disable=not progress,
            smoothing=0.05,
        )

        def advance(unfinished: int) -> None:
            bar.set_postfix_str(f"{len(cells) - unfinished} of {len(cells)} cells done")
            bar.update(sum(cell.work_done() for cell in cells) - bar.n)

        with bar:
            run_jobs([cell for cell in cells if not cell.finished], config.workers, lock, advance)
    return load_results(config.study_dir)


def load_results(study_dir: Path) -> Results:
    """The results on the disk, of a study that may still be unfinished.

    Raises:
        RunError: naming the file, when study_dir is no study or a file is damaged.
    """
    recorded = Run(study_dir).config()
    if recorded["kind"] != "study":
        raise RunError(f"{study_dir} is a {recorded['kind']} run, not a study: give the folder of a study")
    arms, seeds = recorded["config"]["arms"], recorded["config"]["seeds"]
    evaluations: dict[str, dict[Stage, dict[int, Evaluation]]] = {}
    failed = {}
    for arm in arms:
        evaluations[arm] = {stage: {} for stage in STAGE_LABELS}
        for seed in seeds:
            path = study_dir / f"{arm}-seed{seed}"
            if (path / "error.txt").exists():
                failed[path.name] = (path / "error.txt").read_text().strip()
            elif all((path / stage / "evaluation.json").exists() for stage in STAGE_LABELS):
                for stage in STAGE_LABELS:
                    evaluations[arm][stage][seed] = load_evaluation(path / stage)
    return Results(evaluations, failed)


def load_curves(study_dir: Path, stage: Stage) -> dict[str, list[list[dict[str, Any]]]]:
    """Learning curves: arm -> for each seed the rows of metrics.jsonl."""
    settings = Run(study_dir).config()["config"]
    return {
        arm: [Run(study_dir / f"{arm}-seed{seed}" / stage).metrics() for seed in settings["seeds"]]
        for arm in settings["arms"]
    }


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
