"""Metrics of generated text: how much it repeats itself, and how varied it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pgce_mini.checks import check_seed, check_whole
from pgce_mini.gpt import GPT, written
from pgce_mini.tasks import Text

PROMPT_LENGTH = 16  # tokens of a held-out document that are given
COMPLETION_LENGTH = 48  # tokens that are written
REPEATED_LENGTH = 4  # tokens in a row that count as a repetition when they come back
BATCH_SIZE = 64


def repetition(completions: Sequence[Sequence[int]], n: int = REPEATED_LENGTH) -> float:
    """The share of n-grams that occurred before in the same completion; 0 when no completion has n tokens.

    Source: seq-rep-n of Welleck et al. 2019 (arXiv 1908.04319), over all completions at once.
    """
    grams = [_n_grams(completion, n) for completion in completions]
    total = sum(map(len, grams))
    return 1 - sum(len(set(row)) for row in grams) / total if total else 0.0


def distinct(completions: Sequence[Sequence[int]], n: int) -> float:
    """The share of different n-grams among the n-grams of all completions; 0 without any. It falls with the
    amount of text: compare only equally many completions of the same length.

    Source: Li et al. 2016 (arXiv 1510.03055).
    """
    grams = [gram for completion in completions for gram in _n_grams(completion, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def sample_text(model: GPT, corpus: Text, documents: int, temperature: float, seed: int) -> dict[str, float]:
    """Completions of 48 tokens after the first 16 of each of `documents` held-out documents, measured:
    `repetition` and `distinct_1` to `distinct_3`, as shares.

    Raises:
        ValueError: naming the argument that makes no sense, or as the model has fewer positions than
            `sampled_length`.
    """
    check_whole("documents", documents, 1)
    generator = torch.Generator(next(model.parameters()).device).manual_seed(check_seed(seed))
    completions: list[list[int]] = []
    for first in range(0, documents, BATCH_SIZE):
        indices = range(first, min(first + BATCH_SIZE, documents))
        prompts = [corpus.document(seed, index, "heldout")[:PROMPT_LENGTH] for index in indices]
        generation = model.generate(prompts, COMPLETION_LENGTH, temperature=temperature, generator=generator)
        completions += written(generation.completions, generation.completion_mask)
    return {"repetition": repetition(completions)} | {f"distinct_{n}": distinct(completions, n) for n in (1, 2, 3)}


def sampled_length(corpus: Text) -> int:
    """Tokens of a prompt and its completion in `sample_text`, for which a model needs positions."""
    return min(PROMPT_LENGTH, corpus.max_document_length) + COMPLETION_LENGTH


def _n_grams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    n = check_whole("n", n, 1)
    return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
