"""Repetition and variety of text, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgce_mini.evaluation import distinct, repetition, sample_text
from pgce_mini.gpt import GPT
from pgce_mini.tasks import Split, Text
from pgce_mini.training import ModelShape


def test_repetition_by_hand() -> None:
    # 1 2 1 2 1 2 has the bigrams 12 21 12 21 12: two different ones of five. Another completion starts afresh.
    assert repetition([[1, 2, 1, 2, 1, 2]], n=2) == pytest.approx(3 / 5)
    assert repetition([[1, 2, 1, 2, 1, 2], [1, 2]], n=2) == pytest.approx(3 / 6)
    assert repetition([[1, 2, 3, 4, 5]], n=2) == 0
    assert repetition([[7] * 10], n=4) == pytest.approx(6 / 7)
    assert repetition([[1, 2, 3]], n=4) == 0


def test_distinct_by_hand() -> None:
    assert distinct([[1, 2, 1], [2, 3]], 1) == pytest.approx(3 / 5)
    assert distinct([[1, 2, 1], [2, 3]], 2) == 1
    assert distinct([[1, 2], [1, 2]], 2) == 0.5
    assert distinct([[1]], 2) == 0


def test_samples_depend_on_the_seed_and_get_more_varied_with_temperature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "book.txt").write_text("".join(f"{i} times {i} is {i * i}. " for i in range(400)))
    corpus = Text(path=str(tmp_path / "book.txt"), tokenizer="char", context_length=24)
    model = GPT(ModelShape(hidden_size=16, intermediate_size=16).config(corpus))
    cold, warm = (sample_text(model, corpus, 70, temperature, 0) for temperature in (0.05, 2.0))
    assert cold["distinct_2"] < warm["distinct_2"]
    assert cold["repetition"] > warm["repetition"]
    assert all(0 <= value <= 1 for value in (*cold.values(), *warm.values()))
    assert sample_text(model, corpus, 70, 2.0, 0) == warm
    assert sample_text(model, corpus, 70, 2.0, 1) != warm

    asked: list[tuple[int, int, str]] = []
    document = Text.document

    def spy(self: Text, seed: int, index: int, split: Split = "train") -> list[int]:
        asked.append((seed, index, split))
        return document(self, seed, index, split)

    monkeypatch.setattr(Text, "document", spy)
    sample_text(model, corpus, 70, 1.0, 5)
    assert asked == [(5, index, "heldout") for index in range(70)]
