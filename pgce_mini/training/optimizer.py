"""What both trainings need: optimizer, gradient clipping, the error of a divergence, the check of the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ADAM_BETAS = (0.9, 0.95)


def adamw(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only, so that the weights of norms do not decay."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=ADAM_BETAS, weight_decay=weight_decay, fused=True)


def clip_gradient(model: nn.Module, max_norm: float, step: int, advice: str = "lower lr") -> float:
    """Scales the gradient down to `max_norm`; returns its norm before.

    Raises:
        FloatingPointError: the gradient is not finite, so that this update is not made; with the `advice`.
    """
    total = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    norm = getattr(total, "full_tensor", lambda: total)().item()  # FSDP's is in parts
    if not math.isfinite(norm):
        raise divergence(step, f"its gradient is {norm}", advice)
    return norm


def divergence(step: int, sign: str, advice: str = "lower lr") -> FloatingPointError:
    """The error to raise when `sign` shows that the training has diverged."""
    return FloatingPointError(f"the training diverged at step {step} ({sign}): {advice}")


def check_device(name: str) -> None:
    """Raises ValueError if the device is unknown, or not on this machine."""
    count: dict[str, Callable[[], int]] = {
        "cpu": lambda: 1,
        "cuda": lambda: torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }
    kind, colon, index = name.partition(":")
    if kind not in count or (colon and not (index.isascii() and index.isdigit())):
        raise ValueError(
            f"device must be cpu, cuda or mps, or with a number as in cuda:1 for the second, got {name!r}"
        )
    here = count[kind]()
    if here == 0:
        raise ValueError(f"device {name!r} is not on this machine: use cpu")
    if int(index or 0) >= here:
        raise ValueError(f"device {name!r} is not on this machine, where the last is {kind}:{here - 1}")
