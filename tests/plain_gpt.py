"""The oracle of the GPT tests: the model as notebook 05 builds it by hand; and small models to compare with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pgce_mini.gpt import GPT, GPTConfig

SHAPES = {
    "plain": GPTConfig(vocab_size=23, hidden_size=32, intermediate_size=48, max_position_embeddings=64),
    "grouped": GPTConfig(23, 32, 3, 4, 2, max_position_embeddings=64, rope_theta=1e6),
    "wide heads": GPTConfig(23, 32, 2, 4, 1, head_dim=12, max_position_embeddings=64),
    "untied": GPTConfig(23, 32, 1, 2, 2, max_position_embeddings=64, tie_word_embeddings=False),
    "mixture": GPTConfig(
        23, 32, 2, 4, 2, max_position_embeddings=64, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24
    ),
}
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]


def make(name: str = "grouped", seed: int = 0, scale: float = 1.0) -> GPT:
    """A model whose predictions are far from uniform and do not just repeat the last token."""
    model = GPT(SHAPES[name], seeded(seed))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(scale if "embed" in key else 2 * scale)
            else:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded(1)))
    return model


def random_ids(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 23, (batch, length), generator=seeded(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rms_norm(x: Tensor, norm: Any) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight


def turned(x: Tensor, theta: float) -> Tensor:
    """(B, T, heads, head_dim), each pair rotated as a complex number. Angles are float32, as transformers' are."""
    size = x.shape[-1]
    frequencies = 1.0 / theta ** (torch.arange(0, size, 2).float() / size)  # (head_dim / 2)
    angles = torch.arange(x.shape[1])[:, None, None] * frequencies  # (T, 1, head_dim / 2)
    pairs = torch.complex(*x.chunk(2, -1)) * torch.complex(angles.cos(), angles.sin())
    return torch.cat([pairs.real, pairs.imag], -1)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, heads, T, head_dim)
    per_key = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(per_key, 1), v.repeat_interleave(per_key, 1)
    scores = q @ k.mT / q.shape[-1] ** 0.5  # (B, heads, T, T)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return (scores.masked_fill(later, -torch.inf).softmax(-1) @ v).transpose(1, 2)


def plain_mlp(mlp: Any, x: Tensor) -> Tensor:
    return mlp.down_proj(F.silu(mlp.gate_proj(x)) * mlp.up_proj(x))


def plain_mixture(mixture: Any, x: Tensor, config: GPTConfig) -> Tensor:
    """Every expert for every token, with a weight that is 0 but for the likeliest."""
    shares = mixture.gate(x).softmax(-1)  # (..., E)
    least = shares.sort(-1, descending=True).values[..., config.num_experts_per_tok - 1, None]
    weights = shares * (shares >= least)
    if config.norm_topk_prob:
        weights = weights / weights.sum(-1, keepdim=True)
    return sum(weights[..., i, None] * plain_mlp(expert, x) for i, expert in enumerate(mixture.experts))


def plain_states(gpt: GPT, ids: Tensor) -> Tensor:
    """(B, T) -> (B, T, d)"""
    heads, theta = (-1, gpt.config.size_of_head), gpt.config.rope_theta
    x = F.embedding(ids, gpt.model.embed_tokens.weight)
    layers: Any = gpt.model.layers
    for layer in layers:
        attention, mlp = layer.self_attn, layer.mlp
        h = rms_norm(x, layer.input_layernorm)
        q = turned(rms_norm(attention.q_proj(h).unflatten(-1, heads), attention.q_norm), theta)
        k = turned(rms_norm(attention.k_proj(h).unflatten(-1, heads), attention.k_norm), theta)
        read = attend(q, k, attention.v_proj(h).unflatten(-1, heads))
        x = x + attention.o_proj(read.flatten(-2))
        h = rms_norm(x, layer.post_attention_layernorm)
        x = x + (plain_mixture(mlp, h, gpt.config) if gpt.config.num_experts else plain_mlp(mlp, h))
    return rms_norm(x, gpt.model.norm)


def plain_logits(gpt: GPT, ids: Tensor) -> Tensor:
    """(B, T) -> (B, T, V)"""
    return plain_states(gpt, ids) @ gpt.unembedding.T


def greedy_without_cache(gpt: GPT, prompt: list[int], length: int, eos_id: int) -> list[int]:
    ids = list(prompt)
    for _ in range(length):
        ids.append(int(plain_logits(gpt, torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == eos_id:
            break
    return ids[len(prompt) :]
