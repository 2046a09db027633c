"""GRPO: reinforcement learning with verifiable rewards, from a prior.

One step: sample a group of completions for each prompt, judge them, turn each group's rewards into advantages,
and take clipped policy-gradient updates on the tokens that were written (DeepSeekMath, arXiv 2402.03300; with
clip-higher, token-mean loss and dynamic sampling of DAPO, arXiv 2503.14476; as the paper trains).

What it leaves out, and why: a value network (the group's mean is the baseline); micro-batches (the models are
small: an update is one forward pass, so its loss is normalised over all of its tokens); a separate inference
engine, hence no correction for one; sequence-level ratios (GSPO); partial rewards and length penalties (the
verifier's 0 or 1 is the whole signal). A KL term to the prior is there but off, as in the paper.

Why is the logged loss close to 0 while the gradient is not? In the first update of a step every ratio is 1, so
the loss is the token-weighted mean of the advantages, which each group centres at 0; its gradient is the policy
gradient all the same. The ratio moves away from 1 only in later updates on the same rollout (`num_minibatches`
or `num_iterations` above 1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from pgce_mini.checkpoint import (
    Run,
    RunError,
    config_to_dict,
    deferred_interrupt,
    fingerprint,
    load_model,
    save_model,
)
from pgce_mini.evaluate import token_entropy
from pgce_mini.model import GPT, Attend, causal_attention
from pgce_mini.optimizer import adamw, check_device, clip_gradient, divergence
from pgce_mini.tasks import EOS_ID, PAD_ID, Problem, Task
from pgce_mini.tasks.base import check_number, check_seed, check_whole

LossType = Literal["dapo", "grpo", "dr_grpo"]
ScaleRewards = Literal["group", "batch", "none"]

STD_EPSILON = 1e-4  # added to the standard deviation of rewards, as TRL does
MAX_DRAWS = 1_000_000  # problems that one step may draw: step s draws from s * MAX_DRAWS on


@dataclass(frozen=True)
class GRPOConfig:
    """Settings of one RL run, in the words of TRL and verl; the defaults suit chain sum.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    run_dir: Path = Path("runs/policy")
    """folder of the run, made or continued"""
    prior: Path = Path("runs/prior")
    """run folder (or model.safetensors) of the pre-trained model to start from"""
    steps: int = 80
    """rollouts, each with its updates"""
    prompts_per_step: int = 24
    """groups that one rollout trains on"""
    num_generations: int = 16
    """completions a prompt: the group"""
    max_completion_length: int | None = None
    """tokens before a completion is cut off; by default what the task's longest sensible answer needs"""
    temperature: float = 1.0
    """of the sampling, and of the policy whose gradient is taken"""
    lr: float = 3e-4
    """learning rate, constant"""
    weight_decay: float = 0.0
    """on matrices only"""
    max_grad_norm: float = 1.0
    """gradients are clipped to this norm"""
    num_minibatches: int = 2
    """parts into which a rollout is split, an update each"""
    num_iterations: int = 1
    """passes over each rollout"""
    epsilon: float = 0.2
    """the ratio is clipped from below at 1 - epsilon"""
    epsilon_high: float = 0.28
    """and from above at 1 + epsilon_high (clip-higher)"""
    kl_coef: float = 0.0
    """weight of the KL divergence from the prior"""
    loss_type: LossType = "dapo"
    """dapo: mean over tokens; grpo: mean over sequences of token means; dr_grpo: sum over a constant length"""
    scale_rewards: ScaleRewards = "group"
    """divide advantages by the standard deviation of the group's rewards, of the batch's, or not (Dr. GRPO)"""
    dynamic_sampling: bool = True
    """replace groups whose rewards are all equal, which teach nothing, by fresh ones"""
    max_refills: int = 4
    """rounds of such replacement a step; after them the step trains on what it has"""
    mask_truncated_completions: bool = True
    """keep completions that were cut off out of the loss"""
    save_every: int = 20
    """steps between saved states to resume from"""
    seed: int = 0
    """draws the problems and the completions"""
    device: str = "cpu"
    """cpu, cuda or mps; these small models are fastest on the cpu"""

    def __post_init__(self) -> None:
        for name in ("steps", "prompts_per_step", "num_minibatches", "num_iterations", "save_every"):
            check_whole(name, getattr(self, name), 1)
        check_whole("num_generations", self.num_generations, 2)
        check_whole("max_refills", self.max_refills, 0)
        check_seed(self.seed)
        if self.max_completion_length is not None:
            check_whole("max_completion_length", self.max_completion_length, 1)
        for name in ("temperature", "lr", "weight_decay", "max_grad_norm", "epsilon_high", "kl_coef"):
            check_number(name, getattr(self, name))
        check_number("epsilon", self.epsilon, 1)
        for name in ("temperature", "lr", "max_grad_norm"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0, got 0")
        for name, choices in (("loss_type", get_args(LossType)), ("scale_rewards", get_args(ScaleRewards))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.num_minibatches > self.prompts_per_step:
            raise ValueError(
                f"num_minibatches must be at most prompts_per_step={self.prompts_per_step}, "
                f"got {self.num_minibatches}"
            )

    def completion_limit(self, task: Task) -> int:
        """max_completion_length, resolved."""
        return self.max_completion_length or task.max_completion_length


def group_advantages(rewards: Tensor, scale_rewards: ScaleRewards) -> Tensor:
    """What each completion did better than its group: reward minus the group's mean, scaled.

    Shapes:
        rewards: (G, num_generations) -> the same

    Standard deviations are those of a sample (ddof 1), plus 1e-4. Dividing by the group's makes rare successes
    and rare failures count more (a bias towards very easy and very hard prompts); "none" avoids it.

    Source: DeepSeekMath Eq. in section 4.1; "none": Dr. GRPO (arXiv 2503.20783).
    """
    advantages = rewards - rewards.mean(1, keepdim=True)
    if scale_rewards == "group":
        return advantages / (rewards.std(1, keepdim=True) + STD_EPSILON)
    if scale_rewards == "batch":
        return advantages / (rewards.std() + STD_EPSILON)
    return advantages


def grpo_loss(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    *,
    epsilon: float,
    epsilon_high: float,
    loss_type: LossType,
    max_completion_length: int,
) -> tuple[Tensor, dict[str, float]]:
    """The clipped surrogate  - mean min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)  and how often
    the clip holds the gradient back: `clip_ratio/low` (A < 0), `clip_ratio/high` (A > 0), as shares of tokens.

    Shapes:
        per_token_logps, old_per_token_logps: (B, L); advantages: (B); completion_mask: (B, L) bool -> ()
        Whatever stands where the mask is False is ignored; with no token kept the loss is 0.

    Source: PPO (arXiv 1707.06347) Eq. 7 per token; clip-higher and the token mean: DAPO Eq. 8.
    """
    mask = completion_mask
    log_ratio = torch.where(mask, per_token_logps - old_per_token_logps, 0.0)
    ratio = log_ratio.exp()  # (B, L)
    advantage = advantages.unsqueeze(1)  # (B, 1)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    per_token_loss = -torch.minimum(ratio * advantage, clipped * advantage)
    loss = masked_mean(per_token_loss, mask, loss_type, max_completion_length)
    with torch.no_grad():
        tokens = mask.sum().clamp_min(1)
        low, high = (held & mask for held in held_back(ratio, advantage, epsilon, epsilon_high))
        clip_ratios = {
            "clip_ratio/low": (low.sum() / tokens).item(),
            "clip_ratio/high": (high.sum() / tokens).item(),
        }
    return loss, clip_ratios


def held_back(ratio: Tensor, advantages: Tensor, epsilon: float, epsilon_high: float) -> tuple[Tensor, Tensor]:
    """Where the clip takes the gradient away: from a token that has already become unlikely enough (low) or likely
    enough (high). A ratio that left the range against its advantage still has its gradient.

    Shapes:
        ratio, advantages: (...) that broadcast together -> (...) bool, (...) bool
    """
    return (ratio < 1 - epsilon) & (advantages < 0), (ratio > 1 + epsilon_high) & (advantages > 0)


def masked_mean(values: Tensor, mask: Tensor, loss_type: LossType, max_completion_length: int) -> Tensor:
    """Reduces per-token values (B, L) to a scalar: over tokens ("dapo"), over sequences of token means ("grpo"),
    or a sum over B * max_completion_length, so that long completions are not diluted ("dr_grpo").

    Completions without a kept token are not counted as sequences of "grpo".
    """
    values = torch.where(mask, values, 0.0)
    if loss_type == "dapo":
        return values.sum() / mask.sum().clamp_min(1)
    if loss_type == "grpo":
        lengths = mask.sum(1)  # (B)
        return (values.sum(1) / lengths.clamp_min(1)).sum() / (lengths > 0).sum().clamp_min(1)
    return values.sum() / (len(values) * max_completion_length)


def kl_to_reference(per_token_logps: Tensor, ref_per_token_logps: Tensor) -> Tensor:
    """The estimator exp(d) - d - 1, d = log ref - log policy, of the KL divergence from the reference; (B, L).

    Source: Schulman, "Approximating KL divergence" (2020), k3; DeepSeekMath Eq. 4.
    """
    difference = ref_per_token_logps - per_token_logps
    return difference.exp() - difference - 1


class Rollout(NamedTuple):
    """What a step trains on: G groups of n completions, right-padded.

    prompts: (G, P); prompt_lengths: (G); completions: (G, n, L); completion_mask: (G, n, L), True on the tokens to
    train on: those of a completion up to its end, or none of them; old_per_token_logps: (G, n, L), when they were
    sampled; advantages: (G, n).
    """

    prompts: Tensor
    prompt_lengths: Tensor
    completions: Tensor
    completion_mask: Tensor
    old_per_token_logps: Tensor
    advantages: Tensor


def per_token_logps(model: GPT, rollout: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the completions' tokens under softmax(logits / temperature) and the entropies (nats) of
    these distributions; 0 where completion_mask is False. Entropies carry no gradient.

    A prompt runs through the model once, not once a completion: with short completions it is most of the tokens.

    Shapes:
        -> (G, n, L), (G, n, L)
    """
    prompts, lengths, completions, mask = rollout[:4]
    groups, prompt_length = prompts.shape
    read = F.pad(mask[..., 1:], (0, 1))  # (G, n, L), the tokens whose next one is asked for; N of them
    positions = lengths[:, None, None] + torch.arange(mask.shape[2], device=mask.device)  # (G, 1, L)
    hidden = model.model(
        torch.cat([prompts.flatten(), completions[read]]),
        torch.cat(
            [torch.arange(prompt_length, device=mask.device).repeat(groups), positions.expand_as(mask)[read]]
        ),
        shared_prompt_attention(lengths, prompt_length, read),
    )  # (G * P + N, d)
    of_prompts, of_completions = hidden.split([prompts.numel(), len(hidden) - prompts.numel()])
    last = torch.arange(groups, device=mask.device) * prompt_length + lengths - 1  # (G)
    first = of_prompts[last][:, None, None].expand(-1, mask.shape[1], -1, -1)  # (G, n, 1, d)
    states = torch.cat([first, spread(of_completions, read)[:, :, :-1]], 2)[mask]  # (M, d), M tokens trained on
    logits = F.linear(states, model.unembedding) / temperature  # (M, V)
    logps = -F.cross_entropy(logits, completions[mask], reduction="none")  # (M)
    return spread(logps, mask), spread(token_entropy(logits.detach()), mask)


def shared_prompt_attention(lengths: Tensor, prompt_length: int, read: Tensor) -> Attend:
    """Causal attention over the tokens of G prompts (G, P) and, after them, those of the completions where `read`
    (G, n, L): a group's all read the keys of its one prompt."""
    groups, size, length = read.shape
    seen = torch.arange(prompt_length, device=read.device) < lengths[:, None]  # (G, P)
    past = torch.ones(length, length, dtype=torch.bool, device=read.device).tril()
    visible = torch.cat([seen[:, None].expand(-1, length, -1), past.expand(groups, -1, -1)], 2)  # (G, L, P + L)
    visible = visible.repeat_interleave(size, 0).unsqueeze(1)  # (G * n, 1, L, P + L)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # (G * P + N, heads, head_dim) each
        prompts = groups * prompt_length
        before = [x[:prompts].unflatten(0, (groups, prompt_length)) for x in (q, k, v)]
        own_q, own_k, own_v = (spread(x[prompts:], read).flatten(0, 1) for x in (q, k, v))  # (G * n, L, ...)
        all_k, all_v = (
            torch.cat([shared.repeat_interleave(size, 0), own], 1).transpose(1, 2)
            for shared, own in ((before[1], own_k), (before[2], own_v))
        )  # (G * n, heads, P + L, head_dim)
        grouped = q.shape[1] != k.shape[1]
        out = F.scaled_dot_product_attention(
            own_q.transpose(1, 2), all_k, all_v, attn_mask=visible, enable_gqa=grouped
        )
        on_completions = out.transpose(1, 2)[read.flatten(0, 1)]  # (N, heads, head_dim)
        return torch.cat([causal_attention(layer, *before).flatten(0, 1), on_completions])

    return attend


def spread(values: Tensor, mask: Tensor) -> Tensor:
    """(N, ...) values at the N places where `mask` is True, 0 elsewhere: (*mask.shape, ...)."""
    places = values.new_zeros(mask.numel(), *values.shape[1:])
    return places.index_copy(0, mask.flatten().nonzero().squeeze(1), values).view(*mask.shape, *values.shape[1:])


def train_grpo(config: GRPOConfig, *, progress: bool = True) -> Run:
    """Runs or continues the reinforcement learning; returns its finished run.

    Each line of metrics.jsonl has, over every completion sampled in the step: `reward`, `reward_std` (mean over
    groups), `frac_reward_zero_std`, `completions/mean_length`, `completions/clipped_ratio`, `reasoned_share`,
    `groups` (those kept to train on, with or without a completion that was not cut off), `refills`,
    `rollout_tokens_per_second`; and, unless no token was left to train on, over the trained tokens, averaged over
    the step's updates: `loss` (no measure of progress), `entropy` (nats/token), `kl` (to the prior; only with
    kl_coef), `clip_ratio/low`, `clip_ratio/high`, `grad_norm` (before clipping).

    Ctrl-C saves the state after the current step and raises KeyboardInterrupt; the same call goes on from there.

    Raises:
        RunError: run_dir holds something else or is damaged, another process is running it, or prior is no
            finished run of a verifiable task.
        ValueError: the device is not there, or the completions do not fit the model. Nothing is written then.
        FloatingPointError: the training diverged; the message names the step.
    """
    check_device(config.device)
    model, task = load_model(config.prior)
    if not isinstance(task, Task):
        raise RunError(
            f"{config.prior} was trained on {task.name}, which has no verifier: RL needs a task with one"
        )
    limit = config.completion_limit(task)
    model.check_prompts([task.problem(config.seed, 0).prompt], limit)  # all of a task's are equally long
    with Run.start(config.run_dir, "rl", config_to_dict(config) | {"prior": fingerprint(model)}) as run:
        if run.finished:
            return run
        reference = load_model(config.prior)[0].to(config.device) if config.kl_coef else None
        model.to(config.device)
        optimizer = adamw(model, config.lr, config.weight_decay)
        done = run.load_state(model, optimizer)
        bar = tqdm(total=config.steps, initial=done, desc=run.path.name, unit="step", disable=not progress)
        with bar, deferred_interrupt() as interrupted:
            for step in range(done + 1, config.steps + 1):
                rollout, row = sample_rollout(model, task, config, step)
                if rollout is not None:
                    row |= update_policy(model, reference, optimizer, rollout, config, limit, step)
                run.append_metrics({"step": step, **row})
                bar.set_postfix(reward=f"{row['reward']:.3f}", length=f"{row['completions/mean_length']:.1f}")
                bar.update()
                stop = interrupted()
                if stop or step % config.save_every == 0:
                    run.save_state(step, model, optimizer)
                if stop:
                    raise KeyboardInterrupt
        save_model(run.model_path, model, task)
        return run


def sample_rollout(
    model: GPT, task: Task, config: GRPOConfig, step: int
) -> tuple[Rollout | None, dict[str, float]]:
    """Samples and judges groups until `prompts_per_step` of them teach something (dynamic sampling) or the
    refills are used up; the rollout is None when no group is left. A pure function of weights and step."""
    generator = torch.Generator(config.device).manual_seed(config.seed * MAX_DRAWS + step)
    limit = config.completion_limit(task)
    started = time.perf_counter()
    groups: list[_Group] = []  # to train on
    sampled: list[_Group] = []
    rounds = 0
    while len(groups) < config.prompts_per_step and rounds <= config.max_refills:
        first = step * MAX_DRAWS + len(sampled)
        missing = config.prompts_per_step - len(groups)
        problems = [task.problem(config.seed, first + i) for i in range(missing)]
        fresh = _sample_groups(model, task, problems, limit, config, generator)
        sampled += fresh
        groups += [group for group in fresh if group.teaches or not config.dynamic_sampling]
        rounds += 1
    tokens = sum(len(completion) for group in sampled for completion in group.completions)
    row = _rollout_metrics(task, sampled) | {
        "groups": len(groups),
        "refills": rounds - 1,
        "rollout_tokens_per_second": tokens / (time.perf_counter() - started),
    }
    return (_as_rollout(groups, config) if groups else None), row


class _Group(NamedTuple):
    """The n completions of one prompt as they were sampled (see `Generation`), and their rewards."""

    problem: Problem
    ids: Tensor  # (n, L)
    mask: Tensor  # (n, L)
    logps: Tensor  # (n, L)
    rewards: list[float]

    @property
    def completions(self) -> list[list[int]]:
        """EOS included and nothing after it."""
        return written(self.ids, self.mask)

    @property
    def teaches(self) -> bool:
        return len(set(self.rewards)) > 1


def written(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """The kept tokens of each row, without padding."""
    return [row[:length] for row, length in zip(ids.tolist(), mask.sum(1).tolist(), strict=True)]


def _sample_groups(
    model: GPT,
    task: Task,
    problems: Sequence[Problem],
    limit: int,
    config: GRPOConfig,
    generator: torch.Generator,
) -> list[_Group]:
    generation = model.generate(
        [problem.prompt for problem in problems],
        limit,
        temperature=config.temperature,
        generator=generator,
        num_generations=config.num_generations,
    )
    groups = []
    for problem, *tensors in zip(problems, *(x.split(config.num_generations) for x in generation), strict=True):
        ids, mask, logps = tensors
        rewards = [task.reward(problem, completion) for completion in written(ids, mask)]
        groups.append(_Group(problem, ids, mask, logps, rewards))
    return groups


def _rollout_metrics(task: Task, sampled: Sequence[_Group]) -> dict[str, float]:
    rewards = torch.tensor([group.rewards for group in sampled], device="cpu")  # (G, num_generations)
    judged = [(group.problem, completion) for group in sampled for completion in group.completions]
    truncated = sum(EOS_ID not in completion for _, completion in judged)
    return {
        "reward": rewards.mean().item(),
        "reward_std": rewards.std(1).mean().item(),
        "frac_reward_zero_std": sum(not group.teaches for group in sampled) / len(sampled),
        "completions/mean_length": sum(len(completion) for _, completion in judged) / len(judged),
        "completions/clipped_ratio": truncated / len(judged),
        "reasoned_share": sum(task.reasoned(*pair) for pair in judged) / len(judged),
    }


def _as_rollout(groups: Sequence[_Group], config: GRPOConfig) -> Rollout:
    def padded(rows: Sequence[Tensor]) -> Tensor:  # rounds of sampling may differ in length
        length = max(row.shape[1] for row in rows)
        return torch.stack([F.pad(row, (0, length - row.shape[1])) for row in rows])

    device = config.device
    prompts = [torch.tensor(group.problem.prompt, device=device) for group in groups]
    completions, mask = padded([group.ids for group in groups]), padded([group.mask for group in groups])
    if config.mask_truncated_completions:
        mask &= (completions == EOS_ID).any(2, keepdim=True)
    return Rollout(
        prompts=pad_sequence(prompts, batch_first=True, padding_value=PAD_ID),
        prompt_lengths=torch.tensor([len(prompt) for prompt in prompts], device=device),
        completions=completions,
        completion_mask=mask,
        old_per_token_logps=padded([group.logps for group in groups]),
        advantages=group_advantages(
            torch.tensor([group.rewards for group in groups], device=device), config.scale_rewards
        ),
    )


class Update(NamedTuple):
    """One update: its part of the rollout, per_token_logps (B, L) of the policy before it, the gradient of the
    loss with respect to them, and its metrics; B completions, group after group."""

    rollout: Rollout
    per_token_logps: Tensor
    gradient: Tensor
    metrics: dict[str, float]


def update_policy(
    model: GPT,
    reference: GPT | None,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    config: GRPOConfig,
    limit: int,
    step: int,
    watch: Callable[[Update], None] | None = None,
) -> dict[str, float]:
    """num_iterations passes of num_minibatches updates, telling `watch` of each; returns their mean metrics.

    A part without a token to train on is no update; without any there are no metrics.
    """
    parts = min(config.num_minibatches, len(rollout.prompts))
    rows = []
    for _ in range(config.num_iterations):
        for tensors in zip(*(tensor.tensor_split(parts) for tensor in rollout), strict=True):
            batch = Rollout(*tensors)
            mask = batch.completion_mask.flatten(0, 1)
            if not mask.any():  # a step of the optimizer would move the weights all the same, by its momentum
                continue
            logps, entropies = (x.flatten(0, 1) for x in per_token_logps(model, batch, config.temperature))
            if watch is not None:
                logps.retain_grad()
            loss, row = grpo_loss(
                logps,
                batch.old_per_token_logps.flatten(0, 1),
                batch.advantages.flatten(),
                mask,
                epsilon=config.epsilon,
                epsilon_high=config.epsilon_high,
                loss_type=config.loss_type,
                max_completion_length=limit,
            )
            if reference is not None:
                with torch.no_grad():
                    ref_logps = per_token_logps(reference, batch, config.temperature)[0].flatten(0, 1)
                kl = masked_mean(kl_to_reference(logps, ref_logps), mask, config.loss_type, limit)
                loss = loss + config.kl_coef * kl
                row["kl"] = kl.item()
            optimizer.zero_grad()
            loss.backward()
            row["grad_norm"] = clip_gradient(model, config.max_grad_norm, step)
            optimizer.step()
            row["loss"] = loss.item()
            row["entropy"] = (entropies.sum() / mask.sum().clamp_min(1)).item()
            rows.append(row)
            if watch is not None:
                assert logps.grad is not None
                watch(Update(batch, logps.detach(), logps.grad, row))
    with torch.no_grad():
        if not model(rollout.prompts[:1]).isfinite().all():  # before it is saved or sampled from
            raise divergence(step, "its logits are not numbers")
    return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}
