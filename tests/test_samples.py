"""Completions to read: their probabilities, their rewards and where their prompts come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import TASK, new_model

from pgce_mini import GPT, GPTConfig, Text
from pgce_mini.runs import load_model
from pgce_mini.tasks import EOS_ID
from pgce_mini.teaching.samples import draw_samples

TEXT = Text(vocab_size=300, context_length=32)


@pytest.fixture(scope="module")
def text_model() -> GPT:
    return GPT(GPTConfig(vocab_size=len(TEXT.vocab), hidden_size=16), torch.Generator().manual_seed(0))


def ids_of(tokens: list[str]) -> list[int]:
    return [TASK.vocab.index(token) for token in tokens]


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_probabilities_are_those_of_the_distribution_that_is_sampled(temperature: float) -> None:
    model = new_model()
    for sample in draw_samples(model, TASK, prompts=2, samples=2, temperature=temperature, seed=3):
        ids = TASK.encode(sample.prompt)
        for token, probability in zip(ids_of(sample.tokens), sample.probabilities, strict=True):
            probs = (model(torch.tensor([ids]))[0, -1] / temperature).softmax(-1)
            assert probability == pytest.approx(probs[token].item(), abs=1e-6)
            ids.append(token)


def test_held_out_problems_are_asked_in_order_and_judged(prior: Path) -> None:
    samples = draw_samples(load_model(prior)[0], TASK, prompts=8, samples=8, seed=5)
    problems = [TASK.problem(5, index, "heldout") for index in range(8) for _ in range(8)]
    assert [sample.prompt for sample in samples] == [TASK.decode(problem.prompt) for problem in problems]
    assert [sample.reward for sample in samples] == [
        TASK.reward(problem, ids_of(sample.tokens)) for problem, sample in zip(problems, samples, strict=True)
    ]
    assert {sample.reward for sample in samples} == {0.0, 1.0}
    assert any(ids_of(sample.tokens)[-1] == EOS_ID for sample in samples)


def test_a_typed_prompt_has_no_reward_and_is_checked_as_every_typed_prompt() -> None:
    (sample,) = draw_samples(new_model(), TASK, "3 + 1 =", samples=1)
    assert (sample.prompt, sample.reward) == ("3 + 1 =", None)
    with pytest.raises(ValueError, match="the prompt is empty"):
        draw_samples(new_model(), TASK, " ")


def test_a_text_is_continued_from_the_beginning_of_held_out_documents(text_model: GPT) -> None:
    samples = draw_samples(text_model, TEXT, prompts=2, samples=2, seed=1)
    beginnings = [TEXT.decode(TEXT.document(1, index, "heldout")[:16]) for index in (0, 1)]
    assert [sample.prompt for sample in samples] == [beginnings[0]] * 2 + [beginnings[1]] * 2
    assert all(sample.reward is None for sample in samples)
    assert draw_samples(text_model, TEXT, "The ", max_completion_length=3, samples=1)[0].tokens
