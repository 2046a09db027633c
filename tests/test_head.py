"""How the loss finds the head: the tokens that torch.topk finds, in short rows and long ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st
from loss_oracle import MIXED, V, assert_same, each_arm, normal, random_ids, value_and_gradients
from torch import Tensor

from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.loss.head import SHORT_ROW, find_head
from pgce_mini.reward import RewardShaping


def head_by_gradient(logits: Tensor, top_k: int) -> Tensor:
    """Which wrong tokens of each row the loss takes for the head (N, V), read off the sign of the gradient.

    With lambda_head = R the gradient is pi_a (W - R) in the head and pi_a W in the tail. R is so large that
    0 < W = 1 + R pi(head) < R unless the head is nearly all of pi.
    """
    logits = logits.clone().requires_grad_()
    target = logits.argmin(-1)
    loss = shaped_cross_entropy(logits, target, RewardShaping(lambda_head=1e3, top_k=top_k), reduction="sum")
    return (torch.autograd.grad(loss, logits)[0] < 0).scatter_(-1, target[:, None], False)


def head_by_topk(logits: Tensor, top_k: int) -> Tensor:
    head = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, logits.topk(top_k).indices, True)
    return head.scatter_(-1, logits.argmin(-1, keepdim=True), False)


@given(st.data(), st.integers(2, 40), st.sampled_from([torch.float64, torch.float32, torch.bfloat16]))
def test_tied_logits_leave_the_head_that_torch_topk_picks(
    data: st.DataObject, vocab: int, dtype: torch.dtype
) -> None:
    row = st.lists(st.integers(-2, 2), min_size=vocab, max_size=vocab)
    logits = torch.tensor(data.draw(st.lists(row, min_size=1, max_size=5)), dtype=dtype)
    top_k = data.draw(st.integers(1, vocab - 1))
    assert torch.equal(head_by_gradient(logits, top_k), head_by_topk(logits, top_k))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("top_k", [1, 100, 200])
def test_a_coarse_grid_leaves_exactly_top_k_tokens_in_the_head(dtype: torch.dtype, top_k: int) -> None:
    coarse = normal(64, 256).bfloat16().to(dtype)
    equal = torch.zeros(2, 256, dtype=dtype)
    for logits in (coarse, equal):
        assert torch.equal(head_by_gradient(logits, top_k), head_by_topk(logits, top_k))


@pytest.mark.parametrize("vocab", [SHORT_ROW + 1, 7 * 1024 - 1])  # one row divides into folds, the other does not
@pytest.mark.parametrize("top_k", [1, 7, 100, SHORT_ROW])
def test_the_head_of_a_long_row_is_torch_topk_s_ties_and_masked_tokens_included(vocab: int, top_k: int) -> None:
    fine = normal(6, vocab).float()
    masked = fine.masked_fill(normal(6, vocab, seed=1) < 0, -math.inf)
    tied = fine.bfloat16().float(), (2 * fine).round(), torch.zeros_like(fine)
    for logits in (fine, *tied, masked.sort(-1).values):
        ours = find_head(logits, logits.softmax(-1), torch.zeros(6, 1).long(), top_k, torch.empty_like(logits))
        expected = logits.topk(top_k).indices
        finite = logits.gather(1, expected) > -math.inf  # which of the masked tokens fill up a head is no matter
        head = torch.zeros_like(logits).scatter_(1, ours.ids, 1)
        assert (head.sum(1) == top_k).all()
        assert head.gather(1, expected)[finite].all()


@pytest.mark.parametrize("top_k", [1, 3, 7, V])  # 7 are more than there are finite logits
@each_arm
def test_a_masked_vocabulary_is_the_smaller_vocabulary(shaping: RewardShaping, top_k: int) -> None:
    shaping = replace(shaping, top_k=top_k)
    allowed = torch.tensor([0, 2, 3, 6, 8])
    small = normal(20, len(allowed)).requires_grad_()
    target = random_ids(len(allowed), 20)
    large = torch.full((20, V), -math.inf, dtype=torch.float64).index_copy(1, allowed, small)
    assert_same(
        value_and_gradients(shaped_cross_entropy(large, allowed[target], shaping), small),
        value_and_gradients(shaped_cross_entropy(small, target, shaping), small),
        tolerance=1e-12,
    )


@pytest.mark.parametrize("top_k", [1, 50, 200])
def test_probabilities_that_underflow_and_tie_cost_nothing(top_k: int) -> None:
    logits = (200 * normal(16, 256)).float().requires_grad_()  # nearly all probabilities are 0 in fp32
    exact = logits.detach().double().requires_grad_()
    target = logits.argmax(-1)
    shaping = replace(MIXED, top_k=top_k)
    ours = value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)
    truth = value_and_gradients(shaped_cross_entropy(exact, target, shaping), exact)
    assert_same(tuple(our.double() for our in ours), truth, tolerance=1e-6)
