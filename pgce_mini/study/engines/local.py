"""Runs a specification on this machine: rows in worker processes, their results in two tables as they come in.

A row's result is first written to a file of its own, STUDY/rows/ROW.json, whole or not at all, then to the tables
(`store`). So whatever is killed, and when, the next run goes on and ends with the same bytes.
"""

from __future__ import annotations

import difflib
import fcntl
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from pgce_mini.gpt.memory import parameter_count
from pgce_mini.runs import RunError
from pgce_mini.study.engines.locks import sole_study, unit_locks
from pgce_mini.study.engines.progress import StudyProgress
from pgce_mini.study.engines.workers import run_jobs
from pgce_mini.study.rows import Row
from pgce_mini.study.spec import load_spec
from pgce_mini.study.store import StudyStore, StudyTable
from pgce_mini.study.templates import Spec

BYTES_PER_ROW = 2**18  # metrics.jsonl of its trainings and its result
TRAININGS_PER_ROW = 3  # at most, each leaving a model
STATE_SIZE = 3  # of a training that is running: weights and two moments


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
    store = StudyStore(spec, results_dir)
    if not store.missing():
        return store.table()
    check_room([row for row in store.missing() if not row.finished], spec.folder, workers)
    with sole_study(spec.folder):
        store = StudyStore(spec, results_dir)  # as the last owner left it
        forget_failures(spec.rows)
        store.collect()
        missing = store.missing()
        with StudyProgress(spec.name, spec.rows, missing, silent=not progress) as bar:

            def advance(ended: Sequence[Row], running: Sequence[Row]) -> None:
                for row in ended:
                    store.take(row)
                    bar.end(row)
                bar.look(running)
                store.write(now=False)

            run_jobs(missing, workers, lambda row: unit_locks(row, fcntl.LOCK_SH), advance, _may_start)
        store.write()
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
        store = StudyStore(spec, results_dir)
        if row.key not in store.results:
            raise RunError(f"{store.rows_path} has no finished row {name}: run the study first")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            row.execute()
        finally:
            torch.set_num_threads(threads)
        found, curves = row.result()
        known, known_curves = store.results[row.key]
        differences = [
            f"{column} is {known.get(column)!r} in the table and {found.get(column)!r} now"
            for column in known  # a table of an earlier version has fewer
            if column not in ("error", "settings")  # the store has compared the settings
            and known.get(column) != found.get(column)
        ]
        now = {(curve["stage"], curve["metric"]): curve for curve in curves}
        for known_curve in known_curves:  # likewise
            stage, metric = known_curve["stage"], known_curve["metric"]
            if (curve := now.get((stage, metric))) is None:
                differences.append(f"there is no curve of {metric} ({stage}) now")
                continue
            values = torch.tensor(curve["values"], dtype=torch.float32).tolist()  # as the table has them
            if {**curve, "values": values} != known_curve:
                differences.append(f"the curve of {metric} ({stage}) differs")
        return differences


def forget_failures(rows: Sequence[Row]) -> None:
    """Rows that failed are tried again."""
    for row in rows:
        row.error_path.unlink(missing_ok=True)


def _may_start(row: Row, running: Sequence[Row]) -> bool:
    """No two rows train in one folder at the same time."""
    needs = row.unfinished_runs
    return all(needs.isdisjoint(other.unfinished_runs) for other in running)


def check_room(rows: Sequence[Row], folder: Path, workers: int) -> None:
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
