"""stdin, stdout and stderr as the commands need them: open, and able to print every sign.

Whoever reads the progress bar may leave, and whoever reads the results may have seen enough; the work goes on.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

READER_LEFT = (errno.EPIPE, errno.ECONNRESET)


def prepare_streams() -> None:
    """Makes up for streams that are closed, and lets `sys.stdout` and `sys.stderr` outlive their readers. Streams
    that a program has put in their place, such as a test or a notebook, are left alone."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file to be opened would be taken for it
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest one that is free
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _outliving(sys.stdout, 1, errors="replace")
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr, 2, errors="backslashreplace")


def _outliving(stream: Any, descriptor: int, errors: str) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8", errors=errors)
    stream.flush()
    raw = io.BufferedWriter(_Descriptor(descriptor))
    return io.TextIOWrapper(raw, stream.encoding, errors, line_buffering=stream.line_buffering)


class _Descriptor(io.RawIOBase):
    """stdout or stderr. After a failure what is written is dropped: nobody reads it. The failure is told once,
    where it is that results are lost, which it is not that a reader has left."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # a pipe that is full for now
                select.select([], [self._descriptor], [])
            except OSError as error:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._descriptor)
                os.close(null)
                if self._descriptor == 1 and error.errno not in READER_LEFT:
                    raise OSError(error.errno, error.strerror, "stdout") from None
                return len(data)
