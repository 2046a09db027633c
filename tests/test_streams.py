"""stdin, stdout and stderr that are closed, full, without a reader or without signs; and Ctrl-C while loading."""

from __future__ import annotations

import errno
import io
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from trainings import Training

from pgce_mini import cli
from pgce_mini.cli.streams import _Descriptor, prepare_streams
from pgce_mini.progress import ProgressBar
from pgce_mini.runs import Run
from pgce_mini.shipped import priors

PRIOR = str(priors.path("text", "ce"))
TINY = ["pretrain", "--steps", "30", "--batch-size", "4", "--hidden-size", "16", "--intermediate-size", "16"]


class Broken(io.StringIO):
    """A stream whose reader left after some writes."""

    def __init__(self, writes: int = 0, code: int = errno.EPIPE) -> None:
        super().__init__()
        self.writes, self.code = writes, code

    def write(self, text: str) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise OSError(self.code, os.strerror(self.code))
        return super().write(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [None, closed(), Broken(), Broken(3), Broken(0, errno.EIO), Broken(0, errno.ENOSPC)]
)
def test_training_ends_whoever_reads_its_bar(
    stream: io.StringIO | None, training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    training.run(training.at(tmp_path), progress=True)
    training.assert_finished_as_undisturbed(tmp_path)


def test_bar_is_there_while_somebody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    with ProgressBar(silent=False, total=2, desc="work") as bar:
        bar.update(2)
    assert "work: 100%" in stream.getvalue()


@pytest.mark.parametrize("descriptor", [1, 2])
def test_stream_without_a_reader_drops_what_is_written(descriptor: int) -> None:
    saved = os.dup(descriptor)
    ours, theirs = os.pipe()
    try:
        os.dup2(theirs, descriptor)
        stream = io.TextIOWrapper(
            io.BufferedWriter(_Descriptor(descriptor)), "ascii", "replace", line_buffering=True
        )
        print("␣ seen", file=stream)
        assert os.read(ours, 100) == b"? seen\n"
        os.close(ours)
        for _ in range(2):
            print("dropped", file=stream)
        stream.close()
    finally:
        os.dup2(saved, descriptor)
        os.close(theirs)


def test_full_pipe_is_waited_for() -> None:
    saved = os.dup(1)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    text = b"x" * 300_000  # more than a pipe holds
    got = []

    def read() -> None:
        with open(ours, "rb") as file:
            got.append(file.read())

    reader = threading.Thread(target=read)
    try:
        os.dup2(theirs, 1)
        os.close(theirs)
        reader.start()
        stream = io.BufferedWriter(_Descriptor(1))
        stream.write(text)
        stream.flush()
    finally:
        os.dup2(saved, 1)
    reader.join()
    assert got == [text]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("descriptor", [1, 2])
def test_full_disk_loses_no_result_silently_and_is_told_once(descriptor: int) -> None:
    saved, full = os.dup(descriptor), os.open("/dev/full", os.O_WRONLY)
    raw = _Descriptor(descriptor)
    try:
        os.dup2(full, descriptor)
        if descriptor == 1:
            with pytest.raises(OSError, match="stdout") as error:
                raw.write(b"a result")
            assert error.value.errno == errno.ENOSPC
        assert raw.write(b"what is left in the buffer") == 26
    finally:
        os.dup2(saved, descriptor)


def test_streams_of_a_notebook_or_a_test_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    prepare_streams()
    assert (sys.stdout, sys.stderr) == (out, err)


def test_closed_stdin_cannot_be_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as leaving:
        cli.main([*TINY, "--stop-with-stdin", "--run-dir", str(tmp_path / "run")])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.startswith("pgce: stop_with_stdin must have a stdin to watch, and it is closed")


# --- Real processes --------------------------------------------------------------------------------------


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of bash with `pgce` in it."""
    command = f'pgce() {{ {shlex.quote(sys.executable)} -m pgce_mini "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, env={**os.environ, **environment}, timeout=120
    )


@pytest.mark.parametrize(
    "redirection",
    [
        "2>&-",
        "<&- >&- 2>&-",
        "2>&1 | head -c 200 >/dev/null; exit ${PIPESTATUS[0]}",
        "2> >(head -c 100 >/dev/null)",
    ],
)
def test_training_ends_with_its_model_whatever_its_streams_are(redirection: str, tmp_path: Path) -> None:
    ended = shell(f"pgce {shlex.join(TINY)} --run-dir {tmp_path}/run {redirection}")
    assert (ended.returncode, ended.stderr) == (0, b"")
    run = Run(tmp_path / "run")
    assert run.finished
    assert len(run.metrics()) == 30


@pytest.mark.parametrize(
    ("line", "environment", "out"),
    [
        (f"pgce sample {PRIOR} --prompt 'The ' --json | head -c 1; exit ${{PIPESTATUS[0]}}", {}, b"["),
        (f"pgce sample {PRIOR} --prompt 'The ' --json | true; exit ${{PIPESTATUS[0]}}", {}, b""),  # gone before
        (f"pgce sample {PRIOR} --samples 1 --prompt 'The '", {"PYTHONIOENCODING": "ascii"}, None),
        ("pgce --help", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, None),
    ],
)
def test_results_are_printed_to_any_reader(line: str, environment: dict[str, str], out: bytes | None) -> None:
    ended = shell(line, **environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == out if out is not None else ended.stdout.isascii() and ended.stdout


def test_page_on_stdout_comes_alone() -> None:
    ended = shell("pgce playground --html /dev/stdout")
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"<!doctype html>")
    assert ended.stdout.endswith(b"</html>\n")
    assert ended.stderr.startswith(b"/dev/stdout: open it in a browser")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "doctor --json"])
def test_results_that_cannot_be_written_are_an_error(arguments: str) -> None:
    ended = shell(f"pgce {arguments} > /dev/full")
    assert ended.returncode == 2
    assert ended.stderr == b"pgce: the disk is full: free some space, then run the same command again\n"


def test_ctrl_c_while_loading_is_no_trace() -> None:
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # in the background it is ignored
    code = f"import os, signal, sys; {heard}; from pgce_mini import cli; {{}}; cli.main(['doctor'])"
    press = "sys.meta_path.insert(0, type('P', (), {'find_spec': lambda name, *_: os.kill(os.getpid(), 2)}))"
    ended = subprocess.run([sys.executable, "-c", code.format(press)], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"pgce: stopped\n")
