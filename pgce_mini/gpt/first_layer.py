"""The first layer, without repeated work: before any attention a state depends on its token alone.

So its queries, keys and values are computed once for each token of the vocabulary and then looked up, where
that is less work than computing them for each position.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from pgce_mini.gpt.attention import Attend

Projections = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values of every token in the first layer, (V, heads, head_dim) each."""


def token_projections(decoder: Any) -> Projections:
    layer = decoder.layers[0]
    q, k, v = layer.self_attn.project(layer.input_layernorm(decoder.embed_tokens.weight))
    return q, k, v


def first_layer(
    decoder: Any, ids: Tensor, cos: Tensor, sin: Tensor, attend: Attend, projections: Projections | None
) -> Tensor:
    """`layers[0](embed_tokens(ids), cos, sin, attend)`, looked up when that is less work: (...) -> (..., d)."""
    if projections is None and ids.numel() > decoder.embed_tokens.num_embeddings:
        projections = token_projections(decoder)
    layer, x = decoder.layers[0], decoder.embed_tokens(ids)
    if projections is None:
        return layer(x, cos, sin, attend)  # type: ignore[no-any-return]
    q, k, v = (F.embedding(ids, table.flatten(1)).view(*ids.shape, *table.shape[1:]) for table in projections)
    x = x + layer.self_attn.mix(q, k, v, cos, sin, attend)
    out: Tensor = x + layer.mlp(layer.post_attention_layernorm(x))
    return out
