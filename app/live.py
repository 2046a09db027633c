"""Trainings in the background of the explorer: one runs, the others wait in line. No Streamlit in here.

A training is a folder named after its settings, so that whoever asks for the same one finds it, running or done:

    RUNS/live/TASK-ARM-SIZE-seedN/   prior/ (a pre-training run)   policy/ (an RL run)   log.txt

Its stages are processes of the command line (`pgce pretrain`, then `pgce rl`), each in a process group of its own.
A child whose stdin is closed saves its state and ends, as after Ctrl-C. That happens when somebody presses Stop
and when the explorer ends, in whatever way; the same settings then continue from there. Viewers who leave the
explorer lose their place in the line; a training that runs goes on to its end, which takes minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pgce_mini.reward import PAPER_ARMS
from pgce_mini.runs import Run
from pgce_mini.shipped.priors import SETTINGS
from pgce_mini.study import RL_STEP_WORK, lines_of
from pgce_mini.tasks import Task

POLL_SECONDS = 0.2
GRACE_SECONDS = 30.0  # for a child to save its state; then it is killed
ABSENCE_SECONDS = 20.0  # after which a viewer has left: a connection may be interrupted for a moment
MAX_WAITING = 8  # trainings in the line
MAX_FOLDERS = 40  # of trainings on the disk
STEP_WORK = {"prior": 1, "policy": RL_STEP_WORK}  # of a step of each stage, in steps of pre-training

State = Literal["new", "waiting", "running", "stopping", "stopped", "failed", "finished"]


class Size(NamedTuple):
    """Width of the model; steps of pre-training and of RL; documents and prompts a step."""

    hidden_size: int
    steps: int
    batch_size: int
    rl_steps: int
    prompts_per_step: int


SIZES = {"tiny": Size(32, 120, 48, 12, 8), "small": Size(64, 300, 96, 40, 16), "full": Size(64, 600, 96, 80, 24)}


class Refused(ValueError):
    """Why a training cannot be started, in one sentence for the one who asked."""


@dataclass(frozen=True)
class Recipe:
    """What to train. Every setting is one of a list, so that no file name comes from outside.

    Raises:
        ValueError: naming the setting that is not in its list.
    """

    task: str
    arm: str
    size: str
    seed: int

    def __post_init__(self) -> None:
        for name, known in (("task", SETTINGS), ("arm", PAPER_ARMS), ("size", SIZES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if type(self.seed) is not int or not 0 <= self.seed < 10_000:
            raise ValueError(f"seed must be a whole number from 0 to 9999, got {self.seed!r}")

    @property
    def name(self) -> str:
        return f"{self.task}-{self.arm}-{self.size}-seed{self.seed}"

    @classmethod
    def named(cls, name: str) -> Recipe | None:
        """The one with this `name`; None if there is none."""
        parts = (f"({'|'.join(known)})" for known in (SETTINGS, PAPER_ARMS, SIZES))
        found = re.fullmatch(rf"{'-'.join(parts)}-seed(0|[1-9]\d{{0,3}})", name)
        return cls(*found.groups()[:3], int(found[4])) if found else None

    @property
    def label(self) -> str:
        """Within its task."""
        return f"{self.arm}, {self.size}, seed {self.seed}"

    @property
    def title(self) -> str:
        return f"{self.arm} on {self.task}, {self.size}, seed {self.seed}"

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each stage; RL needs a task with a verifier."""
        size = SIZES[self.size]
        verifiable = isinstance(SETTINGS[self.task][0].corpus, Task)
        return {"prior": size.steps} | ({"policy": size.rl_steps} if verifiable else {})

    @property
    def work(self) -> int:
        """All stages, in steps of pre-training."""
        return sum(STEP_WORK[stage] * steps for stage, steps in self.steps.items())

    def command(self, stage: str, folder: Path) -> list[str]:
        """The arguments of `pgce` for a stage."""
        size, seed = SIZES[self.size], ["--seed", str(self.seed)]
        common = ["--quiet", "--stop-with-stdin", "--run-dir", str(folder / stage), *seed]
        if stage == "policy":
            prompts = ["--prompts-per-step", str(size.prompts_per_step), "--steps", str(size.rl_steps)]
            return ["rl", *common, "--prior", str(folder / "prior"), *prompts, "--save-every", "5"]
        settings, top_k = SETTINGS[self.task]
        text = self.task == "text"
        return [
            "pretrain", *common, "--arm", self.arm, "--top-k", str(top_k), "--steps", str(size.steps),
            "--batch-size", str(size.batch_size // 3 if text else size.batch_size), "--lr", str(settings.lr),
            "--hidden-size", str(size.hidden_size), "--intermediate-size", str(2 * size.hidden_size),
            "--eval-every", str(size.steps // 4), "--eval-documents", "64", "--save-every", str(size.steps // 10),
            *([self.task, "--vocab-size", "512", "--context-length", "64"] if text else [self.task]),
        ]  # fmt: skip


class Status(NamedTuple):
    """How far a training is. done, total: work in steps of pre-training; seconds: left, None while unknown;
    ahead: trainings before it in the line; reason: why it failed."""

    state: State
    done: int
    total: int
    seconds: float | None = None
    ahead: int = 0
    reason: str = ""


class Trainer:
    """Runs trainings in `folder`. `present` tells whether a viewer is still there; without `starts` there is
    only what has been trained already, to look at."""

    def __init__(
        self, folder: Path, present: Callable[[str], bool] = lambda viewer: True, starts: bool = True
    ) -> None:
        self.folder = folder
        self.starts = starts
        self._present = present
        self._lock = threading.RLock()
        self._line: list[tuple[Recipe, str]] = []  # the first is the next
        self._child: _Child | None = None
        self._last_seen: dict[str, float] = {}  # viewer -> when they were last there
        self._failed: dict[str, str] = {}  # name -> reason
        self._thread: threading.Thread | None = None

    def submit(self, recipe: Recipe, viewer: str) -> None:
        """Puts a training, new or stopped, into the line.

        Raises:
            Refused: the viewer has one that waits or runs, the line is full, or this one waits, runs or is done;
                or this server starts none.
        """
        if not self.starts:
            raise Refused("this server starts no trainings")
        with self._lock:
            state = self.status(recipe).state
            if state in ("waiting", "running", "stopping", "finished"):
                raise Refused(f"this training is {state} already")
            if self.owned(viewer) is not None:
                raise Refused("you have one training waiting or running: stop it, or let it end first")
            if len(self._line) >= MAX_WAITING:
                raise Refused(f"{MAX_WAITING} trainings are waiting: try again when one of them is done")
            self._failed.pop(recipe.name, None)
            self._line.append((recipe, viewer))
            self._last_seen = {owner: self._last_seen.get(owner, 0.0) for _, owner in self._active()} | {
                viewer: time.monotonic()
            }
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="trainer", daemon=True)
                self._thread.start()

    def stop(self, recipe: Recipe, viewer: str) -> None:
        """Takes a training out of the line, or lets it save its state and end.

        Raises:
            Refused: it is somebody else's who is still there.
        """
        with self._lock:
            if not self.may_stop(recipe, viewer):
                raise Refused("somebody else has started this training: only they can stop it")
            self._line = [(r, owner) for r, owner in self._line if r != recipe]
            if self._child is not None and self._child.recipe == recipe:
                self._child.stop()

    def may_stop(self, recipe: Recipe, viewer: str) -> bool:
        """Whether it is the viewer's own, or that of somebody who has left."""
        owners = [owner for r, owner in self._active() if r == recipe]
        return all(owner == viewer or self._has_left(owner) for owner in owners)

    def owned(self, viewer: str) -> Recipe | None:
        """The viewer's training that runs or waits."""
        return next((recipe for recipe, owner in self._active() if owner == viewer), None)

    def trained(self) -> list[Recipe]:
        """Those in the folder that have done a step, by name."""
        names = sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []
        return [recipe for recipe in map(Recipe.named, names) if recipe is not None and self._done(recipe)]

    @property
    def running(self) -> Recipe | None:
        with self._lock:
            return self._child.recipe if self._child is not None else None

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._active())

    def status(self, recipe: Recipe) -> Status:
        with self._lock:
            done, total = self._done(recipe), recipe.work
            waiting = [r for r, _ in self._line]
            if self._child is not None and self._child.recipe == recipe:
                state: State = "stopping" if self._child.told_to_stop else "running"
                return Status(state, done, total, self._child.seconds(done, total))
            if recipe in waiting:
                ahead = waiting.index(recipe) + (self._child is not None)
                return Status("waiting", done, total, ahead=ahead)
            if self._next_stage(recipe) is None:
                return Status("finished", total, total)
            if reason := self._failed.get(recipe.name):
                return Status("failed", done, total, reason=reason)
            return Status("stopped" if done else "new", done, total)

    def close(self) -> None:
        """Empties the line, stops what runs and waits for it."""
        with self._lock:
            self._line.clear()
            if self._child is not None:
                self._child.stop()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _active(self) -> list[tuple[Recipe, str]]:
        with self._lock:
            child = [] if self._child is None else [(self._child.recipe, self._child.viewer)]
            return [*child, *self._line]

    def _has_left(self, viewer: str) -> bool:
        now = time.monotonic()
        if self._present(viewer):
            self._last_seen[viewer] = now
        return now > self._last_seen.get(viewer, 0.0) + ABSENCE_SECONDS

    def _path(self, recipe: Recipe) -> Path:
        return self.folder / recipe.name

    def _done(self, recipe: Recipe) -> int:
        """Work that is done, in steps of pre-training."""
        runs = {stage: Run(self._path(recipe) / stage) for stage in recipe.steps}
        return sum(STEP_WORK[stage] * lines_of(run.metrics_path) for stage, run in runs.items())

    def _next_stage(self, recipe: Recipe) -> str | None:
        return next((stage for stage in recipe.steps if not Run(self._path(recipe) / stage).finished), None)

    def _loop(self) -> None:
        """The thread: starts the next training, collects the one that has ended, ends when none is left."""
        while True:
            with self._lock:
                self._line = [(recipe, viewer) for recipe, viewer in self._line if not self._has_left(viewer)]
                if self._child is not None:
                    self._has_left(self._child.viewer)  # updates when they were last seen
                    self._advance(self._child)
                if self._child is None and self._line:
                    recipe, viewer = self._line.pop(0)
                    self._start(recipe, viewer)
                if self._child is None and not self._line:
                    self._thread = None
                    return
            time.sleep(POLL_SECONDS)

    def _start(self, recipe: Recipe, viewer: str) -> None:
        try:
            self._prune(keep=self._path(recipe))
            path = self._path(recipe)
            stage = self._next_stage(recipe)
            assert stage is not None  # a finished training is not submitted
            self._child = _Child(recipe, viewer, stage, path, self._done(recipe))
        except OSError as error:
            self._failed[recipe.name] = f"it cannot be started: {error.strerror or error}"

    def _advance(self, child: _Child) -> None:
        code = child.poll(self._done(child.recipe))
        if code is None:
            return
        self._child = None
        if child.told_to_stop:
            return
        if code != 0 or not Run(child.path / child.stage).finished:
            self._failed[child.recipe.name] = child.error_message() or f"its process ended with exit code {code}"
        elif self._next_stage(child.recipe) is not None:
            self._start(child.recipe, child.viewer)

    def _prune(self, keep: Path) -> None:
        """Removes the oldest folders, so that there are at most MAX_FOLDERS with `keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folders = sorted((path for path in self.folder.iterdir() if path != keep), key=lambda p: p.stat().st_mtime)
        for path in folders[: max(0, len(folders) + 1 - MAX_FOLDERS)]:
            shutil.rmtree(path, ignore_errors=True)


class _Child:
    """The process of one stage."""

    def __init__(self, recipe: Recipe, viewer: str, stage: str, path: Path, done: int) -> None:
        self.recipe, self.viewer, self.stage, self.path = recipe, viewer, stage, path
        self.told_to_stop: float | None = None  # when, in monotonic seconds
        self._clock: tuple[float, int] | None = None
        self._first = done
        path.mkdir(parents=True, exist_ok=True)
        with (path / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pgce_mini", *recipe.command(stage, path)],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def poll(self, done: int) -> int | None:
        """The exit code, once it has ended. Kills a child that does not stop in time."""
        if self._clock is None and done > self._first:
            self._clock = time.monotonic(), done  # from the first step on: loading says nothing about the rest
        code = self.process.poll()
        if code is None:
            if self.told_to_stop is not None and time.monotonic() > self.told_to_stop + GRACE_SECONDS:
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def stop(self) -> None:
        if self.told_to_stop is None:
            self.told_to_stop = time.monotonic()
            assert self.process.stdin is not None
            self.process.stdin.close()

    def seconds(self, done: int, total: int) -> float | None:
        if self._clock is None or done <= self._clock[1]:
            return None
        since, first = self._clock
        return (time.monotonic() - since) / (done - first) * (total - done)

    def error_message(self) -> str:
        """The last message of `pgce`, which for an error is one sentence."""
        try:
            lines = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:  # somebody has removed the folder
            return ""
        said = [line for line in lines if line.startswith("pgce: ")]
        return said[-1].removeprefix("pgce: ").replace(f"{self.path}{os.sep}", "") if said else ""
