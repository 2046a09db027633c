"""A real explorer, as `pgce explore` starts it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Streamlit's own traceback when a visitor leaves while the connection is being made.
LEFT = (
    r"Exception in ASGI application\nTraceback(?:(?!Exception in ASGI)[\s\S])*?"
    r"WebSocketDisconnected: Cannot call \"send\" once a close message has been sent\.\n"
)


@contextmanager
def serving(folder: Path, runs: Path, *options: str, path: str = "/") -> Iterator[str]:
    """The address of an explorer while it runs, with its log in `folder`; `path` is that of its first page."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    command = [
        sys.executable,
        "-m",
        "pgce_mini",
        "explore",
        "--port",
        str(port),
        "--runs-dir",
        str(runs),
        *options,
    ]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not healthy(port, path):
            assert server.poll() is None, f"the explorer ended at once: {log.read_text()}"
            assert time.monotonic() < deadline, f"no answer in two minutes: {log.read_text()}"
            time.sleep(0.2)
        yield f"http://localhost:{port}{path}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the command and the server that it started
        server.wait(30)
    written = re.sub(LEFT, "", log.read_text())
    assert "Traceback" not in written, written


def healthy(port: int, path: str = "/") -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", f"{path}_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
