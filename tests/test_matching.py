"""The temperature that gives one model the entropy of another, on documents."""

from __future__ import annotations

import pytest
import torch
from tiny import TASK, new_model

from pgce_mini.evaluation import evaluate_documents, matching_temperature, token_entropy

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
