"""How a model reads a prompt and continues it; completions, their probabilities, rewards and prompts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import TASK, new_model

from pgce_mini import GPT, Countdown, GPTConfig, Text
from pgce_mini.runs import load_model
from pgce_mini.tasks import EOS_ID, Corpus
from pgce_mini.teaching.reading import MAX_CHARACTERS, draw_samples, encode_prompt, likeliest, next_token, read_on

PROMPT = "3 + 1 + 2 + 3 + 0 ="
TEXT = Text(vocab_size=300, context_length=32)


@pytest.fixture(scope="module")
def text_model() -> GPT:
    return GPT(GPTConfig(vocab_size=len(TEXT.vocab), hidden_size=16), torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("corpus", "text", "written", "message"),
    [
        (TASK, "", 8, "the prompt is empty: write at least one token"),
        (TASK, "   ", 8, "the prompt is empty"),
        (TASK, "<b>3</b>", 8, "text holds '<b>', which is not a token of chain-sum: write a prompt such as “2"),
        (TASK, PROMPT + " 3", 8, "has 11 tokens, and with the 8 to be written after it at most 10 fit the 18"),
        (Countdown(), "😀", 1, "text holds '😀', which is not a token of countdown"),
        (Text(context_length=16), "a" * MAX_CHARACTERS, 4, r"has \d+ tokens, and with the 4 to be written"),
        (Text(), "x" * 100_000, 40, "the prompt has 100,000 characters, and at most 2,000 are read: shorten it"),
    ],
)
def test_prompt_that_cannot_be_read_is_explained_in_one_sentence(
    corpus: Corpus, text: str, written: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        encode_prompt(corpus, text, written)
    assert len(str(raised.value)) < 250  # the prompt itself is not repeated


def test_prompt_of_the_task_is_encoded_with_or_without_its_spaces() -> None:
    assert encode_prompt(TASK, PROMPT, 8) == TASK.encode(PROMPT)
    assert encode_prompt(TASK, PROMPT.replace(" ", ""), 8) == TASK.encode(PROMPT)
    assert encode_prompt(Countdown(), "2 3 7->13:", 1) == Countdown().encode("2 3 7 -> 13 :")


def test_long_prompt_is_refused_before_it_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Text, "encode", lambda *_: pytest.fail("it was encoded"))
    with pytest.raises(ValueError, match="100,001 characters"):
        encode_prompt(Text(), "x" * 100_001, 1)


def test_next_token_is_the_softmax_of_the_last_logits() -> None:
    model, ids = new_model(), TASK.encode(PROMPT)
    found = next_token(model, ids, top_k=6)
    probs = model(torch.tensor([ids]))[0, -1].double().softmax(-1)
    assert found.probs.tolist() == pytest.approx(probs.tolist(), abs=1e-6)
    assert found.entropy == pytest.approx(-sum(p * math.log(p) for p in probs.tolist()), abs=1e-5)
    assert found.head == pytest.approx(sum(sorted(probs.tolist())[-6:]), abs=1e-6)
    assert next_token(model, ids, top_k=10_000).head == pytest.approx(1)


def test_reading_agrees_with_reading_every_prefix_on_its_own() -> None:
    model, ids = new_model(), TASK.encode(PROMPT)
    reading = read_on(model, TASK, ids, 8, temperature=1.3, top_k=3, seed=4)
    assert reading.ids[: len(ids)] == ids
    assert len(reading.ids) == len(ids) + reading.written
    for i, token in enumerate(reading.ids[1:]):
        expected = next_token(model, reading.ids[: i + 1], 3)
        assert reading.probs[i] == pytest.approx(expected.probs[token].item(), abs=1e-6)
        assert reading.entropy[i] == pytest.approx(expected.entropy, abs=1e-5)
        assert reading.head[i] == pytest.approx(expected.head, abs=1e-5)
    assert reading.completion == list(zip(reading.ids, [math.nan, *reading.probs], strict=True))[len(ids) :]


def test_completion_follows_the_seed() -> None:
    model, ids = new_model(), TASK.encode(PROMPT)
    read = [read_on(model, TASK, ids, 8, temperature=1.0, top_k=3, seed=seed).ids for seed in (0, 1, 2, 3, 0)]
    assert read[0] == read[-1] != read[1]


def test_end_ends_the_completion_of_a_task_and_is_a_token_of_a_text() -> None:
    """An untrained model writes EOS now and then."""
    for corpus, ends in ((TASK, True), (Text(vocab_size=300), False)):
        config = GPTConfig(vocab_size=len(corpus.vocab), hidden_size=16, num_hidden_layers=1)
        model = GPT(config, torch.Generator().manual_seed(0))
        readings = [read_on(model, corpus, [5], 50, temperature=1.0, top_k=3, seed=seed) for seed in range(40)]
        with_end = [reading.ids for reading in readings if EOS_ID in reading.ids]
        assert len(with_end) > 2
        assert all((ids.index(EOS_ID) == len(ids) - 1) == ends for ids in with_end)


def test_likeliest_are_those_that_any_distribution_holds_for_likely() -> None:
    one, other = torch.tensor([0.7, 0.1, 0.15, 0.05]), torch.tensor([0.2, 0.1, 0.1, 0.6])
    assert likeliest({"one": one, "other": other}, 3) == [0, 3, 2]
    assert likeliest({"one": one}, 99) == [0, 2, 1, 3]


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
    assert max(len(sample.tokens) for sample in samples) == 64  # unless a length is given
    assert draw_samples(text_model, TEXT, "The ", max_completion_length=3, samples=1)[0].tokens
