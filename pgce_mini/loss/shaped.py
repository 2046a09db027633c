"""The shaped cross-entropy: the policy gradient of a token's reward in closed form, as a drop-in loss.

For one position with policy pi = softmax(z), true token x and rewards r (`pgce_mini.reward`), write
w_a = pi_a r_a and W = sum_a w_a. Then

    L = - sum_a sg(w_a) log pi_a      has the gradient      dL/dz_a = pi_a W - w_a             (ours)

which is the exact, sampling-free gradient of -E_{a~pi}[r(s, a)] (paper Eq. 5). For beta = lambda_head =
lambda_tail = 0 it is cross-entropy in value too; otherwise *the value is a surrogate and not progress*: log
plain cross-entropy beside it.

The gradient is made in the forward pass, a block of rows at a time, while the block's softmax is still in cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pgce_mini.reward import RewardShaping, true_token_weight

Reduction = Literal["mean", "sum", "none"]

CPU_BLOCK_ELEMENTS = 2**19  # 2 MB of fp32: the block and its softmax stay in cache
SHORT_ROW = 4096  # tokens up to which partitioning a row on a CPU is the faster way to its head
FOLD, FOLDABLE = 12, 32  # rows of more than FOLDABLE * k tokens are folded FOLD times to find their k largest
DEVICE_BLOCK_ELEMENTS = 2**26  # large enough to fill an accelerator
CHUNK_ELEMENTS = 2**23  # logits held at once by the linear form: 32 MB of fp32
HALF_ROWS = 1024  # rows that a half-precision product may sum over: of more the sum could leave fp16

LOG_FLOOR = -1e4  # exp of it is 0 in every dtype, and 0 * -1e4 is 0 where 0 * -inf is nan


def shaped_cross_entropy(
    input: Tensor,
    target: Tensor,
    shaping: RewardShaping,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross-entropy whose gradient is the policy gradient of the shaped reward.

    Takes `torch.nn.functional.cross_entropy`'s layouts, dtypes and reductions: the mean runs over kept targets
    (nan with gradient zero when none is kept), the result has the input's dtype (fp32 under autocast), `input`
    is never written to. Differentiable once: `create_graph=True` is refused.

    Shapes:
        input: (V), (N, V) or (N, V, d1, ...) logits; target: (), (N) or (N, d1, ...) of ids or `ignore_index`
        -> () for "mean" and "sum", target's shape for "none"; nats (a surrogate unless the shaping is plain)
        Logits laid out (N, T, V) must be flattened or transposed first, as for torch; when T = V no one can tell.

    Raises:
        ValueError: `input` and `target` disagree in the batch, `reduction` is unknown.
        RuntimeError: they disagree in another dimension, `target` is not of ids.
        IndexError: a target is outside [0, V) (on CPU; accelerators assert on the device).

    Memory: one buffer of the input's size, the gradient (two with `retain_graph=True` or under torch.compile).

    Source: paper Eq. 11 and 12; the closed form is ours.
    """
    _check_arguments(shaping, reduction)
    if input.dim() == 0 or not input.is_floating_point():
        raise RuntimeError(
            f"input must be floating-point logits of at least one dimension, "
            f"got {input.dtype} of shape {tuple(input.shape)}"
        )
    class_dim = 0 if input.dim() == 1 else 1
    expected = input.shape[:class_dim] + input.shape[class_dim + 1 :]
    if input.dim() > 1 and input.shape[:1] != target.shape[:1]:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size "
            f"({target.shape[0] if target.dim() else 'none: a scalar'})."
        )
    if target.shape != expected:
        hint = ""
        if target.shape == input.shape[:-1]:
            hint = " The logits look like (N, T, V): flatten both, or pass input.transpose(1, 2)."
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(target.shape)}.{hint}")
    vocab_size = input.shape[class_dim]
    logits = input.movedim(class_dim, -1).reshape(-1, vocab_size)  # (N, V); a copy only if d1, ... are there
    return _reduce(_rows_op, target, ignore_index, reduction, shaping, 0, logits)


