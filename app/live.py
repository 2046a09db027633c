"""Trainings in the background of the explorer: one at a time, the others in line. No Streamlit in here.

A training is a folder named after its settings, so that whoever asks for the same one finds it, running or done:

    RUNS/live/TASK-ARM-SIZE-seedN/   prior/ (a pre-training run)   policy/ (an RL run)   log.txt

Its stages are processes of the command line (`pgce pretrain`, then `pgce rl`), each in a process group of its own.
The end of a child's stdin is its Ctrl-C: it saves its state and ends. It comes when somebody presses Stop, and
when the explorer ends, in whatever way; the same settings then go on from there. Who has left the explorer loses
the place in the line; a training that has begun goes on to its end, a matter of minutes.
"""

from __future__ import annotations

import os
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
PATIENCE_SECONDS = 20.0  # before a viewer counts as gone: a network may hiccup
QUEUE = 8  # trainings in the line
KEPT = 40  # folders of trainings on the disk

State = Literal["new", "waiting", "running", "stopping", "stopped", "failed", "finished"]


class Size(NamedTuple):
    """Width of the model; steps of pre-training and of RL; documents and prompts a step."""

    hidden_size: int
    steps: int
    batch_size: int
    rl_steps: int
    prompts_per_step: int


SIZES = {
    "tiny": Size(32, 120, 48, 12, 8),
    "small": Size(64, 300, 96, 40, 16),
    "full": Size(64, 600, 96, 80, 24),
}


class Refused(ValueError):
    """Why a training cannot be started, in one sentence for the one who asked."""


@dataclass(frozen=True)
class Recipe:
    """What to train. Only what is listed here, so that no name of a file comes from outside.

    Raises:
        ValueError: naming the setting that is none of ours.
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

    @property
    def title(self) -> str:
        return f"{self.arm} on {self.task}, {self.size}, seed {self.seed}"

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each stage; RL needs a task with a verifier."""
        size = SIZES[self.size]
        verifiable = isinstance(SETTINGS[self.task][0].corpus, Task)
        return {"prior": size.steps} | ({"policy": size.rl_steps} if verifiable else {})

    def command(self, stage: str, folder: Path) -> list[str]:
        """The words of `pgce` for a stage."""
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
    """How a training stands. done and total are in steps of pre-training, an RL step counting for several; seconds
    are those left, once they can be told; ahead: trainings before it in the line; reason: why it failed."""

    state: State
    done: int
    total: int
    seconds: float | None = None
    ahead: int = 0
    reason: str = ""


