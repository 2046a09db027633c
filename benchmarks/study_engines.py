"""A study on two workers against one, and what the store and an engine cost a unit.

    python benchmarks/study_engines.py               two workers against one, of the local engine and of Ray
    python benchmarks/study_engines.py --units 10000 that many units of one row of a few milliseconds

The first wants two cores for itself: beside other work it measures that work.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from common import exit_unless, paired_median, reached, seconds

from pgce_mini.runs import write_json
from pgce_mini.study import Row, Spec, StudyStore, load_spec, run_on_ray, run_spec

TARGET = 1.8  # times as fast with two workers
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
    """Of a study from nothing; on Ray without the start of Ray, which is that of an empty study."""
    with tempfile.TemporaryDirectory() as name:
        spec = spec_in(Path(name), text)
        return seconds(lambda: ENGINES[engine](spec, Path(name), workers=workers, progress=False))


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
    exit_unless(kept)


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


def overhead(args: argparse.Namespace) -> None:
    for engine in args.engines:
        for units in (args.units // 10, args.units):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                began = time.perf_counter()
                spec = spec_in(folder, SHORT.format(steps=10, rl=1).replace("seeds = 4", f"seeds = {units}"))
                rows = [row for row in spec.rows if row.arm.name == "ce"]
                quick = tuple(QuickRow(**{field: getattr(row, field) for field in FIELDS}) for row in rows)
                spec = replace(spec, arms=("ce",), rows=quick)
                read = time.perf_counter() - began
                one = seconds(quick[0].execute)
                quick[0].result_path.unlink()
                run = seconds(lambda: ENGINES[engine](spec, folder, workers=2, progress=not sys.stderr.isatty()))
                store = StudyStore(spec, None)
                collect = seconds(store.collect)
                files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
                written = sum(path.stat().st_size for path in files)
                tables = sum(path.stat().st_size for path in folder.glob("*.parquet"))
                print(
                    f"{engine}, {units} units: {1e3 * run / units:.1f} ms a unit (the row itself "
                    f"{1e3 * one:.1f}); read the specification {1e3 * read / units:.2f}, look at it again "
                    f"{1e3 * collect / units:.2f} ms a unit; {len(files)} files, {written / units / 1e3:.1f} kB a unit, "
                    f"tables {tables / 1e6:.1f} MB; this process at most "
                    f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
                    flush=True,
                )
    print(f"load of this machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


FIELDS = tuple(QuickRow.__dataclass_fields__)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--units", type=int, help="in place of the speed: the overhead of so many units")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--quick", action="store_true", help="shorter rows, once: a smoke test")
    args = parser.parse_args()
    (overhead if args.units else speed_up)(args)


if __name__ == "__main__":
    main()
