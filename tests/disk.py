"""What tests of the disk share: a folder's bytes, damage to a file, and a run in the middle."""

from __future__ import annotations

from pathlib import Path

import torch

from pgce_mini.runs import Run, state_tensors


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
