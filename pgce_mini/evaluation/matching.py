"""The temperature at which one model has the entropy of another: on held-out documents, or on its own samples.

It tells whether a prior is more than another prior sampled at another temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import torch

from pgce_mini.checks import check_finite
from pgce_mini.evaluation.config import EvaluationConfig
from pgce_mini.evaluation.entropy import token_entropy
from pgce_mini.evaluation.sampling import sample_completions
from pgce_mini.gpt import GPT
from pgce_mini.tasks.base import PAD_ID, Task

LOWEST, HIGHEST = 0.05, 20.0  # temperatures that are searched
WIDENED = 1.25  # of samples: the factor by which the search moves from 1, until it has passed the entropy
MATCHED_SEED = 10**9  # draws the problems whose samples are matched, and the samples
MATCHED_SAMPLES = 4  # of each


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

    def entropy_at(temperature: float) -> float:
        return token_entropy(logits / temperature).mean().item()

    if entropy_at(LOWEST) > entropy or entropy_at(HIGHEST) < entropy:
        raise _out_of_reach(entropy)
    return _bisected(entropy_at, entropy, LOWEST, HIGHEST, halvings=40)


def matching_temperature_on_samples(model: GPT, to_match: GPT, task: Task, config: EvaluationConfig) -> float:
    """The temperature T at which completions that `model` samples have the mean entropy per token of those that
    `to_match` samples at temperature 1: of softmax(logits / T), over the tokens that were sampled at T.

    Four completions are drawn of each of `config.documents` held-out problems of a fixed seed, with the same random
    numbers at every T and for both models. T is found to 0.05 % of these draws' own.

    Raises:
        ValueError: no T between 0.05 and 20 gives that entropy.

    Source: ours.
    """
    settings = replace(config, samples=MATCHED_SAMPLES, ks=(1,), scored_at=(), seed=MATCHED_SEED)
    problems = [task.problem(MATCHED_SEED, i, "heldout") for i in range(config.documents)]

    def sampled_entropy(sampled: GPT, temperature: float) -> float:
        groups = sample_completions(sampled, task, problems, replace(settings, temperature=temperature))
        return fmean(nats for group in groups for sample in group for nats in sample.entropy)

    def entropy_at(temperature: float) -> float:
        return sampled_entropy(model, temperature)

    entropy = sampled_entropy(to_match, 1.0)
    too_high = entropy_at(1.0) > entropy
    factor = 1 / WIDENED if too_high else WIDENED
    near, far = 1.0, factor
    while (entropy_at(far) > entropy) == too_high:
        near, far = far, far * factor
        if not LOWEST <= far <= HIGHEST:
            raise _out_of_reach(entropy)
    return _bisected(entropy_at, entropy, min(near, far), max(near, far), halvings=9)


def _out_of_reach(entropy: float) -> ValueError:
    return ValueError(
        f"entropy must be one that a temperature between {LOWEST:g} and {HIGHEST:g} gives, got {entropy:.3f}"
    )


def _bisected(
    entropy_at: Callable[[float], float], entropy: float, lowest: float, highest: float, halvings: int
) -> float:
    """The temperature between these two at which the entropy is passed."""
    low, high = math.log(lowest), math.log(highest)
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy_at(math.exp(middle)) < entropy else (low, middle)
    return math.exp(high)
