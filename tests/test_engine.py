"""A tiny study from specification to tables: complete, repeatable, interrupted, out of disk."""

from __future__ import annotations

import fcntl
import functools
import json
import multiprocessing
import re
import resource
import shutil
import signal
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_spec import TINY, spec_in, tables

from pgce_mini import cli
from pgce_mini.evaluation import LENGTH
from pgce_mini.runs import RunError
from pgce_mini.study import (
    StudyTable,
    check_row,
    key_of,
    load_spec,
    read_curves,
    read_rows,
    run_spec,
    write_curves,
    write_rows,
)
from pgce_mini.study.engines import workers

ARMS = ["ce", "precision", "temperature-0.75", "matched-precision", "evaluation-temperature-1.5"]
WITH_CONTROLS = TINY.replace('"ce", "precision"', ", ".join(f'"{arm}"' for arm in ARMS))
ONE_SEED = TINY.replace("[3, 4]", "[3]")


def run(folder: Path, text: str = WITH_CONTROLS) -> StudyTable:
    return run_spec(spec_in(folder, text), folder / "results", progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    assert run(folder).failed == {}
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The specification and the tables of the finished study, as after a fresh clone."""
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copy(finished / "tiny.toml", tmp_path)
    return tmp_path


def test_table_has_a_line_a_row_with_every_metric_before_and_after_rl(finished: Path) -> None:
    rows = read_rows(finished / "results" / "tiny.parquet")
    assert [(row["arm"], row["seed"]) for row in rows] == [(arm, seed) for seed in (3, 4) for arm in ARMS]
    for row in rows:
        assert row["error"] is None
        assert (row["study"], row["task"]) == ("tiny", "chain-sum")
        for when in ("before", "after"):
            assert 0 < row[f"entropy_{when}"] < 4
            assert 0 <= row[f"avg_at_m_{when}"] <= row[f"pass_at_2_{when}"] <= row[f"pass_at_4_{when}"] <= 1
            assert 1 <= row[f"completion_length_{when}"] <= 8


def test_arms_with_one_prior_agree_before_rl_and_only_there(finished: Path) -> None:
    rows = {(row["arm"], row["seed"]): row for row in read_rows(finished / "results" / "tiny.parquet")}
    curves = read_curves(finished / "results" / "tiny-curves.parquet")
    for seed in (3, 4):
        ce, tempered = rows["ce", seed], rows["temperature-0.75", seed]
        assert ce["cross_entropy_before"] == tempered["cross_entropy_before"]
        assert ce["sample_entropy_before"] > tempered["sample_entropy_before"]
        assert rows["evaluation-temperature-1.5", seed]["cross_entropy_after"] == ce["cross_entropy_after"]
        assert rows["matched-precision", seed]["temperature"] != 1
        assert [rows[arm, seed]["temperature"] for arm in ("ce", "temperature-0.75")] == [1, 0.75]
        lengths = {
            arm: next(c["values"] for c in curves["", arm, seed] if c["metric"] == LENGTH)
            for arm in ("ce", "temperature-0.75")
        }
        assert lengths["ce"] != lengths["temperature-0.75"]  # RL samples otherwise too


def test_curves_hold_the_trainings_and_the_positions(finished: Path) -> None:
    curves = read_curves(finished / "results" / "tiny-curves.parquet")
    of_row = {(curve["stage"], curve["metric"]): curve for curve in curves["", "precision", 3]}
    assert of_row["pretrain", "heldout_entropy"]["steps"] == [10, 20]
    assert of_row["rl", "reward"]["steps"] == [1, 2, 3]
    assert of_row["before", "entropy"]["steps"][:2] == [1, 2]
    assert len(curves) == 10


def test_finished_rows_are_taken_from_the_tables_alone(finished: Path, copy: Path) -> None:
    run(copy)
    assert not (copy / "runs").exists()
    assert tables(copy) == tables(finished)


def test_tables_with_some_of_the_rows_are_completed_to_the_same_bytes(finished: Path, copy: Path) -> None:
    path = copy / "results" / "tiny.parquet"
    rows = read_rows(path)
    write_rows(path, [*rows[:1], *rows[4:]])
    run(copy)
    assert (copy / "runs" / "runs" / "precision-seed3").exists()
    assert not (copy / "runs" / "runs" / "precision-seed4").exists()
    assert tables(copy) == tables(finished)


def test_row_that_is_run_again_gives_the_numbers_of_the_table(finished: Path) -> None:
    assert check_row(finished / "tiny.toml", "matched-precision/seed4", finished / "results") == []


def test_a_table_of_an_earlier_version_has_fewer_curves(copy: Path) -> None:
    path = copy / "results" / "tiny-curves.parquet"
    curves, rows = read_curves(path), read_rows(copy / "results" / "tiny.parquet")
    fewer = [(row, [c for c in curves[key_of(row)] if c["metric"] != "frac_reward_zero_std"]) for row in rows]
    write_curves(path, fewer)
    assert check_row(copy / "tiny.toml", "ce/seed3", copy / "results") == []
    other = {"stage": "rl", "metric": "pulse", "steps": [1], "values": [0.0]}
    write_curves(path, [(row, [*of_row, other]) for row, of_row in fewer])
    assert check_row(copy / "tiny.toml", "ce/seed3", copy / "results") == ["there is no curve of pulse (rl) now"]


def test_a_curve_with_one_other_value_differs(copy: Path) -> None:
    path = copy / "results" / "tiny-curves.parquet"
    curves, rows = read_curves(path), read_rows(copy / "results" / "tiny.parquet")
    reward = next(c for c in curves["", "ce", 3] if (c["stage"], c["metric"]) == ("rl", "reward"))
    reward["values"][1] += 0.125
    write_curves(path, [(row, curves[key_of(row)]) for row in rows])
    assert check_row(copy / "tiny.toml", "ce/seed3", copy / "results") == ["the curve of reward (rl) differs"]


def test_row_that_is_not_there_is_answered_with_the_nearest(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean precision/seed3"):
        check_row(finished / "tiny.toml", "precison/seed3", finished / "results")
    with pytest.raises(RunError, match="has no finished row ce/seed3: run the study first"):
        check_row(finished / "tiny.toml", "ce/seed3", tmp_path)


def test_results_of_other_settings_are_refused_and_kept(finished: Path, copy: Path) -> None:
    with pytest.raises(RunError, match=r"ce/seed3 of other settings \(rl\.steps is 3 there and 4 now\)"):
        run(copy, WITH_CONTROLS.replace("[rl]\nsteps = 3", "[rl]\nsteps = 4"))
    with pytest.raises(RunError, match="holds ce/seed4, which is no row of tiny"):
        run(copy, WITH_CONTROLS.replace("[3, 4]", "[3]"))
    assert tables(copy) == tables(finished)


def test_damaged_table_is_named_and_kept(copy: Path) -> None:
    path = copy / "results" / "tiny.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"tiny\.parquet is damaged"):
        run(copy)
    pq.write_table(pq.read_table(copy / "results" / "tiny-curves.parquet").replace_schema_metadata({}), path)
    with pytest.raises(RunError, match="is no table of a study"):
        run(copy)


def test_run_that_diverges_is_a_line_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = ONE_SEED + '[grid]\n"pretrain.lr" = [8e-3, 1e30]\n'
    for _ in range(2):  # it is tried again, with the same end
        table = run(tmp_path, text)
        assert list(table.failed) == ["lr=1e+30/ce/seed3", "lr=1e+30/precision/seed3"]
        assert all("diverged at step" in reason for reason in table.failed.values())
        rows = read_rows(table.path)
        assert [row["error"] is None for row in rows] == [True, True, False, False]
        assert [row["pretrain.lr"] for row in rows] == [8e-3, 8e-3, 1e30, 1e30]
        assert rows[2]["avg_at_m_after"] is None


def test_rows_that_failed_are_counted_and_the_first_says_why(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_spec(copy / "tiny.toml", copy / "tiny")
    path = copy / "results" / "tiny.parquet"
    rows = read_rows(path)[:-3]
    for row in spec.rows[-3:]:
        row.error_path.parent.mkdir(parents=True, exist_ok=True)
        row.error_path.write_text("no memory\n")
    write_rows(path, rows)
    options = [str(copy / "tiny.toml"), "--runs", str(copy), "--results", str(copy / "results"), "--collect"]
    with pytest.raises(SystemExit, match="2"):
        cli.main(["study", *options])
    said = "3 of 10 rows failed, the first temperature-0.75/seed4: no memory (each reason is in column error"
    assert said in capsys.readouterr().err
    assert sum(row["error"] == "no memory" for row in read_rows(path)) == 3


def of_text(folder: Path, line: str = "It was the best of times, it was the worst of times.\n") -> str:
    """A study of a book, which it writes."""
    (folder / "book.txt").write_text(line * 400)
    task = f'[task]\nname = "text"\npath = "{folder}/book.txt"\nvocab_size = 300\ncontext_length = 64\n\n'
    return re.sub(r"\[rl\].*?\n\n", "", re.sub(r"\[task\].*?\n\n", task, ONE_SEED, flags=re.S), flags=re.S)


def without_text(settings: dict[str, Any]) -> dict[str, Any]:
    """As an earlier version recorded them."""
    pretrain = {name: value for name, value in settings["pretrain"].items() if name != "text"}
    return {**settings, "pretrain": pretrain}


def test_table_of_another_text_is_refused_and_one_that_does_not_say_is_taken(tmp_path: Path) -> None:
    table = run(tmp_path, of_text(tmp_path))
    assert table.path
    before = tables(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    another = of_text(tmp_path, "Call me Ishmael. Some years ago, never mind how long.\n")
    with pytest.raises(RunError, match=r"ce/seed3 of other settings \(pretrain\.text is 'sha256:.* and 'sha256:"):
        run(tmp_path, another.replace("seeds = [3]", "seeds = [3, 4]"))
    assert tables(tmp_path) == before
    of_text(tmp_path)
    rows = read_rows(table.path)
    for row in rows:
        settings = json.loads(row["settings"])
        assert settings != without_text(settings)
        row["settings"] = json.dumps(without_text(settings), sort_keys=True)
    write_rows(table.path, rows)
    run(tmp_path, of_text(tmp_path))
    assert not (tmp_path / "runs").exists()
    assert check_row(tmp_path / "tiny.toml", "ce/seed3", tmp_path / "results") == []


def test_text_is_measured_without_rl(tmp_path: Path) -> None:
    table = run(tmp_path, of_text(tmp_path))
    assert table.failed == {}
    for row in table.rows:
        assert row["cross_entropy_before"] > 0
        assert 0 < row["distinct_1_before"] <= row["distinct_3_before"] <= 1
        assert 0 <= row["repetition_before"] <= 1
        assert not [name for name in row if name.endswith("_after")]


def test_second_process_at_the_same_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with open(tmp_path / "runs" / ".owner.lock", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="is being run by another process"):
            run(tmp_path)
    assert not (tmp_path / "results").exists()


def test_ctrl_c_while_a_worker_starts_is_heard_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = workers.CONTEXT.Process.start

    def interrupted(process: BaseProcess) -> None:
        signal.raise_signal(signal.SIGINT)
        start(process)

    monkeypatch.setattr(workers.CONTEXT.Process, "start", interrupted)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, ONE_SEED)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert multiprocessing.active_children() == []
    monkeypatch.undo()
    assert run(tmp_path, ONE_SEED).failed == {}


def test_full_disk_ends_the_study_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(ONE_SEED)
    command = [sys.executable, "-m", "pgce_mini", "study", str(tmp_path / "tiny.toml"), "--quiet"]
    limited = subprocess.run(
        [*command, "--runs", str(tmp_path), "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert limited.returncode == 2
    assert limited.stderr.splitlines()[-1].startswith("pgce: the disk is full: free some space")
    assert "Traceback" not in limited.stderr


def test_study_too_large_for_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**5))
    with pytest.raises(RunError, match="MB are free: free some space"):
        run(tmp_path)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "results").exists()


def test_command_shows_the_arms_and_checks_a_row(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["study", str(copy / "tiny.toml"), "--runs", str(copy), "--results", str(copy / "results")]
    cli.main(options)
    printed = capsys.readouterr()
    assert "Does it run?" in printed.err
    assert "Intervals over the seeds of each line, not corrected" in printed.out
    first_words = [line.split()[0] for line in printed.out.splitlines() if line]
    assert first_words[1:4] == ["ce", "precision", "temperature-0.75"]
    cli.main([*options, "--check", "ce/seed3"])
    assert capsys.readouterr() == (
        "ce/seed3: the same numbers\n", "running ce/seed3 again from its seed, in a minute or more\n"
    )  # fmt: skip
    rows = read_rows(copy / "results" / "tiny.parquet")
    rows[0]["entropy_after"] += 1e-12
    write_rows(copy / "results" / "tiny.parquet", rows)
    with pytest.raises(SystemExit, match="1"):
        cli.main([*options, "--check", "ce/seed3", "--quiet"])
    said = "gives other numbers than the table, in 1 places, the first: entropy_after is"
    assert capsys.readouterr().err.startswith(f"pgce: ce/seed3 {said}")
    with pytest.raises(SystemExit, match="2"):
        cli.main([*options, "--check", "ce/seed9"])
    capsys.readouterr()
    for wrong in (["study"], ["study", "--quick", str(copy / "tiny.toml")], [*options, "--workers", "0"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(wrong)
        assert capsys.readouterr().err.startswith("pgce: ")
