"""Samples: their entropy and log-probabilities are those of the distribution that drew them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from echo import Echo, EchoModel, entropy_of, real_model, small_config
from tiny import TASK

from pgce_mini.evaluation import evaluate, sample_completions, sample_records


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampled_entropy_is_that_of_the_sampling_distribution_token_by_token(temperature: float) -> None:
    task, model = Echo(), EchoModel(think=0.4, skill=0.8, luck=0.3, ramble=0.3)
    config = small_config(temperature=temperature)
    problems = [task.problem(config.seed, i, "heldout") for i in range(config.problems)]
    groups = sample_completions(model, task, problems, config)
    tokens: list[tuple[int, float]] = []  # position, entropy
    for problem, group in zip(problems, groups, strict=True):
        assert len(group) == config.samples
        for sample in group:
            prefixes = [[*problem.prompt, *sample.ids[:t]] for t in range(len(sample.ids))]
            probs = [(model.probs(prefix).log() / temperature).softmax(-1) for prefix in prefixes]
            np.testing.assert_allclose(sample.entropy, [entropy_of(p) for p in probs], atol=1e-12)
            np.testing.assert_allclose(
                sample.logps, [p[i].log().item() for p, i in zip(probs, sample.ids, strict=True)], atol=1e-12
            )
            tokens += enumerate(sample.entropy)
    measured = evaluate(model, task, config)["samples"]
    assert measured["entropy"]["value"] == pytest.approx(np.mean([e for _, e in tokens]))
    by_position = [np.mean([e for t, e in tokens if t == position]) for position in range(4)]
    assert measured["entropy_by_position"] == pytest.approx(by_position)


def test_sample_records_are_readable_and_ready_for_json() -> None:
    records = sample_records(EchoModel(ramble=0.5), Echo(), small_config(seed=3), problems=2, samples=3)
    assert [(r["problem"], r["sample"]) for r in records] == [(p, s) for p in range(2) for s in range(3)]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    for record in records:
        digit = str(3 + record["problem"])  # the problems are those of the seed
        assert record["prompt"] == f"? {digit}"
        written = [token for token in record["tokens"] if token != "<eos>"]
        assert record["completion"] == " ".join(written)
        assert record["truncated"] == ("<eos>" not in record["tokens"])
        assert record["reward"] == (written[-1] == digit and not record["truncated"])
        assert len(record["logps"]) == len(record["entropy"]) == len(record["tokens"])


def test_the_real_models_samples_are_what_its_sampler_reports() -> None:
    gpt, task, config = real_model(), TASK, small_config(temperature=0.7)
    problems = [task.problem(0, i, "heldout") for i in range(3)]
    for problem, group in zip(problems, sample_completions(gpt, task, problems, config), strict=True):
        for sample in group:
            logits = gpt(torch.tensor([[*problem.prompt, *sample.ids]]))[0, len(problem.prompt) - 1 : -1]
            logps = (logits / 0.7).log_softmax(-1)[range(len(sample.ids)), sample.ids]
            np.testing.assert_allclose(sample.logps, logps.detach(), atol=1e-4)