def linear_shaped_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    shaping: RewardShaping,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    chunk_size: int | None = None,
) -> Tensor:
    """`shaped_cross_entropy(hidden @ weight.T, target)` without ever holding all the logits.

    Shapes:
        hidden: (..., d); weight: (V, d), the unembedding; target: (...) -> () or (...), as shaped_cross_entropy
        chunk_size: positions whose logits are held at once; by default as many as give 2^23 logits

    Ignored positions are dropped before the product. With reduction "none" the logits are made twice, because
    the gradient of the weight needs the upstream gradient of each position.

    Raises:
        ValueError: shapes that do not belong together, a chunk_size below 1, an unknown `reduction`.
        RuntimeError: `target` is not of ids.
        IndexError: a target is outside [0, V) (on CPU).

    Source: as shaped_cross_entropy.
    """
    _check_arguments(shaping, reduction)
    if weight.dim() != 2 or hidden.shape[-1:] != weight.shape[1:] or hidden.shape[:-1] != target.shape:
        raise ValueError(
            f"hidden (..., d), weight (V, d) and target (...) do not belong together: "
            f"got {tuple(hidden.shape)}, {tuple(weight.shape)} and {tuple(target.shape)}"
        )
    if chunk_size is None:
        chunk_size = max(1, CHUNK_ELEMENTS // weight.shape[0])
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    device = hidden.device.type
    if torch.is_autocast_enabled(device):  # as F.linear would
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    rows = hidden.reshape(-1, hidden.shape[-1])  # (N, d)
    return _reduce(_linear_rows_op, target, ignore_index, reduction, shaping, chunk_size, rows, weight)


class ShapedCrossEntropyLoss(nn.Module):
    """`shaped_cross_entropy` as a module, in the manner of `torch.nn.CrossEntropyLoss`."""

    def __init__(self, shaping: RewardShaping, *, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__()
        _check_arguments(shaping, reduction)
        self.shaping = shaping
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return shaped_cross_entropy(
            input, target, self.shaping, ignore_index=self.ignore_index, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        return f"{self.shaping}, ignore_index={self.ignore_index}, reduction={self.reduction!r}"


def _check_arguments(shaping: RewardShaping, reduction: str) -> None:
    if not isinstance(shaping, RewardShaping):
        raise TypeError(f"shaping must be a RewardShaping, got {type(shaping).__name__}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction!r} is not a valid value for reduction: use 'mean', 'sum' or 'none'")


def _reduce(
    op: Callable[..., tuple[Tensor, ...]],
    target: Tensor,
    ignore_index: int,
    reduction: Reduction,
    shaping: RewardShaping,
    chunk_size: int,
    *inputs: Tensor,
) -> Tensor:
    """Runs `op` over the rows of `inputs` and reduces its losses as torch does."""
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype}")
    ids = target.reshape(-1).long()  # (N)
    kept = ids != ignore_index  # (N)
    ids = ids.where(kept, 0)
    settings = (
        shaping.beta, shaping.lambda_head, shaping.lambda_tail, shaping.top_k, shaping.form, chunk_size,
    )  # fmt: skip
    loss: Tensor = _ShapedLoss.apply(op, settings, reduction, ids, kept, *inputs)  # type: ignore[no-untyped-call] # in torch
    dtype, device = inputs[0].dtype, inputs[0].device.type
    if torch.is_autocast_enabled(device) and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32  # as F.cross_entropy
    loss = loss.to(dtype)
    return loss.reshape(target.shape) if reduction == "none" else loss


class _ShapedLoss(torch.autograd.Function):
    """The losses of the rows, or their sum or mean, with the closed-form gradient.

    A sum or mean makes its gradient in the forward pass; "none" makes it in the backward pass, where the
    upstream gradient is the weight of each row.
    """

    @staticmethod
    def forward(
        ctx: Any,
        op: Callable[..., tuple[Tensor, ...]],
        settings: tuple[Any, ...],
        reduction: Reduction,
        ids: Tensor,
        kept: Tensor,
        *inputs: Tensor,
    ) -> Tensor:
        ctx.op, ctx.settings, ctx.reduction = op, settings, reduction
        dtype = _accumulation_dtype(inputs[0])
        count = kept.sum() if reduction == "mean" else 1
        # A half-precision gradient is divided after a loss scale has lifted it: before, it could underflow.
        late = reduction == "mean" and dtype != inputs[0].dtype
        row_weight = kept.to(dtype) / (1 if late else count)  # (N)
        now = reduction != "none" and any(ctx.needs_input_grad)
        losses, *gradients = op(*inputs, ids, kept, row_weight, *settings, now)
        if reduction == "none":
            ctx.save_for_backward(ids, kept, *inputs)
            return losses
        ctx.save_for_backward(kept.sum().clamp_min(1) if late else None, *gradients)
        return losses.sum() / count  # nan, as torch's, where none is kept

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        compiling = torch.compiler.is_compiling()  # which refuses a second derivative by itself
        if torch.is_grad_enabled() and not compiling:
            raise RuntimeError("the shaped cross-entropy is differentiable once: drop create_graph=True")
        if ctx.reduction == "none":
            ids, kept, *inputs = ctx.saved_tensors
            dtype = inputs[0].dtype
            _, *gradients = ctx.op(*inputs, ids, kept, upstream, *ctx.settings, True)
        else:
            divisor, *gradients = ctx.saved_tensors
            dtype = gradients[0].dtype
            factor = upstream if divisor is None else upstream / divisor  # ()
            on_cpu = upstream.device.type == "cpu"
            if compiling or not on_cpu:
                factor = factor.unsqueeze(0)  # with no dimension it would be rounded to half precision first
            if compiling or torch._C._autograd._get_current_graph_task_keep_graph():
                gradients = [gradient * factor for gradient in gradients]  # another backward will need them
            elif not on_cpu or factor.item() != 1:  # reading a device's value would wait for it once more
                for gradient in gradients:
                    gradient.mul_(factor)
        return None, None, None, None, None, *(gradient.to(dtype) for gradient in gradients)


# The two operators are opaque to torch.compile, which would unroll their loops over blocks.


@torch.library.custom_op("pgce_mini::shaped_rows", mutates_args=())
def _rows_op(
    logits: Tensor, ids: Tensor, kept: Tensor, row_weight: Tensor,
    beta: float, lambda_head: float, lambda_tail: float, top_k: int, form: str, chunk_size: int,
    with_gradient: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(N, V) logits -> (N) losses, and the gradient of their `row_weight`-ed sum (empty unless asked for)."""
    _check_range(ids, logits.shape[1])
    shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)  # type: ignore[arg-type] # a str in the schema
    gradient = torch.empty_like(logits) if with_gradient else logits.new_empty(0)
    losses = _shaped_rows(logits, ids, row_weight, shaping, gradient if with_gradient else None)
    ignored = (~kept).nonzero().squeeze(-1)
    if with_gradient:
        gradient.index_fill_(0, ignored, 0)  # whatever the logits hold there, nan included
    return losses.index_fill_(0, ignored, 0), gradient


@torch.library.custom_op("pgce_mini::linear_shaped_rows", mutates_args=())
def _linear_rows_op(
    hidden: Tensor, weight: Tensor, ids: Tensor, kept: Tensor, row_weight: Tensor,
    beta: float, lambda_head: float, lambda_tail: float, top_k: int, form: str, chunk_size: int,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(N, d) hidden states, (V, d) weight -> (N) losses, gradients of their `row_weight`-ed sum (or empty); the
    weight's in the dtype it is summed in."""
    _check_range(ids, weight.shape[0])
    shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)  # type: ignore[arg-type] # a str in the schema
    losses = hidden.new_zeros(len(hidden), dtype=_accumulation_dtype(hidden))
    grad_hidden = torch.zeros_like(hidden) if with_gradient else hidden.new_empty(0)
    grad_weight = torch.zeros_like(weight, dtype=losses.dtype) if with_gradient else losses.new_empty(0)
    logits_buffer = hidden.new_empty(min(chunk_size, len(hidden)), len(weight))
    for rows in kept.nonzero().squeeze(-1).split(chunk_size):  # (n)
        chunk = hidden[rows]  # (n, d)
        logits = torch.mm(chunk, weight.T, out=logits_buffer[: len(rows)])  # (n, V)
        gradient = logits if with_gradient else None  # written over the logits it came from
        losses[rows] = _shaped_rows(logits, ids[rows], row_weight[rows], shaping, gradient)
        if with_gradient:
            grad_hidden[rows] = logits @ weight
            if weight.dtype == losses.dtype:
                grad_weight.addmm_(logits.T, chunk)
            else:
                for part, states in zip(logits.split(HALF_ROWS), chunk.split(HALF_ROWS), strict=True):
                    grad_weight += part.T @ states  # summed in fp32
    return losses, grad_hidden, grad_weight


@_rows_op.register_fake
def _(logits: Tensor, ids: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
    gradient = torch.empty_like(logits) if settings[-1] else logits.new_empty(0)
    return logits.new_empty(logits.shape[0], dtype=_accumulation_dtype(logits)), gradient


@_linear_rows_op.register_fake
def _(hidden: Tensor, weight: Tensor, ids: Tensor, *settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    losses = hidden.new_empty(hidden.shape[0], dtype=_accumulation_dtype(hidden))
    if not settings[-1]:
        return losses, hidden.new_empty(0), weight.new_empty(0)
    return losses, torch.empty_like(hidden), torch.empty_like(weight, dtype=losses.dtype)


def _check_range(ids: Tensor, vocab_size: int) -> None:
    if ids.device.type == "cpu" and len(ids):
        least, most = (int(bound) for bound in ids.aminmax())
        if least < 0 or most >= vocab_size:
            raise IndexError(f"Target {least if least < 0 else most} is out of bounds.")


def _accumulation_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _shaped_rows(
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
    dtype = _accumulation_dtype(logits)
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
            head = _head(block, probs, index, shaping.top_k, spare)
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


class _Head(NamedTuple):
    """The `top_k` most likely tokens of n rows, by id where there are few of them, else as a mask."""

    probs: Tensor  # (n, k)
    has_true: Tensor  # (n, 1), is the true token among them?
    ids: Tensor | None  # (n, k)
    mask: Tensor | None  # (n, V), 1 in the head and 0 elsewhere

    def multiply(self, probs: Tensor, inside: Tensor, outside: Tensor, out: Tensor) -> None:
        """Writes `probs` times `inside` (n, 1) in the head, times `outside` (n, 1) elsewhere, to `out` (n, V)."""
        if self.mask is not None:
            torch.mul(probs, self.mask.mul_(inside - outside).add_(outside), out=out)
        elif self.ids is not None:
            torch.mul(probs, outside, out=out).scatter_(-1, self.ids, (self.probs * inside).to(out.dtype))


def _head(logits: Tensor, probs: Tensor, index: Tensor, top_k: int, scratch: Tensor) -> _Head:
    """The head of each row, of exactly `top_k` tokens; `scratch` (n, V) is written over."""
    on_cpu, vocab_size = logits.device.type == "cpu", logits.shape[1]
    if not on_cpu or vocab_size > SHORT_ROW:
        ids = (_long_topk if on_cpu else _topk)(logits, top_k)  # (n, k)
        return _Head(probs.gather(-1, ids), (ids == index).any(-1, keepdim=True), ids, None)
    # NumPy partitions the integers of a short row faster than torch.topk finds its head (8 times at V=256, k=100);
    # the bit patterns of floats >= 0 order as the floats do.
    bits = scratch.copy_(probs).view(torch.int64 if probs.dtype == torch.float64 else torch.int32)
    bits.numpy().partition(-top_k)
    head_probs = scratch[:, -top_k:].clone()  # (n, k), the least of them first
    mask = torch.ge(probs, head_probs[:, :1], out=scratch)  # (n, V)
    tied = (mask.sum(-1) > top_k).nonzero().squeeze(-1)
    if len(tied):
        ranked = logits[tied].topk(top_k, -1).indices
        mask[tied] = torch.zeros_like(mask[tied]).scatter_(-1, ranked, 1)
    return _Head(head_probs, mask.gather(-1, index), None, mask)


def _topk(values: Tensor, k: int) -> Tensor:
    return values.topk(k, -1, sorted=False).indices


def _long_topk(logits: Tensor, k: int) -> Tensor:
    """As `_topk`, for long rows (n, V) on a CPU, and twice as fast at 50,257 tokens and k of 10 to 1,000.

    Fold a row `FOLD` times upon itself: its k largest values stand in the k columns with the largest maxima.
    """
    values = logits.to(_accumulation_dtype(logits))  # NumPy has no bfloat16
    size = values.shape[1]
    if size > FOLDABLE * k:
        width = size // FOLD
        folded = FOLD * width
        columns, tied = _largest(values[:, :folded].unflatten(1, (FOLD, width)).amax(1), k)  # (n, k)
        ids = (columns.unsqueeze(1) + torch.arange(0, folded, width).unsqueeze(1)).flatten(1)  # (n, FOLD * k)
        rest = torch.arange(folded, size).expand(len(ids), -1)  # (n, fewer than FOLD)
        ids = torch.cat([ids, rest], 1)
        chosen, tied_there = _largest(values.gather(1, ids), k)
        ids, tied = ids.gather(1, chosen), tied | tied_there
    else:
        ids, tied = _largest(values, k)
    if tied.any():
        ids[tied] = _topk(logits[tied], k)
    return ids


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Where the k largest of each row (n, m) stand, (n, k), and whether the choice was not the only one, (n)."""
    ids = torch.from_numpy(np.argpartition(values.numpy(), -k)[:, -k:])
    least = values.gather(1, ids).amin(1, keepdim=True)
    at_least = torch.ge(values, least, out=torch.empty_like(values))  # summed as floats: 4 times faster than bools
    return ids, at_least.sum(1) > k


def _x_log_x(x: Tensor) -> Tensor:
    """x log x with 0 log 0 = 0; torch.xlogy is not vectorised on CPU."""
    return x * x.clamp_min(torch.finfo(x.dtype).tiny).log()
