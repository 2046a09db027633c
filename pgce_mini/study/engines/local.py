"""Runs a specification: rows in worker processes, their results in two tables as they come in.

    STUDY/                 run folders of the trainings, and rows/ with the result of each finished row
    RESULTS/NAME.parquet, NAME-curves.parquet    the tables, if wanted; a row that is in them is not run again

A result is first written to a file of its own, whole or not at all, then to the tables, curves before rows. So
whatever is killed, and when, the next run goes on and ends with the same bytes.
"""

from __future__ import annotations

import difflib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pgce_mini.gpt.memory import parameter_count
from pgce_mini.paths import expanded
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import RunError, settings_difference
from pgce_mini.study.engines.workers import run_jobs, sole_study
from pgce_mini.study.rows import Row, work_done
from pgce_mini.study.spec import load_spec
from pgce_mini.study.tables import (
    KEY,
    Columns,
    Curve,
    Key,
    check_installed,
    key_of,
    read_curves,
    read_rows,
    write_curves,
    write_rows,
)
from pgce_mini.study.templates import Spec

BYTES_PER_ROW = 2**18  # metrics.jsonl of its trainings and its result
TRAININGS_PER_ROW = 3  # at most, each leaving a model
STATE_SIZE = 3  # of a training that is running: weights and two moments


@dataclass(frozen=True)
class StudyTable:
    """What a study has so far. rows: in the order of the specification, failed ones with their `error`."""

    spec: Spec
    rows: list[Columns]
    path: Path | None

    @property
    def failed(self) -> dict[str, str]:
        """Row -> reason."""
        return {_name(row): row["error"] for row in self.rows if row["error"] is not None}


def run_spec(spec: Spec, results_dir: Path | None, *, workers: int = 2, progress: bool = True) -> StudyTable:
    """Runs or continues a study; a row that fails is reported with its reason and the rest goes on.

    results_dir: where the tables go; without it there are none, and pyarrow is not needed.

    Ctrl-C lets every worker save its state, then raises KeyboardInterrupt; the same call continues.

    Raises:
        RunError: the tables or the folder hold results of other settings under the name of this study, a file is
            damaged, another process is running it, or the disk has too little room for it.
        ValueError: pyarrow is missing.
        OSError: the disk is full all the same.
    """
    folder = spec.rows[0].folder
    store = _Store(spec, results_dir)
    missing = [row for row in spec.rows if not store.has(row)]
    if not missing:
        return store.table()
    _check_room([row for row in missing if not row.finished], folder, workers)
    with sole_study(folder) as lock:
        store = _Store(spec, results_dir)  # as the last owner left it
        for row in spec.rows:
            row.error_path.unlink(missing_ok=True)
        store.collect()
        missing = [row for row in spec.rows if not store.has(row)]
        work = {path: steps for row in missing for path, steps in row.trainings()}
        bar = ProgressBar(
            total=sum(work.values()), initial=sum(map(work_done, work)), desc=spec.name, unit="step",
            silent=not progress, smoothing=0.05,
        )  # fmt: skip

        def advance(unfinished: int) -> None:
            store.collect()
            bar.set_postfix_str(f"{len(spec.rows) - unfinished} of {len(spec.rows)} rows done")
            bar.update(sum(map(work_done, work)) - bar.n)

        with bar:
            run_jobs(missing, workers, lock, advance, _may_start)
        return store.table()


def check_row(path: Path, name: str, results_dir: Path) -> list[str]:
    """Runs one row of a finished study again, from its seed, and compares every number; returns what differs, a
    sentence each.

    Raises:
        ValueError: the specification has no such row; the message names the nearest.
        RunError: the tables do not have the row.
    """
    with tempfile.TemporaryDirectory(prefix="pgce-check-") as folder:
        spec = load_spec(path, Path(folder) / "study")
        rows = {row.name: row for row in spec.rows}
        if name not in rows:
            nearest = difflib.get_close_matches(name, rows, 1, cutoff=0)[0]
            raise ValueError(f"{path} has no row {name!r}; did you mean {nearest}?")
        row = rows[name]
        store = _Store(spec, results_dir)
        if not store.has(row):
            raise RunError(f"{store.rows_path} has no finished row {name}: run the study first")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            row.execute()
        finally:
            torch.set_num_threads(threads)
        found, curves = row.result()
        known, known_curves = store.results[row_key(row)]
        differences = [
            f"{column} is {known.get(column)!r} in the table and {found.get(column)!r} now"
            for column in {**known, **found}
            if column != "error" and known.get(column) != found.get(column)
        ]
        for curve, known_curve in zip(curves, known_curves, strict=False):
            values = torch.tensor(curve["values"], dtype=torch.float32).tolist()  # as the table has them
            if {**curve, "values": values} != known_curve:
                differences.append(f"the curve of {curve['metric']} ({curve['stage']}) differs")
        if len(curves) != len(known_curves):
            differences.append(f"there are {len(known_curves)} curves in the table and {len(curves)} now")
        return differences


