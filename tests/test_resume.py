"""Trainings that are killed for real, or run out of disk, end as if undisturbed."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from disk import everything_in
from trainings import Config, Training

from pgce_mini.runs import Run, RunError, load_tensors


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Real processes that have torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def exit_code(process: BaseProcess) -> int | None:
    process.start()
    process.join()
    return process.exitcode


def train_unless_killed(run: Callable[..., Run], config: Config, dies_at: int = 0) -> None:
    """The body of a process. With `dies_at` it kills itself at that call of fsync or replace: as bytes have been
    written and may or may not be on the disk."""
    calls = 0

    def deadly(function: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            function(*args)

        return call

    torch.set_num_threads(1)
    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)  # it ends with us
    run(config, progress=False)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(training: Training, tmp_path: Path) -> None:
    training.run(training.at(tmp_path / "again"), progress=False)
    training.assert_finished_as_undisturbed(tmp_path / "again")
    other = training.run(replace(training.at(tmp_path / "other"), seed=1), progress=False)
    assert other.model_path.read_bytes() != training.model


def test_finished_run_is_not_run_again_and_not_with_other_settings(training: Training, tmp_path: Path) -> None:
    config = training.at(tmp_path)
    training.run(config, progress=False)
    before = everything_in(tmp_path)
    training.run(config, progress=False)
    with pytest.raises(RunError, match=r"lr is .* there and 0\.5 now"):
        training.run(replace(config, lr=0.5), progress=False)
    assert everything_in(tmp_path) == before


def test_run_killed_at_random_moments_ends_as_if_undisturbed(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    moments, kills = random.Random(0), 0
    for target in (1, 4, 6, 7):
        process = processes.Process(target=train_unless_killed, args=(training.run, training.at(tmp_path)))
        process.start()
        wait_for_step(process, tmp_path, target)
        time.sleep(0.02 * moments.random())
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills  # the last may come too late
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


def test_second_process_on_a_running_training_is_refused_and_harmless_until_the_first_is_gone(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    config = replace(training.at(tmp_path), steps=100_000)
    process = processes.Process(target=train_unless_killed, args=(training.run, config))
    process.start()
    wait_for_step(process, tmp_path, 2)
    with pytest.raises(RunError, match="is being run by another process"):
        training.run(config, progress=False)
    steps = len(Run(tmp_path).metrics())
    wait_for_step(process, tmp_path, steps + 2)
    assert process.is_alive()
    process.kill()
    process.join()
    found = Run(tmp_path).config()
    with Run.start(tmp_path, found["kind"], found["config"]) as run:
        assert len(run.metrics()) >= steps + 2


def wait_for_step(process: BaseProcess, path: Path, step: int) -> None:
    run = Run(path)
    while process.is_alive() and (not run.metrics_path.exists() or len(run.metrics()) < step):
        time.sleep(0.002)


@pytest.mark.parametrize("training", ["pretrain"], indirect=True)
def test_run_killed_at_any_disk_operation_ends_as_if_undisturbed(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    """Before each sync and each rename of an undisturbed run in turn; each continues to its end."""
    for dies_at in range(1, 100):
        path = tmp_path / str(dies_at)
        arguments = (training.run, training.at(path), dies_at)
        code = exit_code(processes.Process(target=train_unless_killed, args=arguments))
        if code == 0:  # lived: it has fewer disk operations
            break
        assert code == -signal.SIGKILL
        training.run(training.at(path), progress=False)
        training.assert_finished_as_undisturbed(path)
    states = training.config.steps // training.config.save_every
    assert dies_at - 1 == 3 + 4 * (states + 1)  # config, then states and model with the metrics synced first


@pytest.mark.parametrize(
    ("room", "steps"), [(0, 4), (30, 4), (2000, 6)], ids=["nothing", "half a line", "lines but no state"]
)
def test_full_disk_is_an_error_and_the_run_goes_on_once_there_is_room(
    room: int, steps: int, training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    arguments = (training.run, training.at(tmp_path), 4, room)
    assert exit_code(processes.Process(target=train_until_the_disk_is_full, args=arguments)) == FULL_DISK
    assert not list(tmp_path.rglob(".*.tmp"))
    assert len(Run(tmp_path).metrics()) == steps
    assert Run(tmp_path).metrics_path.read_bytes().endswith(b"\n") == (room != 30)
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": 3}
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


FULL_DISK = 28  # the exit code of the process below


def train_until_the_disk_is_full(run: Callable[..., Run], config: Config, full_after: int, room: int) -> None:
    """The body of a process. After `full_after` steps no file may grow beyond metrics.jsonl's size plus `room`."""
    append = Run.append_metrics

    def fill(self: Run, row: dict[str, Any]) -> None:
        append(self, row)
        if row["step"] == full_after:
            limit = self.metrics_path.stat().st_size + room
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    Run.append_metrics = fill  # type: ignore[assignment,method-assign]  # it ends with us
    torch.set_num_threads(1)
    try:
        run(config, progress=False)
    except OSError:
        sys.exit(FULL_DISK)
