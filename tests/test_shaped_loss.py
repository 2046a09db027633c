"""The loss and its gradient against brute force, enumeration and torch's cross-entropy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from loss_oracle import (
    CE,
    MIXED,
    V,
    assert_loss_is_brute_force,
    assert_same,
    each_arm,
    each_reduction,
    normal,
    random_ids,
    rows,
    value_and_gradients,
)
from torch import Tensor

from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.loss.head import SHORT_ROW
from pgce_mini.reward import BETAS, PAPER_ARMS, RewardShaping, token_rewards

SHAPINGS = {
    **PAPER_ARMS,  # top_k = 100 is the whole of a small vocabulary
    **{f"{name}, exponent": replace(arm, form="exponent") for name, arm in PAPER_ARMS.items()},
    **{
        f"{form}, k={top_k}, head {head}, tail {tail}": RewardShaping(-0.5, head, tail, top_k, form)
        for form in ("product", "exponent")
        for top_k, head, tail in (
            *((k, 0.3, -0.2) for k in (1, 2, V - 1, V, V + 5)),
            (2, -0.4, 0.0),
            (2, 0.0, 0.7),
        )
    },
}
each_shaping = pytest.mark.parametrize("shaping", SHAPINGS.values(), ids=SHAPINGS.keys())


@each_shaping
@each_reduction
def test_value_and_gradient_are_those_of_brute_force(shaping: RewardShaping, reduction: str) -> None:
    assert_loss_is_brute_force(*rows(), shaping, reduction)


@pytest.mark.parametrize("vocab", [130, SHORT_ROW + 905])
@each_arm
def test_the_paper_s_own_top_k_of_100_binds_in_a_larger_vocabulary(shaping: RewardShaping, vocab: int) -> None:
    assert_loss_is_brute_force(*rows(4, vocab), shaping)


@pytest.mark.parametrize("shaping", [CE, MIXED], ids=["ce", "mixed"])
def test_many_blocks_of_rows_give_what_one_gives(shaping: RewardShaping, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = rows(n=23)
    whole = value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction="none"), logits)
    monkeypatch.setattr("pgce_mini.loss.rows.CPU_BLOCK_ELEMENTS", 4 * V + 1)
    blocks = value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction="none"), logits)
    assert_same(blocks, whole, tolerance=1e-14)


@each_arm
def test_the_gradient_is_the_policy_gradient_by_enumeration(shaping: RewardShaping) -> None:
    """-E_{a~pi}[r(s, a) grad log pi(a|s)], every action in turn (paper Eq. 5)."""
    logits, target = rows(n=1)
    log_pi = torch.log_softmax(logits, -1)
    pi = log_pi.detach().exp()
    rewards = token_rewards(pi, target, shaping)
    expected = torch.zeros_like(logits)
    for action in range(V):
        score = torch.autograd.grad(log_pi[0, action], logits, retain_graph=True)[0]
        expected -= pi[0, action] * rewards[0, action] * score
    ours = torch.autograd.grad(shaped_cross_entropy(logits, target, shaping), logits)[0]
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
@each_reduction
def test_the_ce_arm_is_cross_entropy(form: str, dtype: torch.dtype, tolerance: float, reduction: str) -> None:
    logits, target = rows(n=64, vocab=50, dtype=dtype)
    ours = shaped_cross_entropy(logits, target, RewardShaping(form=form), reduction=reduction)
    theirs = F.cross_entropy(logits, target, reduction=reduction)
    assert_same(value_and_gradients(ours, logits), value_and_gradients(theirs, logits), tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each_reduction
def test_half_precision_is_as_close_to_fp32_as_torch_s(dtype: torch.dtype, reduction: str) -> None:
    logits, target = rows(n=64, vocab=50, dtype=dtype)
    exact_logits = logits.detach().float().requires_grad_()
    exact = value_and_gradients(F.cross_entropy(exact_logits, target, reduction=reduction), exact_logits)
    theirs = value_and_gradients(F.cross_entropy(logits, target, reduction=reduction), logits)
    ours = value_and_gradients(shaped_cross_entropy(logits, target, CE, reduction=reduction), logits)
    for our, their, truth in zip(ours, theirs, exact, strict=True):
        assert our.dtype == their.dtype == dtype
        # element by element, give or take one rounding of the result to `dtype`
        allowed = (their.float() - truth).abs() + truth.abs() * torch.finfo(dtype).eps + 1e-6
        assert ((our.float() - truth).abs() <= allowed).all()


@each_reduction
def test_half_precision_logits_under_autocast_are_worked_on_in_fp32(reduction: str) -> None:
    logits, target = rows(n=64, vocab=50, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        ours = shaped_cross_entropy(logits, target, CE, reduction=reduction)
    theirs = F.cross_entropy(logits.float(), target, reduction=reduction)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("retain_graph", [False, True], ids=["", "retained"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_loss_scale_lifts_the_gradient_of_a_mean_over_many_half_precision_rows(
    dtype: torch.dtype, retain_graph: bool
) -> None:
    """Half of the tokens are rare: divided by 4,000 rows before it is scaled, their gradient is 0 in fp16."""
    n, scale, rare = 4000, torch.tensor(2.0**15, dtype=dtype), slice(V, None)
    hidden = torch.ones(n, 1, dtype=dtype, requires_grad=True)
    weight = torch.tensor([[0.0], [-8.0]], dtype=dtype).repeat_interleave(V, 0).requires_grad_()
    logits = F.linear(hidden, weight).detach().requires_grad_()  # exact
    target = random_ids(V, n)
    prob = math.exp(-8) / (1 + math.exp(-8)) / V

    def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = torch.autograd.grad(loss, inputs, scale, retain_graph=retain_graph)
        assert {gradient.dtype for gradient in found} == {dtype}
        return tuple(gradient.double() / scale.double() for gradient in found)

    tolerance = 4 * torch.finfo(dtype).eps
    (of_logits,) = gradients(shaped_cross_entropy(logits, target, CE), logits)
    assert of_logits[:, rare].sum(0).tolist() == pytest.approx([prob] * V, rel=tolerance)
    of_hidden, of_weight = gradients(linear_shaped_cross_entropy(hidden, weight, target, CE), hidden, weight)
    assert of_hidden.sum().item() == pytest.approx(-8 * V * prob, rel=tolerance)
    assert of_weight[rare, 0].tolist() == pytest.approx([prob] * V, rel=tolerance)


def test_a_half_precision_mean_over_100_000_rows_is_neither_rounded_away_nor_beyond_fp16() -> None:
    """1 / 100,000 has two digits in fp16; the weight's gradient, summed over the rows, is above its largest."""
    n, scale = 100_000, torch.tensor(1024.0, dtype=torch.float16)
    target = torch.zeros(n, dtype=torch.long)
    logits = torch.zeros(n, 2, dtype=torch.float16, requires_grad=True)
    shaped_cross_entropy(logits, target, CE).backward(scale)
    assert logits.grad[0].tolist() == pytest.approx([-512 / n, 512 / n], rel=1e-3)
    hidden = torch.full((n, 1), 8.0, dtype=torch.float16)
    weight = torch.zeros(2, 1, dtype=torch.float16, requires_grad=True)
    linear_shaped_cross_entropy(hidden, weight, target, CE).backward()
    assert weight.grad.flatten().tolist() == pytest.approx([-4, 4], rel=1e-3)


