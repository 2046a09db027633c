"""Runs on disk: written whole or not at all, resumable after any interruption, verified when read.

    runs/NAME/config.json         what was asked for
              metrics.jsonl       a line a step
              state/latest.safetensors   model, optimizer and step, to resume from
              model.safetensors   the finished model, with the settings of model and corpus in its header
              evaluation.json  samples.jsonl

A file is written beside its place, synced and renamed over it. The one file that grows, metrics.jsonl, is cut
back to the step of the state when a run resumes. On the same machine with the same number of threads a resumed
run ends with the very bytes of the model of an undisturbed one, and with its metrics but for the measured speeds.
A training holds a lock on its folder, .lock, which ends with its process, however that ends.
Tensors and their header carry a SHA-256: a damaged file is named in the error and never overwritten.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pgce_mini.model import GPT, GPTConfig
from pgce_mini.tasks import task_from_dict, task_to_dict
from pgce_mini.tasks.base import Corpus

SCHEMA_VERSION = 1
LOCK = ".lock"
METADATA_KEY = "pgce_mini"  # a single one: safetensors writes several in random order, and the bytes must repeat
Kind = Literal["pretrain", "rl", "study"]


class RunError(Exception):
    """A run on disk that cannot be used; the message names the file and says what to do."""


def write_atomic(path: Path, data: bytes) -> None:
    """Puts `data` at `path` whole or not at all, and on the disk before returning.

    Raises:
        OSError: the disk is full or the folder is not writable; what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes {"schema_version": ..., **content} atomically."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file of `write_json`.

    Raises:
        RunError: naming the file, when it is missing, damaged, or of a schema this version does not know.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path} does not exist: check the path of the run") from None
    except (ValueError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error}): it is damaged or not a file of pgce_mini") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema version {version}, this pgce_mini reads {SCHEMA_VERSION}: "
            "it is not a file of pgce_mini or comes from another version"
        )
    del content["schema_version"]
    return dict(content)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes `tensors` as safetensors, with `header` (JSON) and a SHA-256 of both in its metadata."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"schema_version": SCHEMA_VERSION, "sha256": _digest(header, contiguous), "header": header}
    write_atomic(path, safetensors.torch.save(contiguous, {METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file of `save_tensors`.

    Raises:
        RunError: naming the file, when it is missing, damaged or not one of ours.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = json.loads(text)
    except FileNotFoundError:
        raise RunError(f"{path} does not exist: check the path of the run") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error})") from None
    except (safetensors.SafetensorError, ValueError):
        raise RunError(
            f"{path} is no model of pgce_mini, or damaged: check the path; if it is of a run, restore a copy, or "
            "move it away and run again"
        ) from None
    if metadata.get("schema_version") != SCHEMA_VERSION:
        raise RunError(f"{path} was not written by this version of pgce_mini: no schema version {SCHEMA_VERSION}")
    header = metadata.get("header")
    if metadata.get("sha256") != _digest(header, tensors):
        raise RunError(f"{path} is damaged (its SHA-256 differs): delete it and run again, or restore a copy")
    return tensors, header


def _digest(header: object, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(model: GPT) -> str:
    """What stands for a model in the configuration of a run that began from it: the model, not its place."""
    return f"sha256:{_digest(None, model.state_dict())}"


def save_model(path: Path, model: GPT, corpus: Corpus) -> None:
    """Writes a model with all that is needed to rebuild it and to read its tokens."""
    header = {
        "model": dataclasses.asdict(model.config),
        "corpus": task_to_dict(corpus),
        "learnt": corpus.learnt(),
        "vocabulary": _vocabulary(corpus),
    }
    save_tensors(path, model.state_dict(), header)


def load_model(path: Path | str) -> tuple[GPT, Corpus]:
    """The model and corpus of a run's folder, or of a model.safetensors itself.

    Raises:
        RunError: naming the file, when it is missing, damaged or not one of ours.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() or not path.suffix else path
    if path.is_dir() and not file.exists() and (path / "config.json").exists():
        raise RunError(f"{path} is not finished: it has no model.safetensors yet; run it to its end first")
    tensors, header = load_tensors(file)
    if not {"model", "corpus"} <= header.keys():
        raise RunError(f"{file} holds no finished model: its header names neither model nor corpus")
    try:
        model = GPT(GPTConfig(**header["model"]))
        model.load_state_dict(tensors)
        corpus = task_from_dict(header["corpus"]).with_learnt(header.get("learnt", {}))
    except (TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{file} does not fit this version of pgce_mini: {error}") from None
    if _vocabulary(corpus) != header.get("vocabulary"):
        raise RunError(
            f"{file} knows other tokens than {corpus.name} has now: it comes from another version of pgce_mini"
        )
    return model, corpus


def _vocabulary(corpus: Corpus) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(corpus.vocab).encode()).hexdigest()}"


def config_to_dict(config: Any) -> dict[str, Any]:
    """A configuration dataclass as plain JSON values, its corpus with its name. Where it runs is left out, so that
    a run may be moved."""

    def plain(value: Any) -> Any:
        if isinstance(value, Corpus):
            return task_to_dict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Path):
            return str(value)
        return list(value) if isinstance(value, tuple) else value

    settings: dict[str, Any] = plain(config)
    return {name: value for name, value in settings.items() if name not in ("run_dir", "study_dir", "workers")}


@contextlib.contextmanager
def sole_owner(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if need be, by the lock of this name in it.

    Raises:
        RunError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / lock, "ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise RunError(f"{folder} is being run by another process: wait for it or stop it") from None
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):  # a file system without locks
                raise
        yield


class Run:
    """One run's folder. `with Run.start(...)` makes or continues it, `Run(path)` opens it to read."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    @contextlib.contextmanager
    def start(cls, path: Path | str, kind: Kind, config: Mapping[str, Any]) -> Iterator[Run]:
        """Makes the folder, or continues the one that is there, and keeps other processes out of it until the end
        of the `with` block. A finished run needs no owner, and nothing is written into it.

        Raises:
            RunError: the folder holds another run, or other files, or another process is running it; nothing in
                it is touched.
        """
        run = cls(path)
        wanted = {"kind": kind, "config": dict(config)}
        run._check(wanted)
        if run.finished:
            yield run
            return
        with sole_owner(run.path):
            run._check(wanted)  # as the last owner left it
            if not run.config_path.exists():
                write_json(run.config_path, wanted)
            for leftover in [*run.path.glob(".*.tmp"), *run.path.glob("state/.*.tmp")]:  # of a killed process
                leftover.unlink(missing_ok=True)
            yield run

    def _check(self, wanted: Mapping[str, Any]) -> None:
        if self.config_path.exists():
            found = read_json(self.config_path)
            if found != wanted:
                difference = settings_difference(found, wanted)
                raise RunError(
                    f"{self.path} holds another run ({difference}): choose another folder, or delete this one"
                )
        elif self.path.is_file():
            raise RunError(f"{self.path} is a file: choose a new folder")
        elif self.path.exists() and not all(
            file.name == LOCK or file.match(".config.json.*.tmp") for file in self.path.iterdir()
        ):
            raise RunError(f"{self.path} holds files of something else: choose an empty or new folder")

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def model_path(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def state_path(self) -> Path:
        return self.path / "state" / "latest.safetensors"

    @property
    def finished(self) -> bool:
        return self.model_path.exists()

    def config(self) -> dict[str, Any]:
        """{"kind": ..., "config": {...}} as it was started."""
        return read_json(self.config_path)

    def metrics(self, steps: int | None = None) -> list[dict[str, Any]]:
        """A dict a step, of the first `steps` or of all; a last line that was cut short by a kill is left out.

        Raises:
            RunError: naming the file and line, when it is damaged elsewhere.
        """
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is unfinished
        rows = []
        for step, line in enumerate(lines[:steps], start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or row.get("step") != step:
                raise RunError(f"{self.metrics_path} is damaged in line {step}: restore a copy")
            rows.append(row)
        return rows

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        with open(self.metrics_path, "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")

    def save_state(self, step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Everything that a training needs to go on after `step` steps; metrics reach the disk first."""
        if self.metrics_path.exists():
            with open(self.metrics_path, "rb") as file:
                os.fsync(file.fileno())
        tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
        save_tensors(self.state_path, tensors, {"step": step})

    def load_state(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restores the last saved state and cuts the metrics back to it; returns the steps done (0: none).

        Raises:
            RunError: naming the file, when one is damaged; nothing on the disk is touched.
        """
        step = 0
        if self.state_path.exists():
            tensors, header = load_tensors(self.state_path)
            weights: dict[str, Tensor] = {}
            moments: dict[int, dict[str, Tensor]] = {}
            try:
                step = header["step"]
                for name, tensor in tensors.items():
                    part, rest = name.split("/", 1)
                    if part == "model":
                        weights[rest] = tensor
                    else:
                        index, moment = rest.split("/")
                        moments.setdefault(int(index), {})[moment] = tensor
                model.load_state_dict(weights)
            except (KeyError, ValueError, RuntimeError) as error:
                raise RunError(f"{self.state_path} is not a state of this run: {error}") from None
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        rows = self.metrics(step)
        if len(rows) < step:
            raise RunError(f"{self.metrics_path} lacks steps before {step}: restore a copy or start a new run")
        if self.metrics_path.exists():
            write_atomic(self.metrics_path, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        return step


def settings_difference(found: Mapping[str, Any], wanted: Mapping[str, Any], name: str = "") -> str:
    """The first setting in which two configurations differ, in words."""
    for key in {**found, **wanted}:
        old, new = found.get(key), wanted.get(key)
        if old != new:
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                return settings_difference(old, new, f"{name}{key}.")
            return f"{name.removeprefix('config.')}{key} is {old!r} there and {new!r} now"
    return "the same settings"


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the end of the step: yields a function that says whether it was pressed.

    A second Ctrl-C interrupts at once. Outside the main thread signals are not ours to handle and nothing changes.
    """
    pressed = False

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, previous)
