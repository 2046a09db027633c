"""One of several processes, here or on many machines, that share a study and its folder: for a cluster's arrays.

A shard leaves STUDY/rows/ROW.json for each of its rows and writes no table; `gather` makes the tables of what is
there. A unit that two shards have in common is run by one of them, and the other waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgce_mini.gpt.memory import parameter_count
from pgce_mini.study.engines.local import check_room, forget_failures
from pgce_mini.study.engines.locks import shared_study, sole_gatherer, unit_locks
from pgce_mini.study.engines.progress import StudyProgress
from pgce_mini.study.engines.workers import run_jobs, run_or_leave_reason
from pgce_mini.study.rows import Row
from pgce_mini.study.store import StudyStore, StudyTable
from pgce_mini.study.tables import key_of
from pgce_mini.study.templates import Spec


@dataclass(frozen=True)
class Shard:
    """Shard `index`, from 0 on, of `count`."""

    index: int
    count: int

    @classmethod
    def named(cls, text: str) -> Shard:
        """The shard "I/N".

        Raises:
            ValueError: `text` is not of the form I/N.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or int(match[1]) >= int(match[2]):
            raise ValueError(
                f"shard must be I/N with I from 0 to N - 1, such as 0/4 for the first of four, got {text!r}"
            )
        return cls(int(match[1]), int(match[2]))

    def units(self, spec: Spec) -> list[tuple[Row, ...]]:
        """Its units: every `count`-th, the costly ones first. So the shards differ by no more than the costliest
        unit.
        """
        return sorted(spec.units(), key=_cost, reverse=True)[self.index :: self.count]


def run_shard(
    spec: Spec, results_dir: Path | None, shard: Shard, *, workers: int = 1, progress: bool = True
) -> StudyTable:
    """Runs or continues the rows of one shard, a unit to a process, and returns them; a row that fails is reported
    with its reason and the rest goes on.

    results_dir: rows that are in the tables there are not run again.

    Ctrl-C and SIGTERM are as in `run_spec`.

    Raises:
        RunError: as `run_spec`; other shards may run at the same time, but no other engine.
    """
    store = StudyStore(spec, results_dir)
    rows = [row for unit in shard.units(spec) for row in unit]
    missing = [row for row in rows if row.key not in store.results and not row.finished]
    check_room(missing, spec.folder, workers)
    with shared_study(spec.folder):
        forget_failures(missing)
        keys = {row.key for row in missing}
        units = [_Unit(tuple(row for row in unit if row.key in keys)) for unit in shard.units(spec)]
        with StudyProgress(f"{spec.name} {shard.index}/{shard.count}", rows, missing, silent=not progress) as bar:

            def advance(ended: Sequence[_Unit], running: Sequence[_Unit]) -> None:
                for unit in (*ended, *running):
                    for row in unit.rows:
                        if row.result_path.exists() or row.error_path.exists():
                            bar.end(row)
                        else:
                            bar.look([row])

            while left := [unit for unit in units if not unit.finished]:  # again after a killed process
                run_jobs(left, workers, lambda unit: unit_locks(unit.rows[0], fcntl.LOCK_EX), advance)
    for row in rows:
        if row.key not in store.results:
            store.take(row)
    own = {row.key for row in rows}
    found = [columns for columns in store.table().rows if key_of(columns) in own]
    return StudyTable(replace(spec, rows=tuple(rows)), found, store.rows_path)


def gather(spec: Spec, results_dir: Path) -> StudyTable:
    """Makes the tables of the rows that are there, while shards run or after.

    Raises:
        RunError: the tables or the folder hold results of other settings, a file is damaged, or an engine that
            writes the tables itself is running.
    """
    with sole_gatherer(spec.folder) if spec.folder.exists() else contextlib.nullcontext():
        store = StudyStore(spec, results_dir)
        store.collect()
        store.write()
        return store.table()


@dataclass(frozen=True)
class _Unit:
    """Rows of one unit, one after the other."""

    rows: tuple[Row, ...]

    @property
    def finished(self) -> bool:
        return not self._left

    @property
    def error_path(self) -> Path:
        """Of the row that was running when its process was killed."""
        return next(iter(self._left), self.rows[-1]).error_path

    def execute(self) -> None:
        for row in self._left:
            run_or_leave_reason(row)

    @property
    def _left(self) -> list[Row]:
        return [row for row in self.rows if not row.finished and not row.error_path.exists()]


def _cost(unit: Sequence[Row]) -> int:
    """In steps of a model of one parameter: for comparisons alone."""
    return sum(
        steps * parameter_count(row.pretrain.model.config(row.pretrain.corpus))
        for row in unit
        for _, steps in row.trainings()
    )
