"""Reads files of weights, and says of a file that holds none what it is likely to be."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import safetensors.torch
from torch import Tensor

FOREIGN = (
    (b"version https://git-lfs", "it is a git-lfs pointer in place of the file: run git lfs pull"),
    (b"<", "it is a web page: download the file itself"),
    (b"PK\x03\x04", "it is a pickle of torch, or an archive: save it as safetensors"),
    (b"\x80", "it is a pickle: save it as safetensors"),
    (b"GGUF", "it is a GGUF file: take the safetensors of the same model"),
)
"""(how a file begins that is often found in the place of another, what is said of it)"""


def read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ValueError: it is no such file; the message, without its name, says what it is instead.
        OSError: it is missing or cannot be read.
    """
    if file.is_dir():  # `safe_open` calls it no device
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    try:
        if not _is_utf8(file):  # `safe_open` takes no such name
            data = file.read_bytes()
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            return safetensors.torch.load(data), dict(header.get("__metadata__") or {})
        with safetensors.safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
            return tensors, dict(opened.metadata() or {})
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(likely_cause(file)) from error


def _is_utf8(file: Path) -> bool:
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return False
    return True


def likely_cause(file: Path) -> str:
    """Why a file that is there cannot be read as what its name says."""
    with open(file, "rb") as opened:
        beginning, size = opened.read(64), file.stat().st_size
        if size == 0:
            return "it is empty"
        ours = file.suffix == ".safetensors" and beginning[8:9] == b"{"  # in the length before it a sign may stand
        for sign, cause in () if ours else FOREIGN:
            if beginning.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(sign):
                return cause
        if file.suffix != ".safetensors":
            return "it is damaged, or not the file that its name says"
        length = int.from_bytes(beginning[:8], "little")  # of the header, a JSON object
        if beginning[8:9] != b"{":
            return "it is not in the format of safetensors, or damaged"
        opened.seek(8)
        try:
            header = json.loads(opened.read(min(length, size)))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            whole = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, LookupError, AttributeError):
            whole = 8 + length
    if size < whole:
        return f"it is cut off: {size:,} of {whole:,} bytes are there"
    return "it is damaged"
