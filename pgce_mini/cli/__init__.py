"""`pgce`, the command line. Ctrl-C may come while it is loading, so nothing that takes time is imported here."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 0; with 1 where `pgce site` has warnings, or where the numbers of
    `pgce study --check` differ; with 2 after a user's error, or where rows of a study failed or are missing; with
    130 after Ctrl-C, with 143 after SIGTERM."""
    with _leaving_at_ctrl_c():
        from pgce_mini.cli.streams import prepare_streams

        prepare_streams()
        from pgce_mini.cli.commands import run
    run(sys.argv[1:] if arguments is None else list(arguments))


@contextlib.contextmanager
def _leaving_at_ctrl_c() -> Iterator[None]:
    """Ends the process at Ctrl-C: an import that is cut short would say anything but that."""

    def leave(signum: int, frame: FrameType | None) -> None:
        os.write(2, b"pgce: stopped\n")
        os._exit(130)

    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.default_int_handler:  # ignored in the background, or an embedding program's own
        yield
        return
    try:
        signal.signal(signal.SIGINT, leave)
    except ValueError:  # not the main thread, which alone handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
