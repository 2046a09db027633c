"""A study on two workers against one, and what the store and an engine cost a unit.

    python benchmarks/study_engines.py                  two workers against one, of the local engine and of Ray
    python benchmarks/study_engines.py --units 10000    that many units of one row, which computes nothing
    python benchmarks/study_engines.py --specs studies/*.toml    the first row of each: time, files, bytes

The first two want two cores for themselves: beside other work they measure that work.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import exit_unless, paired_median, reached, seconds

from pgce_mini.runs import Run, write_json
from pgce_mini.study import Row, Spec, StudyStore, load_spec, run_on_ray, run_spec

TARGET = 1.8  # times as fast with two workers
LEAST_UNITS = 10
SHORT = """
arms = ["ce", "precision"]
seeds = 4

[task]
name = "chain-sum"

[pretrain]
steps = {steps}
eval_every = 100
eval_documents = 16

[rl]
steps = {rl}

[evaluation]
problems = 16
samples = 16
ks = [1, 2]
documents = 16
"""
ENGINES: dict[str, Callable[..., object]] = {"local": run_spec, "ray": run_on_ray}


def spec_in(folder: Path, text: str) -> Spec:
    (folder / "short.toml").write_text(text)
    return load_spec(folder / "short.toml", folder / "runs")


def study_seconds(engine: str, workers: int, text: str) -> float:
    """Of a study from nothing, without the start of Ray itself."""
    with tempfile.TemporaryDirectory() as name, started(engine, workers):
        spec = spec_in(Path(name), text)
        return seconds(lambda: ENGINES[engine](spec, Path(name), workers=workers, progress=False))


@contextmanager
def started(engine: str, workers: int) -> Iterator[None]:
    """A Ray of `workers` cores, which `run_on_ray` then uses."""
    if engine != "ray":
        yield
        return
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    import ray

    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def speed_up(args: argparse.Namespace) -> None:
    text = SHORT.format(steps=150, rl=5) if args.quick else SHORT.format(steps=600, rl=20)
    kept = []
    for engine in args.engines:
        result = paired_median(
            lambda engine=engine: study_seconds(engine, 2, text),
            lambda engine=engine: study_seconds(engine, 1, text),
            1 if args.quick else 3,
            warm_up=False,
        )
        times = f"{engine}: 8 rows in 4 units, {result.ours:.1f} s by two workers, {result.theirs:.1f} s by one"
        kept.append(reached(times, result.ratio, TARGET))
    print(f"load of this machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    exit_unless(kept)  # which ends the process


@dataclass(frozen=True)
class QuickRow(Row):
    """A row that trains nothing and leaves a result as large as one of `chain`."""

    def execute(self) -> None:
        steps = list(range(1, 81))
        row = {**self.identity, "temperature": 1.0, **{f"metric_{i}": i / 7 for i in range(30)}}
        curves = [
            {"stage": "rl", "metric": f"m{i}", "steps": steps, "values": [i / s for s in steps]} for i in range(6)
        ]
        write_json(self.result_path, {"row": row, "curves": curves, "weights": {}})


def store_alone(spec: Spec, results: Path, *, workers: int, progress: bool) -> None:
    """The rows one after the other in this process, and the store as the engines use it."""
    store = StudyStore(spec, results)
    for row in spec.rows:
        row.execute()
        store.take(row)
        store.write(now=False)
    store.write()


def overhead(engine: str, units: int) -> None:
    """Prints what a unit costs beside its row, in all and in this process, the driver's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        spec = spec_in(folder, SHORT.format(steps=10, rl=1).replace("seeds = 4", f"seeds = {units}"))
        rows = [row for row in spec.rows if row.arm.name == "ce"]
        quick = tuple(QuickRow(**{field: getattr(row, field) for field in FIELDS}) for row in rows)
        spec = replace(spec, arms=("ce",), rows=quick)
        reading = time.perf_counter() - began
        computing = time.process_time()
        running = seconds(lambda: OF_UNITS[engine](spec, folder, workers=2, progress=False))
        computing = time.process_time() - computing
        store = StudyStore(spec, None)
        collecting = seconds(store.collect)
        files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        tables = sum(path.stat().st_size for path in folder.glob("*.parquet"))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        a_unit = {
            "to read the specification": reading, "to run": running, "of it computing in the driver": computing,
            "to look at it again": collecting,
        }  # fmt: skip
        times = ", ".join(f"{what} {1e3 * duration / units:.1f}" for what, duration in a_unit.items())
        print(
            f"{engine}, {units} units: ms a unit {times}; {len(files) / units:.1f} files and "
            f"{size / units / 1e3:.1f} kB a unit, tables of {tables / 1e6:.2f} MB; "
            f"the driver has at most {memory:.0f} MB",
            flush=True,
        )


def cost_of_row(path: Path) -> None:
    """Prints what the first row of a study takes: its trainings with their states, and both evaluations."""
    saved: list[int] = []
    save = Run.save_state

    def noted(run: Run, *arguments: Any) -> None:
        save(run, *arguments)
        saved.append(run.state_path.stat().st_size)

    with tempfile.TemporaryDirectory() as name:
        row = load_spec(path, Path(name)).rows[0]
        Run.save_state = noted  # type: ignore[method-assign] # in this process only
        computing = time.process_time()
        row.execute()
        computing = time.process_time() - computing
        Run.save_state = save  # type: ignore[method-assign]
        left = [file.stat().st_size for file in Path(name).rglob("*") if file.is_file()]
        print(
            f"{path.stem} {row.name}: {computing:.0f} s of one core; leaves {len(left)} files, "
            f"{sum(left) / 1e3:.0f} kB; {len(saved)} states on the way, {sum(saved) / 1e3:.0f} kB",
            flush=True,
        )


OF_UNITS = {"store": store_alone, **ENGINES}
FIELDS = tuple(QuickRow.__dataclass_fields__)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--units", type=int, help="in place of the speed: the overhead of so many units")
    parser.add_argument("--engines", nargs="+", choices=OF_UNITS, default=list(ENGINES))
    parser.add_argument("--quick", action="store_true", help="shorter rows, once: a smoke test")
    parser.add_argument("--specs", nargs="+", type=Path, help="in place of the speed: the first row of each")
    args = parser.parse_args()
    if args.specs:
        torch.set_num_threads(1)
        for path in args.specs:
            cost_of_row(path)
        return
    if args.units is None:
        if "store" in args.engines:
            parser.error("the store alone has no speed: give --units, too")
        speed_up(args)
    if args.units < LEAST_UNITS:
        parser.error(f"--units must be at least {LEAST_UNITS}: a tenth of them is run first")
    for engine in args.engines:
        for units in (args.units // 10, args.units):  # to see what grows faster than the units
            overhead(engine, units)
    print(f"load of this machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
