"""Worker processes: a job each, one thread each, and nothing lost when any of them is stopped or killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch

from pgce_mini.runs import deferred_interrupt, exit_at_sigterm, lock_file, sole_owner, write_atomic

POLL_SECONDS = 0.5
# Forked from a process that has imported torch but not used it: no thread is there to be lost, and a start takes
# no time. The main module is imported there once, if it is a script, in place of once a worker; so is what torch
# imports, in a second, as soon as there is a model.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "pgce_mini.study.rows", "torch._dynamo"])
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL_EXIT = 74  # exit code of a worker that could not write: EX_IOERR of sysexits.h


class Job(Protocol):
    """Something to run in a process of its own; its result is on the disk, and it goes on from what is there."""

    @property
    def finished(self) -> bool: ...

    @property
    def error_path(self) -> Path:
        """Where the reason of a failure is written."""

    def execute(self) -> None: ...


J = TypeVar("J", bound=Job)


@contextlib.contextmanager
def sole_study(study_dir: Path) -> Iterator[Path]:
    """Keeps other processes out of a study, and waits for workers that a killed one left behind (they stop after
    their current step). Yields the path of the lock that workers hold.

    Raises:
        RunError: another process is running the study.
    """
    workers = study_dir / ".workers.lock"
    with sole_owner(study_dir, ".owner.lock"), open(workers, "ab") as orphans:
        lock_file(orphans, fcntl.LOCK_EX)
        lock_file(orphans, fcntl.LOCK_UN)
        yield workers


@exit_at_sigterm()
def run_jobs(
    jobs: Sequence[J],
    workers: int,
    lock: Path,
    after_poll: Callable[[int], None],
    may_start: Callable[[J, Sequence[J]], bool] = lambda job, running: True,
) -> None:
    """Runs every job, at most `workers` at a time, in their order but for those that `may_start(job, running)`
    holds back. `after_poll(unfinished)` is called twice a second, the last time when all is done.

    A job that fails leaves its reason at `error_path` and the rest goes on. Ctrl-C lets every worker save its
    state, then raises KeyboardInterrupt; SIGTERM does the same and raises SystemExit(TERMINATED).

    Raises:
        OSError: the disk is full; every other job would meet the same.
    """
    waiting = list(jobs)
    running: list[_Worker[J]] = []
    with _ignored_signals():  # the server inherits it, and from it every worker until it is ready
        forkserver.ensure_running()
    try:
        while waiting or running:
            for job in list(waiting):
                if len(running) < workers and may_start(job, [worker.job for worker in running]):
                    waiting.remove(job)
                    with deferred_interrupt() as interrupted:  # so that no worker is started and then forgotten
                        running.append(_Worker(job, lock))
                        if interrupted():
                            raise KeyboardInterrupt
            time.sleep(POLL_SECONDS)
            running = [worker for worker in running if worker.goes_on()]
            after_poll(len(waiting) + len(running))
    finally:
        for worker in running:
            worker.tell_to_stop()
        for worker in running:
            worker.process.join()


class _Worker(Generic[J]):
    """A process with one thread that runs one job, and stops when told to or when its parent dies."""

    def __init__(self, job: J, lock: Path) -> None:
        self.job = job
        ours, self.stop_line = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_work, args=(job, lock, ours))
        self.process.start()
        ours.close()

    def goes_on(self) -> bool:
        """False once the process has ended; an end that left neither a result nor a reason gets one."""
        if self.process.is_alive():
            return True
        if self.process.exitcode == DISK_FULL_EXIT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not self.job.finished and not self.job.error_path.exists():
            reason = f"its process ended with exit code {self.process.exitcode}\n"
            write_atomic(self.job.error_path, reason.encode())
        return False

    def tell_to_stop(self) -> None:
        self.stop_line.close()


@contextlib.contextmanager
def _ignored_signals() -> Iterator[None]:
    """A cluster sends SIGTERM to every process; without the server nobody would know when a worker has saved."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _work(job: Job, lock: Path, stop_line: Connection) -> None:
    """The body of a worker process."""

    def stop_when_told() -> None:
        stop_line.poll(None)  # returns when the parent closes its end, or dies
        os.kill(os.getpid(), signal.SIGINT)

    if hasattr(os, "setpgrp"):
        os.setpgrp()  # a terminal's Ctrl-C reaches the parent alone, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    try:
        held = open(lock, "ab")  # noqa: SIM115 - until the process ends
        lock_file(held, fcntl.LOCK_SH)
        threading.Thread(target=stop_when_told, daemon=True).start()
        with exit_at_sigterm():
            job.execute()
    except KeyboardInterrupt:
        pass  # the state is saved
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            sys.exit(DISK_FULL_EXIT)
        write_atomic(job.error_path, f"{error} ({type(error).__name__})\n".encode(errors="backslashreplace"))
