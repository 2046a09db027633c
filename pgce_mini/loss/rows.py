"""The losses of rows of logits and their gradient, a block of rows at a time, while the block is in cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pgce_mini.loss.cpu import share_blocks
from pgce_mini.loss.head import find_head
from pgce_mini.reward import RewardShaping, true_token_weight

CPU_BLOCK_ELEMENTS = 2**19  # 2 MB of fp32: the block and its softmax stay in cache
SHARED_BLOCKS = 8  # of fewer it takes longer to hand them out than torch's own threads take
DEVICE_BLOCK_ELEMENTS = 2**26  # large enough to fill an accelerator
LOG_FLOOR = -1e4  # exp of it is 0 in every dtype, and 0 * -1e4 is 0 where 0 * -inf is nan


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
    dtype = accumulation_dtype(logits)
    losses = logits.new_empty(len(logits), 1, dtype=dtype)
    indices, scales = ids.unsqueeze(-1), row_weight.to(dtype).unsqueeze(-1)  # (N, 1)

    if logits.device.type == "cpu":
        elements = CPU_BLOCK_ELEMENTS
        threads = torch.get_num_threads()
    else:
        elements, threads = DEVICE_BLOCK_ELEMENTS, 1
    block_rows = max(1, min(elements // max(1, vocab_size), len(logits)))
    blocks = [slice(start, start + block_rows) for start in range(0, len(logits), block_rows)]

    def work(blocks: Iterator[slice]) -> None:
        buffers = logits.new_empty(2, block_rows, vocab_size, dtype=dtype)
        for rows in blocks:
            block = logits[rows]
            probs, spare = buffers[:, : len(block)]  # (n, V)
            out = None if gradient is None else gradient[rows]
            losses[rows] = _block(block, indices[rows], scales[rows], shaping, probs, spare, out)

    share_blocks(work, blocks, threads if len(blocks) >= SHARED_BLOCKS else 1)
    return losses.squeeze(-1)


def _block(
    logits: Tensor, index: Tensor, scale: Tensor, shaping: RewardShaping, probs: Tensor, spare: Tensor,
    gradient: Tensor | None,
) -> Tensor:  # fmt: skip
    """The losses (n, 1) of a block: logits, gradient, probs, spare are (n, V), index and scale (n, 1)."""
    vocab_size, dtype = logits.shape[1], probs.dtype
    whole = shaping.top_k >= vocab_size
    tail = shaping.lambda_head if whole else shaping.lambda_tail  # what a wrong token earns outside the head
    bonus = 0.0 if whole else shaping.lambda_head - shaping.lambda_tail  # what it earns more inside

    torch.softmax(logits, -1, dtype=dtype, out=probs)
    top = logits.amax(-1, keepdim=True).to(dtype)  # (n, 1)
    log_top_prob = probs.amax(-1, keepdim=True).log()  # (n, 1), never log 0: it is at least 1 / V
    log_prob = logits.gather(-1, index).to(dtype) - top + log_top_prob  # (n, 1)
    prob, complement = log_prob.exp(), -log_prob.expm1()  # pi(x), 1 - pi(x)
    prob_log_prob = prob * log_prob.clamp_min(LOG_FLOOR)  # (n, 1)
    weight = true_token_weight(log_prob, shaping)  # (n, 1), w_x

    loss = -weight * log_prob  # (n, 1)
    wrong = tail * complement  # (n, 1), the sum of w_a over a != x
    if tail:
        torch.sub(logits, top, out=spare).clamp_min_(LOG_FLOOR)
        negentropy = spare.mul_(probs).sum(-1, keepdim=True) + log_top_prob  # (n, 1)
        loss -= tail * (negentropy - prob_log_prob)
    if bonus:
        head = find_head(logits, probs, index, shaping.top_k, spare)
        wrong += bonus * (head.probs.sum(-1, keepdim=True) - head.has_true * prob)
        loss -= bonus * (_x_log_x(head.probs).sum(-1, keepdim=True) - head.has_true * prob_log_prob)

    if gradient is not None:
        coefficient = scale * (weight + wrong - tail)  # (n, 1), W - r_a in the tail
        if bonus:
            head.multiply(probs, coefficient - bonus * scale, coefficient, gradient)
        else:
            torch.mul(probs, coefficient, out=gradient)
        # pi_x W - w_x without the cancellation near pi_x = 1
        gradient.scatter_(-1, index, (scale * (prob * wrong - weight * complement)).to(gradient.dtype))
    return loss


def _x_log_x(x: Tensor) -> Tensor:
    """x log x with 0 log 0 = 0; torch.xlogy is not vectorised on CPU."""
    return x * x.clamp_min(torch.finfo(x.dtype).tiny).log()
