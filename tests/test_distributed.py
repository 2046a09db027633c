"""Trainings on two processes: the same batches, losses and completions as on one, and runs that go on exactly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from several_processes import STOPS, killed, pretrainings, reinforcements, stopped
from trainings import without_times

from pgce_mini.cli import main
from pgce_mini.gpt import Draws
from pgce_mini.runs import Run, load_tensors
from pgce_mini.training import pretrain, train_grpo

TESTS = Path(__file__).parent
TOLERANCE = 1e-5


def torchrun(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def said(process: subprocess.Popen[str]) -> tuple[str, str]:
    """stdout and stderr to its end; it does not outlive the test."""
    try:
        return process.communicate(timeout=500)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def several(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything that two processes have trained, in one group."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "text.txt").write_text((TESTS.parent / "README.md").read_text(encoding="utf-8"))
    process = torchrun(str(TESTS / "several_processes.py"), str(folder), str(prior))
    _, err = said(process)
    assert process.returncode == 0, err
    return folder


@pytest.fixture(scope="module")
def told(several: Path) -> list[dict[str, Any]]:
    """What each process has met."""
    return [json.loads((several / f"process{i}.json").read_text()) for i in range(2)]


def assert_same_curve(found: Run, wanted: Run) -> None:
    """Every metric of every step; the recorded settings are the same to the byte."""
    assert found.config_path.read_bytes() == wanted.config_path.read_bytes()
    rows, wanted_rows = without_times(found), without_times(wanted)
    assert [list(row) for row in rows] == [list(row) for row in wanted_rows]
    for row, wanted_row in zip(rows, wanted_rows, strict=True):
        assert row == pytest.approx(wanted_row, rel=TOLERANCE, abs=TOLERANCE), row["step"]


# --- the same curve ---


@pytest.mark.parametrize("name", pretrainings(Path(), Path()))
def test_two_processes_pretrain_as_one(name: str, several: Path, prior: Path, tmp_path: Path) -> None:
    config = replace(pretrainings(several, prior)[name], run_dir=tmp_path, fsdp=False)
    assert_same_curve(Run(several / name), pretrain(config, progress=False))


@pytest.mark.parametrize("name", reinforcements(Path(), Path()))
def test_two_processes_sample_the_same_completions_and_learn_as_one(
    name: str, several: Path, prior: Path, tmp_path: Path
) -> None:
    config = replace(reinforcements(several, prior)[name], run_dir=tmp_path, fsdp=False)
    run = train_grpo(config, progress=False)
    assert_same_curve(Run(several / name), run)
    assert len({row["reward"] for row in run.metrics()}) > 1
    if config.dynamic_sampling:
        refills = [row["refills"] for row in run.metrics()]
        assert max(refills) > 0


@pytest.mark.parametrize("name", ["precision", "text"])
def test_two_parts_on_one_process_are_bit_for_bit_two_processes(
    name: str, several: Path, prior: Path, tmp_path: Path
) -> None:
    config = replace(pretrainings(several, prior)[name], run_dir=tmp_path, gradient_accumulation_steps=2)
    assert pretrain(config, progress=False).model_path.read_bytes() == Run(several / name).model_path.read_bytes()


def test_gradient_accumulation_changes_nothing_in_rl(prior: Path, tmp_path: Path) -> None:
    for name, config in reinforcements(tmp_path, prior).items():
        if not config.fsdp:
            whole = train_grpo(replace(config, steps=3), progress=False)
            parts = replace(config, steps=3, run_dir=tmp_path / f"{name} parts", gradient_accumulation_steps=4)
            assert_same_curve(train_grpo(parts, progress=False), whole)


@pytest.mark.parametrize("rows", [(3, 0, 2), (0, 0, 1), (4, 4, 4)])
def test_processes_draw_the_numbers_of_one(rows: Sequence[int]) -> None:
    """Three processes, simulated in turn: what each brings to a count is known beforehand."""
    lengths = [[1 + (7 * i + j) % 5 for j in range(n)] for i, n in enumerate(rows)]  # of the completions

    def left(process: int, token: int) -> int:
        return sum(length > token for length in lengths[process])

    def drawn(process: int) -> list[list[float]]:
        token = 0

        def counts(own: int) -> list[int]:
            brought = [left(i, token) if token else rows[i] for i in range(3)]
            assert own == brought[process]
            return brought

        draws, numbers = Draws(torch.Generator().manual_seed(0), counts, process), []
        draws.begin(rows[process])
        places = list(range(rows[process]))
        for token in range(1, 6):
            numbers.append(draws.uniform().flatten().tolist())
            assert len(numbers[-1]) == len(places)
            if draws.running(left(process, token)) == 0:
                break
            if draws.drops():
                places = [place for place in places if lengths[process][place] > token]
        return numbers

    alone = Draws(torch.Generator().manual_seed(0))
    alone.begin(sum(rows))
    together = [drawn(i) for i in range(3)]
    for token in range(len(together[0])):
        numbers = [number for process in together for number in process[token]]
        assert numbers == alone.uniform().flatten().tolist()
        if alone.running(sum(left(i, token + 1) for i in range(3))):
            alone.drops()


# --- a run that is stopped, or killed ---


def test_ctrl_c_for_one_process_stops_all_after_the_same_step_and_any_number_goes_on(
    several: Path, told: list[dict[str, Any]], tmp_path: Path
) -> None:
    for found in told:
        for name, (_, step) in STOPS.items():
            assert found[name] == "KeyboardInterrupt: "
            assert found[f"{name} after"] == step
    config = stopped(several)
    assert load_tensors(Run(config.run_dir).state_path)[1] == {"step": 6}
    undisturbed = pretrain(replace(config, run_dir=tmp_path), progress=False)
    assert_same_curve(pretrain(config, progress=False), undisturbed)  # two processes, two with fsdp, then one


def test_killed_process_ends_all_and_the_same_command_ends_with_the_same_bytes(
    several: Path, told: list[dict[str, Any]], tmp_path: Path
) -> None:
    run, words = Run(tmp_path / "killed"), killed(tmp_path / "killed")
    process = torchrun("-m", "pgce_mini", *words)
    while process.poll() is None and (not run.metrics_path.exists() or len(run.metrics()) < 23):
        time.sleep(0.01)
    os.kill(worker(process.pid, rank=1), signal.SIGKILL)
    _, err = said(process)
    assert process.returncode == 1
    assert err.count("the same command goes on from the last saved step") <= 1  # none if torchrun is faster
    assert not run.finished
    process = torchrun("-m", "pgce_mini", *words)
    out, err = said(process)
    assert (process.returncode, out.count("held-out cross-entropy")) == (0, 1), err
    assert run.model_path.read_bytes() == Run(several / "undisturbed").model_path.read_bytes()
    assert without_times(run) == without_times(Run(several / "undisturbed"))
    assert [found["undisturbed"][0] == "" for found in told] == [False, True]  # the first alone tells the result


def worker(torchrun_pid: int, rank: int) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == torchrun_pid and f"\0RANK={rank}\0" in (path / "environ").read_text():
                return int(path.name)
        except OSError:  # it has ended meanwhile
            continue
    raise AssertionError(f"torchrun {torchrun_pid} has no process of rank {rank}")


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("odd batch", r"batch_size must be a multiple of 2 \(.* = 2 x 1\), got 25"),
        ("odd prompts", r"prompts_per_step must be a multiple of 4 .*, got 6"),
        ("other run", r".* holds another run .*"),
        ("demo", r"torchrun starts pgce pretrain and pgce rl: run pgce demo without it, .*"),
        ("slip", r"--bath-size is no option of pgce pretrain: did you mean --batch-size\? .*"),
    ],
)  # fmt: skip
def test_refusal_is_told_once_and_every_process_leaves_with_its_code(
    name: str, sentence: str, told: list[dict[str, Any]], several: Path
) -> None:
    (_, first, code), other = (found[name] for found in told)
    assert other == ["", "", 2]
    assert code == 2
    assert re.fullmatch(f"pgce: {sentence}\n", first), first
    assert not (several / "refused").exists()


def test_command_that_is_no_training_joins_no_group_and_speaks_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So a `pgce doctor` that a process of torchrun starts does not wait for the others."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        main(["--version"])
        with pytest.raises(SystemExit, match="0"):
            main(["--help"])
        out = capsys.readouterr().out
        assert out.count("pgce_mini ") == out.count("usage: pgce") == (rank == "0")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match="2"):
        main(["doctor"])
    assert "run pgce doctor without it" in capsys.readouterr().err
    assert not dist.is_initialized()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("diverged", "FloatingPointError: the training diverged at step"),
        ("other settings", "ValueError: process "),
        ("text of one", r"ValueError: .*notext\.txt"),
    ],
)
def test_error_of_one_process_is_raised_on_all(name: str, pattern: str, told: list[dict[str, Any]]) -> None:
    for found in told:
        assert re.match(pattern, found[name]), found[name]
    if name != "other settings":
        assert told[0][name] == told[1][name]


def test_process_that_fails_while_the_others_wait_for_it_ends_alone_and_they_say_so(
    prior: Path, tmp_path: Path
) -> None:
    process = torchrun(str(TESTS / "several_processes.py"), str(tmp_path), str(prior), "full")
    _, err = said(process)
    assert process.returncode == 0, err
    assert (tmp_path / "full0.txt").read_text() == "MemoryError: it is full"
    assert (tmp_path / "full1.txt").read_text().startswith("RunError: another process of this training has ended")


def test_fsdp_needs_torchrun(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start them with torchrun"):
        pretrain(replace(stopped(tmp_path), fsdp=True), progress=False)
    assert not list(tmp_path.iterdir())


def test_batch_that_cannot_be_split_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size must be a multiple of 3 .*, got 4"):
        pretrain(replace(stopped(tmp_path), gradient_accumulation_steps=3), progress=False)
    with pytest.raises(ValueError, match="gradient_accumulation_steps must be a whole number of at least 1"):
        replace(stopped(tmp_path), gradient_accumulation_steps=0)
    assert not list(tmp_path.iterdir())
