"""A study in shards, on Ray and as a Slurm array: the tables of the local engine, whoever is killed, and when."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

import pytest
from tiny_spec import TINY, spec_in, tables

from pgce_mini import cli
from pgce_mini.runs import RunError
from pgce_mini.study import (
    Row,
    Shard,
    Spec,
    StudyStore,
    StudyTable,
    gather,
    load_spec,
    read_rows,
    run_on_ray,
    run_shard,
    run_spec,
    store as store_module,
)
from pgce_mini.study.engines import locks, workers
from pgce_mini.study.engines.shards import _cost

ROOT = Path(__file__).parents[1]
SHIPPED = sorted([*(ROOT / "studies").glob("*.toml"), ROOT / "pgce_mini" / "study" / "quick.toml"])


def command_in(folder: Path) -> list[str]:
    return ["study", str(folder / "tiny.toml"), "--runs", str(folder), "--results", str(folder / "results")]


def run(folder: Path, engine: str = "local", text: str = TINY, address: str | None = None) -> StudyTable:
    spec, results = spec_in(folder, text), folder / "results"
    if engine == "ray":
        return run_on_ray(spec, results, address=address, progress=False)
    if engine == "local":
        return run_spec(spec, results, progress=False)
    return run_shard(spec, results, Shard.named(engine), progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    assert run(folder).failed == {}
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The finished study with its folder, but without the tables."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A Ray of this machine, to which drivers connect."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    signal.signal(signal.SIGTERM, handler)  # Ray put its own there, which later tests of this process would meet
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


# --- units and shards ---


def written_by(row: Row) -> set[Path]:
    return {row.result_path, row.error_path, *row.models.values(), *(path for path, _ in row.trainings())}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_units_hold_every_row_once_and_share_no_folder(path: Path, tmp_path: Path) -> None:
    spec = load_spec(path, tmp_path)
    units = spec.units()
    assert [row.name for unit in units for row in unit] == [row.name for row in spec.rows]
    assert all(len({(row.variant, row.seed) for row in unit}) == 1 for unit in units)
    folders = [set().union(*map(written_by, unit)) for unit in units]
    assert len(set().union(*folders)) == sum(map(len, folders))
    for count in (1, 3):
        assert_shards_hold_all(spec, count)


@pytest.mark.parametrize("more", [0, 7])
def test_there_may_be_as_many_shards_as_units_and_more(more: int, tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    assert_shards_hold_all(spec, len(spec.units()) + more)


def assert_shards_hold_all(spec: Spec, count: int) -> None:
    """Every row once, and costs that differ by no more than the costliest unit."""
    shards = [Shard(index, count).units(spec) for index in range(count)]
    names = sorted(row.name for shard in shards for unit in shard for row in unit)
    assert names == sorted(row.name for row in spec.rows)
    costs = [sum(map(_cost, shard)) for shard in shards]
    assert max(costs) - min(costs) <= max(map(_cost, spec.units()))


@pytest.mark.parametrize("text", ["3/2", "2/2", "0/0", "a/b", "", "1", "-1/3", "0/2/4", "1/3 ", "٠/٢", "0/1e3"])
def test_shard_that_is_none_is_one_sentence(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec_in(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["study", str(tmp_path / "tiny.toml"), "--runs", str(tmp_path), f"--shard={text}"])
    said = "pgce: shard must be I/N with I from 0 to N - 1, such as 0/4 for the first of four, got"
    assert capsys.readouterr().err.splitlines() == [f"{said} {text!r}"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--shard", "0/2", "--check", "ce/seed3"], "--check and --shard do not go together: give one of them"),
        (["--shard", "0/2", "--report", "docs"], "--report and --shard do not go together: give one of them"),
        (["--shard", "0/2", "--collect"], "--shard and --collect do not go together: give one of them"),
        (["--engine", "ray", "--collect"], "--collect and --engine ray do not go together: give one of them"),
        (["--address", "auto"], "address is that of a Ray cluster: give --engine ray, too, or leave it out"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    options: list[str], sentence: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_in(copy)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["study", str(copy / "tiny.toml"), *options])
    assert capsys.readouterr().err == f"pgce: {sentence}\n"


def test_shards_write_no_table_and_collecting_makes_it_and_says_what_is_missing(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_in(tmp_path)
    command = command_in(tmp_path)
    for shard, missing in (("1/2", 2), ("0/2", 0)):
        cli.main([*command, "--shard", shard, "--quiet"])
        assert f"shard {shard}: 2 of 2 rows done; --collect makes the tables" in capsys.readouterr().out
        with contextlib.nullcontext() if not missing else pytest.raises(SystemExit, match="2"):
            cli.main([*command, "--collect"])
        printed = capsys.readouterr()
        assert ("pgce: 2 of 4 rows are missing, the first ce/seed3: run the study" in printed.err) == (missing > 0)
    assert tables(tmp_path) == tables(finished)


def test_collecting_where_nothing_is_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec_in(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        cli.main(
            ["study", f"{tmp_path}/tiny.toml", "--runs", f"{tmp_path}", "--results", f"{tmp_path}", "--collect"]
        )
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "pgce: 4 of 4 rows are missing, the first ce/seed3: run the study or its shards again" in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_shard_without_units_and_shard_of_finished_rows_have_nothing_to_do(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.json")}
    assert run(finished, "8/9").spec.rows == ()
    table = run(finished, "0/1")
    assert (len(table.rows), table.failed, table.missing) == (4, {}, [])
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.json")} == before


def test_shard_does_not_run_rows_that_stand_in_the_tables(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "results", tmp_path / "results")  # as after a fresh clone
    assert len(run(tmp_path, "0/1").rows) == 4
    assert not (tmp_path / "runs" / "rows").exists()


def test_row_that_fails_in_a_shard_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    table = run(tmp_path, "0/1", TINY.replace("steps = 20", "steps = 20\nlr = 1e30").replace("[3, 4]", "[3]"))
    assert list(table.failed) == ["ce/seed3", "precision/seed3"]
    assert all("diverged" in reason for reason in table.failed.values())


# --- locks ---


def test_shards_share_a_study_and_keep_drivers_of_the_whole_out(copy: Path) -> None:
    spec = spec_in(copy)
    (copy / "runs" / "rows" / "ce" / "seed3.json").unlink()
    with locks.shared_study(copy / "runs"), locks.shared_study(copy / "runs"):
        with pytest.raises(RunError, match="is being run by another process"):
            run_spec(spec, copy / "results")
        assert len(gather(spec, copy / "results").rows) == 3
    with locks.sole_study(copy / "runs"):
        with pytest.raises(RunError, match="is being run by another process"):
            run_shard(spec, None, Shard(0, 2))
        with pytest.raises(RunError, match="is being run by another process"):
            gather(spec, copy / "results")


def test_unit_that_another_worker_runs_is_waited_for(copy: Path) -> None:
    spec = spec_in(copy)
    row = spec.rows[0]
    result = row.result_path.read_bytes()
    row.result_path.unlink()
    shard = threading.Thread(target=run_shard, args=(spec, None, Shard(0, 1)), kwargs={"progress": False})
    with locks.held(locks.unit_locks(row, fcntl.LOCK_EX)):
        shard.start()
        shard.join(2 * workers.POLL_SECONDS)
        assert shard.is_alive()
        assert not row.result_path.exists()
    shard.join()
    assert row.result_path.read_bytes() == result


def test_second_that_collects_waits_for_the_first(copy: Path) -> None:
    spec = spec_in(copy)
    second = threading.Thread(target=gather, args=(spec, copy / "results"))
    with locks.sole_gatherer(copy / "runs"):
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert not (copy / "results").exists()
    second.join()
    assert len(read_rows(copy / "results" / "tiny.parquet")) == 4


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_file_system_without_locks_is_no_reason_not_to_run(
    number: int, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    row = spec_in(finished).rows[0]
    with locks.sole_study(row.folder), locks.shared_study(row.folder), locks.held(locks.unit_locks(row, 0)):
        pass


def test_locks_are_of_files_that_a_network_file_system_can_share(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: IO[bytes], how: int) -> None:  # as flock(2) says of NFS
        if not (file.readable() if how & fcntl.LOCK_SH else file.writable()):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", flock)
    row = spec_in(finished).rows[0]
    with locks.sole_study(row.folder), locks.shared_study(row.folder):
        for how in (fcntl.LOCK_SH, fcntl.LOCK_EX):
            with locks.held(locks.unit_locks(row, how)):
                pass


# --- the store ---


def test_store_takes_results_in_any_order_and_refuses_those_of_other_settings(
    finished: Path, tmp_path: Path
) -> None:
    spec = spec_in(finished)
    store = StudyStore(spec, tmp_path / "results")
    store.fail(spec.rows[2], "no reason")
    for row in reversed(spec.rows):
        assert row in store.missing()
        store.put(row, row.result())
    assert (store.missing(), store.table().failed) == ([], {})
    store.write()
    assert tables(tmp_path) == tables(finished)
    columns, curves = spec.rows[0].result()
    for wrong, sentence in (({"seed": 5}, "no row of tiny"), ({"settings": "{}"}, "of other settings")):
        with pytest.raises(RunError, match=sentence):
            store.put(spec.rows[0], ({**columns, **wrong}, curves))


@pytest.mark.parametrize(
    "content", ['"weights": []', '"row": [], "curves": []', '"row": {}', '"row": {}, "curves": {}']
)
def test_damaged_result_is_named_with_what_to_do(content: str, tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    path = spec.rows[0].result_path
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"schema_version": 1, {content}}}')
    with pytest.raises(RunError, match=r"seed3\.json is damaged: delete it, and the same command makes it again"):
        gather(spec, tmp_path / "results")


def test_row_that_is_added_while_the_tables_are_read_has_its_curves(
    finished: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, results = spec_in(copy), copy / "results"
    spec.rows[3].result_path.unlink()
    gather(spec, results)

    def and_then_changed(read: Any) -> Any:
        def reads(path: Path) -> Any:
            content = read(path)
            shutil.copytree(finished / "results", results, dirs_exist_ok=True)
            return content

        return reads

    for name in ("read_rows", "read_curves"):
        monkeypatch.setattr(store_module, name, and_then_changed(getattr(store_module, name)))
    assert all(curves for _, curves in StudyStore(spec, results).results.values())


def test_store_writes_seldom_when_that_takes_long(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(finished)
    clock = iter([10, 12, 51, 53, 54])  # the first write takes 2 s, so that the next may come 40 s later
    monkeypatch.setattr("pgce_mini.study.store.time.monotonic", lambda: next(clock))
    store = StudyStore(spec, tmp_path / "results")
    for row, written in zip(spec.rows, (1, 1, 3), strict=False):
        store.put(row, row.result())
        store.write(now=False)
        assert len(read_rows(tmp_path / "results" / "tiny.parquet")) == written


# --- Ray ---


def test_ray_gives_the_tables_of_the_local_engine_with_failed_rows(ray_address: str, tmp_path: Path) -> None:
    text = TINY.replace("[3, 4]", "[3]") + '[grid]\n"pretrain.lr" = [8e-3, 1e30]\n'
    failed = [set(run(tmp_path / engine, engine, text, ray_address).failed) for engine in ("local", "ray")]
    assert failed[0] == failed[1] == {"lr=1e+30/ce/seed3", "lr=1e+30/precision/seed3"}
    assert tables(tmp_path / "local") == tables(tmp_path / "ray")


def test_ray_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_in(tmp_path)
    command = command_in(tmp_path)

    def sentence(*options: str) -> str:
        with pytest.raises(SystemExit, match="2"):
            cli.main([*command, "--engine", "ray", *options])
        return capsys.readouterr().err.splitlines()[-1]

    with socket.create_server(("127.0.0.1", 0)) as server:  # something that is no Ray, and says nothing
        port = server.getsockname()[1]
        monkeypatch.setattr("pgce_mini.study.engines.on_ray.ANSWER_SECONDS", 0.5)
        assert sentence("--address", f"127.0.0.1:{port}").startswith(f"pgce: no Ray answers at 127.0.0.1:{port} (")
    said = sentence("--address", f"127.0.0.1:{port}")
    assert said.endswith("(Connection refused): check the address, or start one there with ray start --head")
    for wrong in ("nonsense", "ray://127.0.0.1:1", "127.0.0.1:99999", ""):
        assert sentence(f"--address={wrong}").startswith(
            "pgce: address must be HOST:PORT of a Ray cluster, or auto"
        )
    assert "(that is no name of a machine)" in sentence("--address", f"{'a' * 70}:1")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")  # of one that was killed
    assert sentence("--address", "auto") == said
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    for options in ([], ["--address", "auto"]):
        assert sentence(*options).endswith("or auto, got 'nonsense' in RAY_ADDRESS")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name))
    assert sentence().startswith("pgce: ray is not installed: pip install")
    assert "[scale]" in sentence()


# --- SIGTERM, and the script for Slurm ---


def executable(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def test_slurm_array_is_stopped_requeued_and_collected(finished: Path, tmp_path: Path) -> None:
    script, tools = ROOT / "studies" / "slurm.sbatch", tmp_path / "tools"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    tools.mkdir()
    executable(tools / "srun", '#!/bin/sh\nexec "$@"\n')
    executable(tools / "scontrol", f'#!/bin/sh\necho "$@" >> {tmp_path}/requeued\n')
    executable(tools / "pgce", f'#!/bin/sh\nexec {sys.executable} -m pgce_mini "$@" --runs . --results results\n')
    spec = spec_in(tmp_path, TINY.replace("steps = 20", "steps = 100000"))  # of another study: it is stopped
    common = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_ARRAY_JOB_ID": "7",
    }

    def start(task: int, *arguments: str) -> subprocess.Popen[str]:
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MAX": "1", "SLURM_CPUS_PER_TASK": "1"}
        return subprocess.Popen(
            ["bash", str(script), *arguments], cwd=tmp_path, env=common | array, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    job = start(1, "tiny.toml")
    metrics = tmp_path / "tiny" / "runs" / "ce-seed4" / "prior" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < deadline, "waited in vain for a step of training"
        time.sleep(0.05)
    for pid in descendants(job.pid):  # as Slurm does: every process of the step, and not the script
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 143
    assert errors.splitlines()[-1] == (
        "pgce: stopped by SIGTERM; the same command goes on from the last saved step"
    )
    assert (tmp_path / "requeued").read_text() == "requeue 7_1\n"
    assert (metrics.parent / "state" / "latest.safetensors").exists()
    assert not spec.rows[2].error_path.exists()

    shutil.rmtree(tmp_path / "tiny")
    spec_in(tmp_path)
    jobs = [start(0, "tiny.toml"), start(1, "tiny.toml", "2")]  # at the same time, one folder
    for job in jobs:
        assert job.communicate(timeout=120)[1]
        assert job.returncode == 0
    assert gather(load_spec(tmp_path / "tiny.toml", tmp_path / "tiny"), tmp_path / "results").missing == []
    assert tables(tmp_path) == tables(finished)


def descendants(pid: int) -> list[int]:
    """Processes that `pid` has started, and those that they have."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for child, parent in (map(int, line.split()) for line in listed.splitlines()):
        children.setdefault(parent, []).append(child)
    found, queue = [], [pid]
    while queue:
        queue += (new := children.get(queue.pop(), []))
        found += new
    return found


