"""One row of a study: an arm with a seed, from its initial weights to its numbers.

A row is a pure function of its settings and its seed. It leaves STUDY/rows/ROW.json: its line of the table and its
learning curves. Rows that share a prior or a policy share its run folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pgce_mini.evaluation import (
    LOGGED,
    EvaluationConfig,
    When,
    evaluate,
    evaluate_documents,
    evaluate_run,
    is_evaluated,
    matching_temperature,
    measured,
    sample_text,
)
from pgce_mini.reward import RewardShaping
from pgce_mini.runs import (
    Run,
    RunError,
    config_to_dict,
    fingerprint,
    is_made_from,
    load_model,
    read_json,
    write_json,
)
from pgce_mini.study.arms import Arm
from pgce_mini.study.predicted import AtRest
from pgce_mini.study.tables import Columns, Curve, Key, name_of
from pgce_mini.tasks import Text
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo

RL_STEP_WORK = 6  # an RL step takes about as long as this many pre-training steps: for the remaining time


@dataclass(frozen=True)
class Row:
    """What to run. The trainings' settings name their folders; `init_from` and `prior` are filled in here."""

    study: str
    folder: Path
    varied: tuple[tuple[str, Any], ...]
    arm: Arm
    seed: int
    pretrain: PretrainConfig
    midtrain: PretrainConfig | None
    rl: GRPOConfig | None
    evaluation: EvaluationConfig
    reference: Row | None = None
    """the row of the arm whose prior's entropy is matched by temperature"""
    keep_evaluations: bool = False
    """leave evaluation.json and samples.jsonl beside each model"""
    fresh_problems: bool = False
    """the evaluation's seed is the row's own"""

    @property
    def variant(self) -> str:
        """The settings that differ within the study, in words; empty when only arm and seed do."""
        return variant_name(self.varied)

    @property
    def name(self) -> str:
        """As a user gives it: VARIANT/ARM/seedN."""
        return name_of(self.key)

    @property
    def key(self) -> Key:
        """What tells it from the other rows of its study."""
        return self.variant, self.arm.name, self.seed

    @property
    def result_path(self) -> Path:
        return self.folder / "rows" / f"{self._file}.json"

    @property
    def error_path(self) -> Path:
        return error_path(self.folder, self._file)

    @property
    def _file(self) -> str:
        return name_of((variant_folder(self.varied), self.arm.name, self.seed))

    @property
    def models(self) -> dict[When, Path]:
        """The run folders of the models that are evaluated."""
        prior = (self.midtrain or self.pretrain).run_dir
        return {"before": prior, "after": self.rl.run_dir} if self.rl else {"before": prior}

    @property
    def finished(self) -> bool:
        """The result is there, of the models that are there, and so are the evaluations that are to be kept."""
        if not self.result_path.exists():
            return False
        weights, kept = self._content()["weights"], self.keep_evaluations and not self.arm.at_rest
        try:
            return all(
                is_evaluated(path, self.evaluation) if kept else is_made_from(path, weights.get(when))
                for when, path in self.models.items()
            )
        except RunError:  # a model or an evaluation is damaged: `execute` says so, and the other rows go on
            return False

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that the numbers depend on but the seed, as plain JSON values; of a text its SHA-256, too."""

        def of(config: Any, *left_out: str) -> dict[str, Any] | None:
            settings = config_to_dict(config) if config else {}
            if isinstance(config, PretrainConfig) and isinstance(config.corpus, Text):
                settings["text"] = config.corpus.fitted_state()["text"]
            return {name: value for name, value in settings.items() if name not in left_out} or None

        evaluation, reference = of(self.evaluation), self.reference and self.reference.settings
        if self.fresh_problems:
            evaluation = {**(of(self.evaluation, "seed") or {}), "fresh_problems": True}
        if self.reference and reference:
            reference = {"arm": self.reference.arm.name, **reference}
        return {
            "pretrain": of(self.pretrain, "seed", "init_from"),
            "midtrain": of(self.midtrain, "seed", "init_from"),
            "rl": of(self.rl, "seed", "prior"),
            "evaluation": evaluation,
            "reference": reference,
            **({"at_rest": of(self.arm.at_rest)} if self.arm.at_rest else {}),
        }

    @property
    def identity(self) -> Columns:
        """The columns that say which row it is."""
        return {
            "study": self.study,
            "task": self.pretrain.corpus.name,
            "variant": self.variant,
            "arm": self.arm.name,
            "seed": self.seed,
            **dict(self.varied),
            "settings": json.dumps(self.settings, sort_keys=True),
        }

    def trainings(self) -> Iterator[tuple[Path, int]]:
        """The run folder of each training that the row needs, and its work in pre-training steps."""
        for config in (self.pretrain, self.midtrain):
            if config:
                yield config.run_dir, config.steps
        if self.rl:
            yield self.rl.run_dir, self.rl.steps * RL_STEP_WORK
        if self.reference:
            yield from replace(self.reference, rl=None).trainings()

    @property
    def unfinished_runs(self) -> set[Path]:
        """Where it still has to write, so that no other row may at the same time."""
        return {path for path, _ in self.trainings() if not Run(path).finished}

    def execute(self) -> None:
        """Runs what is missing and leaves the result.

        Raises:
            what `pretrain`, `train_grpo` and `evaluate` raise.
        """
        prior = self.train_prior()
        temperature = self._matched_temperature(prior)
        evaluation = self.evaluation
        if temperature is not None and not evaluation.scored_at:
            evaluation = replace(evaluation, temperature=temperature)
        row = {**self.identity, "temperature": evaluation.temperature}
        curves = [*_curves(self.pretrain.run_dir, "pretrain")]
        if self.midtrain:
            curves += _curves(prior, "midtrain")
        if self.rl:
            rl = self.rl if temperature is None else replace(self.rl, temperature=temperature)
            row["rl_temperature"] = rl.temperature
            train_grpo(replace(rl, prior=prior), progress=False)
            curves += _curves(rl.run_dir, "rl")
        for when, path in self.models.items():
            numbers, by_position = measure(path, evaluation, self.keep_evaluations, self.arm.at_rest)
            row |= {f"{name}_{when}": value for name, value in numbers.items()}
            if by_position:
                steps = list(range(1, len(by_position) + 1))
                curves.append({"stage": when, "metric": "entropy", "steps": steps, "values": by_position})
        weights = {when: fingerprint(load_model(path)[0]) for when, path in self.models.items()}
        write_json(self.result_path, {"row": row, "curves": curves, "weights": weights})
        for path, _ in self.trainings():
            shutil.rmtree(path / "state", ignore_errors=True)  # only a finished training needs none

    def train_prior(self) -> Path:
        """The run folder of the finished prior, after mid-training if there is one."""
        pretrain(self.pretrain, progress=False)
        if self.midtrain is None:
            return self.pretrain.run_dir
        pretrain(replace(self.midtrain, init_from=self.pretrain.run_dir), progress=False)
        return self.midtrain.run_dir

    def result(self) -> tuple[Columns, list[Curve]]:
        """What `execute` left.

        Raises:
            RunError: its file is missing or damaged.
        """
        content = self._content()
        return content["row"], content["curves"]

    def _content(self) -> dict[str, Any]:
        content = read_json(self.result_path)
        kinds = {"row": dict, "curves": list, "weights": dict}
        if not all(isinstance(content.get(name), kind) for name, kind in kinds.items()):
            raise RunError(f"{self.result_path} is damaged: delete it, and the same command makes it again")
        return content

    def _matched_temperature(self, prior: Path) -> float | None:
        """At which `prior` has the entropy of the reference's prior; None when there is nothing to match."""
        if self.reference is None:
            return None
        model, corpus = load_model(prior)
        model_to_match, _ = load_model(self.reference.train_prior())
        config = self.evaluation
        documents = [corpus.document(config.seed, i, "heldout") for i in range(config.documents)]
        entropy = evaluate_documents(model_to_match, documents, config.batch_size)["entropy"]
        return matching_temperature(model, documents, entropy)


