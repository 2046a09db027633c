"""What the tests of the loss share: shapings, random rows, the loss by brute force."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS, RewardShaping

V = 9
CE = RewardShaping()
MIXED = RewardShaping(beta=-0.25, lambda_head=0.3, lambda_tail=-0.2, top_k=3)
REDUCTIONS = ("mean", "sum", "none")

each_arm = pytest.mark.parametrize("shaping", [*PAPER_ARMS.values(), MIXED], ids=[*PAPER_ARMS, "mixed"])
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_ids(vocab: int, *shape: int) -> Tensor:
    return torch.randint(vocab, shape, generator=torch.Generator().manual_seed(0))


def rows(n: int = 12, vocab: int = V, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Random logits (n, V) that require a gradient, and targets (n) of which every fifth is ignored."""
    logits = (3 * normal(n, vocab)).to(dtype).requires_grad_()
    target = random_ids(vocab, n)
    target[4::5] = -100
    return logits, target


def brute_force(logits: Tensor, target: Tensor, shaping: RewardShaping, ignore_index: int = -100) -> Tensor:
    """(N, V), (N) -> (N): -sum_a sg(pi_a r_a) log pi_a for autograd, each token's reward by its definition."""
    losses = []
    for row, x in zip(logits, target.tolist(), strict=True):
        if x == ignore_index:
            losses.append(row.sum() * 0)
            continue
        log_pi = torch.log_softmax(row, -1)  # (V)
        pi = log_pi.detach().exp().tolist()
        head = set(row.topk(min(shaping.top_k, len(row))).indices.tolist())
        rewards = [shaping.lambda_head if a in head else shaping.lambda_tail for a in range(len(row))]
        scale = max(1 - pi[x], 1e-6) ** shaping.beta
        rewards[x] = scale / pi[x] if shaping.form == "product" else (1 / pi[x]) ** scale
        weights = torch.tensor([p * r for p, r in zip(pi, rewards, strict=True)], dtype=row.dtype)
        losses.append(-(weights * log_pi).sum())
    return torch.stack(losses)


def reduced(losses: Tensor, target: Tensor, reduction: str, ignore_index: int = -100) -> Tensor:
    if reduction == "none":
        return losses.reshape(target.shape)
    return losses.sum() / ((target != ignore_index).sum() if reduction == "mean" else 1)


def value_and_gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The loss and the gradients for a random upstream gradient, always the same."""
    upstream = normal(*loss.shape, seed=1).to(loss.dtype)
    return loss.detach(), *torch.autograd.grad(loss, inputs, upstream)


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], tolerance: float) -> None:
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance, atol=tolerance)


def assert_loss_is_brute_force(
    logits: Tensor, target: Tensor, shaping: RewardShaping, reduction: str = "mean", ignore_index: int = -100
) -> None:
    ours = shaped_cross_entropy(logits, target, shaping, reduction=reduction, ignore_index=ignore_index)
    oracle = reduced(brute_force(logits, target, shaping, ignore_index), target, reduction, ignore_index)
    assert_same(value_and_gradients(ours, logits), value_and_gradients(oracle, logits), 1e-10)
