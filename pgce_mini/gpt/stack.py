"""Several models of one shape as one: every matrix product is done for all of them at once.

A tiny model spends its time on calling operations, not on numbers. Five of them stacked write a text about as fast
as one alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgce_mini.gpt.cache import KVCache
from pgce_mini.gpt.experts import Mixture
from pgce_mini.gpt.generate import sample
from pgce_mini.gpt.model import GPT, RMSNorm


class Stack:
    """M models, for reading and writing only; their weights are copied.

    Raises:
        ValueError: there is no model, or not all have the same shape.
    """

    def __init__(self, models: Sequence[GPT]) -> None:
        if not models or any(model.config != models[0].config for model in models):
            raise ValueError("models must be one or more, all of the same shape")
        self.config, self.count = models[0].config, len(models)
        self.decoder = copy.deepcopy(models[0].model)
        for name, module in models[0].model.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding | RMSNorm):
                weights = [model.model.state_dict()[f"{name}.weight"] for model in models]
                self.decoder.set_submodule(name, _Stacked(module, torch.stack(weights)))
        for name, module in models[0].model.named_modules():
            if isinstance(module, Mixture):  # whole, in place of what was stacked of it
                each = [copy.deepcopy(model.model.get_submodule(name)) for model in models]
                self.decoder.set_submodule(name, _Each(each))
        self.unembedding = torch.stack([model.unembedding.detach() for model in models])  # (M, V, d)

    @torch.no_grad()
    def write(
        self, prompt: Sequence[int], uniforms: Tensor, *, temperature: float = 1.0, eos_id: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Each model's completions of one prompt, drawn with the same numbers: as `GPT.generate` with a generator
        for each completion that gives them.

        `uniforms`: (n, L) in [0, 1), a number for each token of n completions. Writing ends when all have ended:
        what a row has after its first `eos_id` means nothing. All must fit max_position_embeddings.

        Shapes:
            -> logits after each token of the prompt (M, T, V); completions (M, n, L'); the logits that each of
            their tokens was drawn from (M, n, L', V)
        """
        models, (rows, length) = self.count, uniforms.shape
        ids = torch.tensor([list(prompt)]).expand(models, -1)  # (M, T)
        lengths = torch.full((models,), ids.shape[1])
        cache = KVCache(self.config, lengths, rows, length, like=self.unembedding)

        def extend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (M, n, heads, head_dim)
            return cache.extend(layer, *(x.flatten(0, 1) for x in (q, k, v))).view(q.shape)

        read = self._logits(self.decoder(ids, torch.arange(ids.shape[1]), cache.read_prompts))
        logits = read[:, -1:].expand(-1, rows, -1)  # (M, n, V)
        ended = torch.zeros(models, rows, dtype=torch.bool)
        numbers = iter(uniforms.repeat(models, 1).T.unsqueeze(-1))  # (M * n, 1) each
        tokens, seen = [], []
        for step in range(length):
            token, _ = sample(logits.flatten(0, 1), temperature, partial(next, numbers))
            tokens.append(token.view(models, rows))
            seen.append(logits)
            ended |= tokens[-1] == eos_id
            if ended.all() or step + 1 == length:
                break
            positions = torch.full((models, rows), ids.shape[1] + step)
            logits = self._logits(self.decoder(tokens[-1], positions, extend))
        return read, torch.stack(tokens, 2), torch.stack(seen, 2)

    def _logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.unembedding.mT


class _Stacked(nn.Module):
    """A layer of M models with its weights stacked: what it reads has the models first, (M, n, ...)."""

    def __init__(self, module: nn.Module, weight: Tensor) -> None:
        super().__init__()
        self.module = [module]  # in a list: its own weights are no part of this
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        (module,) = self.module
        if isinstance(module, nn.Linear):
            return x @ self.weight.mT
        if isinstance(module, RMSNorm):
            weight = self.weight.view(len(x), *[1] * (x.dim() - 2), -1)
            return F.rms_norm(x, x.shape[-1:], eps=module.eps) * weight
        return self.weight[torch.arange(len(x))[:, None], x]


class _Each(nn.Module):
    """A mixture of each of M models, one after the other: their tokens go to other experts. (M, n, ...)"""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([module(of_model) for module, of_model in zip(self.each, x, strict=True)])