# --- killed processes ---


def drive(folder: Path, engine: str, address: str, pids: Path) -> None:
    """The body of a process that runs the study and writes down the processes it starts."""
    start = workers._Worker.__init__

    def noted(worker: workers._Worker[Any], *arguments: Any) -> None:
        start(worker, *arguments)
        with open(pids, "a") as file:
            file.write(f"{worker.process.pid}\n")

    workers._Worker.__init__ = noted  # type: ignore[method-assign] # in this process only
    run(folder, engine, address=address)


def started_by(engine: str, pids: Path) -> list[int]:
    """The processes in which rows run."""
    ours = descendants(os.getpid())
    if engine != "ray":
        return [pid for pid in map(int, pids.read_text().split()) if pid in ours]
    names = {pid: Path(f"/proc/{pid}/cmdline") for pid in ours}
    return [pid for pid, name in names.items() if name.exists() and name.read_bytes().startswith(b"ray::run_unit")]


def killed(pid: int) -> bool:
    """Kills the process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@pytest.mark.timeout(900)  # about half a minute where nothing else runs
def test_processes_killed_at_ten_random_moments_change_nothing(
    finished: Path, ray_address: str, tmp_path: Path
) -> None:
    folder, pids = tmp_path / "killed", tmp_path / "pids"
    began = time.monotonic()
    run(tmp_path / "undisturbed")
    duration = time.monotonic() - began
    rng = random.Random(0)
    for engines, wanted in ((["local"], 4), (["0/2", "1/2"], 4), (["ray"], 2 if sys.platform == "linux" else 0)):
        drivers: list[BaseProcess] = []
        kills = 0
        while kills < wanted:
            if not any(driver.is_alive() for driver in drivers):
                if folder.exists() and not gather(spec_in(folder), folder / "results").missing:
                    assert tables(folder) == tables(finished)
                    shutil.rmtree(folder)  # it came through: once more from nothing
                spec_in(folder)
                pids.write_text("")
                drivers = [
                    workers.CONTEXT.Process(target=drive, args=(folder, engine, ray_address, pids))
                    for engine in engines
                ]
                for driver in drivers:
                    driver.start()
            while engines == ["ray"] and any(driver.is_alive() for driver in drivers):
                if started_by("ray", pids):
                    break  # Ray takes its time
                time.sleep(0.1)
            time.sleep(rng.uniform(0, duration / 2))
            children = started_by(engines[-1], pids)
            own = [driver.pid for driver in drivers if driver.pid and driver.is_alive()]
            victims = rng.choice([own[:1], children[-1:], [*own, *children]])
            found = [killed(pid) for pid in victims]
            kills += any(found)
            for driver in drivers:
                if driver.pid in victims:
                    driver.join()
        for driver in drivers:
            driver.kill()
            driver.join()
    assert run(folder).failed == {}
    assert tables(folder) == tables(finished)
