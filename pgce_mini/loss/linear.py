"""The shaped cross-entropy of a linear layer, without all the logits in memory: a chunk of positions at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pgce_mini.checks import check_whole
from pgce_mini.loss.cpu import in_large_pages
from pgce_mini.loss.rows import accumulation_dtype, check_ids, shaped_rows
from pgce_mini.loss.shaped import Reduction, autocast_dtype, map_over_batch, reduced_loss
from pgce_mini.reward import RewardShaping

CPU_CHUNK_ELEMENTS = 2**22  # logits held at once by default: 16 MB of fp32
DEVICE_CHUNK_ELEMENTS = 2**27  # what fills an accelerator
CHUNK_ROWS = 128  # but at least: each chunk reads the whole weight; 55 rows of V = 151,936 take 1.4 times as long
HALF_ROWS = 1024  # rows that a half-precision product may sum over: of more the sum could leave fp16


def linear_shaped_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, shaping: RewardShaping, *,
    ignore_index: int = -100, reduction: Reduction = "mean", chunk_size: int | None = None,
) -> Tensor:  # fmt: skip
    """`shaped_cross_entropy(input @ linear_weight.T, target)`, with a chunk of the logits in memory at a time.

    Names as in `torch.nn.functional.linear_cross_entropy`.

    Shapes:
        input: (..., d) hidden states; linear_weight: (V, d), the unembedding; target: (...)
        -> () or (...), as shaped_cross_entropy
        chunk_size: positions whose logits are held at once; by default as many as give 2^22 logits on a CPU or
        2^27 on an accelerator, but at least 128

    Ignored positions are dropped before the product. With reduction "none" the logits are computed twice, because
    the gradient of the weight needs the upstream gradient of each position.

    Raises:
        TypeError: `shaping` is not a RewardShaping.
        ValueError: the shapes do not belong together, chunk_size is no whole number of at least 1, `reduction` is
            unknown.
        RuntimeError: `input` and `linear_weight` are not floating point, `target` does not hold ids.
        IndexError: a target is outside [0, V) (on CPU).

    Source: as shaped_cross_entropy.
    """
    if linear_weight.dim() != 2 or input.shape[-1:] != linear_weight.shape[1:] or input.shape[:-1] != target.shape:
        raise ValueError(
            f"input (..., d), linear_weight (V, d) and target (...) do not belong together: "
            f"got {tuple(input.shape)}, {tuple(linear_weight.shape)} and {tuple(target.shape)}"
        )
    if not (input.is_floating_point() and linear_weight.is_floating_point()):
        raise RuntimeError(
            f"input and linear_weight must be floating point, got {input.dtype} and {linear_weight.dtype}"
        )
    if chunk_size is None:
        elements = CPU_CHUNK_ELEMENTS if input.device.type == "cpu" else DEVICE_CHUNK_ELEMENTS
        chunk_size = max(CHUNK_ROWS, elements // max(1, linear_weight.shape[0]))
    else:
        chunk_size = check_whole("chunk_size", chunk_size, 1)
    if input.dtype != torch.float64 and (dtype := autocast_dtype(input)) is not None:  # as F.linear would
        input, linear_weight = input.to(dtype), linear_weight.to(dtype)
    rows = input.reshape(target.numel(), input.shape[-1])  # (N, d)
    return reduced_loss(_linear_rows_op, target, ignore_index, reduction, shaping, chunk_size, rows, linear_weight)


@torch.library.custom_op("pgce_mini::linear_shaped_rows", mutates_args=())
def _linear_rows_op(
    hidden: Tensor, weight: Tensor, ids: Tensor, keep_mask: Tensor, row_weight: Tensor,
    beta: float, lambda_head: float, lambda_tail: float, top_k: int, form: str, chunk_size: int,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(N, d) hidden states, (V, d) weight -> (N) losses and the gradients of their sum weighted by `row_weight`,
    empty unless asked for; that of the weight in the dtype it is summed in."""
    check_ids(ids, weight.shape[0])
    shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)  # type: ignore[arg-type] # a str in the schema
    losses = hidden.new_zeros(len(hidden), dtype=accumulation_dtype(hidden))
    grad_hidden = torch.zeros_like(hidden) if with_gradient else hidden.new_empty(0)
    grad_weight = torch.zeros_like(weight, dtype=losses.dtype) if with_gradient else losses.new_empty(0)
    logits_buffer = in_large_pages(hidden.new_empty(min(chunk_size, len(hidden)), len(weight)))
    for rows in keep_mask.nonzero().squeeze(-1).split(chunk_size):  # (n)
        chunk = hidden[rows]  # (n, d)
        logits = torch.mm(chunk, weight.T, out=logits_buffer[: len(rows)])  # (n, V)
        gradient = logits if with_gradient else None  # overwrites the logits it comes from
        losses[rows] = shaped_rows(logits, ids[rows], row_weight[rows], shaping, gradient)
        if with_gradient:
            grad_hidden[rows] = logits @ weight
            if weight.dtype == losses.dtype:
                grad_weight.addmm_(logits.T, chunk)
            else:
                for part, states in zip(logits.split(HALF_ROWS), chunk.split(HALF_ROWS), strict=True):
                    grad_weight += part.T @ states  # summed in fp32
    return losses, grad_hidden, grad_weight


map_over_batch(_linear_rows_op)


@_linear_rows_op.register_fake
def _(hidden: Tensor, weight: Tensor, ids: Tensor, *settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    losses = hidden.new_empty(hidden.shape[0], dtype=accumulation_dtype(hidden))
    if not settings[-1]:
        return losses, hidden.new_empty(0), weight.new_empty(0)
    return losses, torch.empty_like(hidden), torch.empty_like(weight, dtype=losses.dtype)
