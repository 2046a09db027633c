"""The rollout of a GRPO step: groups of completions, sampled and judged by the task's verifier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from pgce_mini.evaluation import token_entropy
from pgce_mini.gpt import GPT, Draws, Generation, shared_prompt_attention, spread, written
from pgce_mini.tasks import EOS_ID, PAD_ID, Problem, Task
from pgce_mini.training.config import GRPOConfig
from pgce_mini.training.distributed import agreed, counts, gathered, rank, share, world_size
from pgce_mini.training.grpo_loss import group_advantages

MAX_DRAWS = 1_000_000  # problems that one step may draw: step s draws those from index s * MAX_DRAWS on


class Rollout(NamedTuple):
    """What a step trains on: G groups of n completions, right-padded."""

    prompts: Tensor  # (G, P)
    prompt_lengths: Tensor  # (G)
    completions: Tensor  # (G, n, L)
    completion_mask: Tensor  # (G, n, L), True on the tokens to train on: all of a completion, or none
    old_per_token_logps: Tensor  # (G, n, L), when the tokens were sampled
    advantages: Tensor  # (G, n)


def per_token_logps(model: GPT, rollout: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the completions' tokens under softmax(logits / temperature) and the entropies (nats) of
    these distributions; 0 where completion_mask is False. The entropies are detached.

    A prompt runs through the model once for all completions of its group: with short completions, prompts have
    most of the tokens.

    Shapes:
        -> (G, n, L), (G, n, L)
    """
    prompts, lengths, completions, mask = rollout[:4]
    num_groups, prompt_length = prompts.shape
    read = F.pad(mask[..., 1:], (0, 1))  # (G, n, L), True on the N tokens whose next token is scored
    positions = lengths[:, None, None] + torch.arange(mask.shape[2], device=mask.device)  # (G, 1, L)
    prompt_positions = torch.arange(prompt_length, device=mask.device).repeat(num_groups)  # (G * P)
    hidden = model.decode(
        torch.cat([prompts.flatten(), completions[read]]),
        torch.cat([prompt_positions, positions.expand_as(mask)[read]]),
        shared_prompt_attention(lengths, prompt_length, read),
    )  # (G * P + N, d)
    of_prompts, of_completions = hidden.split([prompts.numel(), len(hidden) - prompts.numel()])
    last = torch.arange(num_groups, device=mask.device) * prompt_length + lengths - 1  # (G)
    first = of_prompts[last][:, None, None].expand(-1, mask.shape[1], -1, -1)  # (G, n, 1, d)
    states = torch.cat([first, spread(of_completions, read)[:, :, :-1]], 2)  # (G, n, L, d)
    logits = F.linear(states[mask], model.unembedding) / temperature  # (M, V), for the M tokens trained on
    logps = -F.cross_entropy(logits, completions[mask], reduction="none")  # (M)
    return spread(logps, mask), spread(token_entropy(logits.detach()), mask)


def sample_rollout(
    model: GPT, task: Task, config: GRPOConfig, step: int
) -> tuple[Rollout | None, dict[str, float]]:
    """Samples and judges groups until `prompts_per_step` of them have differing rewards (dynamic sampling) or
    max_refills is reached; returns the rollout, None if no group is left, and the metrics of all that was sampled.
    A pure function of weights, settings and step.

    Several processes sample a part of the groups each, and all get all of them: those that one process samples, as
    long as rounding, which depends on the size of a batch, turns no draw."""
    generator = torch.Generator(config.device).manual_seed(config.seed * MAX_DRAWS + step)
    draws = Draws(generator, counts, rank())
    started = time.perf_counter()
    groups: list[_Group] = []  # to train on
    sampled: list[_Group] = []
    rounds = 0
    while len(groups) < config.prompts_per_step and rounds <= config.max_refills:
        first = step * MAX_DRAWS + len(sampled)
        missing = config.prompts_per_step - len(groups)
        problems = [task.problem(config.seed, first + i) for i in range(missing)]
        with agreed(ValueError):  # a process without memory leaves the others in `generate`
            own = _sample_groups(
                model, task, share(problems), config.num_generations, config.completion_limit(task),
                config.temperature, draws,
            )  # fmt: skip
        fresh = [group for groups in gathered(own) for group in groups]
        sampled += fresh
        groups += [group for group in fresh if group.teaches or not config.dynamic_sampling]
        rounds += 1
    tokens = sum(len(completion) for group in sampled for completion in group.completions)
    row = _rollout_metrics(task, sampled) | {
        "sampled_groups": len(sampled),
        "groups": len(groups),
        "refills": rounds - 1,
        "rollout_tokens_per_second": tokens / (time.perf_counter() - started),
    }
    return (_as_rollout(groups, config) if groups else None), row


def heldout_reward(model: GPT, task: Task, config: GRPOConfig, step: int) -> float:
    """The mean reward of one completion at temperature 1 of each of `eval_problems` held-out problems: those of
    this step alone, the same for every policy of a seed. Several processes share the problems as in a rollout."""
    generator = torch.Generator(config.device).manual_seed((config.seed + 1) * MAX_DRAWS - step)
    draws = Draws(generator, counts, rank())
    first = step * MAX_DRAWS
    problems = [task.problem(config.seed, first + i, "heldout") for i in range(config.eval_problems)]
    with agreed(ValueError):
        own = _sample_groups(model, task, share(problems), 1, config.completion_limit(task), 1.0, draws)
    rewards = [reward for groups in gathered(own) for group in groups for reward in group.rewards]
    return sum(rewards) / len(rewards)


class _Group(NamedTuple):
    """The n completions of one prompt as sampled, and their rewards."""

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
        """Whether the rewards differ; if not, every advantage is 0."""
        return len(set(self.rewards)) > 1


def _sample_groups(
    model: GPT, task: Task, problems: Sequence[Problem], size: int, limit: int, temperature: float,
    draws: Draws,
) -> list[_Group]:  # fmt: skip
    """`size` completions of each problem, of up to `limit` tokens."""
    prompts = [problem.prompt for problem in problems]
    if not prompts:  # fewer refills than processes
        draws.begin(0)
        draws.sit_out(limit)
        return []
    generation = model.generate(
        prompts, limit,
        temperature=temperature, generator=draws, num_generations=size,
    )  # fmt: skip
    groups = []
    if world_size() > 1:
        generation = Generation(*(x.cpu() for x in generation))  # to be gathered
    for problem, ids, mask, logps in zip(problems, *(x.split(size) for x in generation), strict=True):
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
        return torch.stack([F.pad(row, (0, length - row.shape[1])) for row in rows]).to(config.device)

    prompts = [torch.tensor(group.problem.prompt, device=config.device) for group in groups]
    rewards = torch.tensor([group.rewards for group in groups], device=config.device)
    completions, mask = padded([group.ids for group in groups]), padded([group.mask for group in groups])
    if config.mask_truncated_completions:
        mask &= (completions == EOS_ID).any(2, keepdim=True)
    return Rollout(
        prompts=pad_sequence(prompts, batch_first=True, padding_value=PAD_ID),
        prompt_lengths=torch.tensor([len(prompt) for prompt in prompts], device=config.device),
        completions=completions,
        completion_mask=mask,
        old_per_token_logps=padded([group.logps for group in groups]),
        advantages=group_advantages(rewards, config.scale_rewards),
    )
