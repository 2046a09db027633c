"""The results of a study: in memory, and in two tables once there is a folder for them.

    RESULTS/NAME.parquet, NAME-curves.parquet    a row that is in them is not run again

An engine hands in results in any order; the tables have them in the order of the specification, so that every
engine ends with the same bytes. Curves are written before rows: what is killed between, the next write mends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgce_mini.installation import check_installed
from pgce_mini.paths import expanded
from pgce_mini.runs import RunError, settings_difference
from pgce_mini.study.rows import Row
from pgce_mini.study.tables import (
    Columns,
    Curve,
    Key,
    key_of,
    name_of,
    read_curves,
    read_rows,
    write_curves,
    write_rows,
)
from pgce_mini.study.templates import Spec

PAUSE = 20  # a table takes longer the more rows it has: so many times as long nothing is written


@dataclass(frozen=True)
class StudyTable:
    """What a study has so far. rows: in the order of the specification, failed ones with their `error`."""

    spec: Spec
    rows: list[Columns]
    path: Path | None

    @property
    def failed(self) -> dict[str, str]:
        """Row -> reason."""
        return {name_of(key_of(row)): row["error"] for row in self.rows if row["error"] is not None}

    @property
    def missing(self) -> list[str]:
        """Rows that have neither a result nor a reason."""
        there = {key_of(row) for row in self.rows}
        return [row.name for row in self.spec.rows if row.key not in there]


class StudyStore:
    """The results of the rows of `spec`, and the reasons of those that failed.

    results_dir: where the tables are, or will be; without it there are none, and pyarrow is not needed.

    Raises:
        RunError: the tables hold results of other settings under the name of this study, or are damaged.
        ValueError: pyarrow is missing.
    """

    def __init__(self, spec: Spec, results_dir: Path | None) -> None:
        self.spec = spec
        self.results: dict[Key, tuple[Columns, list[Curve]]] = {}
        self.reasons: dict[Key, str] = {}
        self.rows_path: Path | None = None
        self.curves_path: Path | None = None
        self._planned = {row.key: row for row in spec.rows}
        self._changed = False
        self._next_write = 0.0
        if results_dir is None:
            return
        check_installed("pyarrow")
        results_dir = expanded(results_dir)
        self.rows_path = results_dir / f"{spec.name}.parquet"
        self.curves_path = results_dir / f"{spec.name}-curves.parquet"
        rows = read_rows(self.rows_path)  # before the curves, so that a row that another process adds has its own
        curves = read_curves(self.curves_path)
        for row in rows:
            self._check(row, self.rows_path)
            if row["error"] is None:
                own = {name: value for name, value in row.items() if name != "error"}
                self.results[key_of(row)] = own, curves.get(key_of(row), [])
            else:
                self._changed = True  # it is tried again

    def missing(self) -> list[Row]:
        """The rows without a result, in the order of the specification."""
        return [row for row in self.spec.rows if row.key not in self.results]

    def put(self, row: Row, result: tuple[Columns, list[Curve]]) -> None:
        """Takes in what `row.result()` gave, here or on another machine.

        Raises:
            RunError: it is the result of another row, or of other settings.
        """
        self._check(result[0], row.result_path)
        self.results[row.key] = result
        self.reasons.pop(row.key, None)
        self._changed = True

    def fail(self, row: Row, reason: str) -> None:
        """Takes in why a row has no result."""
        self.reasons[row.key] = reason
        self._changed = True

    def take(self, row: Row) -> None:
        """Takes in what is on the disk of a row, if anything is."""
        if row.finished:
            self.put(row, row.result())
        elif row.error_path.exists():
            self.fail(row, row.error_path.read_text(encoding="utf-8", errors="replace").strip())

    def collect(self) -> None:
        """Takes in what is on the disk of every missing row."""
        for row in self.missing():
            self.take(row)

    def write(self, *, now: bool = True) -> None:
        """Writes the tables, if anything has changed; now=False: only when it costs little beside the rest."""
        if not (self.rows_path and self.curves_path and self._changed):
            return
        began = time.monotonic()
        if now or began >= self._next_write:
            write_curves(self.curves_path, (self.results[key] for key in self._planned if key in self.results))
            write_rows(self.rows_path, self.table().rows)
            self._changed = False
            ended = time.monotonic()
            self._next_write = ended + PAUSE * (ended - began)

    def table(self) -> StudyTable:
        """The rows so far."""
        rows = []
        for key, row in self._planned.items():
            if key in self.results:
                rows.append({**self.results[key][0], "error": None})
            elif key in self.reasons:
                rows.append({**row.identity, "error": self.reasons[key]})
        return StudyTable(self.spec, rows, self.rows_path)

    def _check(self, row: Columns, where: Path) -> None:
        name, planned = name_of(key_of(row)), self._planned.get(key_of(row))
        if planned is None:
            raise RunError(f"{where} holds {name}, which is no row of {self.spec.name}: {ANOTHER}")
        found = json.loads(row["settings"])
        wanted = _as_recorded(planned.settings, found)
        if found != wanted:
            difference = settings_difference(found, wanted)
            raise RunError(f"{where} holds {name} of other settings ({difference}): {ANOTHER}")


ANOTHER = "give the changed study another name, or move the old results away"


def _as_recorded(planned: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `planned` without the SHA-256 of a text where `found`, of an earlier version, has none."""
    return {
        name: _as_recorded(value, found[name])
        if isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        else value
        for name, value in planned.items()
        if name != "text" or name in found
    }
