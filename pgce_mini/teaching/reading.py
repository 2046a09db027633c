"""How a model reads a prompt and continues it: each token's probability, and the entropy and head where it stands.

`NextToken` and `Reading` are about softmax(logits), the model's own distribution, at whatever temperature a
completion was sampled; `Sample` is about the distribution that it was drawn from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgce_mini.checks import check_seed, check_whole
from pgce_mini.evaluation import token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.gpt.memory import check_memory, generation_bytes
from pgce_mini.tasks import Corpus, Problem, Task
from pgce_mini.tasks.base import EOS_ID, PAD_ID

MAX_CHARACTERS = 2000  # of a prompt; more are too long for the shipped priors and would only take time to encode
TEXT_PROMPT, TEXT_COMPLETION = 16, 64  # tokens, for a corpus without problems


def encode_prompt(corpus: Corpus, text: str, max_completion_length: int) -> list[int]:
    """The tokens of a prompt that a user typed; `max_completion_length` tokens must still fit behind them.

    Raises:
        ValueError: in one sentence for that user, when the prompt is empty, too long for the documents of
            `corpus`, or holds text that is not a token of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"the prompt has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read: shorten it"
        )
    ids = _encode_task(corpus, text) if isinstance(corpus, Task) else corpus.encode(text)
    if not ids:
        raise ValueError("the prompt is empty: write at least one token")
    room = corpus.max_document_length - max_completion_length
    if len(ids) > room:
        raise ValueError(
            f"the prompt has {len(ids)} tokens, and with the {max_completion_length} to be written after it at "
            f"most {room} fit the {corpus.max_document_length} that the model was trained on: shorten it"
        )
    return ids


def _encode_task(task: Task, text: str) -> list[int]:
    """The tokens of a problem that may lack the spaces between them."""
    signs = sorted((token for token in task.vocab if not token[0].isalnum()), key=len, reverse=True)
    apart = re.sub("|".join([*map(re.escape, signs), r"\d+"]), r" \g<0> ", text)
    try:
        return task.encode(apart)
    except ValueError as error:
        example = task.decode(task.problem(0, 0, "heldout").prompt)
        raise ValueError(f"{error}: write a prompt such as “{example}”") from None


class NextToken(NamedTuple):
    """The distribution over the next token, (V), its entropy in nats, and the probability of the k likeliest."""

    probs: Tensor
    entropy: float
    head: float


@torch.no_grad()
def next_token(model: GPT, ids: Sequence[int], top_k: int) -> NextToken:
    """What `model` expects after the prompt `ids`; a `top_k` above the size of the vocabulary means all of it."""
    check_whole("top_k", top_k, 1)
    logits = model(torch.tensor([list(ids)]))[0, -1]
    probs = logits.softmax(-1)
    return NextToken(probs, token_entropy(logits).item(), head_mass(probs, top_k).item())


class Reading(NamedTuple):
    """Prompt and completion, T tokens, with numbers for each token but the first, which nothing predicts. written:
    tokens of the completion."""

    ids: list[int]
    written: int
    probs: list[float]  # (T - 1) of the token itself
    entropy: list[float]  # (T - 1) nats, of the distribution of the token
    head: list[float]  # (T - 1) probability of the k likeliest tokens in its place

    @property
    def completion(self) -> list[tuple[int, float]]:
        """The tokens that the model wrote, each with its probability."""
        return list(zip(self.ids[-self.written :], self.probs[-self.written :], strict=True))


@torch.no_grad()
def read_on(
    model: GPT,
    corpus: Corpus,
    prompt: Sequence[int],
    max_completion_length: int,
    *,
    temperature: float,
    top_k: int,
    seed: int,
) -> Reading:
    """Samples a completion of `prompt` and reads both. EOS ends the completion of a task; in a text it does not.

    Raises:
        ValueError: naming the argument, as `GPT.generate` does.
    """
    check_whole("top_k", top_k, 1)
    seed = check_seed(seed)
    generator, eos_id = torch.Generator().manual_seed(seed), EOS_ID if isinstance(corpus, Task) else PAD_ID
    generation = model.generate(
        [prompt], max_completion_length, temperature=temperature, generator=generator, eos_id=eos_id
    )
    completion = generation.completions[0][generation.completion_mask[0]].tolist()
    ids = [*prompt, *completion]
    row = torch.tensor([ids])
    logits = model(row[:, :-1])[0]  # (T - 1, V)
    probs = logits.softmax(-1)
    own = probs.gather(1, row[0, 1:, None])[:, 0]  # (T - 1)
    head = head_mass(probs, top_k)
    return Reading(ids, len(completion), own.tolist(), token_entropy(logits).tolist(), head.tolist())


class Sample(NamedTuple):
    """One completion of a prompt."""

    prompt: str
    completion: str
    tokens: list[str]
    probabilities: list[float]  # of each token, under the distribution that it was drawn from
    reward: float | None  # None where nothing judges


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
    seed, prompts = check_seed(seed), check_whole("prompts", prompts, 1)
    samples = check_whole("samples", samples, 1)
    if max_completion_length is None:
        max_completion_length = corpus.max_completion_length if isinstance(corpus, Task) else TEXT_COMPLETION
    rows = samples * (prompts if prompt is None else 1)
    check_memory(
        generation_bytes(model.config, rows, max_completion_length), "number of prompts, samples or tokens"
    )
    problems: list[Problem] = []
    if prompt is not None:
        ids = [encode_prompt(corpus, prompt, 1)]
    elif isinstance(corpus, Task):
        problems = [corpus.problem(seed, index, "heldout") for index in range(prompts)]
        ids = [list(problem.prompt) for problem in problems]
    else:
        try:
            ids = [corpus.document(seed, index, "heldout")[:TEXT_PROMPT] for index in range(prompts)]
        except ValueError as error:  # the text is not there, or is another one
            raise ValueError(f"{error}; or give a prompt") from None
    generator = torch.Generator().manual_seed(seed)
    generation = model.generate(
        ids, max_completion_length, temperature=temperature, generator=generator, num_generations=samples
    )
    drawn = []
    for row, mask in enumerate(generation.completion_mask):  # (L,), prompt after prompt
        index = row // samples
        completion = generation.completions[row][mask].tolist()
        tokens = [corpus.vocab[token] for token in completion]
        probs = generation.logps[row][mask].exp().tolist()
        reward = corpus.reward(problems[index], completion) if isinstance(corpus, Task) and problems else None
        drawn.append(Sample(corpus.decode(ids[index]), corpus.decode(completion), tokens, probs, reward))
    return drawn


def likeliest(distributions: Mapping[str, Tensor], count: int) -> list[int]:
    """The `count` tokens with the largest probability in any of the distributions, each (V)."""
    largest = torch.stack(list(distributions.values())).amax(0)
    return largest.topk(min(count, len(largest))).indices.tolist()


def head_mass(probs: Tensor, top_k: int) -> Tensor:
    """(..., V) -> (...)"""
    return probs.topk(min(top_k, probs.shape[-1]), -1).values.sum(-1)
