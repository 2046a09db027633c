"""The shaped cross-entropy: the policy gradient of a token's reward in closed form, as a drop-in loss.

For one position with policy pi = softmax(z), true token x and rewards r (`pgce_mini.reward`), write
w_a = pi_a r_a and W = sum_a w_a. Then

    L = - sum_a sg(w_a) log pi_a      has the gradient      dL/dz_a = pi_a W - w_a             (ours)

which is the gradient of -E_{a~pi}[r(s, a)] (paper Eq. 5), exact and without sampling. For beta = lambda_head =
lambda_tail = 0 the value is cross-entropy too; otherwise *the value is a surrogate and does not measure progress*:
log plain cross-entropy beside it.

The gradient is computed in the forward pass, a block of rows at a time, while the block's softmax is in cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pgce_mini.loss.cpu import in_large_pages
from pgce_mini.loss.rows import accumulation_dtype, check_ids, shaped_rows
from pgce_mini.reward import RewardShaping

Reduction = Literal["mean", "sum", "none"]


def shaped_cross_entropy(
    input: Tensor, target: Tensor, shaping: RewardShaping, *,
    ignore_index: int = -100, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """Cross-entropy whose gradient is the policy gradient of the shaped reward.

    Takes the layouts, dtypes and reductions of `torch.nn.functional.cross_entropy`: the mean runs over the targets
    that are not ignored (nan with gradient zero when all are), the result has the input's dtype (fp32 under
    autocast), `input` is never written to. Differentiable once, in reverse mode: `create_graph=True` is refused.
    torch.compile, torch.func.grad, vjp and jacrev, and torch.vmap (gradients of single samples) work; forward mode
    (jvp, jacfwd, hessian) does not.

    Shapes:
        input: (V), (N, V) or (N, V, d1, ...) logits; target: (), (N) or (N, d1, ...) of ids or `ignore_index`
        -> () for "mean" and "sum", target's shape for "none"; nats (a surrogate unless the shaping is plain)
        Logits of shape (N, T, V) must be flattened or transposed first, as for torch; if T = V no error says so.

    Raises:
        TypeError: `shaping` is not a RewardShaping.
        ValueError: `input` and `target` disagree in the batch, `reduction` is unknown.
        RuntimeError: they disagree in another dimension, `input` does not hold logits, `target` does not hold ids.
        IndexError: a target is outside [0, V) (on CPU; accelerators assert on the device).

    Memory: one buffer of the input's size, the gradient (two with `retain_graph=True` or under torch.compile).

    Source: paper Eq. 11 and 12; the closed form is ours.
    """
    if input.dim() == 0 or not input.is_floating_point():
        got = f"{input.dtype} of shape {tuple(input.shape)}"
        raise RuntimeError(f"input must be floating-point logits of at least one dimension, got {got}")
    class_dim = 0 if input.dim() == 1 else 1
    expected = input.shape[:class_dim] + input.shape[class_dim + 1 :]
    if input.dim() > 1 and input.shape[:1] != target.shape[:1]:
        size = target.shape[0] if target.dim() else "none: a scalar"
        raise ValueError(f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({size}).")
    if target.shape != expected:
        hint = ""
        if target.shape == input.shape[:-1]:
            hint = " The logits look like (N, T, V): flatten both, or pass input.transpose(1, 2)."
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(target.shape)}.{hint}")
    vocab_size = input.shape[class_dim]
    rows = input.movedim(class_dim, -1)
    logits = rows.reshape(target.numel(), vocab_size)  # (N, V); a copy only if d1, ... are there
    return reduced_loss(_rows_op, target, ignore_index, reduction, shaping, 0, logits)


class ShapedCrossEntropyLoss(nn.Module):
    """`shaped_cross_entropy` as a module, like `torch.nn.CrossEntropyLoss`."""

    def __init__(self, shaping: RewardShaping, *, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_arguments(shaping, reduction)
        self.shaping = shaping
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return shaped_cross_entropy(
            input, target, self.shaping, ignore_index=self.ignore_index, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        return f"{self.shaping}, ignore_index={self.ignore_index}, reduction={self.reduction!r}"


def check_arguments(shaping: RewardShaping, reduction: str) -> None:
    if not isinstance(shaping, RewardShaping):
        raise TypeError(f"shaping must be a RewardShaping, got {type(shaping).__name__}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction!r} is not a valid value for reduction: use 'mean', 'sum' or 'none'")


def reduced_loss(
    op: Callable[..., tuple[Tensor, ...]], target: Tensor, ignore_index: int, reduction: Reduction,
    shaping: RewardShaping, chunk_size: int, *inputs: Tensor,
) -> Tensor:  # fmt: skip
    """Runs `op`, one of the two operators, over the rows of `inputs` and reduces its losses as torch does."""
    check_arguments(shaping, reduction)
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype}")
    ids = target.reshape(-1).long()  # (N)
    keep_mask = ids != ignore_index  # (N)
    ids = ids.where(keep_mask, 0)
    top_k = min(shaping.top_k, sys.maxsize)  # an operator takes no larger number
    settings = shaping.beta, shaping.lambda_head, shaping.lambda_tail, top_k, shaping.form, chunk_size
    count = keep_mask.sum() if reduction == "mean" and not _divides_late(reduction, inputs[0]) else 1
    row_weight = keep_mask.to(accumulation_dtype(inputs[0])) / count  # (N)
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    transformed = torch._C._are_functorch_transforms_active()
    now = reduction != "none" and (wanted or transformed)
    modes = reduction, now, transformed
    losses, *_ = _ShapedLoss.apply(op, settings, modes, ids, keep_mask, row_weight, *inputs)  # type: ignore[no-untyped-call] # in torch
    dtype = inputs[0].dtype
    if autocast_dtype(inputs[0]) and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32  # as F.cross_entropy
    loss: Tensor = losses.to(dtype)
    return loss.reshape(target.shape) if reduction == "none" else loss


class _ShapedLoss(torch.autograd.Function):
    """The losses of the rows, or their sum or mean, and the gradients of the inputs in closed form.

    "sum" and "mean" compute the gradients in the forward pass, where the weight of a row is its share in the loss;
    "none" does in the backward pass, where the weight is the upstream gradient. The gradients are outputs, because
    torch.func lets a backward pass see nothing else of its forward pass.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        op: Callable[..., tuple[Tensor, ...]], settings: tuple[Any, ...], modes: tuple[Reduction, bool, bool],
        ids: Tensor, keep_mask: Tensor, row_weight: Tensor, *inputs: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        reduction, now, _ = modes
        losses, *gradients = op(*inputs, ids, keep_mask, row_weight, *settings, now)
        if reduction == "none":
            return losses, *gradients
        count = keep_mask.sum() if reduction == "mean" else 1
        return losses.sum() / count, *gradients  # nan if all are ignored, as in torch

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.op, ctx.settings, (ctx.reduction, _, ctx.transformed), ids, keep_mask, _, *tensors = inputs
        ctx.set_materialize_grads(False)
        if ctx.reduction == "none":
            ctx.save_for_backward(ids, keep_mask, *tensors)
        else:
            late = _divides_late(ctx.reduction, tensors[0])
            ctx.save_for_backward(keep_mask.sum().clamp_min(1) if late else None, *output[1:])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *second: Tensor | None) -> tuple[Tensor | None, ...]:
        compiling = torch.compiler.is_compiling()
        # torch.func.vjp calls its backward pass when the transform is over
        transformed = not compiling and (ctx.transformed or _is_transformed(upstream))
        create_graph = torch.is_grad_enabled() and not transformed  # torch.func.grad always asks for one
        if not compiling and (create_graph or any(tensor is not None for tensor in second)):
            raise RuntimeError("the shaped cross-entropy is differentiable once: drop create_graph=True")
        if upstream is None:
            return (None,) * (6 + len(second))
        if ctx.reduction == "none":
            ids, keep_mask, *inputs = ctx.saved_tensors
            dtype = inputs[0].dtype
            modes = ctx.reduction, True, transformed
            settings = ctx.op, ctx.settings, modes, ids, keep_mask, upstream
            _, *gradients = _ShapedLoss.apply(*settings, *inputs)  # type: ignore[no-untyped-call] # in torch
        else:
            divisor, *gradients = ctx.saved_tensors
            dtype = gradients[0].dtype
            factor = upstream if divisor is None else upstream / divisor  # ()
            readable = type(factor) is Tensor and factor.device.type == "cpu" and not (compiling or transformed)
            if not readable:
                factor = factor.unsqueeze(0)  # a scalar tensor would be rounded to half precision first
            if compiling or transformed or torch._C._autograd._get_current_graph_task_keep_graph():
                gradients = [gradient * factor for gradient in gradients]  # another backward needs the saved ones
            elif not readable or factor.item() != 1:  # .item() on another device would wait for it
                for gradient in gradients:
                    gradient.mul_(factor)
        if not transformed:
            gradients = [gradient.detach() for gradient in gradients]  # outputs of `forward` require a gradient
        return None, None, None, None, None, None, *(gradient.to(dtype) for gradient in gradients)


