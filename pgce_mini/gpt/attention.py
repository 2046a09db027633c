"""Which positions a query reads: causal, in a packed batch, and in completions that share a prompt."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q, k, v) -> what each query reads, shaped as q. The caller's choice decides which positions it reads."""

MAX_BATCHED_MATMUL_LENGTH = 64
"""Up to this many tokens a CPU runs two batched matmuls in place of torch's fused attention. Measured on one
thread (forward, 96 sequences, 4 heads of 16): 1.3 times as fast at 26 tokens, 0.6 times at 64. Another limit would
change the last bits of trainings on sequences between the two."""


def dot_product_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; queries and result (B, heads, T, head_dim), keys and values (B, key_value_heads, ...)."""
    length, size = q.shape[2:]
    grouped = q.shape[1] != k.shape[1]
    if length > MAX_BATCHED_MATMUL_LENGTH or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    per_key_head = q.shape[1] // k.shape[1]
    keys, values = k.flatten(0, 1), v.flatten(0, 1)  # (B * key_value_heads, T, head_dim)
    queries = q.reshape(len(keys), per_key_head * length, size)  # the query heads of a key head are its rows
    later = q.new_full((length, length), -math.inf).triu(1).repeat(per_key_head, 1)
    scores = torch.baddbmm(later, queries, keys.mT, alpha=size**-0.5)
    return (scores.softmax(-1) @ values).view(q.shape)


def causal_attention(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """An `Attend` over (B, T, heads, head_dim): each position reads itself and the positions before it."""
    return dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def pack(ids: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Attend]:
    """The N positions of (B, T) ids where keep is True: ids (N,), positions (N,) and how they attend.

    Raises:
        ValueError: keep is not a bool of ids' shape that is, in each row, True first and then False.
    """
    batch, length = shape = tuple(ids.shape)
    if keep.shape != shape or keep.dtype != torch.bool:
        raise ValueError(f"keep must be bool of shape {shape}, got {keep.dtype} {tuple(keep.shape)}")
    if (keep[:, 1:] & ~keep[:, :-1]).any():
        raise ValueError("keep must be True, then False in each row: pad documents on the right")
    keep_index = keep.flatten().nonzero().squeeze(1)  # (N,)
    return ids.flatten()[keep_index], keep_index % length, packed_attention(keep_index, batch, length)


def packed_attention(keep_index: Tensor, batch: int, length: int) -> Attend:
    """A causal `Attend` over the N kept positions of a (B, T) batch; keep_index: (N,) in row-major order."""

    @cache
    def grid_index(heads: int) -> Tensor:
        """(N * heads,): where each head of a token stands in (B, heads, T)"""
        head = torch.arange(heads, device=keep_index.device)
        document, position = (keep_index // length)[:, None], (keep_index % length)[:, None]  # (N, 1)
        return ((document * heads + head) * length + position).flatten()

    def to_grid(x: Tensor) -> Tensor:  # (N, heads, head_dim) -> (B, heads, T, head_dim)
        heads, size = x.shape[1:]
        grid = x.new_zeros(batch * heads * length, size)
        return grid.index_copy_(0, grid_index(heads), x.reshape(-1, size)).view(batch, heads, length, size)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, size = q.shape[1:]
        out = dot_product_attention(to_grid(q), to_grid(k), to_grid(v))
        return out.reshape(-1, size).index_select(0, grid_index(heads)).view(-1, heads, size)

    return attend


def spread(values: Tensor, mask: Tensor) -> Tensor:
    """(N, ...) values at the N places where `mask` is True, 0 elsewhere: (*mask.shape, ...)."""
    places = values.new_zeros(mask.numel(), *values.shape[1:])
    return places.index_copy(0, mask.flatten().nonzero().squeeze(1), values).view(*mask.shape, *values.shape[1:])


def shared_prompt_attention(lengths: Tensor, prompt_length: int, read: Tensor) -> Attend:
    """Causal `Attend` over the tokens of G padded prompts and n completions of each, a prompt's tokens held once.

    Shapes:
        lengths: (G,) of the prompts; read: (G, n, L) bool, the N completion tokens that take part
        q, k, v: (G * prompt_length + N, heads, head_dim), the prompts first
    """
    num_groups, per_prompt, length = read.shape
    seen = torch.arange(prompt_length, device=read.device) < lengths[:, None]  # (G, P)
    past = torch.ones(length, length, dtype=torch.bool, device=read.device).tril()
    visible = torch.cat(
        [seen[:, None].expand(-1, length, -1), past.expand(num_groups, -1, -1)], 2
    )  # (G, L, P + L)
    visible = visible.repeat_interleave(per_prompt, 0).unsqueeze(1)  # (G * n, 1, L, P + L)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        prompts = num_groups * prompt_length
        before = [x[:prompts].unflatten(0, (num_groups, prompt_length)) for x in (q, k, v)]
        own_q, own_k, own_v = (spread(x[prompts:], read).flatten(0, 1) for x in (q, k, v))  # (G * n, L, ...)
        all_k, all_v = (
            torch.cat([shared.repeat_interleave(per_prompt, 0), own], 1).transpose(1, 2)
            for shared, own in ((before[1], own_k), (before[2], own_v))
        )  # (G * n, heads, P + L, head_dim)
        grouped = q.shape[1] != k.shape[1]
        out = F.scaled_dot_product_attention(
            own_q.transpose(1, 2), all_k, all_v, attn_mask=visible, enable_gqa=grouped
        )
        on_completions = out.transpose(1, 2)[read.flatten(0, 1)]  # (N, heads, head_dim)
        return torch.cat([causal_attention(layer, *before).flatten(0, 1), on_completions])

    return attend
