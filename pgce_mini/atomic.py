"""Files and folders that are written whole or not at all.

A file is written beside its place, synced and renamed over it; through links, so that they stay.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pgce_mini.paths import expanded

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""an OSError's errno where a disk, a quota or a file can hold no more"""


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all; it is on the disk when this returns. Where `path` is a link,
    the file that it leads to is written; what is no file, such as a pipe or a device, gets the bytes.

    Raises:
        OSError: the disk is full, the folder is not writable, or `path` is a folder; the old file is untouched.
    """
    path = expanded(path)
    try:
        target = _target(path)
        if target is None:
            with open(path, "wb") as stream:
                stream.write(data)
        else:
            _replace(target, data)
    except OSError as error:
        error.filename = str(path)  # and not the one beside it
        raise


def _target(path: Path) -> Path | None:
    """The regular file that `path` is or will be, behind all links; None when it is something else."""
    target = Path(os.path.realpath(path))
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # /dev/stdout leads to a file that has no name of its own once it is deleted
    return target if stat.S_ISREG(found.st_mode) and target.exists() else None


def _replace(path: Path, data: bytes) -> None:
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
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


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to write files into; when the `with` block ends they move to `path`, config.json last, as it says
    what a folder is. If the block fails, `path` stays empty.

    Raises:
        ValueError: `path` is a file, or a folder that holds something.
        OSError: the folder cannot be made, or the disk is full.
    """
    target = Path(os.path.realpath(expanded(path)))  # where a link leads
    if target.exists():
        if not target.is_dir():
            raise ValueError(f"{path} is a file: choose a new folder")
        if not all(file.match(".*.tmp") for file in target.iterdir()):  # those of a killed process do not count
            raise ValueError(f"{path} holds files already: choose a new folder or an empty one")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=target) as temporary:
        yield Path(temporary)
        for file in sorted(Path(temporary).iterdir(), key=lambda file: file.name == "config.json"):
            os.replace(file, target / file.name)  # needs no space
