"""The folder of a run: its settings, metrics and state, resumable after any interruption.

    config.json                what was asked for
    metrics.jsonl              a line a step
    state/latest.safetensors   model, optimizer and step, to resume from
    model.safetensors          the finished model
    evaluation.json  samples.jsonl

metrics.jsonl is the one file that grows; it is cut back to the step of the state when a run resumes. On the same
machine, with the same number of threads, a resumed run ends with the same model, byte for byte, as an undisturbed
one, and with the same metrics but for the measured speeds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pgce_mini.atomic import write_atomic
from pgce_mini.checks import plain_number
from pgce_mini.paths import expanded
from pgce_mini.runs.files import (
    LOCK,
    RunError,
    load_tensors,
    read_json,
    save_tensors,
    sole_owner,
    write_json,
)
from pgce_mini.tasks import Corpus, task_to_dict

Kind = Literal["pretrain", "rl", "study", "import"]
NOT_RECORDED = ("run_dir", "study_dir", "workers", "gradient_accumulation_steps", "fsdp")
"""Where and how it runs: a run may be moved."""
RECORDED_IF_SET: tuple[str, ...] = (
    "GRPOConfig.eval_every", "eval_problems", "scored_at", "num_experts", "num_experts_per_tok",
    "moe_intermediate_size", "norm_topk_prob", "router_aux_loss_coef", "gem_beta", "coverage_samples",
    "maxrl_order",
)  # fmt: skip
"""Settings that came later: at their defaults they change nothing, and earlier runs do not have them. One stands
with its class where another class has an earlier setting of that name."""


class Run:
    """A run's folder: `with Run.start(...)` makes or continues it, `Run(path)` reads it."""

    def __init__(self, path: Path | str) -> None:
        self.path = expanded(path)
        self.config_path = self.path / "config.json"
        self.metrics_path = self.path / "metrics.jsonl"
        self.model_path = self.path / "model.safetensors"
        self.state_path = self.path / "state" / "latest.safetensors"

    @classmethod
    @contextlib.contextmanager
    def start(cls, path: Path | str, kind: Kind, config: Mapping[str, Any]) -> Iterator[Run]:
        """Makes the folder, or continues the run in it, and keeps other processes out of it until the end of the
        `with` block. A finished run is not locked, and nothing is written into it.

        Raises:
            RunError: the folder holds another run, or other files, or another process is running it; nothing in
                it is touched.
        """
        run = cls(path)
        wanted = {"kind": kind, "config": dict(config)}
        run._check(wanted)
        if run.finished:
            yield run
            return
        with sole_owner(run.path):
            run._check(wanted)  # as the last owner left it
            if not run.config_path.exists():
                write_json(run.config_path, wanted)
            for leftover in [*run.path.glob(".*.tmp"), *run.path.glob("state/.*.tmp")]:  # of a killed process
                leftover.unlink(missing_ok=True)
            yield run

    @property
    def finished(self) -> bool:
        return self.model_path.exists()

    def config(self) -> dict[str, Any]:
        """{"kind": ..., "config": {...}} as it was started.

        Raises:
            RunError: naming the file, when it is missing or damaged.
        """
        found = read_json(self.config_path)
        if not isinstance(found.get("kind"), str) or not isinstance(found.get("config"), dict):
            raise RunError(f"{self.config_path} lacks the kind or the settings of a run: restore a copy")
        return found

    def metrics(self, steps: int | None = None) -> list[dict[str, Any]]:
        """A dict a step, of the first `steps` or of all; a last line without its end (the process was killed) is
        left out.

        Raises:
            RunError: naming the file and line, when it is damaged elsewhere.
        """
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is unfinished
        rows = []
        for step, line in enumerate(lines[:steps], start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or row.get("step") != step:
                raise RunError(f"{self.metrics_path} is damaged in line {step}: restore a copy")
            rows.append(row)
        return rows

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        with open(self.metrics_path, "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")

    def sync_metrics(self) -> None:
        """Has the metrics on the disk before anything that counts on them."""
        if self.metrics_path.exists():
            with open(self.metrics_path, "rb") as file:
                os.fsync(file.fileno())

    def save_state(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Saves what a training needs to go on after `step` steps, its `state_tensors`; its metrics reach the disk
        first."""
        self.sync_metrics()
        save_tensors(self.state_path, tensors, {"step": step})

    def load_state(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restores the last saved state and cuts the metrics back to it; returns the steps done (0: none).

        Raises:
            RunError: naming the file, when one is damaged; nothing on the disk is touched.
        """
        step = 0
        if self.state_path.exists():
            tensors, header = load_tensors(self.state_path)
            weights: dict[str, Tensor] = {}
            moments: dict[int, dict[str, Tensor]] = {}
            try:
                step = header["step"]
                for name, tensor in tensors.items():
                    part, rest = name.split("/", 1)
                    if part == "model":
                        weights[rest] = tensor
                    else:
                        index, moment = rest.split("/")
                        moments.setdefault(int(index), {})[moment] = tensor
                model.load_state_dict(weights)
            except (KeyError, ValueError, RuntimeError) as error:
                raise RunError(f"{self.state_path} is not a state of this run: {error}") from None
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        rows = self.metrics(step)
        if len(rows) < step:
            raise RunError(f"{self.metrics_path} lacks steps before {step}: restore a copy or start a new run")
        if self.metrics_path.exists():
            write_atomic(self.metrics_path, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        return step

    def _check(self, wanted: Mapping[str, Any]) -> None:
        if self.config_path.exists():
            found = read_json(self.config_path)
            if found != wanted:
                difference = settings_difference(found, wanted)
                raise RunError(
                    f"{self.path} holds another run ({difference}): choose another folder, or delete this one"
                )
        elif self.path.is_file():
            raise RunError(f"{self.path} is a file: choose a new folder")
        elif self.path.exists() and not all(
            file.name == LOCK or file.match(".config.json.*.tmp") for file in self.path.iterdir()
        ):
            raise RunError(f"{self.path} holds files of something else: choose an empty or new folder")


def state_tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The weights and the optimizer's moments, with the names that they have in a saved state."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    return tensors


def config_to_dict(config: Any) -> dict[str, Any]:
    """A dataclass of settings as plain JSON values, a corpus with its name; without the settings NOT_RECORDED, and
    without those RECORDED_IF_SET that have their defaults."""

    def plain(value: Any) -> Any:
        if isinstance(value, Corpus):
            return task_to_dict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            settings = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            later = {
                field.name: field.default
                for field in dataclasses.fields(value)
                if {field.name, f"{type(value).__name__}.{field.name}"} & set(RECORDED_IF_SET)
            }
            return {
                name: plain(setting)
                for name, setting in settings.items()
                if name not in later or setting != later[name]
            }
        if isinstance(value, Path):
            return str(value)
        return [plain(item) for item in value] if isinstance(value, tuple) else plain_number(value)

    settings: dict[str, Any] = plain(config)
    return {name: value for name, value in settings.items() if name not in NOT_RECORDED}


def settings_difference(found: Mapping[str, Any], wanted: Mapping[str, Any], name: str = "") -> str:
    """The first setting in which two configurations differ, in words."""
    for key in {**found, **wanted}:
        old, new = found.get(key), wanted.get(key)
        if old != new:
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                return settings_difference(old, new, f"{name}{key}.")
            return f"{name.removeprefix('config.')}{key} is {old!r} there and {new!r} now"
    return "the same settings"
