"""What tests of the disk share: what is found in the place of weights, a folder's bytes, damage to a file, and a
run in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from pgce_mini.runs import Run, state_tensors

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 123456789\n"
FOUND: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda whole: b"", "it is empty"),
    "git-lfs pointer": (lambda whole: POINTER, "git-lfs pointer .*: run git lfs pull"),
    "web page": (lambda whole: b"\n<!DOCTYPE html><html>Sign in</html>", "a web page: download the file itself"),
    "pickle of torch": (lambda whole: b"PK\x03\x04" + whole, "a pickle of torch"),
    "pickle": (lambda whole: b"\x80\x02}q\x00" + whole, "a pickle"),
    "GGUF": (lambda whole: b"GGUF\x03\x00\x00\x00" + whole, "GGUF"),
    "text": (lambda whole: b'{"weights": "elsewhere"}', "not in the format of safetensors"),
    "cut in the header": (lambda whole: whole[:40], "it is cut off: 40 of [0-9,]+ bytes"),
    "cut in a tensor": (lambda whole: whole[:-9], "it is cut off: [0-9,]+ of [0-9,]+ bytes"),
    "a few bytes": (lambda whole: whole[:5], "cut off|damaged"),
    "longer": (lambda whole: whole + b"\0" * 8, "damaged"),
    "noise": (lambda whole: bytes(range(256)) * 9, "not in the format"),
}
"""what is found in the place of a file of weights -> (its bytes, the likely cause)"""


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def flip_byte(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def state(weight: float = 1.0) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    """A model of one weight, and its optimizer after a step."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return model, optimizer


def started(path: Path, steps: int = 0, saved: int = 0) -> Run:
    """A run that has logged `steps` steps and saved its state after `saved` of them."""
    with Run.start(path, "pretrain", {"lr": 0.1}) as run:
        for step in range(1, steps + 1):
            run.append_metrics({"step": step, "loss": 1 / step})
            if step == saved:
                run.save_state(step, state_tensors(*state()))
    return run
