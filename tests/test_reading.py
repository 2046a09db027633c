from __future__ import annotations

import math

import pytest
import torch
from tiny import TASK, new_model

from pgce_mini import GPT, Countdown, GPTConfig, Text
from pgce_mini.tasks import EOS_ID, Corpus
from pgce_mini.teaching.reading import MAX_CHARACTERS, encode_prompt, likeliest, next_token, read_on

PROMPT = "3 + 1 + 2 + 3 + 0 ="


def test_prompt_of_the_task_is_encoded() -> None:
    assert encode_prompt(TASK, PROMPT, 8) == TASK.encode(PROMPT)


@pytest.mark.parametrize(
    ("corpus", "text", "written", "message"),
    [
        (TASK, "", 8, "the prompt is empty: write at least one token"),
        (TASK, "   ", 8, "the prompt is empty"),
        (TASK, "3 + x =", 8, "text holds 'x', which is not a token of chain-sum"),
        (TASK, "<b>3</b>", 8, "text holds '<b>3</b>', which is not a token"),
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

    def written(seed: int) -> list[int]:
        return read_on(model, TASK, ids, 8, temperature=1.0, top_k=3, seed=seed).ids

    assert written(1) == written(1)
    assert len({tuple(written(seed)) for seed in range(8)}) > 1


def test_seed_that_no_generator_takes_is_named() -> None:
    with pytest.raises(ValueError, match="seed must be a whole number between 0 and"):
        read_on(new_model(), TASK, TASK.encode(PROMPT), 8, temperature=1.0, top_k=3, seed=2**64)


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