def row_key(row: Row) -> Key:
    return row.variant, row.arm.name, row.seed


class _Store:
    """The results of a study's finished rows: in memory, and in the tables, if there is a folder for them."""

    def __init__(self, spec: Spec, results_dir: Path | None) -> None:
        self.spec = spec
        self.results: dict[Key, tuple[Columns, list[Curve]]] = {}
        self.written: set[Key] = set()
        self.planned = {row_key(row): row for row in spec.rows}
        self.rows_path: Path | None = None
        self.curves_path: Path | None = None
        if results_dir is None:
            return
        check_installed("pyarrow")
        results_dir = expanded(results_dir)
        self.rows_path = results_dir / f"{spec.name}.parquet"
        self.curves_path = results_dir / f"{spec.name}-curves.parquet"
        curves = read_curves(self.curves_path)
        for row in read_rows(self.rows_path):
            self._check(row, self.rows_path)
            if row["error"] is None:
                own = {name: value for name, value in row.items() if name != "error"}
                self.results[key_of(row)] = own, curves.get(key_of(row), [])

    def has(self, row: Row) -> bool:
        return row_key(row) in self.results

    def collect(self) -> None:
        """Takes in what workers have left since, and writes the tables when there is something new."""
        for key, row in self.planned.items():
            if key not in self.results and row.finished:
                columns, curves = row.result()
                self._check(columns, row.result_path)
                self.results[key] = columns, curves
        failed = {key for key, row in self.planned.items() if key not in self.results and row.error_path.exists()}
        if self.rows_path and self.curves_path and self.results.keys() | failed != self.written:
            write_curves(self.curves_path, (self.results[key] for key in self.planned if key in self.results))
            write_rows(self.rows_path, self.table().rows)
            self.written = self.results.keys() | failed

    def table(self) -> StudyTable:
        rows = []
        for key, row in self.planned.items():
            if key in self.results:
                rows.append({**self.results[key][0], "error": None})
            elif row.error_path.exists():
                rows.append(
                    {**row.identity, "error": row.error_path.read_text(encoding="utf-8", errors="replace").strip()}
                )
        return StudyTable(self.spec, rows, self.rows_path)

    def _check(self, row: Mapping[str, Any], where: Path) -> None:
        planned = self.planned.get(key_of(dict(row)))
        if planned is None:
            raise RunError(f"{where} holds {_name(row)}, which is no row of {self.spec.name}: {ANOTHER}")
        if row["settings"] != planned.identity["settings"]:
            difference = settings_difference(json.loads(row["settings"]), planned.settings)
            raise RunError(f"{where} holds {_name(row)} of other settings ({difference}): {ANOTHER}")


ANOTHER = "give the changed study another name, or move the old results away"


def _name(row: Mapping[str, Any]) -> str:
    variant, arm, seed = (row[name] for name in KEY)
    return "/".join(filter(None, (variant, arm, f"seed{seed}")))


def _may_start(row: Row, running: Sequence[Row]) -> bool:
    """No two rows train in one folder at the same time."""
    needs = row.unfinished_runs
    return all(needs.isdisjoint(other.unfinished_runs) for other in running)


def _check_room(rows: Sequence[Row], folder: Path, workers: int) -> None:
    """
    Raises:
        RunError: what the rows will leave does not fit on the disk.
    """
    sizes = {row.pretrain.model: row.pretrain.corpus for row in rows}
    weights = max(
        (4 * parameter_count(model.config(corpus)) for model, corpus in sizes.items()),
        default=0,
    )
    needed = len(rows) * (BYTES_PER_ROW + TRAININGS_PER_ROW * weights) + workers * STATE_SIZE * weights
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise RunError(
            f"the study needs about {needed / 1e6:.0f} MB in {existing}, where {free / 1e6:.0f} MB are free: "
            "free some space or give another folder"
        )
