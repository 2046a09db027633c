"""A GPT and the shaped loss as one module: one call, which is all that DDP, FSDP and torch.compile see."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgce_mini.checks import check_whole
from pgce_mini.gpt import GPT, spread
from pgce_mini.loss import Reduction, linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import RewardShaping


class ShapedLM(nn.Module):
    """The shaped loss of a GPT, to be wrapped as a whole or around a wrapped GPT.

    Under DDP, FSDP2 (`fully_shard` of the layers, then of this module), checkpointing and torch.compile (one graph
    without `keep`) its gradients are those of a single process.

    `linear`: take `linear_shaped_cross_entropy`, which never holds all logits in memory, with its `chunk_size`.

    Raises:
        TypeError: `model` is or holds no GPT, or `shaping` is not a RewardShaping.
        ValueError: chunk_size is given without `linear`, or is no whole number of at least 1.
    """

    def __init__(
        self, model: nn.Module, shaping: RewardShaping, *,
        linear: bool = False, ignore_index: int = -100, chunk_size: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        modules = model.modules() if isinstance(model, nn.Module) else ()
        if not any(isinstance(module, GPT) for module in modules):
            raise TypeError(
                f"model must be a GPT, wrapped or not, got {type(model).__name__}: of another model, "
                "pass the logits to shaped_cross_entropy"
            )
        if not isinstance(shaping, RewardShaping):
            raise TypeError(f"shaping must be a RewardShaping, got {type(shaping).__name__}")
        if chunk_size is not None:
            if not linear:
                raise ValueError("chunk_size is of linear=True: set that too, or leave chunk_size out")
            chunk_size = check_whole("chunk_size", chunk_size, 1)
        self.model, self.shaping = model, shaping
        self.linear, self.ignore_index, self.chunk_size = linear, ignore_index, chunk_size

    def forward(
        self, ids: Tensor, target: Tensor, keep: Tensor | None = None, *, reduction: Reduction = "sum"
    ) -> Tensor:
        """The loss of predicting `target` in nats (a surrogate unless the shaping is plain), in fp32 or fp64.

        DDP and FSDP average gradients over processes. So divide the sum by the targets of all processes and
        multiply it by the number of processes: the mean over each one's own targets weighs them unequally.

        Shapes:
            ids: (B, T) int64, right-padded; target: (B, T) of the next ids or `ignore_index`
            keep: (B, T) bool, in each row True first and then False: the positions to compute, all by default
            -> () for "sum" and "mean", (B, T) for "none", 0 where ignored or not kept

        Raises:
            ValueError: ids, target and keep do not fit one another or the model, `reduction` is unknown.
        """
        if target.shape != ids.shape:
            raise ValueError(f"target must have the shape of ids, {tuple(ids.shape)}, got {tuple(target.shape)}")
        for name, tensor in (("target", target), ("keep", keep)):
            if tensor is not None and tensor.device != ids.device:
                raise ValueError(f"{name} must be on the device of ids, {ids.device}, got {tensor.device}")

        def loss(hidden: Tensor, weight: Tensor) -> Tensor:
            wanted = target if keep is None else target[keep]
            half = hidden.dtype in (torch.float16, torch.bfloat16)  # in which a sum would overflow or be rounded
            with torch.autocast(hidden.device.type, hidden.dtype) if half else nullcontext():
                if self.linear:
                    return linear_shaped_cross_entropy(
                        hidden, weight, wanted, self.shaping,
                        ignore_index=self.ignore_index, reduction=reduction, chunk_size=self.chunk_size,
                    )  # fmt: skip
                logits = F.linear(hidden, weight).flatten(0, -2)  # (N, V)
                losses = shaped_cross_entropy(
                    logits, wanted.flatten(), self.shaping, ignore_index=self.ignore_index, reduction=reduction
                )
            return losses.view_as(wanted) if reduction == "none" else losses

        out: Tensor = self.model(ids, keep, loss)
        return spread(out, keep) if reduction == "none" and keep is not None else out

    def extra_repr(self) -> str:
        return f"{self.shaping}, linear={self.linear}, ignore_index={self.ignore_index}"
