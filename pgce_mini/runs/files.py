"""Files on disk: written whole or not at all (`atomic`), verified when read; a folder that one process owns.

Tensors and their header carry a SHA-256: a damaged file is named in the error and never overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from torch import Tensor

from pgce_mini.atomic import write_atomic
from pgce_mini.gpt.weights import read_safetensors
from pgce_mini.paths import expanded

SCHEMA_VERSION = 1
LOCK = ".lock"
METADATA_KEY = "pgce_mini"  # a single one: safetensors writes several in random order, and the bytes must repeat


class RunError(Exception):
    """A run on disk that cannot be used; the message names the file and says what to do."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes {"schema_version": ..., **content} atomically."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file of `write_json`.

    Raises:
        RunError: naming the file, when it is missing, damaged, or of a schema this version does not know.
    """
    path = expanded(path)
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
    metadata = {"schema_version": SCHEMA_VERSION, "sha256": digest(header, contiguous), "header": header}
    write_atomic(path, safetensors.torch.save(contiguous, {METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file of `save_tensors`.

    Raises:
        RunError: naming the file, when it is missing, damaged or not one of ours.
    """
    path = expanded(path)
    try:
        tensors, texts = read_safetensors(path)
        metadata = json.loads(texts.get(METADATA_KEY, "{}"))
    except FileNotFoundError:
        raise RunError(f"{path} does not exist: check the path of the run") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error})") from None
    except ValueError as error:
        raise RunError(
            f"{path} is no model of pgce_mini, or damaged ({error}): check the path; if it belongs to a run, "
            "restore a copy, or move it away and run again"
        ) from None
    if not isinstance(metadata, dict) or metadata.get("schema_version") != SCHEMA_VERSION:
        raise RunError(
            f"{path} was not written by this version of pgce_mini: no schema version {SCHEMA_VERSION} "
            "(pgce import makes a run of what pgce export wrote)"
        )
    header: Any = metadata.get("header")
    if metadata.get("sha256") != digest(header, tensors):
        raise RunError(f"{path} is damaged (its SHA-256 differs): delete it and run again, or restore a copy")
    return tensors, header


def digest(header: object, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a header and of the names, types, shapes and bytes of tensors on the CPU."""
    sha256 = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


@contextlib.contextmanager
def sole_owner(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Keeps other processes out of a folder, by a lock on the file `lock` in it; makes the folder if it is not
    there. The lock ends with the `with` block or with the process, however that ends.

    Raises:
        RunError: another process holds the lock.
    """
    folder = expanded(folder)
    Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)  # where a link leads, too
    with open(folder / lock, "ab") as held:
        try:
            lock_file(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise RunError(f"{folder} is being run by another process: wait for it or stop it") from None
            raise
        yield


def lock_file(file: IO[bytes], how: int) -> None:
    """`fcntl.flock`, which on a file system without locks does nothing.

    Raises:
        OSError: another process holds the lock, and `how` says not to wait.
    """
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
