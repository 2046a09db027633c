"""Completions of held-out problems, sampled and judged by the task's verifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pgce_mini.evaluation.config import EvaluationConfig
from pgce_mini.evaluation.entropy import completion_entropy
from pgce_mini.gpt import GPT, Generation, written
from pgce_mini.tasks.base import EOS_ID, Problem, Task
from pgce_mini.theory import FloatArray


@dataclass(frozen=True)
class SampledCompletion:
    """One sample, judged; `logps` and `entropy` are those of the sampling distribution, a number a token."""

    ids: list[int]  # EOS included, nothing after it
    logps: list[float]
    entropy: list[float]
    reward: float
    reasoned: bool
    answer: str | None

    @property
    def truncated(self) -> bool:
        return EOS_ID not in self.ids


@torch.no_grad()
def sample_completions(
    model: GPT,
    task: Task,
    problems: Sequence[Problem],
    config: EvaluationConfig,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[SampledCompletion]]:
    """`config.samples` completions of each problem at `config.temperature`, drawn from `config.seed`; a row a
    problem. `progress(done, total)` counts problems, a batch at a time."""
    groups: list[list[SampledCompletion]] = []
    for asked, completions, generation in _generated(model, task, problems, config):
        entropy = completion_entropy(model, [p.prompt for p in asked], completions, config.temperature)
        rows = zip(asked, completions, generation.logps.tolist(), entropy, strict=True)
        judged = [
            SampledCompletion(
                ids=ids,
                logps=logps[: len(ids)],
                entropy=nats.tolist(),
                reward=task.reward(problem, ids),
                reasoned=task.reasoned(problem, ids),
                answer=task.answer(problem, ids),
            )
            for problem, ids, logps, nats in rows
        ]
        groups += (judged[i : i + config.samples] for i in range(0, len(judged), config.samples))
        if progress is not None:
            progress(len(groups), len(problems))
    return groups


@torch.no_grad()
def accuracy_at(
    model: GPT, task: Task, problems: Sequence[Problem], config: EvaluationConfig, temperature: float
) -> FloatArray:
    """The share of right ones among `config.samples` completions of each problem at this temperature, (P,); at 0,
    the likeliest tokens, there is one of each."""
    config = replace(config, samples=config.samples if temperature else 1, ks=(1,))
    rewards = [
        task.reward(problem, ids)
        for asked, completions, _ in _generated(model, task, problems, config, temperature)
        for problem, ids in zip(asked, completions, strict=True)
    ]
    right = np.array(rewards).reshape(len(problems), config.samples) == 1
    return np.asarray(right.mean(1))


def _generated(
    model: GPT, task: Task, problems: Sequence[Problem], config: EvaluationConfig, temperature: float | None = None
) -> Iterator[tuple[list[Problem], list[list[int]], Generation]]:
    """Completions in batches, at `config.temperature` if no other is given: the problem of each, its ids, and what
    the model said."""
    generator = torch.Generator(next(model.parameters()).device).manual_seed(config.seed)
    problems_at_once = max(1, config.batch_size // config.samples)
    for first in range(0, len(problems), problems_at_once):
        batch = problems[first : first + problems_at_once]
        generation = model.generate(
            [problem.prompt for problem in batch],
            task.max_completion_length,
            temperature=config.temperature if temperature is None else temperature,
            generator=generator,
            num_generations=config.samples,
        )
        asked = [problem for problem in batch for _ in range(config.samples)]  # prompt-major, as generated
        yield asked, written(generation.completions, generation.completion_mask), generation


def heldout_problems(task: Task, config: EvaluationConfig) -> list[Problem]:
    return [task.problem(config.seed, index, "heldout") for index in range(config.problems)]


def sample_records(
    model: GPT, task: Task, config: EvaluationConfig, *, problems: int = 8, samples: int = 4
) -> list[dict[str, object]]:
    """A few samples of the first held-out problems to read, a JSON-ready record each. They are drawn anew: they
    are not among the samples that `evaluate` counts."""
    config = replace(config, problems=problems, samples=samples, ks=(1,))
    asked = heldout_problems(task, config)
    groups = sample_completions(model, task, asked, config)
    return [
        {
            "problem": index,
            "sample": number,
            "prompt": task.decode(problem.prompt),
            "completion": task.decode(sample.ids),
            "tokens": [task.vocab[token] for token in sample.ids],
            "logps": sample.logps,
            "entropy": sample.entropy,
            "reward": sample.reward,
            "reasoned": sample.reasoned,
            "truncated": sample.truncated,
        }
        for index, (problem, group) in enumerate(zip(asked, groups, strict=True))
        for number, sample in enumerate(group)
    ]
