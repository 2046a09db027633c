"""Focal loss against its definition and its gradient written out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from loss_oracle import normal
from torch.nn import functional as F

from pgce_mini.loss import focal_loss


def test_two_equal_tokens_by_hand() -> None:
    loss = focal_loss(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([1]), 2.0)
    assert loss.item() == pytest.approx(0.25 * math.log(2))


def test_gamma_zero_is_cross_entropy() -> None:
    logits = normal(20, 7)
    target = torch.arange(20) % 7
    torch.testing.assert_close(focal_loss(logits, target, 0.0), F.cross_entropy(logits, target, reduction="none"))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_gradient_is_the_closed_form_with_its_second_term(gamma: float) -> None:
    logits = (3 * normal(50, 6)).requires_grad_()
    target = torch.arange(50) % 6
    (gradient,) = torch.autograd.grad(focal_loss(logits, target, gamma).sum(), logits)
    probs = logits.detach().softmax(-1)
    p = probs[torch.arange(50), target].unsqueeze(-1)
    weight = (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * p.log()
    torch.testing.assert_close(gradient, weight * (probs - F.one_hot(target, 6)))


def test_half_precision_logits_are_worked_on_in_fp32() -> None:
    logits, target = (3 * normal(50, 6)).bfloat16(), torch.arange(50) % 6
    logits[:6] = 8 * torch.eye(6)  # nearly certain: bf16 would round 1 - p
    half, single = logits.clone().requires_grad_(), logits.float().requires_grad_()
    loss, wanted = (focal_loss(z, target, 0.5) for z in (half, single))
    torch.testing.assert_close(loss, wanted)
    for total in (loss.sum(), wanted.sum()):
        total.backward()
    torch.testing.assert_close(half.grad, single.grad.bfloat16())


@pytest.mark.parametrize("logit", [-1e4, 1e4])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_certain_tokens_have_finite_loss_and_gradient(logit: float, gamma: float) -> None:
    logits = torch.tensor([[logit, 0.0, 0.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0]), gamma).sum()
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
