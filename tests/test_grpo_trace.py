from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from pgce_mini import GRPOConfig
from pgce_mini.runs import save_model
from pgce_mini.shipped import priors
from pgce_mini.teaching.grpo_trace import TracedStep, trace_step
from pgce_mini.training import MAX_DRAWS, LossType, group_advantages, held_back, masked_mean, train_grpo


def trace(loss_type: LossType = "dapo", **settings: object) -> TracedStep:
    config = GRPOConfig(prompts_per_step=6, num_generations=8, num_iterations=4, loss_type=loss_type, lr=1e-3)
    return trace_step(*priors.load("chain-sum", "ce"), replace(config, **settings))


def mask_of(step: TracedStep) -> torch.Tensor:
    mask = torch.zeros_like(step.ratio_after, dtype=torch.bool)
    for group, completions in enumerate(step.completions):
        for i, ids in enumerate(completions):
            mask[group, i, : len(ids)] = True
    return mask


def test_model_is_left_alone() -> None:
    model, task = priors.load("chain-sum", "ce")
    before = copy.deepcopy(model.state_dict())
    trace_step(model, task, GRPOConfig(prompts_per_step=4, num_generations=4))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["chain-sum", "countdown"])
def test_completions_answer_the_problems_and_are_judged_by_the_verifier(name: str) -> None:
    model, task = priors.load(name, "ce")
    step = trace_step(model, task, GRPOConfig(prompts_per_step=4, num_generations=8, seed=3), step=2)
    assert step.problems == [task.problem(3, 2 * MAX_DRAWS + i) for i in range(4)]
    for problem, completions, rewards in zip(step.problems, step.completions, step.rewards.tolist(), strict=True):
        assert rewards == [task.reward(problem, ids) for ids in completions]
    assert step.advantages.tolist() == group_advantages(step.rewards, "group").tolist()
    assert 0 < step.rewards.mean() < 1


def test_rows_of_a_group_hold_a_number_a_token_and_no_padding() -> None:
    step = trace()
    rows, mask = step.rows(step.old_per_token_logps, 2), mask_of(step)[2]
    assert [len(row) for row in rows] == [len(ids) for ids in step.completions[2]]
    assert [value for row in rows for value in row] == step.old_per_token_logps[2][mask].tolist()


def test_before_the_first_update_every_ratio_is_1_and_the_loss_0_while_the_gradient_is_not() -> None:
    step = trace("grpo")
    first, mask = step.updates[0], mask_of(step)
    assert first.ratio[mask].sub(1).abs().max() < 1e-5
    assert first.ratio[~mask].abs().max() == 0
    assert abs(first.loss) < 1e-6
    assert first.grad_norm > 0.1
    assert step.old_per_token_logps[mask].max() < 0


def test_push_of_a_token_is_ratio_times_advantage_unless_the_clip_holds_it_back() -> None:
    step = trace()
    mask, advantages = mask_of(step), step.advantages[..., None]
    assert not step.updates[0].held_back.any()
    for update in step.updates:
        low, high = held_back(update.ratio, advantages, 0.2, 0.28)
        assert torch.equal(update.held_back, (low | high) & mask)
        expected = update.ratio * advantages * mask * ~update.held_back
        torch.testing.assert_close(update.push, expected, atol=1e-5, rtol=1e-5)
    assert any(update.held_back.any() for update in step.updates[1:])


@pytest.mark.parametrize("loss_type", get_args(LossType))
def test_push_is_the_gradient_of_the_surrogate_in_units_of_a_token(loss_type: LossType) -> None:
    step = trace(loss_type)
    mask, update = mask_of(step), step.updates[-1]
    ratio = update.ratio.double().clamp_min(1e-12).requires_grad_()
    advantages = step.advantages[..., None].double()
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages)
    masked_mean(surrogate.flatten(0, 1), mask.flatten(0, 1), loss_type, 11).backward()
    expected = ratio.grad * ratio.detach() * mask.sum()  # d / d log pi = ratio * d / d ratio
    torch.testing.assert_close(update.push.double(), expected, atol=1e-4, rtol=1e-4)


def test_ratio_after_the_updates_follows_the_advantage() -> None:
    step = trace()
    mask = mask_of(step)
    assert step.ratio_after[mask & (step.advantages > 0)[..., None]].mean() > 1.02
    assert step.ratio_after[mask & (step.advantages < 0)[..., None]].mean() < 1


def test_group_of_equal_rewards_teaches_nothing_and_stays_to_be_seen() -> None:
    step = trace(prompts_per_step=24, num_generations=2, temperature=1.0)
    silent = [group for group in range(24) if len(set(step.rewards[group].tolist())) == 1]
    assert silent
    assert [group for group in range(24) if not step.teaches(group)] == silent
    for group in silent:
        assert not step.advantages[group].any()
        assert not step.updates[0].push[group].any()


def test_updates_are_those_of_a_training_its_pull_to_the_prior_included(tmp_path: Path) -> None:
    model, task = priors.load("chain-sum", "ce")
    save_model(tmp_path / "prior" / "model.safetensors", model, task)
    config = GRPOConfig(
        run_dir=tmp_path / "policy", prior=tmp_path / "prior", steps=1, prompts_per_step=4, num_generations=4,
        num_minibatches=1, num_iterations=3, lr=1e-3, kl_coef=2.0, dynamic_sampling=False,
    )  # fmt: skip
    (row,) = train_grpo(config, progress=False).metrics()
    updates = trace_step(model, task, config).updates
    assert row["kl"] > 0
    assert sum(update.loss for update in updates) / 3 == row["loss"]
    assert sum(update.grad_norm for update in updates) / 3 == row["grad_norm"]


def test_step_of_completions_that_were_all_cut_off_has_no_update() -> None:
    step = trace(max_completion_length=1)
    assert step.updates == []
    assert not step.ratio_after.any()


def test_minibatches_are_not_taken() -> None:
    one, two = trace(num_minibatches=1), trace(num_minibatches=3)
    assert len(one.updates) == len(two.updates) == 4
    assert one.updates[1].loss == two.updates[1].loss
