"""Worker processes: a job each, one thread each, and nothing lost when any of them is stopped or killed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch

from pgce_mini.atomic import DISK_FULL
from pgce_mini.runs import deferred_interrupt, exit_at_sigterm, handling, write_atomic
from pgce_mini.study.engines.locks import Locks, held

POLL_SECONDS = 0.5
# Forked from a process that has imported torch but not used it: no thread is there to be lost, and a start takes
# no time. The main module is imported there once, if it is a script, in place of once a worker; so is what torch
# imports, in a second, as soon as there is a model.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "pgce_mini.study.rows", "torch._dynamo"])
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


def run_or_leave_reason(job: Job) -> None:
    """Runs a job; one that fails leaves its reason at `error_path`.

    Raises:
        OSError: the disk is full; every other job would meet the same.
    """
    try:
        job.execute()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        write_atomic(job.error_path, f"{error} ({type(error).__name__})\n".encode(errors="backslashreplace"))


@exit_at_sigterm()
def run_jobs(
    jobs: Sequence[J],
    workers: int,
    locks: Callable[[J], Locks],
    after_poll: Callable[[Sequence[J], Sequence[J]], None],
    may_start: Callable[[J, Sequence[J]], bool] = lambda job, running: True,
) -> None:
    """Runs every job, at most `workers` at a time, in their order but for those that `may_start(job, running)`
    holds back; each holds its `locks`. `after_poll(ended, running)` is called at least twice a second, with each
    job once among the ended ones.

    A job that fails leaves its reason at `error_path` and the rest goes on. Ctrl-C lets every worker save its
    state, then raises KeyboardInterrupt; SIGTERM does the same and raises SystemExit(TERMINATED).

    Raises:
        OSError: the disk is full; every other job would meet the same.
    """
    waiting = list(jobs)
    running: list[_Worker[J]] = []
    # The server inherits it, and from it every worker until it is ready. A cluster sends SIGTERM to every process;
    # without the server nobody would know when a worker has saved.
    with handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
        forkserver.ensure_running()
    try:
        while waiting or running:
            for job in list(waiting) if len(running) < workers else ():
                if len(running) < workers and may_start(job, [worker.job for worker in running]):
                    waiting.remove(job)
                    with deferred_interrupt() as interrupted:  # so that no worker is started and then forgotten
                        running.append(_Worker(job, locks(job)))
                        if interrupted():
                            raise KeyboardInterrupt
            wait([worker.process.sentinel for worker in running], POLL_SECONDS)
            ended = [worker for worker in running if not worker.goes_on()]
            running = [worker for worker in running if worker not in ended]
            after_poll([worker.job for worker in ended], [worker.job for worker in running])
    finally:
        for worker in running:
            worker.tell_to_stop()
        for worker in running:
            worker.process.join()


class _Worker(Generic[J]):
    """A process with one thread that runs one job, and stops when told to or when its parent dies."""

    def __init__(self, job: J, locks: Locks) -> None:
        self.job = job
        ours, self.stop_line = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_work, args=(job, locks, ours))
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


def _work(job: Job, locks: Locks, stop_line: Connection) -> None:
    """The body of a worker process."""

    def stop_when_told() -> None:
        stop_line.poll(None)  # returns when the parent closes its end, or dies
        os.kill(os.getpid(), signal.SIGINT)

    os.setpgrp()  # a terminal's Ctrl-C reaches the parent alone, which passes it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    try:
        threading.Thread(target=stop_when_told, daemon=True).start()
        with exit_at_sigterm(), held(locks):
            run_or_leave_reason(job)
    except KeyboardInterrupt:
        pass  # the state is saved
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        sys.exit(DISK_FULL_EXIT)