def variant_name(varied: tuple[tuple[str, Any], ...]) -> str:
    return ",".join(f"{name.rpartition('.')[2]}={value}" for name, value in varied)


def variant_folder(varied: tuple[tuple[str, Any], ...]) -> str:
    """The name of a variant as that of one folder, though a value, such as the path of a text, has slashes."""
    return variant_name(varied).replace("%", "%25").replace("/", "%2F")


def error_path(folder: Path, row: str) -> Path:
    """Where the row of a study in `folder` leaves the reason of its failure; row: its name, of the variant that of
    its folder."""
    return folder / "rows" / f"{row}.error.txt"


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def work_done(run_dir: Path) -> int:
    """What is on the disk of a training, in pre-training steps."""
    return lines_of(Run(run_dir).metrics_path) * (RL_STEP_WORK if run_dir.name == "policy" else 1)


def measure(
    path: Path, config: EvaluationConfig, keep: bool, at_rest: RewardShaping | None = None
) -> tuple[dict[str, float | None], list[float]]:
    """Every metric of a finished run, and the entropy of its samples by position (empty for plain text).

    keep: leave the evaluation and a few samples in the run's folder; at_rest: not of the run's model, but of what
    theory makes of it.
    """
    model, corpus = load_model(path)
    if at_rest:
        model = AtRest(model, at_rest)  # type: ignore[assignment]
    evaluation = (
        evaluate_run(path, config, progress=False) if keep and not at_rest else evaluate(model, corpus, config)
    )
    samples = evaluation["samples"]
    if samples is None:
        assert isinstance(corpus, Text)
        written = sample_text(model, corpus, config.documents, config.temperature, config.seed)
        return measured(evaluation, written), []
    return measured(evaluation, {}), samples["entropy_by_position"]


def _curves(path: Path, training: str) -> Sequence[Curve]:
    rows = Run(path).metrics()
    if training != "rl":
        rows = [row for row in rows if "heldout_entropy" in row]
    curves: list[Curve] = []
    for metric in LOGGED[training]:
        points = [(row["step"], row[metric]) for row in rows if row.get(metric) is not None]
        if points:
            steps, values = [step for step, _ in points], [value for _, value in points]
            curves.append({"stage": training, "metric": metric, "steps": steps, "values": values})
    return curves
