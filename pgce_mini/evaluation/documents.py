"""Next-token prediction on held-out documents: cross-entropy, entropy, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from pgce_mini.evaluation.calibration import Calibration, calibration
from pgce_mini.evaluation.entropy import pad_rows, token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID

LARGEST_EXPONENT = 700.0  # exp overflows a float a little above


class Heldout(Calibration):
    """`evaluate_documents`'s numbers; means over tokens, logarithms in nats."""

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
        keep_mask = ids[:, 1:] != PAD_ID
        logits, target = model(ids[:, :-1])[keep_mask], ids[:, 1:][keep_mask]  # (N, V), (N,)
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
