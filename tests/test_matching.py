"""The temperature that gives one model the entropy of another, on documents and on samples."""

from __future__ import annotations

import math

import pytest
import torch
from echo import real_model
from tiny import TASK, new_model

from pgce_mini.evaluation import (
    EvaluationConfig,
    evaluate_documents,
    matching,
    matching_temperature,
    matching_temperature_on_samples,
    sample_completions,
    token_entropy,
)
from pgce_mini.gpt import GPT

DOCUMENTS = [TASK.document(0, index, "heldout") for index in range(20)]


def test_own_entropy_is_matched_at_temperature_one() -> None:
    model = new_model()
    own = evaluate_documents(model, DOCUMENTS, batch_size=7)["entropy"]
    assert matching_temperature(model, DOCUMENTS, own) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.3, 0.75, 1.5, 4.0])
def test_temperature_that_made_an_entropy_is_found_again(temperature: float) -> None:
    model = new_model()
    with torch.no_grad():
        logits = torch.cat([model(torch.tensor(document[:-1])[None])[0] for document in DOCUMENTS]).double()
    entropy = token_entropy(logits / temperature).mean().item()
    assert matching_temperature(model, DOCUMENTS, entropy) == pytest.approx(temperature, rel=1e-6)


@pytest.mark.parametrize("entropy", [-0.1, 10.0])
def test_entropy_that_no_temperature_gives_is_refused(entropy: float) -> None:
    with pytest.raises(ValueError, match="entropy must be one that a temperature between"):
        matching_temperature(new_model(), DOCUMENTS, entropy)


def sharpened(temperature: float) -> GPT:
    """Samples at temperature 1 what `real_model` samples at this one."""
    model = real_model()
    with torch.no_grad():
        model.unembedding.div_(temperature)
    return model


CONFIG = EvaluationConfig(documents=64)


@pytest.mark.parametrize("temperature", [0.4, 0.9, 1.0, 1.6])
def test_temperature_that_made_samples_is_found_again(temperature: float) -> None:
    found = matching_temperature_on_samples(real_model(), sharpened(temperature), TASK, CONFIG)
    assert found == pytest.approx(temperature, rel=0.01)  # an end of the search may be passed by a few draws


def test_samples_at_the_temperature_have_the_entropy_that_is_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    other = new_model(1)
    with torch.no_grad():
        other.unembedding.mul_(25)
    temperature = matching_temperature_on_samples(real_model(), other, TASK, CONFIG)
    assert abs(temperature - 1) > 0.02

    def entropy(model: GPT, temperature: float) -> float:
        """Of other problems and draws than those that were matched."""
        config = EvaluationConfig(samples=1, temperature=temperature, seed=5)
        problems = [TASK.problem(5, index, "heldout") for index in range(600)]
        nats = [sum(s.entropy) for (s,) in sample_completions(model, TASK, problems, config)]
        lengths = [len(s.ids) for (s,) in sample_completions(model, TASK, problems, config)]
        return sum(nats) / sum(lengths)

    assert entropy(real_model(), temperature) == pytest.approx(entropy(other, 1.0), abs=0.05)


def test_entropy_that_no_temperature_gives_samples_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "HIGHEST", 1.5)
    uniform = sharpened(1e6)
    with pytest.raises(ValueError, match=rf"entropy must be .* gives, got {math.log(len(TASK.vocab)):.3f}"):
        matching_temperature_on_samples(real_model(), uniform, TASK, CONFIG)
