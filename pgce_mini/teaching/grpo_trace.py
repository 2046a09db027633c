"""One GRPO step, token by token: what `train_grpo` does in a step, recorded for display.

The rollout comes from `sample_rollout` and the updates from `update_policy`, on a copy of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pgce_mini.gpt import GPT
from pgce_mini.tasks import EOS_ID, Problem, Task
from pgce_mini.training import (
    MAX_DRAWS,
    GRPOConfig,
    Rollout,
    Update,
    adamw,
    held_back,
    per_token_logps,
    sample_rollout,
    update_policy,
)


class TracedUpdate(NamedTuple):
    """One update, computed just before its optimizer step; (G, n, L) is a value per token, 0 or False in padding.

    push is the weight on the token's grad log pi, in units of one token's share of the mean: with loss_type "dapo"
    ratio times advantage, and 0 where the clip holds it back; the gradient of the kl_coef term is added.
    """

    ratio: Tensor  # (G, n, L), the token's probability over that when it was sampled
    push: Tensor  # (G, n, L)
    held_back: Tensor  # (G, n, L) bool
    loss: float  # of the whole update, as grad_norm
    grad_norm: float


class TracedStep(NamedTuple):
    """G problems with n completions each, and the updates on them."""

    problems: list[Problem]
    completions: list[list[list[int]]]  # ids, EOS included
    rewards: Tensor  # (G, n)
    advantages: Tensor  # (G, n)
    old_per_token_logps: Tensor  # (G, n, L), when the tokens were sampled
    updates: list[TracedUpdate]
    ratio_after: Tensor  # (G, n, L), after the last update

    def teaches(self, group: int) -> bool:
        """Whether the group's rewards differ; dynamic sampling would replace it otherwise."""
        return bool((self.rewards[group] != self.rewards[group, 0]).any())

    def rows(self, values: Tensor, group: int) -> list[list[Any]]:
        """The group's part of a number a token, (G, n, L): a row a completion, without padding."""
        rows = zip(self.completions[group], values[group].tolist(), strict=True)
        return [row[: len(ids)] for ids, row in rows]


def trace_step(model: GPT, task: Task, config: GRPOConfig, step: int = 1) -> TracedStep:
    """Step `step` of RL from `model`, which does not change: a rollout of `prompts_per_step` groups and
    `num_iterations` updates, each on the whole rollout (none if every completion was cut off). `model` is also the
    prior that `kl_coef` pulls to. Groups whose rewards are all equal are kept, for display.

    Raises:
        FloatingPointError: an update diverged.
    """
    config = replace(config, dynamic_sampling=False, num_minibatches=1)
    policy = copy.deepcopy(model).to(config.device)
    reference = copy.deepcopy(policy) if config.kl_coef else None
    rollout, _ = sample_rollout(policy, task, config, step)
    assert rollout is not None  # dynamic sampling is off, so no group is dropped
    problems = [task.problem(config.seed, step * MAX_DRAWS + i) for i in range(config.prompts_per_step)]
    completions = [[_up_to_eos(row) for row in group] for group in rollout.completions.tolist()]
    updates: list[TracedUpdate] = []
    optimizer, limit = adamw(policy, config.lr, config.weight_decay), config.completion_limit(task)
    update_policy(
        policy, reference, optimizer, rollout, config, limit, step,
        watch=lambda update: updates.append(_trace(update, config)),
    )  # fmt: skip
    with torch.no_grad():
        ratio_after = _ratio(per_token_logps(policy, rollout, config.temperature)[0], rollout)
    rewards = [
        [task.reward(problem, completion) for completion in group]
        for problem, group in zip(problems, completions, strict=True)
    ]
    return TracedStep(
        problems, completions, torch.tensor(rewards, device=config.device), rollout.advantages,
        rollout.old_per_token_logps, updates, ratio_after,
    )  # fmt: skip


def _trace(update: Update, config: GRPOConfig) -> TracedUpdate:
    rollout = update.rollout
    mask = rollout.completion_mask
    ratio = _ratio(update.per_token_logps.view_as(mask), rollout)
    low, high = held_back(ratio, rollout.advantages[..., None], config.epsilon, config.epsilon_high)
    push = -update.gradient.view_as(mask) * mask.sum()
    return TracedUpdate(ratio, push, (low | high) & mask, update.metrics["loss"], update.metrics["grad_norm"])


def _ratio(logps: Tensor, rollout: Rollout) -> Tensor:
    return (logps - rollout.old_per_token_logps).exp() * rollout.completion_mask


def _up_to_eos(ids: Sequence[int]) -> list[int]:
    """A completion without its padding; one without EOS was cut off and fills its row."""
    row = list(ids)
    return row[: row.index(EOS_ID) + 1] if EOS_ID in row else row
