"""How the head of a row, its `top_k` most likely tokens, is found fast on each device, in short and long rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SHORT_ROW = 4096  # tokens up to which partitioning a row on a CPU is the faster way to its head
FOLD, FOLDABLE = 12, 32  # rows of more than FOLDABLE * k tokens are folded FOLD times to find their k largest


class Head(NamedTuple):
    """The `top_k` most likely tokens of n rows: as ids in long rows, as a mask in short ones."""

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


def find_head(logits: Tensor, probs: Tensor, index: Tensor, top_k: int, scratch: Tensor) -> Head:
    """The head of each row, of exactly `top_k` tokens; ties as torch.topk breaks them.

    Shapes:
        logits, probs, scratch: (n, V), `scratch` is overwritten; index: (n, 1), the true token
    """
    on_cpu = logits.device.type == "cpu"
    if on_cpu and logits.shape[1] <= SHORT_ROW:
        return _head_of_short_rows(logits, probs, index, top_k, scratch)
    ids = _topk_of_long_rows(logits, probs.dtype, top_k) if on_cpu else _topk(logits, top_k)  # (n, k)
    return Head(probs.gather(-1, ids), (ids == index).any(-1, keepdim=True), ids, None)


def _head_of_short_rows(logits: Tensor, probs: Tensor, index: Tensor, top_k: int, scratch: Tensor) -> Head:
    # NumPy partitions integers faster than torch.topk finds the head (8 times at V=256, k=100); the bit patterns
    # of floats >= 0 have the order of the floats.
    bits = scratch.copy_(probs).view(torch.int64 if probs.dtype == torch.float64 else torch.int32)
    bits.numpy().partition(-top_k)
    head_probs = scratch[:, -top_k:].clone()  # (n, k), the least of them first
    mask = torch.ge(probs, head_probs[:, :1], out=scratch)  # (n, V)
    tied = (mask.sum(-1) > top_k).nonzero().squeeze(-1)
    if len(tied):
        ranked = logits[tied].topk(top_k, -1).indices
        mask[tied] = torch.zeros_like(mask[tied]).scatter_(-1, ranked, 1)
    return Head(head_probs, mask.gather(-1, index), None, mask)


def _topk_of_long_rows(logits: Tensor, dtype: torch.dtype, k: int) -> Tensor:
    """As `_topk`, for long rows (n, V) on a CPU, and twice as fast at 50,257 tokens and k of 10 to 1,000.

    Split a row into FOLD equal parts and stack them: the k largest values stand in the k columns with the largest
    maxima.
    """
    values = logits.to(dtype)  # NumPy has no bfloat16
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


def _topk(values: Tensor, k: int) -> Tensor:
    return values.topk(k, -1, sorted=False).indices


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The columns of the k largest values of each row (n, m), (n, k), and whether a tie left a choice, (n)."""
    ids = torch.from_numpy(np.argpartition(values.numpy(), -k)[:, -k:])
    least = values.gather(1, ids).amin(1, keepdim=True)
    at_least = torch.ge(values, least, out=torch.empty_like(values))  # summed as floats: 4 times faster than bools
    return ids, at_least.sum(1) > k
