"""Judges of notebook 05, a GPT from scratch."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pgce_mini.gpt import GPT, GPTConfig, KVCache, dot_product_attention
from pgce_mini.shipped import priors
from pgce_mini.teaching.exercises import call, close, exercise, numbers, require

# Tied or grouped or neither, heads as wide as the model or not: a formula that is right for all of them is right.
CONFIGS = (
    GPTConfig(vocab_size=50, num_hidden_layers=3, num_key_value_heads=2),
    GPTConfig(vocab_size=39),
    GPTConfig(vocab_size=1024, hidden_size=96, intermediate_size=192),
    GPTConfig(vocab_size=50, num_key_value_heads=1, head_dim=8),
)


@exercise("05-1")
def parameters(answer: Any) -> str:
    """A function GPTConfig -> number of parameters of a tied model."""
    for config in CONFIGS:
        sizes = [(parameter.dim(), parameter.numel()) for parameter in GPT(config).parameters()]
        truth = sum(size for _, size in sizes)
        norms = sum(size for dimensions, size in sizes if dimensions == 1)
        given = float(numbers(call(answer, config)))
        if given == truth:
            continue
        embedding = config.vocab_size * config.hidden_size
        require(given != truth + embedding, "The embedding is counted twice, yet input and output share it.")
        require(
            not truth - norms <= given < truth,
            "A little too few. Has every RMSNorm its weights, those of the queries and keys too?",
        )
        unshared = config.num_attention_heads - config.num_key_value_heads
        ungrouped = 2 * config.hidden_size * config.size_of_head * unshared * config.num_hidden_layers
        require(
            not unshared or given != truth + ungrouped,
            "Too many where heads share keys: how many heads do k_proj and v_proj write?",
        )
        require(
            False,
            f"Too {'many' if given > truth else 'few'} with {config.num_hidden_layers} layers of width "
            f"{config.hidden_size}, {config.num_attention_heads} query and {config.num_key_value_heads} key-value "
            f"heads of {config.size_of_head}: count one layer, matrix by matrix. (There is no bias.)",
        )
    return "Your formula counts tied, grouped and narrow heads."


@exercise("05-2")
def attend(answer: Any) -> str:
    """A function q (B, heads, T, head_dim), k, v (B, key_value_heads, T, head_dim) -> as q, causal."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, 4, 6, 8)
    for heads in (4, 2, 1):
        q = 3 * torch.randn(shape, generator=generator, dtype=torch.float32)
        k, v = (torch.randn(2, heads, *shape[2:], generator=generator, dtype=torch.float32) for _ in range(2))
        truth = dot_product_attention(q, k, v)
        given = call(answer, q.clone(), k.clone(), v.clone())
        require(isinstance(given, Tensor) and not given.is_complex(), "Return a tensor of real numbers.")
        require(given.shape == shape, f"The result must be shaped as q, {shape}, got {tuple(given.shape)}.")
        given = given.float()
        if close(given, truth, atol=1e-5):
            continue
        # Checks from the first position on, which reads itself alone, tell the mistakes apart.
        first = v[:, :, 0].repeat_interleave(4 // heads, 1)
        if heads < 4 and close(given[:, ::4], truth[:, ::4], atol=1e-5):
            require(False, "Right for the first head only: neighbouring query heads must read the same keys.")
        require(
            close(given[:, :, 0], first, atol=1e-5) or heads < 4,
            "The first position does not read itself, and itself alone: who may read what?",
        )
        require(False, "The first position is right, the others are not: how are the scores scaled?")
    return "Causal, scaled, and grouped: it equals the library's attention."


@exercise("05-3")
def cached_numbers(answer: Any) -> str:
    """A function (config, tokens) -> how many numbers the KV cache holds for one sequence."""
    for config in CONFIGS:
        for tokens in (26, 1):
            cache_of = KVCache(config, torch.tensor([tokens]), 1, 1, like=torch.zeros(1))
            truth = cache_of.prompts.numel()
            given = float(numbers(call(answer, config, tokens)))
            require(given != truth / 2, "Half of it: what is kept besides the keys?")
            require(
                given != truth / config.num_hidden_layers or config.num_hidden_layers == 1,
                "That is one layer; every layer reads keys of its own.",
            )
            require(
                given != truth * config.num_attention_heads / config.num_key_value_heads
                or config.num_attention_heads == config.num_key_value_heads,
                "Too many where query heads share keys: sharing is why one groups them.",
            )
            require(
                given == truth,
                f"Too {'many' if given > truth else 'few'} for {tokens} tokens, {config.num_hidden_layers} layers "
                f"and {config.num_key_value_heads} key-value heads of {config.size_of_head}: what is kept?",
            )
    return "Grouping heads shrinks the cache, and the number of query heads does not matter."


@cache
def lowest_at() -> float:
    """The temperature, to 0.02, at which the text prior of cross-entropy fits 32 held-out windows best."""
    model, _ = priors.load("text", "ce")
    ids = torch.tensor(priors.heldout("text")[:32])
    with torch.no_grad():
        logits = model(ids[:, :-1]).flatten(0, 1)  # (N, V)

    def loss(temperature: float) -> float:
        return F.cross_entropy(logits / temperature, ids[:, 1:].flatten()).item()

    return min((0.8 + 0.02 * i for i in range(41)), key=loss)  # it is well inside of 0.8 .. 1.6


@exercise("05-4")
def best_temperature(answer: Any) -> str:
    """The temperature at which the text prior of cross-entropy has its lowest held-out cross-entropy."""
    given = float(numbers(answer))
    require(given > 0, "A temperature is above 0.")
    best = lowest_at()
    require(abs(given - 1) > 0.02, "T = 1 is the model as it is. Is it as sure as it should be?")
    require(
        (given > 1) == (best > 1),
        "You make it surer, or less sure, where the other is needed: look at the reliability diagram.",
    )
    near = "search finer" if abs(given - best) < 0.15 else "too far" if given > best > 1 else "go farther"
    require(abs(given - best) < 0.051, f"The right direction; {near}, on the held-out windows asked for.")
    return "Lowest loss is not least ECE: the likeliest token is now a little *under*confident. Measure it."
