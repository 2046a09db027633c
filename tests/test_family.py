"""The losses of other papers against autograd of what their authors maximise, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, strategies as st
from loss_oracle import normal
from torch import Tensor
from torch.nn import functional as F

from pgce_mini.loss import coverage_loss, gem_loss, maxrl_loss

Loss = Callable[[Tensor, Tensor, float], Tensor]
LOSSES: tuple[Loss, ...] = (maxrl_loss, coverage_loss, gem_loss)


def maxrl(logits: Tensor, target: Tensor, order: float) -> Tensor:
    failure = 1 - logits.softmax(-1).gather(-1, target[:, None]).squeeze(-1)
    return sum((failure**k / k for k in range(1, int(order) + 1)), torch.zeros(()))


def coverage(logits: Tensor, target: Tensor, samples: float) -> Tensor:
    success = logits.softmax(-1).gather(-1, target[:, None]).squeeze(-1)
    return -torch.log(1 - (1 - success) ** samples)


def gem(logits: Tensor, target: Tensor, beta: float) -> Tensor:
    second = (logits / beta).softmax(-1).detach()
    true = logits.log_softmax(-1).gather(-1, target[:, None])
    return -(second * (true - logits.log_softmax(-1))).sum(-1)


def gradient(loss: Loss, logits: Tensor, target: Tensor, number: float) -> Tensor:
    z = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(z, target, number).sum(), z)[0]


@pytest.mark.parametrize(
    ("loss", "definition", "numbers"),
    [
        (maxrl_loss, maxrl, (1, 2, 5, 40)),
        (coverage_loss, coverage, (0.3, 0.5, 1, 2, 16.5, 256)),
        (gem_loss, gem, (0.3, 0.7, 1, 1.5)),
    ],
)
@given(
    seed=st.integers(0, 2**32 - 1), place=st.floats(0, 1), spread=st.sampled_from([0.5, 2.0, 5.0]),
    vocab=st.integers(2, 7),
)  # fmt: skip
def test_gradient_is_that_of_the_papers_loss(
    loss: Loss, definition: Loss, numbers: tuple[float, ...], seed: int, place: float, spread: float, vocab: int
) -> None:
    logits = (spread * normal(8, vocab, seed=seed)).clamp(-6, 6)  # 1 - p is above the clamp
    target = torch.arange(8) % vocab
    number = numbers[min(int(place * len(numbers)), len(numbers) - 1)]
    expected = gradient(definition, logits, target, number)
    torch.testing.assert_close(gradient(loss, logits, target, number), expected, rtol=1e-8, atol=1e-11)


def test_two_equal_tokens_by_hand() -> None:
    logits, target, nat = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([1]), math.log(2)
    assert maxrl_loss(logits, target, 3).item() == pytest.approx(7 / 8 * nat)
    assert coverage_loss(logits, target, 2).item() == pytest.approx(2 / 3 * nat)  # 2 * 1/2 * 1/2 / (1 - 1/4)
    assert gem_loss(logits, target, 0.7).item() == pytest.approx(0)
    assert gradient(gem_loss, logits, target, 0.7).tolist() == [[0.5, -0.5]]


def test_each_family_holds_cross_entropy_and_maxrl_of_one_term_is_dynamic_fine_tuning() -> None:
    logits, target = normal(20, 7), torch.arange(20) % 7
    plain = gradient(lambda z, x, _: F.cross_entropy(z, x, reduction="none"), logits, target, 0)
    for loss, number in ((maxrl_loss, 1e6), (coverage_loss, 1), (gem_loss, 1)):
        torch.testing.assert_close(gradient(loss, logits, target, number), plain)
    p = logits.softmax(-1).gather(-1, target[:, None])
    torch.testing.assert_close(gradient(maxrl_loss, logits, target, 1), p * plain)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_gem_is_cross_entropy_at_a_temperature(beta: float) -> None:
    logits, target = 3 * normal(20, 7), torch.arange(20) % 7
    tempered = gradient(lambda z, x, b: F.cross_entropy(z / b, x, reduction="none"), logits, target, beta)
    torch.testing.assert_close(gradient(gem_loss, logits, target, beta), beta * tempered)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("number", [0.01, 0.5, 100.0])
def test_certain_tokens_have_finite_loss_and_gradient(loss: Loss, dtype: torch.dtype, number: float) -> None:
    logits = torch.tensor([-1e4, -120, -90, -70, 0, 9, 17, 1e4], dtype=dtype)[:, None] * torch.tensor([1, 0, 0])
    value = loss(logits, torch.zeros(8, dtype=torch.long), number)
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    assert gradient(loss, logits, torch.zeros(8, dtype=torch.long), number).isfinite().all()


def test_direct_coverage_pushes_a_token_whose_probability_underflows_as_cross_entropy_does() -> None:
    logits = torch.tensor([[-200.0, 0.0, 0.0]])
    for samples in (0.01, 0.5, 16):
        pushed = gradient(coverage_loss, logits, torch.tensor([0]), samples)
        torch.testing.assert_close(pushed, torch.tensor([[-1.0, 0.5, 0.5]]))


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_logits_lose_nothing_but_their_rounding(loss: Loss) -> None:
    logits, target = (3 * normal(50, 6)).bfloat16(), torch.arange(50) % 6
    exact = gradient(loss, logits.double(), target, 2.0)
    torch.testing.assert_close(gradient(loss, logits, target, 2.0).double(), exact, rtol=0.02, atol=1e-3)
