"""How good, how diverse and how calibrated a model is, with intervals over problems.

Everything is drawn from `EvaluationConfig.seed`, so two models are judged on the same documents and problems and
their `per_problem` numbers can be compared in pairs (`paired_difference`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from statistics import fmean
from typing import NotRequired, TypedDict

import numpy as np
import torch

from pgce_mini.evaluation.config import EvaluationConfig
from pgce_mini.evaluation.documents import Heldout, evaluate_documents
from pgce_mini.evaluation.intervals import Estimate, estimate
from pgce_mini.evaluation.sampling import SampledCompletion, accuracy_at, heldout_problems, sample_completions
from pgce_mini.evaluation.scores import avg_at_m, cons_at_m, pass_at_k
from pgce_mini.gpt import GPT
from pgce_mini.gpt.memory import check_memory, documents_bytes, generation_bytes, model_bytes
from pgce_mini.runs import config_to_dict
from pgce_mini.tasks import Corpus, Task, task_to_dict
from pgce_mini.theory import FloatArray


class Samples(TypedDict):
    """Sampled completions of held-out problems; intervals are over problems."""

    avg_at_m: Estimate
    cons_at_m: Estimate
    pass_at_k: dict[str, Estimate]
    completion_length: Estimate  # tokens, EOS included
    truncated_share: Estimate  # of completions without EOS
    reasoned_share: Estimate
    accuracy_if_reasoned: Estimate  # over all completions that reason, not a mean of means
    accuracy_if_direct: Estimate
    entropy: Estimate  # mean over all completion tokens, under the sampling temperature
    entropy_by_position: list[float]  # over the completions that reach the position
    scored_at: NotRequired[dict[str, Estimate]]  # accuracy at further temperatures, by its name in tables


class PerProblem(TypedDict):
    """A row a problem, for paired comparisons: `pass_at_k(m, correct, k)`, `correct / m` for Avg@m."""

    correct: list[int]  # of the m samples
    consensus: list[float]  # Cons@m
    completion_length: list[float]
    entropy: list[float]  # mean over the problem's tokens
    reasoned_share: list[float]


class Evaluation(TypedDict):
    """`evaluate`'s result, ready for JSON; `samples` and `per_problem` are None for a corpus without problems."""

    corpus: dict[str, object]
    config: dict[str, object]
    heldout: Heldout
    samples: Samples | None
    per_problem: PerProblem | None


@torch.no_grad()
def evaluate(
    model: GPT, corpus: Corpus, config: EvaluationConfig, progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Next-token prediction on held-out documents and, for a `Task`, m samples of each of P held-out problems.
    The same arguments give the same numbers. `progress(done, total)` counts problems, a batch at a time.

    Raises:
        ValueError: when the model's logits are not numbers (its training diverged), or this machine has too little
            memory for the settings.
    """
    _check_memory(model, corpus, config)
    documents = [corpus.document(config.seed, index, "heldout") for index in range(config.documents)]
    evaluation: Evaluation = {
        "corpus": task_to_dict(corpus),
        "config": config_to_dict(config),
        "heldout": evaluate_documents(model, documents, config.batch_size, _prompt_length(corpus, config)),
        "samples": None,
        "per_problem": None,
    }
    if isinstance(corpus, Task):
        problems = heldout_problems(corpus, config)
        groups = sample_completions(model, corpus, problems, config, progress)
        samples, evaluation["per_problem"] = _evaluate_samples(groups, config)
        evaluation["samples"] = samples
        if config.scored_at:
            samples["scored_at"] = {
                scored_name(t): estimate(accuracy_at(model, corpus, problems, config, t), seed=config.seed)
                for t in config.scored_at[1:]
            }
    return evaluation


def scored_name(temperature: float) -> str:
    """The name in tables of the accuracy at a further temperature."""
    return f"avg_at_m_at_{temperature:g}" if temperature else "greedy"


def _prompt_length(corpus: Corpus, config: EvaluationConfig) -> int | None:
    """Of every document; a corpus without problems has no prompts."""
    return len(corpus.problem(config.seed, 0, "heldout").prompt) if isinstance(corpus, Task) else None


def _check_memory(model: GPT, corpus: Corpus, config: EvaluationConfig) -> None:
    if (
        not isinstance(model, GPT) or model.unembedding.device.type != "cpu"
    ):  # a stand-in; a GPU has its own memory
        return
    documents = documents_bytes(config.documents, corpus.max_document_length)
    rows = min(config.documents, config.batch_size)
    logits = 2 * rows * corpus.max_document_length * model.config.vocab_size
    samples = generation = 0
    if isinstance(corpus, Task):
        rows = min(config.problems, max(1, config.batch_size // config.samples)) * config.samples
        generation = generation_bytes(model.config, rows, corpus.max_completion_length)
        samples = 200 * config.problems * config.samples  # objects of Python
    needed = model_bytes(model.config) + documents + samples + max(logits, generation)
    check_memory(needed, "batch_size, or fewer documents, problems or samples")


def _evaluate_samples(
    groups: Sequence[Sequence[SampledCompletion]], config: EvaluationConfig
) -> tuple[Samples, PerProblem]:
    def table(measure: Callable[[SampledCompletion], float]) -> FloatArray:
        return np.array([[measure(sample) for sample in group] for group in groups], dtype=np.float64)

    mean = partial(estimate, seed=config.seed)
    right = table(lambda sample: sample.reward == 1)  # (P, m), as all below
    length = table(lambda sample: len(sample.ids))
    reasoned = table(lambda sample: sample.reasoned)
    entropy = table(lambda sample: sum(sample.entropy))
    consensus = cons_at_m([[sample.answer for sample in group] for group in groups], right)  # (P,)
    correct = right.sum(1).astype(int)  # (P,)
    positions = zip_longest(*(sample.entropy for group in groups for sample in group))
    samples: Samples = {
        "avg_at_m": mean(avg_at_m(right)),
        "cons_at_m": mean(consensus),
        "pass_at_k": {str(k): mean(pass_at_k(config.samples, correct, k)) for k in config.ks},
        "completion_length": mean(length.mean(1)),
        "truncated_share": mean(table(lambda sample: sample.truncated).mean(1)),
        "reasoned_share": mean(reasoned.mean(1)),
        "accuracy_if_reasoned": mean((right * reasoned).sum(1), counts=reasoned.sum(1)),
        "accuracy_if_direct": mean((right * (1 - reasoned)).sum(1), counts=(1 - reasoned).sum(1)),
        "entropy": mean(entropy.sum(1), counts=length.sum(1)),
        "entropy_by_position": [fmean(e for e in column if e is not None) for column in positions],
    }
    per_problem: PerProblem = {
        "correct": correct.tolist(),
        "consensus": consensus.tolist(),
        "completion_length": length.mean(1).tolist(),
        "entropy": (entropy.sum(1) / length.sum(1)).tolist(),
        "reasoned_share": reasoned.mean(1).tolist(),
    }
    return samples, per_problem
