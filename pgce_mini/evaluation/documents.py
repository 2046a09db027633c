"""Next-token prediction on held-out documents: cross-entropy, entropy, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from pgce_mini.evaluation.calibration import Calibration, calibration
from pgce_mini.evaluation.scores import token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID

LARGEST_EXPONENT = 700.0  # exp overflows a float a little above


def pad_rows(rows: Sequence[Sequence[int]], model: GPT) -> Tensor:
    """Right-padded rows, on the model's device: (B, T)."""
    on_cpu = [torch.tensor(row, device="cpu") for row in rows]
    ids = pad_sequence(on_cpu, batch_first=True, padding_value=PAD_ID)
    return ids.to(next(model.parameters()).device)


class Heldout(Calibration):
    """Next-token prediction on held-out documents; means over tokens, logarithms in nats."""

    documents: int
    tokens: int
    cross_entropy: float | None  # plain, whatever loss the model was trained with; None when infinite
    perplexity: float | None
    entropy: float  # of the model's own next-token distribution


@torch.no_grad()
def evaluate_documents(model: GPT, documents: Sequence[Sequence[int]], batch_size: int) -> Heldout:
    """Cross-entropy, entropy and calibration of the next token over all tokens of `documents` but the first.

    Raises:
        ValueError: when the model's logits are not numbers (its training diverged).
    """
    columns = []
    for start in range(0, len(documents), batch_size):
        ids = pad_rows(documents[start : start + batch_size], model)  # (B, T)
        kept = ids[:, 1:] != PAD_ID
        logits, target = model(ids[:, :-1])[kept], ids[:, 1:][kept]  # (N, V), (N,)
        loss = F.cross_entropy(logits, target, reduction="none")
        if loss.isnan().any():
            raise ValueError("model gives logits that are not numbers: its training diverged")
        confidence, top = logits.softmax(-1).max(-1)
        columns.append(torch.stack([loss, token_entropy(logits), confidence, top == target]))  # (4, N)
    loss, entropy, confidence, correct = torch.cat(columns, dim=1).cpu().double().numpy()  # MPS has no float64
    cross_entropy = float(loss.mean())
    return {
        "documents": len(documents),
        "tokens": len(loss),
        "cross_entropy": cross_entropy if math.isfinite(cross_entropy) else None,
        "perplexity": math.exp(cross_entropy) if cross_entropy < LARGEST_EXPONENT else None,
        "entropy": float(entropy.mean()),
        **calibration(confidence, correct),
    }
