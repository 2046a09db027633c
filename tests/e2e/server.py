"""Servers for a browser to visit, while they run."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# Streamlit's own traceback when a visitor leaves while the connection is being made.
LEFT = (
    r"Exception in ASGI application\nTraceback(?:(?!Exception in ASGI)[\s\S])*?"
    r"WebSocketDisconnected: Cannot call \"send\" once a close message has been sent\.\n"
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], log: Path, port: int, path: str, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server, once it answers under `path`; at the end it is stopped with all that it started."""
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not answers(port, path):
            assert server.poll() is None, f"it ended at once: {log.read_text()}"
            assert time.monotonic() < deadline, f"no answer in two minutes: {log.read_text()}"
            time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def serving(folder: Path, runs: Path, *options: str, path: str = "/") -> Iterator[str]:
    """The address of a real explorer, as `pgce explore` starts it, with its log in `folder`; `path` is that of its
    first page."""
    port, log = free_port(), folder / "log.txt"
    command = [sys.executable, "-m", "pgce_mini", "explore", "--port", str(port), "--runs-dir", str(runs)]
    with started([*command, *options], log, port, f"{path}_stcore/health"):
        yield f"http://localhost:{port}{path}"
    written = re.sub(LEFT, "", log.read_text())
    assert "Traceback" not in written, written
