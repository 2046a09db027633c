"""The policies that come with the package score what the manifest says, and the builder makes such ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgce_mini import PAPER_ARMS, EvaluationConfig, evaluate
from pgce_mini.runs import load_model
from pgce_mini.shipped import policies, priors


@pytest.mark.parametrize("task", policies.SETTINGS)
@pytest.mark.parametrize("arm", PAPER_ARMS)
def test_a_policy_solves_what_the_manifest_says_and_more_than_its_prior(task: str, arm: str) -> None:
    entry = policies.manifest()["policies"][f"{task}-{arm}"]
    assert entry["prior_sha256"] == priors.manifest()["priors"][f"{task}-{arm}"]["sha256"]
    assert entry["after"]["avg_at_m"] > entry["before"]["avg_at_m"]
    model, corpus = policies.load(task, arm)
    samples = evaluate(model, corpus, EvaluationConfig(problems=96, samples=8, ks=(1,)))["samples"]
    assert samples is not None
    # fewer samples than in the manifest: 768 of them, a standard error of at most 0.02
    assert samples["avg_at_m"]["value"] == pytest.approx(entry["after"]["avg_at_m"], abs=0.07)


def test_building_goes_on_and_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(policies.SETTINGS["chain-sum"], steps=2, prompts_per_step=2, num_generations=4, max_refills=0)
    monkeypatch.setitem(policies.SETTINGS, "chain-sum", quick)
    monkeypatch.setattr(priors, "EVALUATION", EvaluationConfig(problems=4, samples=4, ks=(1, 4)))

    def build(arm: str) -> dict[str, Any]:
        return policies.build(tmp_path, tmp_path / "runs", ("chain-sum",), (arm,), progress=False)

    build("precision")
    both = build("ce")
    assert list(both["policies"]) == ["chain-sum-ce", "chain-sum-precision"]
    before = (tmp_path / "chain-sum-ce.safetensors").read_bytes()
    assert build("ce") == both == policies.manifest(tmp_path)  # a finished run is not run again
    assert (tmp_path / "chain-sum-ce.safetensors").read_bytes() == before
    assert load_model(tmp_path / "chain-sum-ce.safetensors")[1].name == "chain-sum"