def _divides_late(reduction: Reduction, tensor: Tensor) -> bool:
    """A half-precision gradient is divided after the loss scale has multiplied it: before, it could underflow."""
    return reduction == "mean" and accumulation_dtype(tensor) != tensor.dtype


def _is_transformed(upstream: Tensor | None) -> bool:
    """Whether the backward pass runs under torch.func, vmap or `is_grads_batched`, where no value can be read."""
    batched = upstream is not None and torch._C._functorch.is_legacy_batchedtensor(upstream)
    return batched or torch._C._are_functorch_transforms_active()


def autocast_dtype(tensor: Tensor) -> torch.dtype | None:
    """What autocast computes products in on this device; None where it is off or, as on "meta", unknown."""
    device = tensor.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


def map_over_batch(op: Any) -> None:
    """Teaches torch.vmap an operator of `_ShapedLoss`: a call for each element of the batch."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        calls = [
            op(*(arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, in_dims, strict=True)))
            for i in range(info.batch_size)
        ]
        outputs = tuple(torch.stack(each) for each in zip(*calls, strict=True))
        return outputs, (0,) * len(outputs)

    op.register_vmap(rule)


@torch.library.custom_op("pgce_mini::shaped_rows", mutates_args=())
def _rows_op(
    logits: Tensor, ids: Tensor, keep_mask: Tensor, row_weight: Tensor,
    beta: float, lambda_head: float, lambda_tail: float, top_k: int, form: str, chunk_size: int,
    with_gradient: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(N, V) logits -> (N) losses and the gradient of their sum weighted by `row_weight`, empty unless asked for.

    An operator, because torch.compile would unroll the loop over blocks of plain Python.
    """
    check_ids(ids, logits.shape[1])
    shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)  # type: ignore[arg-type] # a str in the schema
    gradient = in_large_pages(torch.empty_like(logits)) if with_gradient else logits.new_empty(0)
    losses = shaped_rows(logits, ids, row_weight, shaping, gradient if with_gradient else None)
    ignored = (~keep_mask).nonzero().squeeze(-1)
    if with_gradient:
        gradient.index_fill_(0, ignored, 0)  # the logits there may hold anything, nan included
    return losses.index_fill_(0, ignored, 0), gradient


map_over_batch(_rows_op)


@_rows_op.register_fake
def _(logits: Tensor, ids: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
    gradient = torch.empty_like(logits) if settings[-1] else logits.new_empty(0)
    return logits.new_empty(logits.shape[0], dtype=accumulation_dtype(logits)), gradient
