"""Where the weights are: whole on every process, or, with FSDP2, a part on each, a layer whole while it computes.

On the disk, and when a run starts, all is whole, so that a run may go on with another number of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from pgce_mini.gpt import GPT
from pgce_mini.training.config import GRPOConfig, PretrainConfig
from pgce_mini.training.distributed import gathered, is_first, world_size
from pgce_mini.training.optimizer import adamw


def start_alike(model: GPT, optimizer: Optimizer, config: PretrainConfig | GRPOConfig) -> Optimizer:
    """Gives every process the weights and moments of the first, or with fsdp its part of them; returns the
    optimizer to train with."""
    if world_size() == 1 and not config.fsdp:
        return optimizer
    for weight in model.state_dict().values():
        dist.broadcast(weight, 0)
    if config.fsdp:
        _shard(model, config.device)
    placed = adamw(model, config.lr, config.weight_decay)
    state = optimizer.state_dict()["state"]
    if gathered(bool(state))[0]:  # the run has begun: the first process has read its state
        moments: dict[int, dict[str, Tensor]] = {}
        for index, parameter in enumerate(p for group in placed.param_groups for p in group["params"]):
            step = torch.zeros((), device=parameter.device)
            likes = {"step": step, "exp_avg": parameter, "exp_avg_sq": parameter}
            moments[index] = {
                name: _from_first(state.get(index, {}).get(name), like) for name, like in likes.items()
            }
        placed.load_state_dict({**placed.state_dict(), "state": moments})
    return placed


def _shard(model: GPT, device: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh  # FSDP takes a second to import
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device, (world_size(),))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "decode")


def _from_first(value: Tensor | None, like: Any) -> Tensor:
    """The first process's `value`, on the devices and in the parts of `like`."""
    tensor = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    if value is not None:
        tensor.copy_(value)
    if hasattr(like, "full_tensor"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(tensor, like.device_mesh, like.placements)
    dist.broadcast(tensor, 0)
    return tensor


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without their division, for the first process to save; the others, which help, get none."""
    complete = {}
    for name, tensor in tensors.items():
        if hasattr(tensor, "full_tensor"):
            tensor = tensor.full_tensor().cpu()
        if is_first():
            complete[name] = tensor
    return complete


def load_whole(model: GPT, sharded: GPT) -> None:
    """Copies the weights of a model in parts into a whole one."""
    with torch.no_grad():
        for weight, part in zip(model.parameters(), sharded.parameters(), strict=True):
            weight.copy_(part.full_tensor())  # type: ignore[attr-defined]  # a DTensor


def backward(loss: Tensor, config: PretrainConfig | GRPOConfig) -> None:
    """Adds the gradient of this process's part of a loss; FSDP takes the mean of the processes, and the parts are
    to be summed."""
    (loss * world_size() if config.fsdp else loss).backward()
