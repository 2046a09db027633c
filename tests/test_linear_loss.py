"""The linear form against the product and then the loss over all the logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from loss_oracle import MIXED, V, assert_same, each_arm, each_reduction, normal, rows, value_and_gradients
from torch import Tensor

from pgce_mini.loss import linear, linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import RewardShaping


def hidden_weight_target(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """(11, 4), (V, 4), (11), two of them ignored."""
    hidden = normal(11, 4).to(dtype).requires_grad_()
    weight = normal(V, 4, seed=1).to(dtype).requires_grad_()
    _, target = rows(n=11)
    return hidden, weight, target


@pytest.mark.parametrize("chunk_size", [1, 3, 11, 100, None])
@each_reduction
@each_arm
def test_the_linear_form_is_the_unfused_one(
    chunk_size: int | None, reduction: str, shaping: RewardShaping
) -> None:
    hidden, weight, target = hidden_weight_target()
    options = {"shaping": shaping, "reduction": reduction}
    fused = linear_shaped_cross_entropy(hidden, weight, target, **options, chunk_size=chunk_size)
    unfused = shaped_cross_entropy(F.linear(hidden, weight), target, **options)
    assert_same(*(value_and_gradients(loss, hidden, weight) for loss in (fused, unfused)), tolerance=1e-13)


def test_no_more_logits_are_held_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    rows_of = linear.shaped_rows

    def spy(logits: Tensor, *rest: Any) -> Tensor:
        held.append(len(logits))
        return rows_of(logits, *rest)

    monkeypatch.setattr(linear, "shaped_rows", spy)
    hidden, weight, target = hidden_weight_target()
    linear_shaped_cross_entropy(hidden, weight, target, MIXED, chunk_size=4)
    assert held == [4, 4, 1]  # 9 of 11 are kept
    held.clear()
    hidden, weight = normal(300, 1).float(), normal(2**16, 1, seed=1).float()
    linear_shaped_cross_entropy(hidden, weight, torch.zeros(300).long(), MIXED)
    assert held == [128, 128, 44]  # 2^22 / 2^16 = 64, but at least 128


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("chunk_size", [3, None])
@each_reduction
def test_the_linear_form_in_half_precision_is_as_close_to_fp64_as_the_unfused_one(
    dtype: torch.dtype, chunk_size: int | None, reduction: str
) -> None:
    hidden, weight, target = hidden_weight_target(dtype)
    exact_inputs = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    exact = linear_shaped_cross_entropy(*exact_inputs, target, MIXED, reduction=reduction)
    fused = linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction, chunk_size=chunk_size)
    unfused = shaped_cross_entropy(F.linear(hidden, weight), target, MIXED, reduction=reduction)
    ours, theirs = (value_and_gradients(loss, hidden, weight) for loss in (fused, unfused))
    for our, their, truth in zip(ours, theirs, value_and_gradients(exact, *exact_inputs), strict=True):
        assert our.dtype == their.dtype == dtype
        allowed = (their.double() - truth).abs().max() + 2 * torch.finfo(dtype).eps * truth.abs().max()
        assert (our.double() - truth).abs().max() <= allowed


@each_reduction
def test_the_linear_form_under_autocast_is_the_unfused_one(reduction: str) -> None:
    hidden, weight, target = hidden_weight_target(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        fused = linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction)
        unfused = shaped_cross_entropy(F.linear(hidden, weight), target, MIXED, reduction=reduction)
    assert fused.dtype == unfused.dtype == torch.float32
    ours, theirs = (value_and_gradients(loss, hidden, weight) for loss in (fused, unfused))
    assert {gradient.dtype for gradient in ours} == {torch.float32}
    assert_same(ours, theirs, tolerance=2e-2)


def test_the_linear_form_takes_any_leading_shape_and_one_position() -> None:
    hidden, weight, target = hidden_weight_target()
    flat = linear_shaped_cross_entropy(hidden[:8], weight, target[:8], MIXED, reduction="none")
    cube = linear_shaped_cross_entropy(
        hidden[:8].reshape(2, 4, 4), weight, target[:8].reshape(2, 4), MIXED, reduction="none"
    )
    one = linear_shaped_cross_entropy(hidden[0], weight, target[0], MIXED)
    torch.testing.assert_close(cube, flat.reshape(2, 4), rtol=1e-14, atol=0)
    torch.testing.assert_close(one, flat[0], rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("n", [0, 3])
@each_reduction
def test_the_linear_form_with_nothing_kept_is_torch_s_answer(n: int, reduction: str, dtype: torch.dtype) -> None:
    hidden, weight, target = hidden_weight_target(dtype)
    hidden, target = hidden[:n], torch.full((n,), -100)
    loss = linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction)
    theirs = F.cross_entropy(F.linear(hidden, weight), target, reduction=reduction)
    torch.testing.assert_close(loss, theirs, rtol=0, atol=0, equal_nan=True)
    for gradient in torch.autograd.grad(loss.sum(), (hidden, weight)):
        assert not gradient.any()


@pytest.mark.parametrize("frozen", ["hidden", "weight"])
def test_a_frozen_side_of_the_linear_form_gets_no_gradient(frozen: str) -> None:
    hidden, weight, target = hidden_weight_target()
    (hidden if frozen == "hidden" else weight).requires_grad_(False)
    linear_shaped_cross_entropy(hidden, weight, target, MIXED).backward()
    assert (hidden.grad is None) == (frozen == "hidden")
    assert (weight.grad is None) == (frozen == "weight")


@pytest.mark.parametrize(
    ("hidden", "weight", "target"),
    [
        (torch.zeros(3, 4), torch.zeros(V, 5), torch.arange(4)[:3]),
        (torch.zeros(3, 4), torch.zeros(V, 4, 1), torch.arange(4)[:3]),
        (torch.zeros(3, 4), torch.zeros(V, 4), torch.arange(4)),
        (torch.zeros(()), torch.zeros(V, 4), torch.arange(4)[0]),
    ],
)
def test_shapes_of_the_linear_form_that_do_not_belong_together_are_refused(
    hidden: Tensor, weight: Tensor, target: Tensor
) -> None:
    with pytest.raises(ValueError, match=r"input \(\.\.\., d\), linear_weight \(V, d\) and target"):
        linear_shaped_cross_entropy(hidden, weight, target, MIXED)


def test_other_misuse_of_the_linear_form_is_refused() -> None:
    hidden, weight, target = hidden_weight_target()
    for chunk_size in (0, 2.5):
        with pytest.raises(ValueError, match=f"chunk_size must be a whole number of at least 1, got {chunk_size}"):
            linear_shaped_cross_entropy(hidden, weight, target, MIXED, chunk_size=chunk_size)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="must be floating point, got"):
        linear_shaped_cross_entropy(hidden.long(), weight.long(), target, MIXED)
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction="average")
    with pytest.raises(IndexError, match=rf"Target {V} is out of bounds\."):
        linear_shaped_cross_entropy(hidden, weight, target.clamp_min(V), MIXED)


def test_double_precision_stays_so_under_autocast_as_for_torch() -> None:
    hidden, weight, target = normal(6, 4), normal(5, 4, seed=1), torch.arange(6) % 5
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_shaped_cross_entropy(hidden, weight, target, MIXED)
        logits = F.linear(hidden, weight)
    assert loss.dtype == logits.dtype == torch.float64
    torch.testing.assert_close(loss, shaped_cross_entropy(logits, target, MIXED))
