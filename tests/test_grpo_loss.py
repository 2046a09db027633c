"""The loss of GRPO against values by hand: advantages, the clip, the means, the KL estimator."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from pgce_mini.training import LossType, group_advantages, grpo_loss, kl_to_reference, masked_mean

loss_with = partial(grpo_loss, epsilon=0.2, epsilon_high=0.28, max_completion_length=5)
MASK = torch.tensor([[False, True, True, False], [False, True, False, False]])
RATIOS = torch.tensor([[math.nan, 1.5, 1.1, math.inf], [1e30, 0.5, -math.inf, 0.0]])
ADVANTAGES = torch.tensor([2.0, -3.0])


def test_group_advantages_by_hand() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    centred = [[0.5, -0.5, -0.5, 0.5], [-0.25, -0.25, -0.25, 0.75], [0.0, 0.0, 0.0, 0.0]]
    # Sample variances: 4 * 0.25 / 3 and (3 * 0.0625 + 0.5625) / 3; of all twelve: 7 * 5 / 12 / 11.
    group = [math.sqrt(1 / 3), math.sqrt(1 / 4), 0.0]
    batch = math.sqrt(35 / 132)
    for scale, divisors in {
        "none": [1.0] * 3, "batch": [batch + 1e-4] * 3, "group": [s + 1e-4 for s in group],
    }.items():  # fmt: skip
        wanted = torch.tensor([[value / d for value in row] for row, d in zip(centred, divisors, strict=True)])
        torch.testing.assert_close(group_advantages(rewards, scale), wanted)


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sampled_from(["group", "batch", "none"]),
)
def test_every_group_is_centred_and_keeps_its_order(rewards: list[list[float]], scale: Any) -> None:
    given_rewards = torch.tensor(rewards)
    advantages = group_advantages(given_rewards, scale)
    torch.testing.assert_close(advantages.mean(1), torch.zeros(len(rewards)), atol=1e-5, rtol=0)
    better = given_rewards[:, :, None] > given_rewards[:, None, :]
    assert ((advantages[:, :, None] > advantages[:, None, :]) == better).all()


def loss_of(ratios: Tensor, advantages: Tensor, mask: Tensor, loss_type: LossType = "dapo") -> tuple[Tensor, Any]:
    """The loss as a function of the ratios, old log-probabilities being -1."""
    old = torch.full_like(ratios, -1.0)
    return loss_with(ratios.log() + old, old, advantages, mask, loss_type=loss_type)


@pytest.mark.parametrize(
    ("loss_type", "wanted"),
    [
        ("dapo", (-2 * 1.28 - 2 * 1.1 + 3 * 0.8) / 3),
        ("grpo", ((-2 * 1.28 - 2 * 1.1) / 2 + 3 * 0.8) / 2),
        ("dr_grpo", (-2 * 1.28 - 2 * 1.1 + 3 * 0.8) / (2 * 5)),
    ],
)
def test_loss_by_hand_whatever_stands_in_the_padding(loss_type: LossType, wanted: float) -> None:
    """1.5 is clipped to 1.28 (A > 0), 1.1 is not clipped, 0.5 is clipped to 0.8 (A < 0)."""
    loss, clip_ratios = loss_of(RATIOS, ADVANTAGES, MASK, loss_type)
    assert loss.item() == pytest.approx(wanted)
    assert clip_ratios == pytest.approx({"clip_ratio/low": 1 / 3, "clip_ratio/high": 1 / 3})


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [
        (1.27, 1.0, False), (1.29, 1.0, True), (0.5, 1.0, False),  # a good token is not pushed up without end,
        (0.81, -1.0, False), (0.79, -1.0, True), (1.5, -1.0, False),  # a bad one not down; the way back is open
    ],
)  # fmt: skip
def test_gradient_is_held_back_where_the_clip_says_and_only_there(
    ratio: float, advantage: float, clipped: bool
) -> None:
    """It is -ratio * A, or nothing; inverted for negative A, or with one epsilon for both sides, this fails."""
    logps = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    kept = torch.tensor([[True]])
    loss, clip_ratios = loss_with(
        logps, torch.zeros_like(logps), torch.tensor([advantage]), kept, loss_type="dapo"
    )
    loss.backward()
    assert logps.grad.item() == pytest.approx(0.0 if clipped else -ratio * advantage)
    assert sum(clip_ratios.values()) == clipped


@pytest.mark.parametrize("absurd", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
def test_padding_gives_no_gradient_and_takes_none(absurd: float, loss_type: LossType) -> None:
    gradients = []
    for filler in (0.0, absurd):
        logps = torch.tensor([[filler, -1.0, -2.0, filler], [filler, -0.5, filler, filler]], requires_grad=True)
        old = torch.tensor([[filler, -1.1, -2.2, filler], [filler, -0.4, filler, filler]])
        loss, _ = loss_with(logps, old, ADVANTAGES, MASK, loss_type=loss_type)
        loss.backward()
        assert (logps.grad[~MASK] == 0).all()
        assert (logps.grad[MASK] != 0).all()
        gradients.append(logps.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
def test_loss_of_no_token_is_zero(loss_type: LossType) -> None:
    loss, clip_ratios = loss_of(RATIOS, ADVANTAGES, torch.zeros_like(MASK), loss_type)
    assert loss.item() == 0
    assert set(clip_ratios.values()) == {0.0}


def test_sequence_without_a_kept_token_is_no_sequence_of_the_grpo_mean() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, 5.0]])
    mask = torch.tensor([[True, True], [False, False]])
    assert masked_mean(values, mask, "grpo", 2).item() == 2


def test_kl_estimator_is_exact_on_average_and_never_negative() -> None:
    generator = torch.Generator().manual_seed(0)
    policy, reference = torch.randn(2, 6, generator=generator, dtype=torch.float64).log_softmax(-1)
    estimates = kl_to_reference(policy, reference)
    assert (estimates > 0).all()
    exact = (policy.exp() * (policy - reference)).sum()
    torch.testing.assert_close((policy.exp() * estimates).sum(), exact)
    assert kl_to_reference(policy, policy).abs().max() == 0
