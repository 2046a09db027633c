"""Completions to read: some prompts, several completions of each, every token with its probability."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pgce_mini.checks import check_seed
from pgce_mini.gpt import GPT
from pgce_mini.tasks import Corpus, Problem, Task
from pgce_mini.teaching.reading import encode_prompt

TEXT_PROMPT, TEXT_COMPLETION = 16, 64  # tokens, for a corpus without problems


class Sample(NamedTuple):
    """One completion. probabilities: of each token, under the distribution that it was drawn from; reward: None
    for a prompt without a verifier."""

    prompt: str
    completion: str
    tokens: list[str]
    probabilities: list[float]
    reward: float | None


def draw_samples(
    model: GPT,
    corpus: Corpus,
    prompt: str | None = None,
    *,
    prompts: int = 3,
    samples: int = 4,
    max_completion_length: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[Sample]:
    """`samples` completions of `prompt`, or of each of `prompts` held-out prompts: problems of a task, beginnings
    of documents of a text. Completions of one prompt follow one another.

    `max_completion_length` is by default that of the task, for a text 64 tokens.

    Raises:
        ValueError: naming the argument, as `encode_prompt` and `GPT.generate` do.
    """
    check_seed(seed)
    problems: list[Problem] = []
    if prompt is not None:
        ids = [encode_prompt(corpus, prompt, 1)]
    elif isinstance(corpus, Task):
        problems = [corpus.problem(seed, index, "heldout") for index in range(prompts)]
        ids = [list(problem.prompt) for problem in problems]
    else:
        ids = [corpus.document(seed, index, "heldout")[:TEXT_PROMPT] for index in range(prompts)]
    if max_completion_length is None:
        max_completion_length = corpus.max_completion_length if isinstance(corpus, Task) else TEXT_COMPLETION
    generation = model.generate(
        ids,
        max_completion_length,
        temperature=temperature,
        generator=torch.Generator().manual_seed(int(seed)),
        num_generations=samples,
    )
    drawn = []
    for row, mask in enumerate(generation.completion_mask):  # (L,), prompt after prompt
        index = row // samples
        completion = generation.completions[row][mask].tolist()
        drawn.append(
            Sample(
                prompt=corpus.decode(ids[index]),
                completion=corpus.decode(completion),
                tokens=[corpus.vocab[token] for token in completion],
                probabilities=generation.logps[row][mask].exp().tolist(),
                reward=corpus.reward(problems[index], completion)
                if isinstance(corpus, Task) and problems
                else None,
            )
        )
    return drawn
