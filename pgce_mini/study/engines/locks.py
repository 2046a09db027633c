"""Who may work in the folder of a study. All locks end with the process, however that ends.

.owner.lock            one driver of the whole study, or any number of shards
.workers.lock          shared by all workers: a driver waits for those that a killed one left behind
.tables.lock           one process that gathers the rows of shards into the tables
units/UNIT.lock        one worker that runs the whole unit, or several that run rows of it for one driver
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path

from pgce_mini.runs import RunError, lock_file, sole_owner
from pgce_mini.study.rows import Row, variant_folder

Locks = Sequence[tuple[Path, int]]
"""files and how a worker holds them: fcntl.LOCK_SH or LOCK_EX"""


@contextlib.contextmanager
def sole_study(study_dir: Path) -> Iterator[None]:
    """Keeps other processes out of a study, and waits for workers that a killed one left behind (they stop after
    their current step).

    Raises:
        RunError: another process is running the study.
    """
    with sole_owner(study_dir, ".owner.lock"):
        with held([(_workers(study_dir), fcntl.LOCK_EX)]):
            pass  # nobody is left
        yield


@contextlib.contextmanager
def shared_study(study_dir: Path) -> Iterator[None]:
    """Keeps drivers of the whole study out of its folder, but no shards.

    Raises:
        RunError: a driver is running the study.
    """
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(held([(study_dir / ".owner.lock", fcntl.LOCK_SH | fcntl.LOCK_NB)]))
        except BlockingIOError:
            raise RunError(f"{study_dir} is being run by another process: wait for it or stop it") from None
        yield


@contextlib.contextmanager
def sole_gatherer(study_dir: Path) -> Iterator[None]:
    """`shared_study` for one that writes the tables: it waits for another one, whose rows its own might lack.

    Raises:
        RunError: a driver is running the study.
    """
    with shared_study(study_dir), held([(study_dir / ".tables.lock", fcntl.LOCK_EX)]):
        yield


def unit_locks(row: Row, how: int) -> Locks:
    """What a worker holds, and waits for, before it runs `row`, or with LOCK_EX the whole unit of `row`."""
    unit = "/".join(filter(None, (variant_folder(row.varied), f"seed{row.seed}")))
    return [(_workers(row.folder), fcntl.LOCK_SH), (row.folder / "units" / f"{unit}.lock", how)]


@contextlib.contextmanager
def held(locks: Locks) -> Iterator[None]:
    """Holds all of `locks`, one after the other, and waits for them unless they say LOCK_NB."""
    with contextlib.ExitStack() as files:
        for path, how in locks:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_file(files.enter_context(open(path, "a+b")), how)  # NFS shares a lock of a readable file alone
        yield


def _workers(study_dir: Path) -> Path:
    return study_dir / ".workers.lock"
