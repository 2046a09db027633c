"""A sparse mixture of experts in place of a layer's MLP, as in Qwen3-MoE: a router sends each token to a few.

No expert has a limit, so no token is dropped, and what a token gets does not depend on the others of its batch.
The balancing loss is for a training loop to add: `router_logits` hands it what the layers' routers said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from pgce_mini.gpt.config import GPTConfig


class Mixture(nn.Module):
    """Each token's sum of the experts that it goes to, by the router's weights; E experts."""

    def __init__(self, config: GPTConfig, experts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.per_token, self.normalize = config.num_experts_per_tok, config.norm_topk_prob
        self.gate = nn.Linear(config.hidden_size, config.num_experts, bias=False)  # the router
        self.experts = nn.ModuleList(experts)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)  # (N, d)
        weights, chosen = routes(self.gate(tokens), self.per_token, self.normalize)  # (N, k)
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):  # with no token, too: every process has its gradient
            token, place = (chosen == number).nonzero(as_tuple=True)  # (n,) of its n tokens
            result = expert(tokens.index_select(0, token)) * weights[token, place, None]
            out.index_add_(0, token, result.to(out.dtype))
        return out.view_as(x)


def routes(logits: Tensor, per_token: int, normalize: bool) -> tuple[Tensor, Tensor]:
    """The weights and the numbers of the experts that each token goes to: its k = `per_token` likeliest.

    Shapes:
        logits: (N, E) of the router -> (N, k) in the dtype of `logits`, (N, k) int64
    """
    weights, chosen = probabilities(logits).topk(per_token, -1)
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights.to(logits.dtype), chosen


def probabilities(logits: Tensor) -> Tensor:
    """The router's, in single precision at least: (N, E) -> (N, E)"""
    return logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))


@contextlib.contextmanager
def router_logits(model: nn.Module) -> Iterator[list[Tensor]]:
    """A list to which every pass through the model within the block adds the logits of each layer's router, (N, E)
    for the N positions that it computes; it stays empty for a dense model."""
    found: list[Tensor] = []
    with contextlib.ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, Mixture):
                hook = module.gate.register_forward_hook(lambda gate, read, logits: found.append(logits))
                hooks.callback(hook.remove)
        yield found


def expert_load(logits: Sequence[Tensor], per_token: int) -> Tensor:
    """How many tokens went to each expert of each layer: L times (N, E) -> (L, E) int64"""
    return torch.stack([
        torch.bincount(routes(layer, per_token, False)[1].flatten(), minlength=layer.shape[-1]) for layer in logits
    ])  # fmt: skip


def largest_load(load: Tensor) -> Tensor:
    """The largest share of a layer's assignments that one expert has, times E: 1 where all have the same.

    Shapes:
        load: (L, E), as `expert_load` gives it -> ()
    """
    return (load / load.sum(1, keepdim=True)).max() * load.shape[1]


def balancing_loss(logits: Sequence[Tensor], load: Tensor, per_token: int) -> Tensor:
    """E * sum_i f_i P_i: f_i the tokens that went to expert i, P_i the router's probability of it, both per token,
    over all layers at once. It is `per_token` where all experts have the same, and has a gradient through P alone.

    `load` may count more tokens than those of `logits`: in a batch that is computed in parts, those of all parts.
    The losses of the parts, weighted by their tokens, then add up to that of the batch.

    Shapes:
        logits: L times (N, E), of the routers; load: (L, E), as `expert_load` gives it -> ()

    Source: Switch Transformer (arXiv 2101.03961) Eq. 4 - 6, as transformers' `load_balancing_loss_func` has it;
    counted over all parts as in arXiv 2501.11873.
    """
    probability = torch.stack([probabilities(layer).mean(0) for layer in logits]).mean(0)  # (E)
    frequency = per_token * load.sum(0) / load.sum()  # (E)
    return len(frequency) * (frequency * probability).sum()
