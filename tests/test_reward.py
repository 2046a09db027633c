"""The reward: the paper's two equations, literally, and where they are hard on floating point."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, strategies as st

from pgce_mini.reward import BETAS, MIN_COMPLEMENT, PAPER_ARMS, RewardShaping, token_rewards, true_token_weight

PROBS = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
SHAPED = RewardShaping(beta=-0.5, lambda_head=0.2, lambda_tail=-0.1, top_k=2)


def test_the_paper_arms_are_the_paper_s_table() -> None:
    columns = {name: (arm.beta, arm.lambda_head, arm.lambda_tail) for name, arm in PAPER_ARMS.items()}
    assert columns == {
        "ce": (0, 0, 0),
        "precision": (-0.25, 0, 0),
        "diversity": (0.5, 0, 0),
        "tail-penalty": (0, 0, -0.1),
        "head-reward": (0, 0.1, 0),
    }
    assert {arm.top_k for arm in PAPER_ARMS.values()} == {100}
    assert {arm.form for arm in PAPER_ARMS.values()} == {"product"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(
            ("beta", "lambda_head", "lambda_tail"), (math.nan, math.inf, np.float32("nan"), "0", True)
        ),
        *(("top_k", bad) for bad in (0, -1, 1.5, True, None)),
        *(("form", bad) for bad in ("Product", "", None)),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must be"):
        RewardShaping(**{field: value})


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.int64(1)])
@pytest.mark.parametrize("field", ["beta", "lambda_head", "lambda_tail"])
def test_a_number_of_numpy_is_a_number(field: str, number: Any) -> None:
    kept = getattr(dataclasses.replace(SHAPED, **{field: number}), field)
    assert kept == number
    assert type(kept) is type(number.item())  # Python's own, which the operators of the loss take


@pytest.mark.parametrize(
    ("shaping", "target", "rewards"),
    [
        (RewardShaping(), 2, [0, 0, 1 / 0.15, 0]),
        (SHAPED, 1, [0.2, 1 / 0.3 * 0.7**-0.5, -0.1, -0.1]),
        (dataclasses.replace(SHAPED, form="exponent"), 1, [0.2, (1 / 0.3) ** (0.7**-0.5), -0.1, -0.1]),
        (SHAPED, 3, [0.2, 0.2, -0.1, 1 / 0.05 * 0.95**-0.5]),  # in the tail it takes no place in the head
    ],
    ids=["cross-entropy", "product", "exponent", "tail"],
)
def test_rewards_by_hand(shaping: RewardShaping, target: int, rewards: list[float]) -> None:
    assert token_rewards(PROBS, torch.tensor(target), shaping).tolist() == pytest.approx(rewards)


@pytest.mark.parametrize("top_k", [4, 5, 1000])
def test_a_top_k_of_the_vocabulary_or_more_is_the_whole_vocabulary(top_k: int) -> None:
    rewards = token_rewards(PROBS, torch.tensor(0), dataclasses.replace(SHAPED, top_k=top_k))
    assert rewards[1:].tolist() == pytest.approx([0.2] * 3)


def test_tied_tokens_leave_exactly_top_k_in_the_head_and_torch_topk_says_which() -> None:
    probs = torch.full((3, 8), 1 / 8)
    shaping = RewardShaping(lambda_head=1.0, lambda_tail=-1.0, top_k=3)
    rewards = token_rewards(probs, torch.zeros(3, dtype=torch.long), shaping)
    expected = torch.full_like(probs, -1.0).scatter_(-1, probs.topk(3).indices, 1.0)
    assert torch.equal(rewards[:, 1:], expected[:, 1:])


def test_every_leading_shape_is_a_batch_of_rows() -> None:
    probs = torch.softmax(torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)), -1)
    target = torch.tensor([[0, 4, 2], [1, 1, 3]])
    rewards = token_rewards(probs, target, SHAPED)
    for row in itertools.product(range(2), range(3)):
        assert torch.equal(rewards[row], token_rewards(probs[row], target[row], SHAPED))


def test_a_reward_carries_no_gradient_and_leaves_its_input_alone() -> None:
    probs = PROBS.clone().requires_grad_()
    assert not token_rewards(probs, torch.tensor(0), SHAPED).requires_grad
    assert torch.equal(probs, PROBS)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3, 1), (3, 4)])
def test_shapes_that_do_not_belong_together_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"probs \(\.\.\., V\) and target"):
        token_rewards(torch.full((3, 4), 0.25), torch.zeros(shape, dtype=torch.long), SHAPED)


@pytest.mark.parametrize("bad", [-1, -100, 4])
def test_an_id_outside_the_vocabulary_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match=r"target must hold ids in \[0, 4\)"):
        token_rewards(PROBS.expand(2, 4), torch.tensor([0, bad]), SHAPED)


@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize("beta", [-0.9, -0.25, 0.0, 0.5, 2.0])
def test_the_weight_is_pi_times_the_reward(form: str, beta: float) -> None:
    shaping = RewardShaping(beta=beta, form=form)
    pi = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    literal = pi * (1 / pi * (1 - pi) ** beta if form == "product" else (1 / pi) ** ((1 - pi) ** beta))
    torch.testing.assert_close(true_token_weight(pi.log(), shaping), literal, rtol=1e-12, atol=0)


def test_cross_entropy_is_a_weight_of_one_however_extreme_pi() -> None:
    log_prob = torch.tensor([-math.inf, -1e4, -90.0, -1.0, -1e-9, -0.0])
    for form in ("product", "exponent"):
        assert torch.equal(true_token_weight(log_prob, RewardShaping(form=form)), torch.ones(6))
        for beta in (-0.9, 2.0):  # and for any beta where pi is 0
            assert true_token_weight(log_prob[:1], RewardShaping(beta=beta, form=form)).item() == 1


def test_one_minus_pi_is_clamped_so_that_a_certain_token_has_a_finite_weight() -> None:
    weight = true_token_weight(torch.tensor(0.0, dtype=torch.float64), RewardShaping(beta=-0.5))
    assert weight.item() == pytest.approx(MIN_COMPLEMENT**-0.5)


def test_the_weight_is_accurate_where_pi_rounds_to_one() -> None:
    """exp(-3e-5) and 1 - exp(-3e-5) lose three digits in fp32; the logarithm keeps them."""
    log_prob = torch.tensor(-3e-5)
    weight = true_token_weight(log_prob, RewardShaping(beta=1.0))
    assert weight.item() == pytest.approx(-math.expm1(log_prob.item()), rel=1e-6)


@given(st.floats(-1e4, 0, width=32), st.floats(*BETAS), st.sampled_from(["product", "exponent"]))
@example(-0.25, -2.0, "exponent")
@example(-1e-6, -6.0, "exponent")
def test_beta_below_zero_pushes_harder_than_cross_entropy_and_above_zero_less(
    log_prob: float, beta: float, form: str
) -> None:
    weight = true_token_weight(torch.tensor(log_prob), RewardShaping(beta=beta, form=form)).item()
    assert math.isfinite(weight)
    assert weight >= 1 - 1e-6 if beta <= 0 else 0 <= weight <= 1 + 1e-6
