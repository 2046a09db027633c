"""The key-value cache of a batch that is sampled."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgce_mini.gpt.attention import causal_attention
from pgce_mini.gpt.config import GPTConfig


class KVCache:
    """Keys and values of B prompts, held once, and of the R completions that continue them.

    One matmul multiplies a prompt's keys by the queries of all its completions. A copy of the keys for each
    completion would be most of the memory that a step moves (the shared prefix of Hydragen, arXiv 2402.05099).

    prompts: (layers, 2, B, key_value_heads, prompt_length, head_dim), right-padded
    completions: (layers, 2, R, key_value_heads, max_completion_length, head_dim)
    grid_index: (R,) where a completion stands in the flattened (B, max_per_prompt) grid
    """

    def __init__(self, config: GPTConfig, lengths: Tensor, per_prompt: int, steps: int, like: Tensor) -> None:
        layers, heads, size = config.num_hidden_layers, config.num_key_value_heads, config.size_of_head
        batch, prompt_length = len(lengths), int(lengths.max())
        self.prompts = like.new_empty(layers, 2, batch, heads, prompt_length, size)
        self.completions = like.new_empty(layers, 2, batch * per_prompt, heads, steps, size)
        self.max_per_prompt = per_prompt
        self.grid_index = torch.arange(batch * per_prompt, device=lengths.device)
        self.used = 0  # steps written so far
        padding = torch.arange(prompt_length, device=lengths.device) >= lengths[:, None]
        self.padding = padding[:, None, None] if padding.any() else None  # (B, 1, 1, prompt_length)

    def read_prompts(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` over (B, prompt_length, heads, head_dim): causal, so no token reads the pads after it."""
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

        on_prompt = (
            self._by_prompt(queries) @ prompt_keys.mT
        )  # (B, heads, max_per_prompt * queries, prompt_length)
        if self.padding is not None:
            on_prompt.masked_fill_(self.padding, -math.inf)
        on_prompt = self._by_row(on_prompt)
        weights = torch.cat([on_prompt, queries @ keys.mT], -1).softmax(-1)
        on_prompt, on_own = weights.split([prompt_keys.shape[2], self.used], -1)
        out = self._by_row(self._by_prompt(on_prompt) @ prompt_values)  # (R, heads, queries, head_dim)
        if self.used * size < 400:  # where torch's matmul on a CPU is a plain loop, 2 to 4 times slower
            out += (on_own.unsqueeze(-1) * values.unsqueeze(2)).sum(-2)
        else:
            out += on_own @ values
        return out.reshape(q.shape)

    def _by_prompt(self, x: Tensor) -> Tensor:
        """Regroup rows by prompt, for one matmul a prompt: (R, H, q, n) -> (B, H, max_per_prompt * q, n)."""
        places = self.prompts.shape[2] * self.max_per_prompt
        full = len(x) == places
        grid = x if full else x.new_zeros(places, *x.shape[1:]).index_copy_(0, self.grid_index, x)
        return grid.view(-1, self.max_per_prompt, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        """The inverse of `_by_prompt`."""
        grid = x.view(*x.shape[:2], self.max_per_prompt, -1, x.shape[-1]).transpose(1, 2).flatten(0, 1)
        return grid if len(grid) == len(self.grid_index) else grid.index_select(0, self.grid_index)

    def select(self, keep_index: Tensor) -> None:
        """Keep only these completions, (R',) in ascending order."""
        used = self.completions[:, :, keep_index, :, : self.used]
        self.completions = self.completions[:, :, : len(keep_index)]
        self.completions[:, :, :, :, : self.used] = used
        prompt = self.grid_index[keep_index] // self.max_per_prompt
        per_prompt = prompt.bincount(minlength=self.prompts.shape[2])  # (B,)
        self.max_per_prompt = int(per_prompt.max())
        first = per_prompt.cumsum(0) - per_prompt
        rank = torch.arange(len(keep_index), device=keep_index.device) - first[prompt]  # among its prompt's
        self.grid_index = prompt * self.max_per_prompt + rank
