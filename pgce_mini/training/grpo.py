"""GRPO: reinforcement learning with verifiable rewards, from a prior.

One step: sample a group of completions for each prompt, judge them, turn each group's rewards into advantages,
and take clipped policy-gradient updates on the completions' tokens (DeepSeekMath, arXiv 2402.03300; with
clip-higher, token-mean loss and dynamic sampling of DAPO, arXiv 2503.14476; as the paper trains).

What it leaves out, and why: a value network (the group's mean is the baseline); a separate inference engine, and
so a correction for one; sequence-level ratios (GSPO); partial rewards and length penalties (the verifier's 0 or 1
is the only reward). A KL term to the prior is included but off by default, as in the paper.

Why is the logged loss close to 0 while the gradient is not? In the first update of a step every ratio is 1, so
the loss is minus the token-weighted mean of the advantages, whose mean is 0 in each group; its gradient is still
the policy gradient. The ratio differs from 1 only in later updates on the same rollout (`num_minibatches` or
`num_iterations` above 1).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from pgce_mini.gpt import GPT
from pgce_mini.runs import Run, RunError, config_to_dict, fingerprint, load_model
from pgce_mini.tasks import Task
from pgce_mini.training.config import GRPOConfig, check_rl_memory
from pgce_mini.training.distributed import (
    agreed,
    processes_here,
    rank,
    sum_gradients,
    summed_numbers,
    together,
    world_size,
)
from pgce_mini.training.fsdp import backward, load_whole
from pgce_mini.training.grpo_loss import grpo_loss, kl_to_reference, masked_mean, part_weight
from pgce_mini.training.loop import run_training
from pgce_mini.training.optimizer import clip_gradient, divergence
from pgce_mini.training.rollout import Rollout, heldout_reward, per_token_logps, sample_rollout


def train_grpo(config: GRPOConfig, *, progress: bool = True) -> Run:
    """Runs or continues the reinforcement learning; returns its finished run.

    Each line of metrics.jsonl has, over every completion sampled in the step: `reward`, `reward_std` (mean over
    groups), `frac_reward_zero_std`, `completions/mean_length`, `completions/clipped_ratio`, `reasoned_share`,
    `sampled_groups` (refills included: what the step cost), `groups` (kept to train on, fully truncated ones
    included), `refills`, `rollout_tokens_per_second`; and, if there was a token to train on, over those tokens,
    averaged over the step's updates: `loss` (which does not measure progress), `entropy` (nats/token), `kl` (to
    the prior; only with kl_coef), `clip_ratio/low`, `clip_ratio/high`, `grad_norm` (before clipping). With
    `eval_every`, some have `heldout_reward`: of held-out problems, after the step's updates, at temperature 1
    whatever the temperature of the training.

    Ctrl-C saves the state after the current step and raises KeyboardInterrupt; SIGTERM does the same and raises
    SystemExit(143). The same call goes on from there.

    Called by every process that torchrun has started, it trains on all of them: see `training.distributed`.

    Raises:
        RunError: run_dir holds something else or is damaged, another process is running it, or prior is not a
            finished run of a task with a verifier.
        ValueError: the device is not on this machine, the prompts cannot be split as asked, or the completions do
            not fit the model. Nothing is written then.
        FloatingPointError: the training diverged; the message names the step.
    """
    with together(config, "prompts_per_step", config.prompts_per_step):
        with agreed():
            model, task, settings = _prepared(config)
        limit = config.completion_limit(task)
        reference = copy.deepcopy(model).to(config.device) if config.kl_coef else None
        sampler = (
            copy.deepcopy(model).to(config.device) if config.fsdp else model
        )  # completions end at their own time

        def train_step(optimizer: Optimizer, step: int) -> dict[str, float]:
            if sampler is not model:
                load_whole(sampler, model)
            rollout, row = sample_rollout(sampler, task, config, step)
            if rollout is not None:
                row |= update_policy(model, reference, optimizer, rollout, config, limit, step)
            if config.evaluates_after(step):
                if sampler is not model:
                    load_whole(sampler, model)
                row["heldout_reward"] = heldout_reward(sampler, task, config, step)
            return row

        shown = "reward={reward:.3f}, length={completions/mean_length:.1f}"
        return run_training("rl", config, settings, model, task, train_step, shown=shown, progress=progress)


def _prepared(config: GRPOConfig) -> tuple[GPT, Task, dict[str, Any]]:
    """The prior, its task, and the settings to record; the errors that `train_grpo` names."""
    model, task = load_model(config.prior)
    if not isinstance(task, Task):
        raise RunError(
            f"{config.prior} was trained on {task.name}, which has no verifier: RL needs a task with one"
        )
    limit = config.completion_limit(task)
    model.check_prompts([task.problem(config.seed, 0).prompt], limit)  # all of a task's are equally long
    check_rl_memory(config, model.config, limit, **processes_here())
    return model, task, config_to_dict(config) | {"prior": fingerprint(model)}


class Update(NamedTuple):
    """One update: its part of the rollout, per_token_logps (B, L) of the policy before the update, the gradient of
    the loss with respect to them, and the metrics; B completions, group after group."""

    rollout: Rollout
    per_token_logps: Tensor
    gradient: Tensor
    metrics: dict[str, float]


def update_policy(
    model: GPT, reference: GPT | None, optimizer: Optimizer, rollout: Rollout, config: GRPOConfig, limit: int,
    step: int, watch: Callable[[Update], None] | None = None,
) -> dict[str, float]:  # fmt: skip
    """num_iterations passes of num_minibatches updates; returns their mean metrics.

    `reference` is the model that kl_coef pulls to, `limit` the most tokens of a completion; `watch` is called with
    each update. A part of the rollout without a token to train on is skipped; if all are, there are no metrics.

    Raises:
        FloatingPointError: the training diverged; the message names the step.
    """
    parts = min(config.num_minibatches, len(rollout.prompts))
    rows = []
    for _ in range(config.num_iterations):
        for tensors in zip(*(tensor.tensor_split(parts) for tensor in rollout), strict=True):
            batch = Rollout(*tensors)
            if not batch.completion_mask.any():  # momentum and weight decay would move the weights even so
                continue
            optimizer.zero_grad()
            scored, row = _add_gradients(model, reference, batch, config, limit)
            sum_gradients(model)
            row["grad_norm"] = clip_gradient(model, config.max_grad_norm, step)
            optimizer.step()
            rows.append(row)
            if watch is not None:
                gradient = torch.cat([logps.grad for logps in scored if logps.grad is not None])
                watch(Update(batch, torch.cat(scored).detach(), gradient, row))
    with torch.no_grad():
        if not model(rollout.prompts[:1]).isfinite().all():  # before the model is saved or sampled
            raise divergence(step, "its logits are not finite")
    return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}


def _add_gradients(
    model: GPT, reference: GPT | None, batch: Rollout, config: GRPOConfig, limit: int
) -> tuple[list[Tensor], dict[str, float]]:
    """Adds the gradient of this process's parts of an update; returns their per_token_logps, and the metrics of
    the whole update."""
    mask = batch.completion_mask.flatten(0, 1)
    tokens = mask.sum()
    scored, metrics = [], []
    for part in _own_parts(batch, config.gradient_accumulation_steps):
        part_mask = part.completion_mask.flatten(0, 1)
        logps, entropies = (x.flatten(0, 1) for x in per_token_logps(model, part, config.temperature))
        logps.retain_grad()  # for `watch`
        loss, row = grpo_loss(
            logps, part.old_per_token_logps.flatten(0, 1), part.advantages.flatten(), part_mask,
            epsilon=config.epsilon, epsilon_high=config.epsilon_high,
            loss_type=config.loss_type, max_completion_length=limit,
        )  # fmt: skip
        weight, of_tokens = part_weight(part_mask, mask, config.loss_type), (part_mask.sum() / tokens).item()
        row = {name: of_tokens * value for name, value in row.items()}
        if reference is not None:
            with torch.no_grad():
                ref_logps = per_token_logps(reference, part, config.temperature)[0].flatten(0, 1)
            kl = masked_mean(kl_to_reference(logps, ref_logps), part_mask, config.loss_type, limit)
            loss = loss + config.kl_coef * kl
            row["kl"] = weight * kl.item()
        backward(loss * weight, config)
        scored.append(logps)
        row["grad_norm"] = 0.0  # keeps its place among the columns of metrics.jsonl; the norm is of the sum
        metrics.append(row | {"loss": weight * loss.item(), "entropy": (entropies.sum() / tokens).item()})
    return scored, summed_numbers({name: sum(row[name] for row in metrics) for name in metrics[0]})


def _own_parts(batch: Rollout, parts: int) -> list[Rollout]:
    """This process's groups, in so many parts. One without a group is a group without a token to train on, as each
    process must take part in every pass through a model that is divided."""
    every = zip(*(tensor.tensor_split(parts * world_size()) for tensor in batch), strict=True)
    own = [Rollout(*tensors) for tensors in every][rank() * parts : (rank() + 1) * parts]
    nothing = Rollout(*(tensor[:1] for tensor in batch))
    nothing = nothing._replace(completion_mask=torch.zeros_like(nothing.completion_mask))
    return [part if len(part.prompts) else nothing for part in own]
