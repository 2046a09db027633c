"""Entropy of next-token distributions: of logits, of sampled completions, and the temperature that matches one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pgce_mini.checks import check_finite, check_temperature
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID

LOWEST, HIGHEST = 0.05, 20.0  # temperatures that are searched


def token_entropy(logits: Tensor) -> Tensor:
    """Entropy of softmax(logits) in nats, for measuring; a logit of -inf adds nothing.

    Shapes:
        logits: (..., V) -> (...)
    """
    entropy: Tensor = torch.special.entr(logits.softmax(-1)).sum(-1)
    return entropy


@torch.no_grad()
def completion_entropy(
    model: GPT, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], temperature: float
) -> list[Tensor]:
    """Entropy, in nats, of the distribution softmax(logits / temperature) that each token of each completion
    was drawn from (EOS included), by one forward pass over prompt + completion.

    Shapes:
        prompts, completions: B rows of ids, no prompt empty -> B rows, each as long as its completion

    Raises:
        ValueError: the temperature is none.
    """
    temperature = check_temperature(temperature)
    pairs = zip(prompts, completions, strict=True)
    ids = pad_rows([[*prompt, *completion] for prompt, completion in pairs], model)  # (B, T)
    lengths = torch.tensor([len(completion) for completion in completions], device="cpu")
    start = torch.tensor([len(prompt) - 1 for prompt in prompts], device="cpu")  # predicts the first token
    position = torch.arange(ids.shape[1] - 1, device="cpu")
    keep_mask = (start[:, None] <= position) & (position < (start + lengths)[:, None])  # (B, T - 1)
    logits = model(ids[:, :-1])[keep_mask.to(ids.device)]  # (sum of lengths, V), row after row
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # half precision would overflow
    return list(torch.split(token_entropy(logits / temperature).cpu(), lengths.tolist()))


@torch.no_grad()
def matching_temperature(model: GPT, documents: Sequence[Sequence[int]], entropy: float) -> float:
    """The temperature T at which the mean entropy of softmax(logits / T), over all tokens of `documents` but the
    first of each, is `entropy` (nats/token). Entropy rises with T, so bisection finds it. It tells whether a prior
    is more than another prior sampled at another temperature.

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


def pad_rows(rows: Sequence[Sequence[int]], model: GPT) -> Tensor:
    """Right-padded rows, on the model's device: (B, T)."""
    on_cpu = [torch.tensor(row, device="cpu") for row in rows]
    ids = pad_sequence(on_cpu, batch_first=True, padding_value=PAD_ID)
    return ids.to(next(model.parameters()).device)
