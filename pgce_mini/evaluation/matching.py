"""The temperature at which one model has the entropy of another on held-out documents.

It tells whether a prior is more than another prior sampled at another temperature. Both are read in the same
contexts: a model's own samples mix how sure it is with what it writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pgce_mini.checks import check_finite
from pgce_mini.evaluation.entropy import token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID

LOWEST, HIGHEST = 0.05, 20.0  # temperatures that are searched


@torch.no_grad()
def matching_temperature(model: GPT, documents: Sequence[Sequence[int]], entropy: float) -> float:
    """The temperature T at which the mean entropy of softmax(logits / T), over all tokens of `documents` but the
    first of each, is `entropy` (nats/token). Entropy rises with T, so bisection finds it.

    Raises:
        ValueError: no T between 0.05 and 20 gives that entropy, or it is no number.

    Source: ours.
    """
    entropy = check_finite("entropy", entropy)
    device = next(model.parameters()).device
    rows = []
    for document in documents:
        ids = torch.tensor(document, device=device)  # (T)
        rows.append(model(ids[None, :-1])[0][ids[1:] != PAD_ID])
    logits = torch.cat(rows).cpu().double()  # (N, V); MPS has no float64

    def gap(temperature: float) -> float:
        return token_entropy(logits / temperature).mean().item() - entropy

    if gap(LOWEST) > 0 or gap(HIGHEST) < 0:
        raise ValueError(
            f"entropy must be one that a temperature between {LOWEST:g} and {HIGHEST:g} gives, got {entropy:.3f}"
        )
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(math.exp(middle)) < 0 else (low, middle)
    return math.exp(high)
