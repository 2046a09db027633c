"""A task and models small enough to know every number of their evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from tiny import new_model
from torch import Tensor, nn

from pgce_mini.evaluation import EvaluationConfig
from pgce_mini.gpt import GPT
from pgce_mini.gpt.generate import Generation
from pgce_mini.tasks.base import EOS_ID, PAD_ID, SPECIAL_TOKENS, Corpus, Problem, Split, Task

ASK_ID, THINK_ID, ZERO_ID = 2, 3, 4
DIGITS = 6


@dataclass(frozen=True)
class Echo(Task):
    """Repeat the digit: '? 3' is answered by '3 <eos>', or by '~ 3 <eos>' with a moment of thought."""

    name: ClassVar[str] = "echo"

    @property
    def vocab(self) -> tuple[str, ...]:
        return (*SPECIAL_TOKENS, "?", "~", *map(str, range(DIGITS)))

    @property
    def max_document_length(self) -> int:
        return 5

    @property
    def max_completion_length(self) -> int:
        return 4

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        problem = self.problem(seed, index, split)
        thought = [THINK_ID] if index % 3 == 0 else []
        return [*problem.prompt, *thought, *self.reference(problem)]

    def problem(self, seed: int, index: int, split: Split = "train") -> Problem:
        assert split == "heldout"  # an evaluation never reads what was trained on
        digit = (seed + index) % DIGITS
        return Problem((ASK_ID, ZERO_ID + digit), (digit,), digit)

    def reference(self, problem: Problem) -> list[int]:
        return [ZERO_ID + problem.target, EOS_ID]

    def reasoned(self, problem: Problem, completion: Sequence[int]) -> bool:
        return len(completion) > 0 and completion[0] == THINK_ID

    def _answer(self, problem: Problem, ids: list[int]) -> str | None:
        return self.vocab[ids[-1]] if ids and ids[-1] >= ZERO_ID else None


@dataclass(frozen=True)
class Letters(Corpus):
    """A corpus without problems."""

    name: ClassVar[str] = "letters"

    vocab = Echo.vocab
    max_document_length = Echo.max_document_length
    encode = Echo.encode
    _decode = Echo._decode

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        return Echo().document(seed, index, split)


class EchoModel(nn.Module):
    """Thinks first with probability `think`; is then right with probability `skill`, otherwise with `luck`;
    a wrong answer is any other digit. Writes EOS after the answer with probability 1 - `ramble`, else one
    more digit 0. Whatever stands on or after a pad is absurd: logits NaN, ids -7, log-probabilities NaN."""

    def __init__(self, think: float = 0.0, skill: float = 1.0, luck: float = 1.0, ramble: float = 0.0) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.think, self.skill, self.luck, self.ramble = think, skill, luck, ramble

    def probs(self, prefix: list[int]) -> Tensor:  # (V,), float64
        probs = torch.zeros(ZERO_ID + DIGITS, dtype=torch.float64)
        if PAD_ID in prefix:
            return probs * math.nan
        if len(prefix) == 1:  # of a document: any digit may be asked for
            probs[ZERO_ID:] = 1 / DIGITS
        elif prefix[-1] >= ZERO_ID and len(prefix) > 2:
            probs[EOS_ID], probs[ZERO_ID] = 1 - self.ramble, self.ramble
        else:
            thought = prefix[-1] == THINK_ID
            right = self.skill if thought else self.luck
            probs[ZERO_ID:] = (1 - right) / (DIGITS - 1)
            probs[prefix[1]] = right
            if not thought:
                probs *= 1 - self.think
                probs[THINK_ID] = self.think
        return probs

    def forward(self, ids: Tensor) -> Tensor:
        rows = [[self.probs(row[: t + 1]) for t in range(len(row))] for row in ids.tolist()]
        return torch.stack([torch.stack(row) for row in rows]).log()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_completion_length: int,
        *,
        temperature: float,
        generator: torch.Generator,
        num_generations: int,
    ) -> Generation:
        rows = [list(prompt) for prompt in prompts for _ in range(num_generations)]
        shape = (len(rows), max_completion_length)
        completions, logps = torch.full(shape, -7), torch.full(shape, math.nan, dtype=torch.float64)
        mask = torch.zeros(shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            for t in range(max_completion_length):
                probs = (self.probs(row).log() / temperature).softmax(-1)
                token = int(torch.multinomial(probs, 1, generator=generator))
                completions[i, t], logps[i, t], mask[i, t] = token, probs[token].log(), True
                row.append(token)
                if token == EOS_ID:
                    break
        return Generation(completions, mask, logps)


class ScriptedModel(EchoModel):
    """Answers problem p of m samples with the completions written down for it."""

    def __init__(self, script: list[list[list[int]]]) -> None:
        super().__init__(think=0.5, skill=0.5, luck=0.5, ramble=0.5)
        self.script = iter(script)

    def generate(self, prompts: Sequence[Sequence[int]], max_completion_length: int, **_: object) -> Generation:
        rows = [row for _ in prompts for row in next(self.script)]
        completions = torch.tensor([row + [-7] * (max_completion_length - len(row)) for row in rows])
        return Generation(completions, completions >= 0, completions * math.nan)


def small_config(**changes: object) -> EvaluationConfig:
    settings = {"problems": 6, "samples": 16, "ks": (1, 2, 16), "documents": 24, "batch_size": 40}
    return EvaluationConfig(**(settings | changes))


def entropy_of(probs: Tensor) -> float:
    return -sum(p * math.log(p) for p in probs.tolist() if p > 0)


def real_model() -> GPT:
    """An untrained GPT, away from uniform, so that its entropies differ."""
    model = new_model()
    with torch.no_grad():
        model.unembedding.mul_(20)
    return model
