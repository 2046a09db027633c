"""How tokens see each other: causal, packed, and of completions that share a prompt."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def shared_prompt_attention(lengths: Tensor, prompt_length: int, read: Tensor) -> Attend:
    """Causal attention over the tokens of G prompts (G, P) and, after them, those of the completions where `read`
    (G, n, L): a group's all read the keys of its one prompt."""
    groups, size, length = read.shape
    seen = torch.arange(prompt_length, device=read.device) < lengths[:, None]  # (G, P)
    past = torch.ones(length, length, dtype=torch.bool, device=read.device).tril()
    visible = torch.cat([seen[:, None].expand(-1, length, -1), past.expand(groups, -1, -1)], 2)  # (G, L, P + L)
    visible = visible.repeat_interleave(size, 0).unsqueeze(1)  # (G * n, 1, L, P + L)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (G * P + N, heads, head_dim) each
        prompts = groups * prompt_length
        before = [x[:prompts].unflatten(0, (groups, prompt_length)) for x in (q, k, v)]
        own_q, own_k, own_v = (spread(x[prompts:], read).flatten(0, 1) for x in (q, k, v))  # (G * n, L, ...)
        all_k, all_v = (
            torch.cat([shared.repeat_interleave(size, 0), own], 1).transpose(1, 2)
            for shared, own in ((before[1], own_k), (before[2], own_v))
        )  # (G * n, heads, P + L, head_dim)
        grouped = q.shape[1] != k.shape[1]
        out = F.scaled_dot_product_attention(
            own_q.transpose(1, 2), all_k, all_v, attn_mask=visible, enable_gqa=grouped
        )
        on_completions = out.transpose(1, 2)[read.flatten(0, 1)]  # (N, heads, head_dim)
        return torch.cat([causal_attention(layer, *before).flatten(0, 1), on_completions])

    return attend


def spread(values: Tensor, mask: Tensor) -> Tensor:
    """(N, ...) values at the N places where `mask` is True, 0 elsewhere: (*mask.shape, ...)."""
    places = values.new_zeros(mask.numel(), *values.shape[1:])
    return places.index_copy(0, mask.flatten().nonzero().squeeze(1), values).view(*mask.shape, *values.shape[1:])


Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q, k, v) -> what each query reads, shaped as q: how tokens see each other is up to the caller."""


SHORT = 64
"""Tokens up to which two batched products beat torch's fused attention on a CPU, by half at 26 tokens."""


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; queries and result (B, heads, T, head_dim), keys and values (B, key_value_heads, ...)."""
    length, size = q.shape[2:]
    grouped = q.shape[1] != k.shape[1]
    if length > SHORT or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    keys, values = k.flatten(0, 1), v.flatten(0, 1)  # (B * key_value_heads, T, head_dim)
    queries = q.reshape(len(keys), -1, size)  # the query heads of a key head are its rows
    later = q.new_full((length, length), -math.inf).triu(1).repeat(q.shape[1] // k.shape[1], 1)
    scores = torch.baddbmm(later, queries, keys.mT, alpha=size**-0.5)
    return (scores.softmax(-1) @ values).view(q.shape)


def causal_attention(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """An `Attend` over (B, T, heads, head_dim): each position reads itself and what stands before it."""
    return attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def packed_attention(kept: Tensor, batch: int, length: int) -> Attend:
    """An `Attend` for the (N,) kept places of a (B, T) batch: spread out, attend causally, gather again."""

    @cache
    def places(heads: int) -> Tensor:
        """(N * heads,): where each head of a token stands in (B, heads, T)"""
        head = torch.arange(heads, device=kept.device)
        document, position = (kept // length)[:, None], (kept % length)[:, None]  # (N, 1)
        return ((document * heads + head) * length + position).flatten()

    def spread(x: Tensor) -> Tensor:  # (N, heads, head_dim) -> (B, heads, T, head_dim)
        heads, size = x.shape[1:]
        grid = x.new_zeros(batch * heads * length, size)
        return grid.index_copy_(0, places(heads), x.reshape(-1, size)).view(batch, heads, length, size)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, size = q.shape[1:]
        out = attention(spread(q), spread(k), spread(v))
        return out.reshape(-1, size).index_select(0, places(heads)).view(-1, heads, size)

    return attend


class RMSNormFunction(torch.autograd.Function):
    """The backward pass in closed form: torch's is a chain of small operations on a CPU, 2 to 3 times slower."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()  # (..., 1)
        normed: Tensor = (x * scale).to(x.dtype)
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, scale, weight = ctx.saved_tensors
        product = grad * normed
        mean = (product @ weight).unsqueeze(-1) / len(weight)  # (..., 1)
        grad_x = torch.addcmul(grad * weight, normed, mean, value=-1).mul_(scale)
        return grad_x, product.flatten(0, -2).sum(0), None
