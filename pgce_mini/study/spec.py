"""A study's specification: a TOML file that says which rows to run.

    question = "Does a precision prior help?"     for the reader
    arms = ["ce", "precision", "temperature-0.75"]   names of `study.arms`; the first is compared with the others
    seeds = 10                  that many, from 0 on; or a list
    top_k = 6                   optional: tokens in the head, in place of the paper's 100

    [task]                      name = "chain-sum", "countdown" or "text", and its settings
    [model]                     of ModelShape
    [pretrain]                  of PretrainConfig
    [midtrain]                  optional: of PretrainConfig, for a second pre-training from the first's model;
                                loss = "arm" (default) or "ce"; [midtrain.task] changes settings of the task
    [rl]                        of GRPOConfig, for a task with a verifier; without it only priors are compared
    [evaluation]                of EvaluationConfig; with scored_at = [1.0, 0.75, 0.0] every arm is scored at these
                                temperatures, whatever its own, and most metrics are taken at the first;
                                fresh_problems = true draws documents, problems and samples anew for each seed
    [grid]                      optional: every combination of these becomes a variant of the study, as in
                                "task.slip_rate" = [0.1, 0.2]
                                "model.hidden_size, model.intermediate_size" = [[32, 64], [64, 128]]

What an arm or the study sets, such as temperature, seed, folders and device, is no setting here. What is left out
takes the library's default. A wrong name or value is answered with the line and the nearest name.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pgce_mini.checks import check_whole, is_finite
from pgce_mini.evaluation import EvaluationConfig, sampled_length
from pgce_mini.paths import expanded
from pgce_mini.reward import RewardShaping
from pgce_mini.study.arms import Arm, arm_named
from pgce_mini.study.rows import Row, variant_folder, variant_name
from pgce_mini.study.templates import Spec, Templates
from pgce_mini.tasks import TASKS, Task, Text, task_from_dict
from pgce_mini.training import (
    CONTROLS,
    GRPOConfig,
    ModelShape,
    PretrainConfig,
    check_head,
    check_length,
    check_pretraining_memory,
)

SET_BY_THE_STUDY = {
    "run_dir", "corpus", "shaping", *CONTROLS, "model", "init_from", "seed", "device", "prior",
    "temperature", "gradient_accumulation_steps", "fsdp",
}  # fmt: skip
OF_A_REWARD = {field.name for field in fields(RewardShaping)} - {"top_k"}
SET_OTHERWISE = "an arm, such as temperature-0.75 or beta-0.5, or the study itself sets it"
TOP_LEVEL = ("question", "arms", "seeds", "top_k", "task", "model", "pretrain", "midtrain", "rl",
             "evaluation", "grid")  # fmt: skip
MOST_SEEDS = 10_000  # who writes seeds = 20250101 means [20250101]
LARGEST_SEED = 2**31 - 1  # as the table of curves holds them
MIDTRAIN_LOSSES = ("arm", "ce")


class SpecError(ValueError):
    """A specification that cannot be run: one sentence with the file, the line and what is wrong."""


def load_spec(path: Path, study_dir: Path) -> Spec:
    """The study of a TOML file, whose name it takes; its runs go to `study_dir`. Nothing is written.

    Raises:
        SpecError: naming file and line, when anything in it is unknown or makes no sense.
    """
    return _Reader(path).spec(study_dir)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path = expanded(path)
        try:
            self.text = path.read_text(encoding="utf-8")
            self.content: dict[str, Any] = tomllib.loads(self.text)
        except OSError as error:
            raise SpecError(f"{path} cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpecError(f"{path} is no TOML file: {error}") from None
        if re.search("[\ud800-\udfff]", path.stem):
            raise SpecError(f"{path} names the study, and is not written in UTF-8: rename the file")

    def spec(self, study_dir: Path) -> Spec:
        content = self.content
        self._check_names(content)
        question = content.get("question", "")
        if not isinstance(question, str):
            raise self._error(f"question must be a text, got {question!r}", "question")
        for name in ("arms", "seeds", "task", "evaluation"):
            if name not in content:
                raise SpecError(f"{self.path} lacks {name!r}")
        arms, seeds = content["arms"], content["seeds"]
        if isinstance(seeds, int) and not isinstance(seeds, bool):
            with _located(self, "seeds"):
                check_whole("seeds", seeds, 1, MOST_SEEDS)
            seeds = list(range(seeds))
        for name, values in (("arms", arms), ("seeds", seeds)):
            if not isinstance(values, list):
                what = "a list of names" if name == "arms" else "a whole number or a list of them"
                raise self._error(f"{name} must be {what}, got {values!r}", name)
            if not values or len(set(map(str, values))) < len(values):
                raise self._error(f"{name} must name at least one, none twice, got {values!r}", name)
        for seed in seeds:
            with _located(self, "seeds"):
                check_whole("seeds", seed, 0, LARGEST_SEED)
        rows: list[Row] = []
        for varied, settings in self._variants():
            variant = _Variant(self, study_dir, varied, settings)
            rows += [variant.row(arm, seed) for seed in seeds for arm in arms]
        return Spec(self.path.stem, question, tuple(arms), tuple(seeds), tuple(rows))

    def _check_names(self, content: Mapping[str, Any]) -> None:
        """Every key is known; values are checked when the settings are made."""
        self._known(content, TOP_LEVEL, "a study")
        for section in ("task", "model", "pretrain", "midtrain", "rl", "evaluation", "grid"):
            if not isinstance(content.get(section, {}), Mapping):
                raise self._error(f"{section} must be a table, [{section}]", section)
        task = content.get("task", {})
        if not isinstance(task.get("name"), str) or task["name"] not in TASKS:
            raise self._error(f"task.name must be one of {', '.join(TASKS)}, got {task.get('name')!r}", "task")
        self._known(task, _settings_of_task(task.get("name")), f"[task] {task.get('name', '')}".strip())
        for section, known in SECTIONS.items():
            self._known(content.get(section, {}), known, f"[{section}]")
        changes = content.get("midtrain", {}).get("task", {})
        if not isinstance(changes, Mapping):
            raise self._error("midtrain.task must be a table, [midtrain.task]", "task", "midtrain")
        self._known(changes, _settings_of_task(task.get("name"))[1:], "[midtrain.task]")

    def _known(self, given: Iterable[str], known: Sequence[str], where: str) -> None:
        for key in given:
            if key not in known:
                problem = f"{key!r} is no setting of {where}{_nearest(key, known)}"
                if key in SET_BY_THE_STUDY | OF_A_REWARD and known is not TOP_LEVEL:
                    problem = f"{key!r} is no setting of {where}: {SET_OTHERWISE}"
                raise self._error(problem, key, where.strip("[]").partition("]")[0])

    def _variants(self) -> Iterator[tuple[tuple[tuple[str, Any], ...], dict[str, Any]]]:
        """Each combination of the grid: what it sets, and the content with that set."""
        axes = []
        varied_paths: list[str] = []
        for names, values in self.content.get("grid", {}).items():
            if isinstance(values, Mapping):  # TOML's own dots
                inner = [names]
                while isinstance(values, Mapping) and values:
                    name, values = next(iter(values.items()))
                    inner.append(name)
                problem = f'names in [grid] must be in quotes, as in "{".".join(inner)}" = [...]'
                raise self._error(problem, inner[-1], "grid")
            paths = [name.strip() for name in names.split(",")]
            varied_paths += paths
            if len(set(varied_paths)) < len(varied_paths):
                raise self._error(f"grid.{names} sets what the grid has set before", names, "grid")
            for name in paths:
                self._check_path(name, names)
            if not isinstance(values, list) or not values:
                raise self._error(f"grid.{names} must be a list of values, got {values!r}", names)
            points = values if len(paths) > 1 else [[value] for value in values]
            if any(not isinstance(point, list) or len(point) != len(paths) for point in points):
                raise self._error(f"each value of grid.{names} must be a list of {len(paths)}", names)
            if not all(isinstance(value, (str, int, float)) for point in points for value in point):
                raise self._error(f"grid.{names} must hold words and numbers only", names)
            axis = [tuple(zip(paths, point, strict=True)) for point in points]
            if min(len(set(axis)), len(set(map(variant_name, axis)))) < len(axis):
                raise self._error(f"grid.{names} must name no value twice, got {values!r}", names)
            axes.append(axis)
        for combination in itertools.product(*axes):
            varied = tuple(itertools.chain(*combination))
            content = copy.deepcopy(self.content)
            for path, value in varied:
                *sections, key = path.split(".")
                table = content
                for section in sections:
                    table = table.setdefault(section, {})
                table[key] = value
            yield varied, content

    def _check_path(self, path: str, names: str) -> None:
        task = self.content.get("task", {}).get("name")
        known = ["top_k", *(f"task.{key}" for key in _settings_of_task(task)[1:])]
        known += [f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys if key != "task"]
        known += [f"midtrain.task.{key}" for key in _settings_of_task(task)[1:]]
        if path not in known:
            of_arm = path.rpartition(".")[2] in SET_BY_THE_STUDY | OF_A_REWARD
            hint = f": {SET_OTHERWISE}" if of_arm else _nearest(path, known)
            raise self._error(f"{path!r} is nothing that a grid can set{hint}", names)

    def _error(self, problem: str, key: str | None = None, section: str = "") -> SpecError:
        line = self._line_of(key, section) if key else None
        return SpecError(f"{self.path}{f', line {line}' if line else ''}: {problem}")

    def _line_of(self, key: str, section: str = "") -> int | None:
        """The first line that sets `key` (by itself or at the end of a dotted name) or opens its table; that in
        `section`, if there are several."""
        name = rf"""["']?(?:[\w ,.-]*[\w-]\.)?{re.escape(key)}["']?"""
        setting = re.compile(rf"\s*(?:{name}\s*=|\[+\s*{name}\s*\])")
        found = []
        current = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[+\s*([\w.-]+)", line):
                current = header[1]
            if setting.match(line):
                found.append((current != section, number))
        return min(found)[1] if found else None


@contextlib.contextmanager
def _located(reader: _Reader, section: str) -> Iterator[None]:
    """Turns a ValueError of a setting into a SpecError with the line that sets it."""
    try:
        yield
    except SpecError:
        raise
    except (ValueError, TypeError) as error:
        field = re.match(r"\w*", str(error))
        key = field[0] if field and reader._line_of(field[0]) else section
        raise reader._error(f"{section}: {error}", key, section) from None


class _Variant:
    """Makes the rows of one combination of the grid."""

    def __init__(
        self, reader: _Reader, study_dir: Path, varied: tuple[tuple[str, Any], ...], content: Mapping[str, Any]
    ) -> None:
        self.reader, self.content = reader, content
        with _located(reader, "task"):
            self.corpus = task_from_dict(content["task"])
            vocab = self.corpus.vocab  # reads the text
        with _located(reader, "model"):
            model = ModelShape(**content.get("model", {}))
            check_length(self.corpus, model.config(self.corpus))
            if isinstance(self.corpus, Text) and sampled_length(self.corpus) > model.max_position_embeddings:
                raise ValueError(
                    f"max_position_embeddings must be at least {sampled_length(self.corpus)} for the samples of a "
                    f"text, got {model.max_position_embeddings}"
                )
        with _located(reader, "pretrain"):
            pretrain = PretrainConfig(**{"corpus": self.corpus, "model": model, **content.get("pretrain", {})})
            check_pretraining_memory(pretrain, model.config(self.corpus))
        midtrain, midtrain_loss = None, MIDTRAIN_LOSSES[0]
        if "midtrain" in content:
            settings = dict(content["midtrain"])
            midtrain_loss = settings.pop("loss", midtrain_loss)
            if midtrain_loss not in MIDTRAIN_LOSSES:
                raise reader._error(f"midtrain.loss must be arm or ce, got {midtrain_loss!r}", "loss")
            with _located(reader, "midtrain"):
                corpus = task_from_dict({**content["task"], **settings.pop("task", {})})
                if corpus.vocab != vocab:
                    raise ValueError("task must keep the vocabulary of the first pre-training")
                midtrain = PretrainConfig(**{"corpus": corpus, "model": model, **settings})
                check_length(corpus, model.config(corpus))
                check_pretraining_memory(midtrain, model.config(corpus))
        rl = None
        if "rl" in content:
            if not isinstance(self.corpus, Task):
                raise reader._error(f"the task {self.corpus.name} has no verifier: leave out [rl]", "rl")
            with _located(reader, "rl"):
                rl = GRPOConfig(**content["rl"])
        with _located(reader, "evaluation"):
            settings = dict(content["evaluation"])
            fresh_problems = settings.pop("fresh_problems", False)
            if not isinstance(fresh_problems, bool):
                raise ValueError(f"fresh_problems must be true or false, got {fresh_problems!r}")
            if fresh_problems and "seed" in settings:
                raise ValueError("seed must be left out with fresh_problems, which takes that of each row")
            for name in ("ks", "scored_at"):
                if isinstance(settings.get(name), list):
                    settings[name] = tuple(settings[name])
            if scored_at := settings.get("scored_at"):
                if not isinstance(self.corpus, Task):
                    raise ValueError(f"scored_at must be left out for {self.corpus.name}, which has no problems")
                if isinstance(scored_at, tuple) and is_finite(scored_at[0]):
                    settings["temperature"] = float(scored_at[0])
            evaluation = EvaluationConfig(**settings)
        self.templates = Templates(
            reader.path.stem, study_dir, study_dir / (variant_folder(varied) or "runs"), pretrain, rl, evaluation,
            midtrain, midtrain_by_ce=midtrain_loss == "ce", varied=varied, fresh_problems=fresh_problems,
        )  # fmt: skip

    def row(self, name: str, seed: int) -> Row:
        with _located(self.reader, "arms"):
            if self.content.get("top_k") is not None:
                check_whole("top_k", self.content["top_k"], 1)
            arm = arm_named(str(name), self.content.get("top_k"))
            check_head(arm.at_rest or arm.shaping, self.corpus)
            if arm.at_rest and self.templates.rl:
                problem = f"{name} is the prediction of a prior, which has no RL: leave out [rl], or this arm"
                raise self.reader._error(problem, "arms")
            self._check_scoring(arm)
        if arm.prior == "ce":  # one prior, whatever the size of a head that cross-entropy does not use
            arm = replace(arm, shaping=RewardShaping())
        reference = self.row(arm.matched_to, seed) if arm.matched_to else None
        try:
            return self.templates.row(arm, seed, reference)
        except ValueError as error:  # of a setting that the arm sets
            raise self.reader._error(f"arms: {name}: {error}", "arms") from None

    def _check_scoring(self, arm: Arm) -> None:
        """An arm that differs from ce in the temperature of its scores alone would be ce."""
        scored_at, rl = self.templates.evaluation.scored_at, self.templates.rl
        sampled = arm.matched_to or arm.evaluation_temperature != 1
        if scored_at and sampled and (rl is None or arm.policy == arm.prior):
            raise ValueError(
                f"arms must differ from ce in more than the scoring, which scored_at sets: leave out {arm.name}"
            )


def _own(config: type, *more: str) -> tuple[str, ...]:
    """The fields of `config` that a specification may set."""
    return (*(field.name for field in fields(config) if field.name not in SET_BY_THE_STUDY), *more)


SECTIONS: dict[str, tuple[str, ...]] = {
    "model": _own(ModelShape),
    "pretrain": _own(PretrainConfig),
    "midtrain": _own(PretrainConfig, "loss", "task"),
    "rl": _own(GRPOConfig),
    "evaluation": (*_own(EvaluationConfig), "seed", "fresh_problems"),
}


def _settings_of_task(name: object) -> tuple[str, ...]:
    task = TASKS.get(name) if isinstance(name, str) else None
    return ("name", *(field.name for field in fields(task))) if task else ("name",)


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f", which has {', '.join(known)}"
