"""What Ctrl-C and SIGTERM do in a block. Only the main thread may handle them: in another one nothing changes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

TERMINATED = 128 + signal.SIGTERM  # exit code, as a shell gives it

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextlib.contextmanager
def handling(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handles these signals so in the block, and afterwards as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Holds back the first Ctrl-C or SIGTERM and yields a function that says whether one came. The block then
    raises KeyboardInterrupt; after SIGTERM it leaves this as SystemExit(TERMINATED).

    A second Ctrl-C interrupts at once; a second SIGTERM does not, as a cluster may send several.
    """
    came: list[int] = []

    def on_signal(signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and signum in came:
            raise KeyboardInterrupt
        came.append(signum)

    with handling({signal.SIGINT: on_signal, signal.SIGTERM: on_signal}):
        try:
            yield lambda: bool(came)
        except KeyboardInterrupt:
            if came[:1] == [signal.SIGTERM]:
                raise SystemExit(TERMINATED) from None
            raise


@contextlib.contextmanager
def exit_at_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit(TERMINATED) in this block, once, in place of killing the process, so that what is
    open is closed. Another program's own handler stays."""

    def leave(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a cluster may send several
        raise SystemExit(TERMINATED)

    is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with handling({signal.SIGTERM: leave} if is_default else {}):
        yield
