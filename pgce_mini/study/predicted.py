"""The arms `predicted-ARM`: the prior of ce, each of its next-token policies taken to the end of ARM's reward.

`theory.stationary_policy` says where training of one state ends that starts from the policy of cross-entropy. Here
that policy is not the corpus' own distribution but what the trained prior has learnt of it, in every state that a
sample visits. Nothing is trained. Source: ours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgce_mini.gpt import GPT
from pgce_mini.gpt.generate import GenerationMixin
from pgce_mini.reward import RewardShaping
from pgce_mini.theory import stationary_logits


class AtRest(GenerationMixin):
    """A stand-in for a `GPT` to be evaluated: its logits are `prior`'s, mapped by `stationary_logits`."""

    model: _Mapped

    def __init__(self, prior: GPT, shaping: RewardShaping) -> None:
        super().__init__()
        self.config, self.eos_ids, self.pad_id = prior.config, prior.eos_ids, prior.pad_id
        self.model = _Mapped(prior, shaping)
        like = prior.unembedding
        self.register_buffer("identity", torch.eye(prior.config.vocab_size, dtype=like.dtype, device=like.device))

    @property
    def unembedding(self) -> Tensor:
        """(V, V): what `model` gives are logits already."""
        identity: Tensor = self.identity  # type: ignore[assignment]
        return identity

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)"""
        return stationary_logits(self.model.prior(ids), self.model.shaping)


class _Mapped(nn.Module):
    """A decoder whose states are the mapped logits."""

    def __init__(self, prior: GPT, shaping: RewardShaping) -> None:
        super().__init__()
        self.prior, self.shaping = prior, shaping

    def forward(self, *layout: Any) -> Tensor:
        """What `Decoder.forward` takes -> (..., V)"""
        logits = F.linear(self.prior.model(*layout), self.prior.unembedding)
        return stationary_logits(logits, self.shaping)
