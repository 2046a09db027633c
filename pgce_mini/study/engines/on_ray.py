"""Runs a specification on a Ray cluster, or on a Ray of its own on this machine: a task a unit, one thread a task.

The rows of a unit share priors, so a unit stays together; its results come back one by one, and the driver keeps
them as the local engine does. The folder of the study may be one for all machines, where a task goes on from the
states there, or on each machine's own disk.

Ray is an extra (`scale`), and imported only here.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from pgce_mini.installation import check_installed
from pgce_mini.runs import TERMINATED, RunError, deferred_interrupt, read_json, write_json
from pgce_mini.study.engines.local import check_room, forget_failures
from pgce_mini.study.engines.locks import held, sole_study, unit_locks
from pgce_mini.study.engines.progress import StudyProgress
from pgce_mini.study.engines.workers import run_or_leave_reason
from pgce_mini.study.rows import Row
from pgce_mini.study.store import StudyStore, StudyTable
from pgce_mini.study.templates import Spec

RETRIES = 3  # of a task whose process is killed
QUEUED = 2  # tasks a core that Ray knows of, so that it always has one ready and may ask for more machines
POLL_SECONDS = 0.5
ANSWER_SECONDS = 5
SAVING_SECONDS = 60  # for a task that is told to stop, after its step
OBJECT_STORE = 2**27  # bytes, of a Ray of our own: results are small
# An HTTP/2 client's first words, which Ray's server answers with its settings, and hardly anything else does.
HELLO, SETTINGS_FRAME = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), 4


def run_on_ray(
    spec: Spec, results_dir: Path | None, *, address: str | None = None, workers: int = 2, progress: bool = True
) -> StudyTable:
    """`run_spec` on Ray: the same tables. A task whose process is killed is tried again.

    address: HOST:PORT of a cluster, or "auto" for the one on this machine; by default RAY_ADDRESS, and without
        that `workers` processes of a Ray of its own. A program that is connected to a Ray uses that.

    Raises:
        RunError: as `run_spec`, or nobody answers at the address.
        ValueError: Ray is missing, or `address` is neither HOST:PORT nor auto.
    """
    check_installed("ray", "scale")
    store = StudyStore(spec, results_dir)
    if not store.missing():
        return store.table()
    check_room([row for row in store.missing() if not row.finished], spec.folder, workers)
    # An exception that a signal raises within a call of Ray becomes one of Ray's, with another exit code.
    with deferred_interrupt() as interrupted, sole_study(spec.folder), _cluster(_address(address), workers) as ray:
        store = StudyStore(spec, results_dir)  # as the last owner left it
        forget_failures(spec.rows)
        store.collect()
        missing = store.missing()
        with StudyProgress(spec.name, spec.rows, missing, silent=not progress) as bar:
            keys = {row.key for row in missing}
            units = [tuple(row for row in unit if row.key in keys) for unit in spec.units()]
            with contextlib.closing(_outcomes(ray, [unit for unit in units if unit], interrupted)) as outcomes:
                for row, outcome in outcomes:
                    if isinstance(outcome, str):
                        store.fail(row, outcome)
                    else:
                        if not row.result_path.exists():  # it ran on another disk
                            write_json(row.result_path, outcome)
                        store.put(row, (outcome["row"], outcome["curves"]))
                    bar.end(row)
                    store.write(now=False)
        store.write()
        return store.table()


def run_unit(rows: Sequence[Row], folder: str) -> Iterator[dict[str, Any] | str]:
    """The body of a task: for each row the content of its result, or the reason of its failure.

    folder: where the driver works, for paths relative to it.
    """
    torch.set_num_threads(1)
    with (
        contextlib.chdir(folder) if os.path.isdir(folder) else contextlib.nullcontext(),
        held(unit_locks(rows[0], fcntl.LOCK_EX)),
    ):
        for row in rows:
            if not row.finished:
                row.error_path.unlink(missing_ok=True)
                try:
                    run_or_leave_reason(row)
                except OSError as error:  # here the disk is full, elsewhere it need not be
                    yield f"{os.uname().nodename}: {error}"
                    continue
            yield (
                read_json(row.result_path) if row.finished else row.error_path.read_text(encoding="utf-8").strip()
            )


def _outcomes(
    ray: Any, units: Sequence[tuple[Row, ...]], interrupted: Callable[[], bool]
) -> Generator[tuple[Row, dict[str, Any] | str]]:
    """What `run_unit` gave for each row, as it comes. Ctrl-C and SIGTERM let every task save its state."""
    task = ray.remote(num_cpus=1, max_retries=RETRIES, num_returns="streaming")(run_unit)
    waiting = deque(units)
    running: dict[Any, deque[Row]] = {}  # a stream of outcomes -> the rows that it still owes
    try:
        while waiting or running:
            if interrupted():
                raise KeyboardInterrupt
            most = QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < most:
                unit = waiting.popleft()
                running[task.remote(unit, os.getcwd())] = deque(unit)
            ready, _ = ray.wait(list(running), timeout=POLL_SECONDS)
            for stream in ready:
                rows = running[stream]
                try:
                    outcome = ray.get(next(stream))
                except StopIteration:
                    del running[stream]
                except ray.exceptions.RayError as error:  # killed more often than it is tried again
                    del running[stream]
                    yield from ((row, _first_line(getattr(error, "cause", None) or error)) for row in rows)
                else:
                    yield rows.popleft(), outcome
    finally:
        for stream in running:
            ray.cancel(stream)
        if running:
            ray.wait([stream.completed() for stream in running], num_returns=len(running), timeout=SAVING_SECONDS)


@contextlib.contextmanager
def _cluster(address: str | None, workers: int) -> Iterator[Any]:
    """Ray, connected; that of a program which is connected already, as it is."""
    if address is not None:
        _check_answer(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if (Path.home() / ".ray" / "auth_token").exists():  # a cluster of this user asks for it
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield ray
        return
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            os.environ.setdefault("RAY_worker_niceness", "0")  # its own 15 stands back behind all other work
            ray.init(
                address="local", num_cpus=workers, object_store_memory=OBJECT_STORE, include_dashboard=False,
                log_to_driver=False, logging_level=logging.ERROR,
            )  # fmt: skip
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except SystemExit:  # Ray's own answer to SIGTERM
        raise SystemExit(TERMINATED) from None
    except Exception as error:  # of this class itself where the machine is too busy to start it
        where = f"at {address}" if address else "of its own"
        raise RunError(f"no work can be given to a Ray {where}: {_first_line(error)}") from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own there
    try:
        yield ray
    finally:
        ray.shutdown()


def _address(given: str | None) -> str | None:
    """As Ray itself has it: RAY_ADDRESS comes before "auto"."""
    return os.environ.get("RAY_ADDRESS") or given if given in (None, "auto") else given


def _check_answer(address: str) -> None:
    """
    Raises:
        ValueError: it is no address.
        RunError: no server of Ray answers there; Ray itself would try for minutes.
    """
    if address == "auto":
        started = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")  # by ray start
        if not started.exists():
            return
        address = started.read_text().strip()
    match = re.fullmatch(r"\[?([^\[\]/]+)\]?:([0-9]{1,5})", address)
    if match is None or int(match[2]) >= 2**16:
        where = " in RAY_ADDRESS" if address == os.environ.get("RAY_ADDRESS") else ""
        raise ValueError(f"address must be HOST:PORT of a Ray cluster, or auto, got {address!r}{where}")
    if os.environ.get("RAY_USE_TLS", "0") == "1":
        return
    try:
        with socket.create_connection((match[1], int(match[2])), ANSWER_SECONDS) as line:
            line.settimeout(ANSWER_SECONDS)
            line.sendall(HELLO)
            if line.recv(9)[3:4] == bytes([SETTINGS_FRAME]):
                return
            problem = "what answers there is no Ray"
    except UnicodeError:
        problem = "that is no name of a machine"
    except OSError as error:
        problem = str(error.strerror or error)
    advice = "check the address, or start one there with ray start --head"
    raise RunError(f"no Ray answers at {address} ({problem}): {advice}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
