"""Entropy of next-token distributions: of logits, and of sampled completions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pgce_mini.checks import check_temperature
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID


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
        ValueError: as `check_temperature`.
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


def pad_rows(rows: Sequence[Sequence[int]], model: GPT) -> Tensor:
    """Right-padded rows, on the model's device: (B, T)."""
    on_cpu = [torch.tensor(row, device="cpu") for row in rows]
    ids = pad_sequence(on_cpu, batch_first=True, padding_value=PAD_ID)
    return ids.to(next(model.parameters()).device)