class Trainer:
    """Runs trainings in `folder`. `present` tells whether a viewer is still there."""

    def __init__(self, folder: Path, present: Callable[[str], bool] = lambda viewer: True) -> None:
        self.folder = folder
        self._present = present
        self._lock = threading.RLock()
        self._line: list[tuple[Recipe, str]] = []  # the first is the next
        self._child: _Child | None = None
        self._seen: dict[str, float] = {}  # viewer -> when they were last there
        self._failed: dict[str, str] = {}  # name -> reason
        self._thread: threading.Thread | None = None

    def submit(self, recipe: Recipe, viewer: str) -> None:
        """Puts a training, new or stopped, into the line.

        Raises:
            Refused: the viewer has one in the line or running, the line is full, or it is there or done already.
        """
        with self._lock:
            state = self.status(recipe).state
            if state in ("waiting", "running", "stopping", "finished"):
                raise Refused(f"this training is {state} already")
            if self.owned(viewer) is not None:
                raise Refused("you have one training waiting or running: stop it, or let it end first")
            if len(self._line) >= QUEUE:
                raise Refused(f"{QUEUE} trainings are waiting: try again when one of them is done")
            self._failed.pop(recipe.name, None)
            self._line.append((recipe, viewer))
            self._seen = {owner: self._seen.get(owner, 0.0) for _, owner in self._all()} | {
                viewer: time.monotonic()
            }
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="trainer", daemon=True)
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
        owners = [owner for r, owner in self._all() if r == recipe]
        return all(owner == viewer or self._gone(owner) for owner in owners)

    def owned(self, viewer: str) -> Recipe | None:
        """The viewer's training that runs or waits."""
        return next((recipe for recipe, owner in self._all() if owner == viewer), None)

    @property
    def running(self) -> Recipe | None:
        with self._lock:
            return self._child.recipe if self._child is not None else None

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._all())

    def status(self, recipe: Recipe) -> Status:
        with self._lock:
            done, total = self._done(recipe), _work(recipe)
            waiting = [r for r, _ in self._line]
            if self._child is not None and self._child.recipe == recipe:
                return Status(
                    "stopping" if self._child.asked else "running", done, total, self._child.seconds(done, total)
                )
            if recipe in waiting:
                ahead = waiting.index(recipe) + (self._child is not None)
                return Status("waiting", done, total, ahead=ahead)
            if all(Run(self._path(recipe) / stage).finished for stage in recipe.steps):
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

    def _all(self) -> list[tuple[Recipe, str]]:
        with self._lock:
            child = [] if self._child is None else [(self._child.recipe, self._child.viewer)]
            return [*child, *self._line]

    def _gone(self, viewer: str) -> bool:
        now = time.monotonic()
        if self._present(viewer):
            self._seen[viewer] = now
        return now > self._seen.get(viewer, 0.0) + PATIENCE_SECONDS

    def _path(self, recipe: Recipe) -> Path:
        return self.folder / recipe.name

    def _done(self, recipe: Recipe) -> int:
        return sum(
            _weight(stage) * lines_of(Run(self._path(recipe) / stage).metrics_path) for stage in recipe.steps
        )

    def _work(self) -> None:
        """The thread: starts what is next, reaps what has ended, and ends when nothing is left."""
        while True:
            with self._lock:
                self._line = [(recipe, viewer) for recipe, viewer in self._line if not self._gone(viewer)]
                if self._child is not None:
                    self._gone(self._child.viewer)  # notes that they are there
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
            stage = next(stage for stage in recipe.steps if not Run(path / stage).finished)
            self._child = _Child(recipe, viewer, stage, path, self._done(recipe))
        except OSError as error:
            self._failed[recipe.name] = f"it cannot be started: {error.strerror or error}"

    def _advance(self, child: _Child) -> None:
        code = child.poll(self._done(child.recipe))
        if code is None:
            return
        self._child = None
        if child.asked:
            return
        if code != 0 or not Run(child.path / child.stage).finished:
            self._failed[child.recipe.name] = child.last_words() or f"its process ended with exit code {code}"
        elif self.status(child.recipe).state != "finished":
            self._start(child.recipe, child.viewer)  # the next stage

    def _prune(self, keep: Path) -> None:
        """Removes the oldest trainings beyond KEPT."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folders = sorted((path for path in self.folder.iterdir() if path != keep), key=lambda p: p.stat().st_mtime)
        for path in folders[: max(0, len(folders) + 1 - KEPT)]:
            shutil.rmtree(path, ignore_errors=True)


class _Child:
    """The process of one stage."""

    def __init__(self, recipe: Recipe, viewer: str, stage: str, path: Path, done: int) -> None:
        self.recipe, self.viewer, self.stage, self.path = recipe, viewer, stage, path
        self.asked: float | None = None  # when it was told to stop
        self._clock: tuple[float, int] | None = None
        self._first = done
        path.mkdir(parents=True, exist_ok=True)
        with (path / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pgce_mini", *recipe.command(stage, path)],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def poll(self, done: int) -> int | None:
        """The exit code once it has ended; reaps it, and kills what does not stop."""
        if self._clock is None and done > self._first:
            self._clock = time.monotonic(), done  # from the first step on: loading is no measure of the rest
        code = self.process.poll()
        if code is None:
            if self.asked is not None and time.monotonic() > self.asked + GRACE_SECONDS:
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def stop(self) -> None:
        if self.asked is None:
            self.asked = time.monotonic()
            assert self.process.stdin is not None
            self.process.stdin.close()

    def seconds(self, done: int, total: int) -> float | None:
        if self._clock is None or done <= self._clock[1]:
            return None
        since, first = self._clock
        return (time.monotonic() - since) / (done - first) * (total - done)

    def last_words(self) -> str:
        """What it said last, which for an error is one sentence."""
        try:
            lines = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:  # somebody has removed the folder
            return ""
        said = [line for line in lines if line.startswith("pgce: ")]
        return said[-1].removeprefix("pgce: ").replace(f"{self.path}{os.sep}", "") if said else ""


def _weight(stage: str) -> int:
    return RL_STEP_WORK if stage == "policy" else 1


def _work(recipe: Recipe) -> int:
    return sum(_weight(stage) * steps for stage, steps in recipe.steps.items())
