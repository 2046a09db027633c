"""The loss of GRPO: group advantages, the clipped surrogate, the KL estimator."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from pgce_mini.checks import check_choice, check_number, check_whole
from pgce_mini.theory.group_rl import STD_EPSILON

LossType = Literal["dapo", "grpo", "dr_grpo"]
ScaleRewards = Literal["group", "batch", "none"]
MOST_REWARD = 1e15  # of either sign: the squares of many are finite in single precision
MOST_EPSILON_HIGH = 1e6


def group_advantages(rewards: Tensor, scale_rewards: ScaleRewards) -> Tensor:
    """How much better each completion is than its group: its reward minus the group's mean, scaled.

    Shapes:
        rewards: (G, num_generations) -> the same

    Standard deviations are sample standard deviations (ddof 1) plus 1e-4. Dividing by the group's gives rare
    successes and rare failures more weight (a bias towards very easy and very hard prompts); "none" avoids it.

    Raises:
        ValueError: rewards are not a table of finite numbers with two completions or more in a group, of which one
            can be better than the other; or there is no such scale_rewards.

    Source: DeepSeekMath (arXiv 2402.03300), section 4.1.2, unnumbered; "none": Dr. GRPO (arXiv 2503.20783).
    """
    check_choice("scale_rewards", scale_rewards, get_args(ScaleRewards))
    if rewards.dim() != 2 or rewards.shape[0] < 1 or rewards.shape[1] < 2 or not rewards.is_floating_point():
        raise ValueError(
            "rewards must be floating-point numbers of shape (groups, num_generations) with two generations or "
            f"more, as one alone is neither better nor worse, got {rewards.dtype} {tuple(rewards.shape)}"
        )
    if not (rewards.abs() <= MOST_REWARD).all():  # nan is not, either
        raise ValueError(f"rewards must be finite numbers of at most {MOST_REWARD:g}: mend the verifier")
    advantages = rewards - rewards.mean(1, keepdim=True)
    if scale_rewards == "group":
        return advantages / (rewards.std(1, keepdim=True) + STD_EPSILON)
    if scale_rewards == "batch":
        return advantages / (rewards.std() + STD_EPSILON)
    return advantages


def grpo_loss(
    per_token_logps: Tensor, old_per_token_logps: Tensor, advantages: Tensor, completion_mask: Tensor, *,
    epsilon: float, epsilon_high: float, loss_type: LossType, max_completion_length: int,
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """The clipped surrogate  - mean min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)  and the shares of
    tokens without a gradient because of the clip: `clip_ratio/low` (A < 0), `clip_ratio/high` (A > 0).

    Shapes:
        per_token_logps, old_per_token_logps: (B, L); advantages: (B); completion_mask: (B, L) bool -> ()
        Values where the mask is False are ignored, nan included; if it is False everywhere the loss is 0.

    Raises:
        ValueError: a setting is out of range.

    Source: PPO (arXiv 1707.06347) Eq. 7 per token, as DeepSeekMath Eq. 3; clip-higher and the token mean: DAPO
    (arXiv 2503.14476) Eq. 8.
    """
    check_number("epsilon", epsilon, 1)
    check_number("epsilon_high", epsilon_high, MOST_EPSILON_HIGH)
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
        shares = {"clip_ratio/low": (low.sum() / tokens).item(), "clip_ratio/high": (high.sum() / tokens).item()}
    return loss, shares


def held_back(ratio: Tensor, advantages: Tensor, epsilon: float, epsilon_high: float) -> tuple[Tensor, Tensor]:
    """Where the clip makes the gradient 0: at tokens that the updates have already made unlikely enough (low) or
    likely enough (high). A ratio outside the range on the side against its advantage keeps its gradient.

    Shapes:
        ratio, advantages: (...) that broadcast together -> (...) bool, (...) bool
    """
    return (ratio < 1 - epsilon) & (advantages < 0), (ratio > 1 + epsilon_high) & (advantages > 0)


def masked_mean(values: Tensor, mask: Tensor, loss_type: LossType, max_completion_length: int) -> Tensor:
    """Reduces per-token values (B, L) to a scalar: over tokens ("dapo"), over sequences of token means ("grpo"),
    or a sum over B * max_completion_length, so that long completions are not diluted ("dr_grpo").

    A sequence without a token in the mask does not count in the mean of "grpo".

    Raises:
        ValueError: there is no such loss_type, or max_completion_length is below 1.
    """
    check_choice("loss_type", loss_type, get_args(LossType))
    check_whole("max_completion_length", max_completion_length, 1)
    values = torch.where(mask, values, 0.0)
    if loss_type == "dapo":
        return values.sum() / mask.sum().clamp_min(1)
    if loss_type == "grpo":
        lengths = mask.sum(1)  # (B)
        return (values.sum(1) / lengths.clamp_min(1)).sum() / (lengths > 0).sum().clamp_min(1)
    return values.sum() / (len(values) * max_completion_length)


def part_weight(part: Tensor, mask: Tensor, loss_type: LossType) -> float:
    """The weight of a part's `masked_mean` in that of the whole: the masks (B', L) and (B, L) -> a share of 1."""
    if loss_type == "dapo":
        return int(part.sum()) / max(int(mask.sum()), 1)
    if loss_type == "grpo":
        return int(part.any(1).sum()) / max(int(mask.any(1).sum()), 1)
    return len(part) / len(mask)


def kl_to_reference(per_token_logps: Tensor, ref_per_token_logps: Tensor) -> Tensor:
    """The estimator exp(d) - d - 1, d = log ref - log policy, of the KL divergence from the reference; (B, L).

    Source: Schulman, "Approximating KL divergence" (2020), k3; DeepSeekMath Eq. 4.
    """
    difference = ref_per_token_logps - per_token_logps
    return difference.exp() - difference - 1
