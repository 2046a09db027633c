"""What the commands share: their options and the names of the arms.

The comment behind an option, or the string below it, is its help text.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from tyro.extras import literal_type_from_choices

from pgce_mini.reward import PAPER_ARMS

if TYPE_CHECKING:
    Arm = str
else:
    Arm = literal_type_from_choices(PAPER_ARMS)

THREADS_PER_CORE = 32  # more is no slip of the hand; some thousands end the process


@dataclass(frozen=True)
class Options:
    """Options of every command."""

    json: bool = False  # print the result as JSON on stdout, for scripts

    def say(self, text: str, result: Any) -> None:
        """Prints `result` as JSON with --json, `text` without."""
        print(json.dumps(result, indent=2) if self.json else text)


@dataclass(frozen=True)
class Computing(Options):
    """Options of commands that compute."""

    threads: int = 1
    """threads of torch; one is fastest for small models, and the last digits of results depend on it"""
    stop_with_stdin: bool = False
    """take the end of stdin for Ctrl-C, so that a program which starts this one takes it along when it ends"""

    def prepare(self) -> None:
        check_threads("threads", self.threads)
        torch.set_num_threads(self.threads)
        if self.stop_with_stdin:
            if sys.stdin is None:
                raise ValueError("stop_with_stdin must have a stdin to watch, and it is closed: leave it out")
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
            threading.Thread(target=_stop_with_stdin, daemon=True).start()


@dataclass(frozen=True)
class WithBar(Computing):
    """And of those that take long and show it."""

    quiet: bool = False  # no progress bar


def check_threads(name: str, count: int) -> None:
    """Raises ValueError unless the machine may run so many threads, or processes, at a time."""
    cores = os.cpu_count() or 1
    if not 1 <= count <= THREADS_PER_CORE * cores:
        most = f"{THREADS_PER_CORE * cores}, {THREADS_PER_CORE} for each core of this machine"
        raise ValueError(f"{name} must be a whole number between 1 and {most}, got {count}")


def _stop_with_stdin() -> None:
    with contextlib.suppress(OSError):  # such as a terminal that is gone
        while select.select([0], [], []) and os.read(0, 4096):  # to its end: the other side has closed it, or died
            pass
    os.kill(os.getpid(), signal.SIGINT)
