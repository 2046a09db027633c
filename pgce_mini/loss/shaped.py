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

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pgce_mini.loss.head import find_head
from pgce_mini.reward import RewardShaping, true_token_weight

Reduction = Literal["mean", "sum", "none"]

CPU_BLOCK_ELEMENTS = 2**19  # 2 MB of fp32: the block and its softmax stay in cache
DEVICE_BLOCK_ELEMENTS = 2**26  # large enough to fill an accelerator
LOG_FLOOR = -1e4  # exp of it is 0 in every dtype, and 0 * -1e4 is 0 where 0 * -inf is nan


def shaped_cross_entropy(
    input: Tensor, target: Tensor, shaping: RewardShaping, *,
    ignore_index: int = -100, reduction: Reduction = "mean",
) -> Tensor:  # fmt: skip
    """Cross-entropy whose gradient is the policy gradient of the shaped reward.

    Takes the layouts, dtypes and reductions of `torch.nn.functional.cross_entropy`: the mean runs over the targets
    that are not ignored (nan with gradient zero when all are), the result has the input's dtype (fp32 under
    autocast), `input` is never written to. Differentiable once: `create_graph=True` is refused.

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
    logits = input.movedim(class_dim, -1).reshape(-1, vocab_size)  # (N, V); a copy only if d1, ... are there
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
    settings = (
        shaping.beta, shaping.lambda_head, shaping.lambda_tail, shaping.top_k, shaping.form, chunk_size,
    )  # fmt: skip
    loss: Tensor = _ShapedLoss.apply(op, settings, reduction, ids, keep_mask, *inputs)  # type: ignore[no-untyped-call] # in torch
    dtype, device = inputs[0].dtype, inputs[0].device.type
    if torch.is_autocast_enabled(device) and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32  # as F.cross_entropy
    loss = loss.to(dtype)
    return loss.reshape(target.shape) if reduction == "none" else loss


class _ShapedLoss(torch.autograd.Function):
    """The losses of the rows, or their sum or mean, with the closed-form gradient.

    "sum" and "mean" compute the gradient in the forward pass; "none" does in the backward pass, where the upstream
    gradient is the weight of each row.
    """

    @staticmethod
    def forward(
        ctx: Any, op: Callable[..., tuple[Tensor, ...]], settings: tuple[Any, ...], reduction: Reduction,
        ids: Tensor, keep_mask: Tensor, *inputs: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.op, ctx.settings, ctx.reduction = op, settings, reduction
        dtype = accumulation_dtype(inputs[0])
        count = keep_mask.sum() if reduction == "mean" else 1
        # A half-precision gradient is divided after the loss scale has multiplied it: before, it could underflow.
        late = reduction == "mean" and dtype != inputs[0].dtype
        row_weight = keep_mask.to(dtype) / (1 if late else count)  # (N)
        now = reduction != "none" and any(ctx.needs_input_grad)
        losses, *gradients = op(*inputs, ids, keep_mask, row_weight, *settings, now)
        if reduction == "none":
            ctx.save_for_backward(ids, keep_mask, *inputs)
            return losses
        ctx.save_for_backward(keep_mask.sum().clamp_min(1) if late else None, *gradients)
        return losses.sum() / count  # nan if all are ignored, as in torch

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        compiling = torch.compiler.is_compiling()  # torch.compile itself refuses a second derivative
        if torch.is_grad_enabled() and not compiling:
            raise RuntimeError("the shaped cross-entropy is differentiable once: drop create_graph=True")
        if ctx.reduction == "none":
            ids, keep_mask, *inputs = ctx.saved_tensors
            dtype = inputs[0].dtype
            _, *gradients = ctx.op(*inputs, ids, keep_mask, upstream, *ctx.settings, True)
        else:
            divisor, *gradients = ctx.saved_tensors
            dtype = gradients[0].dtype
            factor = upstream if divisor is None else upstream / divisor  # ()
            on_cpu = upstream.device.type == "cpu"
            if compiling or not on_cpu:
                factor = factor.unsqueeze(0)  # a scalar tensor would be rounded to half precision first
            if compiling or torch._C._autograd._get_current_graph_task_keep_graph():
                gradients = [gradient * factor for gradient in gradients]  # another backward needs the saved ones
            elif not on_cpu or factor.item() != 1:  # .item() on another device would wait for it
                for gradient in gradients:
                    gradient.mul_(factor)
        return None, None, None, None, None, *(gradient.to(dtype) for gradient in gradients)


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
    gradient = torch.empty_like(logits) if with_gradient else logits.new_empty(0)
    losses = shaped_rows(logits, ids, row_weight, shaping, gradient if with_gradient else None)
    ignored = (~keep_mask).nonzero().squeeze(-1)
    if with_gradient:
        gradient.index_fill_(0, ignored, 0)  # the logits there may hold anything, nan included
    return losses.index_fill_(0, ignored, 0), gradient


@_rows_op.register_fake
def _(logits: Tensor, ids: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
    gradient = torch.empty_like(logits) if settings[-1] else logits.new_empty(0)
    return logits.new_empty(logits.shape[0], dtype=accumulation_dtype(logits)), gradient


def check_ids(ids: Tensor, vocab_size: int) -> None:
    if ids.device.type == "cpu" and len(ids):
        least, most = (int(bound) for bound in ids.aminmax())
        if least < 0 or most >= vocab_size:
            raise IndexError(f"Target {least if least < 0 else most} is out of bounds.")


def accumulation_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def shaped_rows(
    logits: Tensor,  # (N, V)
    ids: Tensor,  # (N)
    row_weight: Tensor,  # (N)
    shaping: RewardShaping,
    gradient: Tensor | None,  # (N, V), may be `logits` itself: a block is read before it is written
) -> Tensor:
    """Fills `gradient` with row_weight * dL/dz and returns the losses (N)."""
    vocab_size = logits.shape[1]
    whole = shaping.top_k >= vocab_size
    tail = shaping.lambda_head if whole else shaping.lambda_tail  # what a wrong token earns outside the head
    bonus = 0.0 if whole else shaping.lambda_head - shaping.lambda_tail  # what it earns more inside
    dtype = accumulation_dtype(logits)
    losses = logits.new_empty(len(logits), 1, dtype=dtype)
    indices, scales = ids.unsqueeze(-1), row_weight.to(dtype).unsqueeze(-1)  # (N, 1)

    elements = CPU_BLOCK_ELEMENTS if logits.device.type == "cpu" else DEVICE_BLOCK_ELEMENTS
    block_rows = max(1, min(elements // max(1, vocab_size), len(logits)))
    probs_buffer = logits.new_empty(block_rows, vocab_size, dtype=dtype)
    spare_buffer = torch.empty_like(probs_buffer)

    for start in range(0, len(logits), block_rows):
        rows = slice(start, start + block_rows)
        block, index, scale = logits[rows], indices[rows], scales[rows]  # (n, V), (n, 1), (n, 1)
        probs, spare = probs_buffer[: len(block)], spare_buffer[: len(block)]  # (n, V)
        torch.softmax(block, -1, dtype=dtype, out=probs)
        top = block.amax(-1, keepdim=True).to(dtype)  # (n, 1)
        log_top_prob = probs.amax(-1, keepdim=True).log()  # (n, 1), never log 0: it is at least 1 / V
        log_prob = block.gather(-1, index).to(dtype) - top + log_top_prob  # (n, 1)
        prob, complement = log_prob.exp(), -log_prob.expm1()  # pi(x), 1 - pi(x)
        prob_log_prob = prob * log_prob.clamp_min(LOG_FLOOR)  # (n, 1)
        weight = true_token_weight(log_prob, shaping)  # (n, 1), w_x

        loss = -weight * log_prob  # (n, 1)
        wrong = tail * complement  # (n, 1), the sum of w_a over a != x
        if tail:
            torch.sub(block, top, out=spare).clamp_min_(LOG_FLOOR)
            negentropy = spare.mul_(probs).sum(-1, keepdim=True) + log_top_prob  # (n, 1)
            loss -= tail * (negentropy - prob_log_prob)
        if bonus:
            head = find_head(block, probs, index, shaping.top_k, spare)
            wrong += bonus * (head.probs.sum(-1, keepdim=True) - head.has_true * prob)
            loss -= bonus * (_x_log_x(head.probs).sum(-1, keepdim=True) - head.has_true * prob_log_prob)
        losses[rows] = loss

        if gradient is not None:
            out = gradient[rows]  # (n, V)
            coefficient = scale * (weight + wrong - tail)  # (n, 1), W - r_a in the tail
            if bonus:
                head.multiply(probs, coefficient - bonus * scale, coefficient, out)
            else:
                torch.mul(probs, coefficient, out=out)
            # pi_x W - w_x without the cancellation near pi_x = 1
            out.scatter_(-1, index, (scale * (prob * wrong - weight * complement)).to(out.dtype))
    return losses.squeeze(-1)


def _x_log_x(x: Tensor) -> Tensor:
    """x log x with 0 log 0 = 0; torch.xlogy is not vectorised on CPU."""
    return x * x.clamp_min(torch.finfo(x.dtype).tiny).log()
