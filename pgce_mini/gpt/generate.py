"""Sampling with a key-value cache."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pgce_mini.gpt.attention import (
    causal_attention,
)
from pgce_mini.gpt.config import GPTConfig


def written(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """The kept tokens of each row, without padding."""
    return [row[:length] for row, length in zip(ids.tolist(), mask.sum(1).tolist(), strict=True)]


class Generation(NamedTuple):
    """What `GPT.generate` wrote; L is the length of the longest completion, prompt i owns rows iG .. iG+G-1.

    completions: (B*G, L) int64, PAD after EOS; completion_mask: (B*G, L) bool, True up to and including EOS;
    logps: (B*G, L) float32, log-probability of each token under the distribution it was drawn from,
    softmax(logits / temperature), or softmax(logits) at temperature 0; 0 where masked.
    """

    completions: Tensor
    completion_mask: Tensor
    logps: Tensor


class KVCache:
    """Keys and values of B prompts, held once, and of the R completions that grow from them.

    Reading a prompt's keys for all its completions in one product is the saving: repeated for every completion
    they would be most of the memory that a step moves (the shared prefix of Hydragen, arXiv 2402.05099).

    prompts: (layers, 2, B, key_value_heads, prompt_length, head_dim), right-padded
    completions: (layers, 2, R, key_value_heads, max_completion_length, head_dim)
    place: (R,) where a completion stands in a (B, most completions of a prompt) grid
    """

    def __init__(self, config: GPTConfig, lengths: Tensor, groups: int, steps: int, like: Tensor) -> None:
        layers, heads, size = config.num_hidden_layers, config.num_key_value_heads, config.size_of_head
        batch, prompt_length = len(lengths), int(lengths.max())
        self.prompts = like.new_empty(layers, 2, batch, heads, prompt_length, size)
        self.completions = like.new_empty(layers, 2, batch * groups, heads, steps, size)
        self.groups, self.place = groups, torch.arange(batch * groups, device=lengths.device)
        self.used = 0  # steps written so far
        padding = torch.arange(prompt_length, device=lengths.device) >= lengths[:, None]
        self.padding = padding[:, None, None] if padding.any() else None  # (B, 1, 1, prompt_length)

    def read_prompts(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` over (B, prompt_length, heads, head_dim): causal, as pads come too late to be seen."""
        self.prompts[layer] = torch.stack([k, v]).transpose(2, 3)
        return causal_attention(layer, q, k, v)

    def extend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` over (R, heads, head_dim): each row reads its prompt, its own past and itself."""
        if layer == 0:
            self.used += 1
        keys, values = self.completions[layer, :, :, :, : self.used]
        keys[:, :, -1], values[:, :, -1] = k, v
        prompt_keys, prompt_values = self.prompts[layer]
        rows, heads, size = k.shape
        queries = q.view(rows, heads, -1, size) * size**-0.5  # the query heads of a key head are its rows

        on_prompt = self._by_prompt(queries) @ prompt_keys.mT  # (B, heads, groups * queries, prompt_length)
        if self.padding is not None:
            on_prompt.masked_fill_(self.padding, -math.inf)
        on_prompt = self._by_row(on_prompt)
        weights = torch.cat([on_prompt, queries @ keys.mT], -1).softmax(-1)
        on_prompt, on_own = weights.split([prompt_keys.shape[2], self.used], -1)
        out = self._by_row(self._by_prompt(on_prompt) @ prompt_values)  # (R, heads, queries, head_dim)
        if self.used * size < 400:  # where torch's product on a CPU is a plain loop, 2 to 4 times slower
            out += (on_own.unsqueeze(-1) * values.unsqueeze(2)).sum(-2)
        else:
            out += on_own @ values
        return out.view(q.shape)

    def _by_prompt(self, x: Tensor) -> Tensor:
        """(R, H, queries, n) -> (B, H, groups * queries, n): what meets the keys of one prompt stands together."""
        places = self.prompts.shape[2] * self.groups
        full = len(x) == places
        grid = x if full else x.new_zeros(places, *x.shape[1:]).index_copy_(0, self.place, x)
        return grid.view(-1, self.groups, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        grid = x.view(*x.shape[:2], self.groups, -1, x.shape[-1]).transpose(1, 2).flatten(0, 1)
        return grid if len(grid) == len(self.place) else grid.index_select(0, self.place)

    def select(self, kept: Tensor) -> None:
        """Keep the completions numbered by `kept` (R',), in ascending order."""
        used = self.completions[:, :, kept, :, : self.used]
        self.completions = self.completions[:, :, : len(kept)]
        self.completions[:, :, :, :, : self.used] = used
        prompt = self.place[kept] // self.groups
        counts = prompt.bincount(minlength=self.prompts.shape[2])  # (B,)
        self.groups = int(counts.max())
        first = counts.cumsum(0) - counts
        self.place = prompt * self.groups + torch.arange(len(kept), device=kept.device) - first[prompt]


def sample(logits: Tensor, temperature: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """(R, V) -> tokens and their log-probabilities under softmax(logits / temperature), (R,) each."""
    logps = (logits.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        token = logits.argmax(-1, keepdim=True)  # (R, 1)
    else:  # inverse transform: torch.multinomial draws V numbers for a row instead of one
        cumulative = logps.exp().cumsum(-1)  # (R, V)
        uniform = torch.rand(len(logps), 1, generator=generator, device=logps.device)
        token = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)  # (R, 1)
        token = token.clamp_max_(logps.shape[1] - 1)
    return token.squeeze(1), logps.gather(1, token).squeeze(1)
