"""The arms predicted-ARM: the prior of ce as theory would have it under ARM's reward, measured like a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import SHAPE, TASK, new_model

from pgce_mini.evaluation import EvaluationConfig, evaluate
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import load_model
from pgce_mini.study import arm_named, load_spec
from pgce_mini.study.predicted import AtRest
from pgce_mini.study.rows import Row
from pgce_mini.study.spec import SpecError
from pgce_mini.study.templates import Templates
from pgce_mini.theory import stationary_policy
from pgce_mini.training import PretrainConfig

SHARP = RewardShaping(-0.25)
JUDGED = EvaluationConfig(problems=6, samples=8, documents=8, seed=3)
PROMPTS = [[6, 2, 7, 2, 8, 3], [7, 2, 6, 3]]


def test_logits_are_those_of_the_stationary_policy_of_each_state() -> None:
    prior, ids = new_model(), torch.tensor([[6, 2, 7, 2, 8]])
    mapped = AtRest(prior, SHARP)(ids)[0].softmax(-1)
    for q, end in zip(prior(ids)[0].double().softmax(-1), mapped, strict=True):
        expected = stationary_policy(q.detach().numpy(), SHARP)
        assert end.detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_prior_is_held_once() -> None:
    prior = new_model()
    held = AtRest(prior, SHARP).state_dict()
    held.pop("identity")
    assert held.keys() == {f"model.prior.{name}" for name in prior.state_dict()}


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_are_drawn_from_these_logits(temperature: float) -> None:
    model = AtRest(new_model(), RewardShaping(0.5, 0.1, 0, 3))
    generator = torch.Generator().manual_seed(0)
    found = model.generate(PROMPTS, 6, temperature=temperature, generator=generator, num_generations=5)
    for i, (ids, mask, logps) in enumerate(zip(*found, strict=True)):
        prompt, completion = PROMPTS[i // 5], ids[mask]
        logits = model(torch.tensor([[*prompt, *completion.tolist()]]))[0, len(prompt) - 1 : -1]
        expected = (logits / temperature).log_softmax(-1).gather(1, completion[:, None])[:, 0]
        torch.testing.assert_close(logps[mask], expected, atol=1e-4, rtol=1e-4)


def test_name_is_that_of_an_arm_that_differs_in_its_reward_alone() -> None:
    arm = arm_named("predicted-precision", top_k=6)
    assert (arm.at_rest, arm.shaping) == (replace(PAPER_ARMS["precision"], top_k=6), RewardShaping(top_k=6))
    assert (arm.prior, arm.policy) == ("ce", "ce")
    assert arm_named("predicted-tail-1").at_rest == RewardShaping(lambda_tail=-1)
    for name in ("ce", "focal-2", "temperature-0.75", "matched-precision", "predicted-precision", "steps-2"):
        with pytest.raises(ValueError, match="there is no arm"):
            arm_named(f"predicted-{name}")


def row(folder: Path, name: str) -> Row:
    pretraining = PretrainConfig(corpus=TASK, model=SHAPE, steps=6, batch_size=4, eval_documents=4)
    templates = Templates("s", folder, folder / "runs", pretraining, None, JUDGED, keep_evaluations=True)
    return templates.row(arm_named(name), seed=1)


def test_row_measures_the_mapped_prior_of_ce_and_trains_nothing_else(tmp_path: Path) -> None:
    plain, predicted = row(tmp_path, "ce"), row(tmp_path, "predicted-precision")
    assert plain.models == predicted.models
    assert "at_rest" not in plain.settings
    assert predicted.settings == {**plain.settings, "at_rest": predicted.settings["at_rest"]}
    plain.execute()
    assert not predicted.unfinished_runs
    kept = (plain.pretrain.run_dir / "evaluation.json").read_bytes()
    predicted.execute()
    assert predicted.finished
    assert (plain.pretrain.run_dir / "evaluation.json").read_bytes() == kept
    prior, task = load_model(plain.pretrain.run_dir)
    expected = evaluate(AtRest(prior, SHARP), task, JUDGED)  # type: ignore[arg-type]
    columns, curves = predicted.result()
    assert columns["sample_entropy_before"] == expected["samples"]["entropy"]["value"]  # type: ignore[index]
    assert columns["entropy_before"] < plain.result()[0]["entropy_before"]
    assert curves[-1]["values"] == expected["samples"]["entropy_by_position"]  # type: ignore[index]


def test_study_with_rl_refuses_a_prediction(tmp_path: Path) -> None:
    text = 'arms = ["ce", "predicted-precision"]\nseeds = 1\ntask.name = "chain-sum"\nrl.steps = 1\n[evaluation]\n'
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        SpecError, match=r"line 1: predicted-precision is the prediction of a prior.*leave out \[rl\]"
    ):
        load_spec(tmp_path / "s.toml", tmp_path / "runs")
