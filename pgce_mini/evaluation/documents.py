"""Next-token prediction on held-out documents: cross-entropy, entropy, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn import functional as F

from pgce_mini.checks import check_whole
from pgce_mini.evaluation.entropy import pad_rows, token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID

LARGEST_EXPONENT = 700.0  # exp overflows a float a little above


class ReliabilityBin(TypedDict):
    """Predictions whose confidence lies in (low, high]; means are None in an empty bin."""

    low: float
    high: float
    confidence: float | None
    accuracy: float | None
    count: int


class Calibration(TypedDict):
    """Expected calibration error, and its bins."""

    ece: float
    reliability: list[ReliabilityBin]


class Heldout(Calibration):
    """`evaluate_documents`'s numbers; means over tokens, logarithms in nats."""

    documents: int
    tokens: int
    cross_entropy: float | None  # plain, whatever loss the model was trained with; None when infinite
    perplexity: float | None
    entropy: float  # of the model's own next-token distribution
    completion_cross_entropy: NotRequired[float | None]  # the same over the tokens of completions alone
    completion_entropy: NotRequired[float]


@torch.no_grad()
def evaluate_documents(
    model: GPT, documents: Sequence[Sequence[int]], batch_size: int, prompt_length: int | None = None
) -> Heldout:
    """Cross-entropy, entropy and calibration of the next token over all tokens of `documents` but the first.

    prompt_length: tokens of the prompt that each document begins with; the means over the others, the completions,
    then come, too. A prompt's numbers are drawn at random: nobody can predict them.

    Raises:
        ValueError: when no document has two tokens, or the model's logits are not numbers (its training diverged).
    """
    check_whole("batch_size", batch_size, 1)
    if max(map(len, documents), default=0) < 2:
        raise ValueError("documents must hold one of two tokens or more: the first of each is only read")
    columns = []
    for start in range(0, len(documents), batch_size):
        ids = pad_rows(documents[start : start + batch_size], model)  # (B, T)
        keep_mask = ids[:, 1:] != PAD_ID
        logits, target = model(ids[:, :-1])[keep_mask], ids[:, 1:][keep_mask]  # (N, V), (N,)
        loss = F.cross_entropy(logits, target, reduction="none")
        if loss.isnan().any():
            raise ValueError("model gives logits that are not numbers: its training diverged")
        confidence, top = logits.softmax(-1).max(-1)
        answers = keep_mask.nonzero()[:, 1] >= (prompt_length or 0) - 1  # (N,), True on tokens of completions
        columns.append(torch.stack([loss, token_entropy(logits), confidence, top == target, answers]))  # (5, N)
    numbers = torch.cat(columns, dim=1).cpu().double().numpy()  # MPS has no float64
    loss, entropy, confidence, correct, answers = numbers
    cross_entropy = float(loss.mean())
    found = calibration(confidence, correct)
    heldout: Heldout = {
        "documents": len(documents),
        "tokens": len(loss),
        "cross_entropy": _finite(cross_entropy),
        "perplexity": math.exp(cross_entropy) if cross_entropy < LARGEST_EXPONENT else None,
        "entropy": float(entropy.mean()),
        "ece": found["ece"],
        "reliability": found["reliability"],
    }
    if prompt_length is not None:
        of_completions = answers != 0
        heldout["completion_cross_entropy"] = _finite(float(loss[of_completions].mean()))
        heldout["completion_entropy"] = float(entropy[of_completions].mean())
    return heldout


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def calibration(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Calibration:
    """Expected calibration error, sum_b (n_b / n) |accuracy_b - confidence_b|, over equal-width bins
    (low, high] of [0, 1]; a confidence of 0 goes to the first.

    Shapes:
        confidence: (N,) in [0, 1]; correct: (N,), nonzero where the prediction is right

    Raises:
        ValueError: when the shapes differ or are empty, a confidence leaves [0, 1], or bins < 1.

    Source: Guo et al. 2017 (arXiv 1706.04599), Eq. 3.
    """
    predicted, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct) != 0
    if predicted.ndim != 1 or predicted.size == 0 or predicted.shape != right.shape:
        raise ValueError(
            f"confidence and correct must be rows of one length, got {predicted.shape} and {right.shape}"
        )
    if not ((predicted >= 0) & (predicted <= 1)).all():
        raise ValueError("confidence must lie in [0, 1]")
    if not (np.asarray(correct) == np.asarray(correct)).all():  # nan is not 0, and would count as right
        raise ValueError("correct must say of each prediction whether it is right, and some of it is nan")
    check_whole("bins", bins, 1)
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], predicted)  # bin b holds edges[b] < confidence <= edges[b + 1]
    ece, reliability = 0.0, []
    for b, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = index == b
        row: ReliabilityBin = {"low": low, "high": high, "confidence": None, "accuracy": None, "count": 0}
        if inside.any():
            mean, accuracy = float(predicted[inside].mean()), float(right[inside].mean())
            row = {**row, "confidence": mean, "accuracy": accuracy, "count": int(inside.sum())}
            ece += row["count"] / predicted.size * abs(accuracy - mean)
        reliability.append(row)
    return {"ece": ece, "reliability": reliability}