@each_arm
def test_an_impossible_true_token_costs_infinity_with_a_finite_gradient_as_for_torch(
    shaping: RewardShaping,
) -> None:
    logits = torch.tensor([[0.0, 1.0, -math.inf]], requires_grad=True)
    loss, gradient = value_and_gradients(
        shaped_cross_entropy(logits, torch.tensor([2]), replace(shaping, top_k=1)), logits
    )
    assert loss.item() == math.inf
    assert gradient.isfinite().all()


@pytest.mark.parametrize("beta", [BETAS[0], -2.0, -0.9, 0.0, 2.0])
@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize("lambdas", [(0.0, 0.0), (0.1, 0.0), (0.0, -0.1), (1.0, -1.0)])
def test_extreme_logits_stay_finite_in_fp32(beta: float, form: str, lambdas: tuple[float, float]) -> None:
    logits = (1e4 * normal(40, V)).float()
    logits[20:] /= 2e3  # and rows where no token is impossible
    target = random_ids(V, 40)
    target[:30] = logits[:30].argmax(-1)  # certain tokens too
    logits.requires_grad_()
    shaping = RewardShaping(beta, *lambdas, top_k=3, form=form)
    loss, gradient = value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_where_pi_is_almost_one_fp32_is_as_close_to_fp64_as_torch_s() -> None:
    logits, target = rows(n=200, dtype=torch.float32)
    logits = logits.detach().scatter_(1, target.clamp_min(0)[:, None], 18.0).requires_grad_()
    exact = logits.detach().double().requires_grad_()
    truth = value_and_gradients(F.cross_entropy(exact, target, reduction="none"), exact)
    theirs = value_and_gradients(F.cross_entropy(logits, target, reduction="none"), logits)
    ours = value_and_gradients(shaped_cross_entropy(logits, target, CE, reduction="none"), logits)
    for our, their, true in zip(ours, theirs, truth, strict=True):
        assert (our - true).abs().mean() <= (their - true).abs().mean() + 1e-8
