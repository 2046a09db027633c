"""Ctrl-C: a training saves its state after the step, and resumes exactly."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from trainings import Training, press_ctrl_c

from pgce_mini.runs import Run, deferred_interrupt, exit_at_sigterm, load_tensors

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
SHELLS = [path for name in ("sh", "bash", "dash") if (path := shutil.which(name))]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("code", "goes_on"), [(130, False), (143, False), (2, True), (0, True)])
def test_an_interrupted_study_ends_the_studies_of_make_and_a_failed_one_does_not(
    code: int, goes_on: bool, shell: str, tmp_path: Path
) -> None:
    (tmp_path / "pgce").write_text(f'#!/bin/sh\necho "$@"\n[ "$2" = --report ] || exit {code}\n')
    (tmp_path / "pgce").chmod(0o755)
    ended = subprocess.run(
        ["make", "-s", "-f", str(MAKEFILE), "-o", "setup", "study-full", f"BIN={tmp_path}", f"SHELL={shell}",
         "STUDIES=a.toml b.toml"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    called = [line.split()[1] for line in ended.stdout.splitlines()]
    assert called == (["a.toml", "b.toml", "--report"] if goes_on else ["a.toml"]), ended.stderr
    assert (ended.returncode == 0) == (code == 0)


@pytest.mark.parametrize("step", [1, 3, 4, -1], ids=["first", "saved anyway", "between states", "last"])
def test_ctrl_c_saves_after_the_step_and_the_run_resumes_exactly(
    step: int, training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step %= training.config.steps + 1
    press_ctrl_c(step, monkeypatch)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        training.run(training.at(tmp_path), progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": step}
    assert len(Run(tmp_path).metrics()) == step
    monkeypatch.undo()
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


def test_sigterm_saves_after_the_step_and_ends_as_a_shell_expects(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c(4, monkeypatch, signal.SIGTERM)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        training.run(training.at(tmp_path), progress=False)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": 4}
    monkeypatch.undo()
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


def test_ctrl_c_that_comes_after_the_check_waits_for_the_next_step(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True])
    monkeypatch.setattr(
        "pgce_mini.training.loop.deferred_interrupt", lambda: contextlib.nullcontext(lambda: next(answers))
    )
    with pytest.raises(KeyboardInterrupt):
        training.run(training.at(tmp_path), progress=False)
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": 2}


def test_second_ctrl_c_interrupts_at_once() -> None:
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_second_sigterm_lets_the_state_be_saved() -> None:
    saved = []

    def train() -> None:
        with deferred_interrupt() as interrupted:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)  # the parent of a worker tells it to stop, too
            signal.raise_signal(signal.SIGTERM)
            saved.append(interrupted())
            raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="143"):
        train()
    assert saved == [True]


def test_sigterm_leaves_a_block_once_and_what_follows_is_done() -> None:
    closed = []

    @exit_at_sigterm()
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            closed.append(True)

    with pytest.raises(SystemExit, match="143"):
        work()
    assert closed
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_training_outside_the_main_thread_leaves_signals_alone(training: Training, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=training.run, args=(training.at(tmp_path),), kwargs={"progress": False})
    thread.start()
    thread.join()
    training.assert_finished_as_undisturbed(tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
