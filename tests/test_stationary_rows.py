"""The end of many states at once is that of each: against `stationary_policy`, and cases solved by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.theory import expected_gradient, stationary_logits, stationary_policy
from pgce_mini.theory.dynamics import RESIDUAL_TOLERANCE
from pgce_mini.theory.stationary_rows import _newton

SHAPINGS = [
    *(replace(shaping, top_k=6) for shaping in PAPER_ARMS.values()),
    *(RewardShaping(beta, form="exponent") for beta in (-0.75, -0.25, 0.5, 2)),
    *(RewardShaping(beta, 0.1, -0.2, 3) for beta in (-0.75, -0.25, 0.5, 2)),
    RewardShaping(0.5, 0.5, 0.5, 2, "exponent"),
    RewardShaping(lambda_head=1, lambda_tail=-1, top_k=5),
]


def rows(scale: float, count: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 39, dtype=torch.float64, generator=generator) * scale


@pytest.mark.parametrize("shaping", SHAPINGS, ids=str)
def test_each_row_ends_where_its_state_does(shaping: RewardShaping) -> None:
    for scale in (0.3, 3, 12):  # from nearly uniform to nearly certain
        logits = rows(scale)
        ends = stationary_logits(logits, shaping).exp().numpy()
        for q, end in zip(logits.softmax(-1).numpy(), ends, strict=True):
            assert end == pytest.approx(stationary_policy(q, shaping), abs=1e-9)


def test_with_two_tokens_beta_is_a_temperature() -> None:
    gaps = torch.tensor([-6.0, -3.0, -0.1, 0.0, 0.5, 4.0], dtype=torch.float64)
    logits = torch.stack([gaps, torch.zeros_like(gaps)], -1)
    for beta in (-0.5, -0.25, 0.5, 3):
        by_hand = (logits / (1 + beta)).log_softmax(-1)
        torch.testing.assert_close(stationary_logits(logits, RewardShaping(beta)), by_hand, atol=1e-9, rtol=1e-9)


def test_row_that_newton_does_not_solve_is_solved_all_the_same() -> None:
    shaping = RewardShaping(3, 1, 0, 6)
    logits = rows(15, 200)
    _, solved = _newton(logits.log_softmax(-1), shaping)
    left = logits[~solved][:3]
    assert len(left) == 3
    for q, end in zip(left.softmax(-1).numpy(), stationary_logits(left, shaping).exp().numpy(), strict=True):
        assert end == pytest.approx(stationary_policy(q, shaping), abs=1e-9)


def test_layout_and_type_are_kept_and_cross_entropy_changes_nothing() -> None:
    logits = rows(2, 6).float().reshape(2, 3, 39)
    mapped = stationary_logits(logits, RewardShaping(0.5))
    assert (mapped.shape, mapped.dtype) == (logits.shape, torch.float32)
    assert torch.equal(stationary_logits(logits, RewardShaping()), logits.log_softmax(-1))
    alone = stationary_logits(logits[1, 2], RewardShaping(0.5))
    torch.testing.assert_close(alone, mapped[1, 2], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("logits", "shaping", "message"),
    [
        ([0.0, float("nan")], RewardShaping(0.5), "logits must be finite"),
        ([0.0, 1.0], RewardShaping(-1), "beta must be above -1"),
        ([0.1, 0.0, -0.1], RewardShaping(lambda_head=-0.5, lambda_tail=0.5, top_k=1), "no stationary policy"),
    ],
)
def test_what_has_no_end_is_refused(logits: list[float], shaping: RewardShaping, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stationary_logits(torch.tensor(logits), shaping)


def test_gradient_left_is_that_of_a_resting_state() -> None:
    logits = rows(5, 40)
    for shaping in SHAPINGS:
        ends, solved = _newton(logits.log_softmax(-1), shaping)
        assert solved.all()
        assert ends.exp().sum(-1).numpy() == pytest.approx(np.ones(40))
        for z, q in zip(ends.numpy(), logits.softmax(-1).numpy(), strict=True):
            assert np.abs(expected_gradient(z, q, shaping)).max() <= RESIDUAL_TOLERANCE
