"""The progress bar of a study: in pre-training steps, with the rows done and the remaining time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from pgce_mini.progress import ProgressBar
from pgce_mini.study.rows import Row, work_done

SECONDS_A_LINE = 30  # in a file, such as the log of a cluster's job, which keeps every line


class StudyProgress:
    """rows: all that count, of which `missing` are to be run. Only rows that run are looked at on the disk."""

    def __init__(self, name: str, rows: Sequence[Row], missing: Sequence[Row], *, silent: bool) -> None:
        self.rows, self.open = len(rows), {row.key for row in missing}
        self.work = {path: steps for row in missing for path, steps in row.trainings()}
        self.done = {path: min(work_done(path), steps) for path, steps in self.work.items()}
        terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
        self.bar = ProgressBar(
            total=sum(self.work.values()), initial=sum(self.done.values()), desc=name, unit="step",
            silent=silent, smoothing=0.05, mininterval=0.1 if terminal else SECONDS_A_LINE,
        )  # fmt: skip
        self._say()

    def __enter__(self) -> StudyProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.bar.close()

    def look(self, running: Iterable[Row]) -> None:
        """Counts the steps on the disk of rows that are running."""
        for path in {path for row in running for path, _ in row.trainings()}:
            self._advance(path, work_done(path))

    def end(self, row: Row) -> None:
        """Counts a row that has a result or a reason, wherever it ran."""
        self.open.discard(row.key)
        for path, steps in row.trainings():
            self._advance(path, steps)
        self._say()

    def _advance(self, path: Path, done: int) -> None:
        new = min(done, self.work.get(path, 0)) - self.done.get(path, 0)
        if new > 0:
            self.done[path] += new
            self.bar.update(new)

    def _say(self) -> None:
        self.bar.set_postfix_str(f"{self.rows - len(self.open)} of {self.rows} rows done", refresh=False)
