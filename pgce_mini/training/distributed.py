"""A training on several processes, as torchrun starts them: each computes its share of every batch.

All have the same weights and take the same decisions; the first alone owns the run's folder and shows the
progress. Gradients are summed after the backward pass, by a plain all-reduce: there is no wrapper around the model
whose hooks a call could miss. With one process nothing here does anything.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pgce_mini.runs import RunError
from pgce_mini.training.config import GRPOConfig, PretrainConfig
from pgce_mini.training.optimizer import check_device

T = TypeVar("T")
LOST = ("closed by peer", "reset by peer", "Broken pipe", "connectFullMesh failed")
"""How gloo says that another process is gone."""


def launched() -> bool:
    """Whether torchrun has started this process."""
    return dist.is_available() and dist.is_torchelastic_launched()


def join() -> None:
    """Joins the processes that torchrun has started, until this one ends: torchrun's store cannot tell a second
    group from the first. A group that the program has made itself is taken as it is.

    Raises:
        RunError: another process has ended.
    """
    if launched() and not dist.is_initialized():
        with _all_alive():
            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)


@contextlib.contextmanager
def together(config: PretrainConfig | GRPOConfig, size_name: str, size: int) -> Iterator[None]:
    """A training by all processes, each on its own device; `size` documents or prompts are shared out.

    Raises:
        ValueError: the device is not on this machine, `size` cannot be shared out evenly, or there is one process
            and fsdp.
        RunError: another process has ended.
    """
    join()
    with _all_alive():
        with agreed():
            _check(config, size_name, size)
            if world_size() > 1 and config.device == "cuda":  # from now on "cuda" is this one
                torch.cuda.set_device(local_rank())
        yield


def _check(config: PretrainConfig | GRPOConfig, size_name: str, size: int) -> None:
    if config.fsdp and not dist.is_initialized():
        raise ValueError("fsdp splits a model among processes: start them with torchrun --nproc-per-node N")
    if world_size() > 1 and config.device not in ("cpu", "cuda"):
        raise ValueError(
            f"device must be cpu or cuda on several processes, each of which takes its own, got {config.device!r}"
        )
    check_device(f"cuda:{local_rank()}" if world_size() > 1 and config.device == "cuda" else config.device)
    parts = world_size() * config.gradient_accumulation_steps
    if size % parts:
        raise ValueError(
            f"{size_name} must be a multiple of {parts} (processes x gradient_accumulation_steps = "
            f"{world_size()} x {config.gradient_accumulation_steps}), got {size}"
        )


def world_size() -> int:
    return dist.get_world_size() if _joined() else 1


def rank() -> int:
    return dist.get_rank() if _joined() else 0


def local_rank() -> int:
    """The number of this process among those on its machine."""
    return int(os.environ.get("LOCAL_RANK", rank()))


def processes_here() -> dict[str, int]:
    """How many train together, and how many of them on this machine: arguments of the checks of memory."""
    return {"processes": world_size(), "on_machine": int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))}


def is_first() -> bool:
    """Whether this process speaks for all, already before `join`."""
    if launched() and not _joined():
        return os.environ["RANK"] == "0"
    return rank() == 0


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def share(rows: Sequence[T]) -> Sequence[T]:
    """This process's part of the rows; the parts in order are all rows."""
    first, last = (len(rows) * (rank() + i) // world_size() for i in range(2))
    return rows[first:last]


def gathered(content: T) -> list[T]:
    """What each process brings, on all of them; tensors must be on the CPU."""
    if world_size() == 1:
        return [content]
    contents: list[Any] = [None] * world_size()
    dist.all_gather_object(contents, content)
    return contents


def counts(own: int) -> list[int]:
    """`gathered` of a number, which is faster."""
    if world_size() == 1:
        return [own]
    every = [torch.zeros((), dtype=torch.int64, device="cpu") for _ in range(world_size())]
    dist.all_gather(every, torch.tensor(int(own), device="cpu"))
    return [int(count) for count in every]


def summed(tensor: Tensor) -> Tensor:
    """The sum over the processes."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def summed_numbers(numbers: dict[str, float]) -> dict[str, float]:
    """The sum over the processes of each number."""
    if world_size() == 1:
        return numbers
    sums = summed(torch.tensor(list(numbers.values()), dtype=torch.float64, device="cpu"))
    return dict(zip(numbers, sums.tolist(), strict=True))


def sum_gradients(model: nn.Module) -> None:
    """Every process gets the sum of the gradients; FSDP has done so in the backward pass."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if world_size() == 1 or any(hasattr(gradient, "full_tensor") for gradient in gradients):
        return
    flat = summed(torch.cat([gradient.flatten() for gradient in gradients]))  # one message
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@contextlib.contextmanager
def agreed(kind: type[Exception] = Exception) -> Iterator[None]:
    """What each process does for itself: the error of one is raised on all, so that none waits for it.

    Where the processes exchange something within the block, `kind` is of errors that come after the last exchange.
    Any other error ends its process, and with it those that wait for it."""
    if world_size() == 1:
        yield
        return
    own: Exception | None = None
    try:
        yield
    except kind as error:
        own = error
    first = next((error for error in gathered(own) if error is not None), None)
    if first is not None:
        raise own or first


def check_same(content: T) -> None:
    """Raises ValueError unless every process has the same settings."""
    for other, found in enumerate(gathered(content)):
        if found != content:
            raise ValueError(f"process {other} has other settings or files than process {rank()}: start all alike")


@contextlib.contextmanager
def _all_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 and not launched():
            raise
        if isinstance(error, dist.DistError) or any(sign in str(error) for sign in LOST):
            raise RunError(
                "another process of this training has ended: the same command goes on from the last saved step"
            ) from error
        raise
