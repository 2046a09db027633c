"""The loss beside torch's: layouts, dtypes, ignored targets, autograd, torch.compile, errors, the module."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from loss_oracle import (
    CE,
    MIXED,
    REDUCTIONS,
    V,
    assert_loss_is_brute_force,
    assert_same,
    brute_force,
    each_arm,
    each_reduction,
    normal,
    random_ids,
    reduced,
    rows,
    value_and_gradients,
)
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from pgce_mini.loss import ShapedCrossEntropyLoss, linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS, RewardShaping

# --- layouts, dtypes, ignored targets ---


@pytest.mark.parametrize("layout", [(V,), (4, V), (4, V, 3), (4, V, 3, 2), (0, V), (4, V, 0)])
@pytest.mark.parametrize("shaping", [CE, MIXED], ids=["ce", "mixed"])
@each_reduction
def test_every_layout_of_torch(layout: tuple[int, ...], shaping: RewardShaping, reduction: str) -> None:
    class_dim = min(1, len(layout) - 1)
    logits = normal(*layout).requires_grad_()
    target = random_ids(V, *layout[:class_dim], *layout[class_dim + 1 :])
    ours = value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction=reduction), logits)
    by_torch = F.cross_entropy(logits, target, reduction=reduction)
    assert ours[0].shape == by_torch.shape
    if shaping is CE:
        theirs = value_and_gradients(by_torch, logits)
    else:
        flat = logits.movedim(class_dim, -1).reshape(target.numel(), V)
        losses = brute_force(flat, target.reshape(-1), shaping) if len(flat) else flat.sum(-1)
        theirs = value_and_gradients(reduced(losses, target, reduction), logits)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::3], lambda x: x[:1].expand(5, -1)],
    ids=["transposed", "strided classes", "strided rows", "expanded"],
)
def test_the_strides_of_the_input_do_not_matter(view: Callable[[Tensor], Tensor]) -> None:
    base = normal(12, 10).requires_grad_()
    logits = view(base)
    target = random_ids(logits.shape[1], len(logits))
    for reduction in REDUCTIONS:
        losses = (
            shaped_cross_entropy(z, target, MIXED, reduction=reduction) for z in (logits, logits.contiguous())
        )
        assert_same(*(value_and_gradients(loss, base) for loss in losses), tolerance=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
@each_reduction
def test_the_result_has_the_dtype_of_torch_s(dtype: torch.dtype, autocast: bool, reduction: str) -> None:
    logits, target = rows(dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        ours = shaped_cross_entropy(logits, target, MIXED, reduction=reduction)
        theirs = F.cross_entropy(logits, target, reduction=reduction)
    assert ours.dtype == theirs.dtype
    assert torch.autograd.grad(ours.sum(), logits)[0].dtype == dtype


@pytest.mark.parametrize("ignore_index", [-100, -1, 2, 255])
@each_reduction
def test_any_ignore_index_even_one_inside_the_vocabulary(ignore_index: int, reduction: str) -> None:
    logits, target = rows()
    target[target == -100] = ignore_index
    ours = shaped_cross_entropy(logits, target, CE, ignore_index=ignore_index, reduction=reduction)
    theirs = F.cross_entropy(logits, target, ignore_index=ignore_index, reduction=reduction)
    assert_same(value_and_gradients(ours, logits), value_and_gradients(theirs, logits), 1e-14)
    assert_loss_is_brute_force(logits, target, MIXED, reduction, ignore_index)


def test_byte_targets_are_ids_as_for_torch() -> None:
    logits, _ = rows(n=3)
    target = torch.tensor([0, V - 1, 255], dtype=torch.uint8)
    ours = shaped_cross_entropy(logits, target, CE, ignore_index=255)
    torch.testing.assert_close(ours, F.cross_entropy(logits, target, ignore_index=255), rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
@each_arm
@each_reduction
def test_all_ignored_is_torch_s_answer_with_a_gradient_of_zero(
    shaping: RewardShaping, reduction: str, dtype: torch.dtype
) -> None:
    logits, target = rows(n=4, dtype=dtype)
    target[:] = -100
    ours = shaped_cross_entropy(logits, target, shaping, reduction=reduction)
    theirs = F.cross_entropy(logits, target, reduction=reduction)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(torch.autograd.grad(ours.sum(), logits)[0], torch.zeros_like(logits))


@pytest.mark.parametrize("absurd", [math.nan, math.inf, -math.inf, 1e38, -1e38])
@each_arm
@each_reduction
def test_whatever_an_ignored_row_holds_changes_nothing(
    absurd: float, shaping: RewardShaping, reduction: str
) -> None:
    logits, target = rows(dtype=torch.float32)
    ignored = target == -100
    dirty = logits.detach().clone()
    dirty[ignored] = absurd
    dirty[4, 0] = 1.0  # the row is not constant either
    dirty.requires_grad_()
    clean = value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction=reduction), logits)
    ours = value_and_gradients(shaped_cross_entropy(dirty, target, shaping, reduction=reduction), dirty)
    assert torch.equal(ours[0], clean[0])
    assert torch.equal(ours[1], clean[1])
    assert not ours[1][ignored].any()


# --- autograd and torch.compile ---


@each_reduction
def test_the_caller_s_logits_are_never_written_to(reduction: str) -> None:
    logits, target = rows()
    before = logits.detach().clone()
    shaped_cross_entropy(logits, target, MIXED, reduction=reduction).sum().backward()
    assert logits._version == 0
    assert torch.equal(logits, before)


@pytest.mark.parametrize("zero", ["zero in place", "set to None", "accumulate"])
@each_reduction
def test_a_retained_graph_can_be_walked_again_and_again(zero: str, reduction: str) -> None:
    """The first backward must not hand the buffer it kept to the caller, who may write to it."""
    logits, target = rows()
    loss = shaped_cross_entropy(logits, target, MIXED, reduction=reduction).sum()
    loss.backward(retain_graph=True)
    once = logits.grad.clone()
    for walk in range(2, 5):
        if zero == "zero in place":
            logits.grad.zero_()
        elif zero == "set to None":
            logits.grad = None
        (loss * 1).backward(retain_graph=walk < 4)
        expected = once * walk if zero == "accumulate" else once
        torch.testing.assert_close(logits.grad, expected, rtol=1e-14, atol=0)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("upstream", [1, 2])
@each_reduction
def test_the_gradient_is_a_plain_tensor(reduction: str, upstream: int) -> None:
    logits, target = rows()
    loss = upstream * shaped_cross_entropy(logits, target, MIXED, reduction=reduction).sum()
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    loss.backward()
    for tensor in (gradient, logits.grad):
        assert not tensor.requires_grad
        assert tensor.grad_fn is None


@each_reduction
def test_a_second_derivative_is_refused_rather_than_wrong(reduction: str) -> None:
    logits, target = rows()
    loss = shaped_cross_entropy(logits, target, MIXED, reduction=reduction).sum()
    with pytest.raises(RuntimeError, match="differentiable once: drop create_graph=True"):
        torch.autograd.grad(loss, logits, create_graph=True)


def test_without_autograd_there_is_a_value_and_no_graph() -> None:
    logits, target = rows()
    with torch.no_grad():
        loss = shaped_cross_entropy(logits, target, MIXED)
    assert not loss.requires_grad
    assert loss.item() == shaped_cross_entropy(logits, target, MIXED).item()


# --- torch.func, vmap, tensors without values ---


def linear_loss(weight: Tensor, hidden: Tensor, target: Tensor, reduction: str) -> Tensor:
    return linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction).sum()


def logits_loss(weight: Tensor, hidden: Tensor, target: Tensor, reduction: str) -> Tensor:
    return shaped_cross_entropy(hidden @ weight.T, target, MIXED, reduction=reduction).sum()


@pytest.mark.parametrize("loss", [logits_loss, linear_loss])
@each_reduction
def test_per_sample_gradients_by_torch_func_are_those_of_a_loop(
    loss: Callable[..., Tensor], reduction: str
) -> None:
    weight, hidden, target = normal(V, 4), normal(3, 5, 4, seed=1), random_ids(V, 3, 5)
    target[1, 2] = -100
    grad = torch.func.grad(partial(loss, reduction=reduction))
    ours = torch.vmap(grad, in_dims=(None, 0, 0))(weight, hidden, target)  # (3, V, 4)
    for of_sample, states, ids in zip(ours, hidden, target, strict=True):
        alone = weight.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(alone, states, ids, reduction), alone)
        torch.testing.assert_close(of_sample, expected, rtol=1e-13, atol=1e-15)
    outside = weight.clone().requires_grad_()
    torch.vmap(partial(loss, reduction=reduction), in_dims=(None, 0, 0))(outside, hidden, target).sum().backward()
    torch.testing.assert_close(outside.grad, ours.sum(0), rtol=1e-13, atol=1e-15)


@each_reduction
def test_jacobians_batch_the_backward_pass(reduction: str) -> None:
    logits, target = rows()
    loss = partial(shaped_cross_entropy, target=target, shaping=MIXED, reduction=reduction)
    one_by_one = torch.autograd.functional.jacobian(loss, logits)
    batched = torch.autograd.functional.jacobian(loss, logits, vectorize=True)
    torch.testing.assert_close(batched, one_by_one, rtol=1e-13, atol=0)
    torch.testing.assert_close(torch.func.jacrev(loss)(logits.detach()), one_by_one, rtol=1e-13, atol=0)


@pytest.mark.parametrize("loss", [logits_loss, linear_loss])
@each_reduction
def test_torch_func_refuses_a_second_derivative_too(loss: Callable[..., Tensor], reduction: str) -> None:
    weight, hidden, target = normal(V, 4), normal(5, 4, seed=1), random_ids(V, 5)
    first = torch.func.grad(partial(loss, reduction=reduction))
    with pytest.raises(RuntimeError, match="differentiable once"):
        torch.func.grad(lambda weight: first(weight, hidden, target).sum())(weight)


@pytest.mark.parametrize("loss", [logits_loss, linear_loss])
@each_reduction
def test_a_vjp_is_pulled_back_after_its_transform_and_again(loss: Callable[..., Tensor], reduction: str) -> None:
    weight, hidden, target = normal(V, 4), normal(5, 4, seed=1), random_ids(V, 5)
    value, pull_back = torch.func.vjp(partial(loss, hidden=hidden, target=target, reduction=reduction), weight)
    expected = torch.func.grad(partial(loss, reduction=reduction))(weight, hidden, target)
    for factor in (1.0, 2.0):
        torch.testing.assert_close(pull_back(torch.full_like(value, factor))[0], factor * expected)


def test_a_vocabulary_of_none_and_a_head_beyond_every_vocabulary() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        shaped_cross_entropy(torch.zeros(3, 0), torch.zeros(3, dtype=torch.long), MIXED)
    logits, target = rows()
    whole, beyond = (RewardShaping(lambda_head=0.1, top_k=k) for k in (V, 10**30))
    assert shaped_cross_entropy(logits, target, beyond) == shaped_cross_entropy(logits, target, whole)


@pytest.mark.parametrize("mode", [nullcontext, FakeTensorMode])
@each_reduction
def test_tensors_without_values_give_the_shapes_of_torch_s(mode: type, reduction: str) -> None:
    with mode():
        device = "meta" if mode is nullcontext else "cpu"
        hidden = torch.empty(6, 4, device=device, dtype=torch.bfloat16, requires_grad=True)
        weight = torch.empty(V, 4, device=device, dtype=torch.bfloat16, requires_grad=True)
        target = torch.empty(6, device=device, dtype=torch.long)
        theirs = F.cross_entropy(hidden @ weight.T, target, reduction=reduction)
        for ours in (
            shaped_cross_entropy(hidden @ weight.T, target, MIXED, reduction=reduction),
            linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction),
        ):
            assert (ours.shape, ours.dtype, ours.device) == (theirs.shape, theirs.dtype, theirs.device)
            gradients = torch.autograd.grad(ours.sum(), (hidden, weight))
            assert [gradient.shape for gradient in gradients] == [hidden.shape, weight.shape]


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compiled_without_a_graph_break_it_gives_what_eager_gives() -> None:
    logits, target = rows(dtype=torch.float32)
    hidden = normal(len(target), 4).float().requires_grad_()
    weight = normal(V, 4, seed=1).float().requires_grad_()

    halves = tuple(x.detach().half().requires_grad_() for x in (logits, hidden, weight))

    def losses(z: Tensor, h: Tensor, w: Tensor, *halves_and_ids: Tensor) -> Tensor:
        z_half, h_half, w_half, ids = halves_and_ids
        per_row = shaped_cross_entropy(z, ids, MIXED, reduction="none")
        fused = linear_shaped_cross_entropy(h, w, ids, MIXED)
        half = shaped_cross_entropy(z_half, ids, CE) + linear_shaped_cross_entropy(h_half, w_half, ids, MIXED)
        return shaped_cross_entropy(z, ids, PAPER_ARMS["precision"]) + per_row.square().sum() + 2 * fused + half

    inputs = (logits, hidden, weight, *halves)
    eager = value_and_gradients(losses(*inputs, target), *inputs)
    compiled_losses = torch.compile(losses, fullgraph=True, backend="aot_eager")  # Inductor needs a C++ compiler
    compiled = value_and_gradients(compiled_losses(*inputs, target), *inputs)
    assert_same(compiled[:4], eager[:4], tolerance=1e-5)
    assert_same(compiled[4:], eager[4:], tolerance=1e-3)


# --- errors ---

Z = torch.zeros(4, 7)
IDS = torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("logits", "target", "options", "message"),
    [
        (Z, torch.tensor([0, 9, 1, 2]), {}, r"Target 9 is out of bounds\."),
        (Z, torch.tensor([0, -1, 1, 2]), {}, r"Target -1 is out of bounds\."),
        (Z, IDS[:3], {}, r"Expected input batch_size \(4\) to match target batch_size \(3\)\."),
        (Z, IDS[0], {}, r"Expected input batch_size \(4\) to match target batch_size \(none: a scalar\)\."),
        (Z, IDS.float(), {}, "expected target dtype to be Long or Byte"),
        (Z, IDS[:, None], {}, r"Expected target size \[4\], got \[4, 1\]"),
        (
            torch.zeros(2, 3, 5), IDS[:3].expand(2, 3), {},
            r"got \[2, 3\]\. The logits look like \(N, T, V\): flatten both, or pass input.transpose\(1, 2\)",
        ),
        (torch.zeros(()), IDS[0], {}, "input must be floating-point logits of at least one dimension"),
        (Z.long(), IDS, {}, "input must be floating-point logits"),
        (Z, IDS, {"reduction": "average"}, "not a valid value for reduction"),
    ],
)  # fmt: skip
def test_a_misuse_raises_what_torch_raises(
    logits: Tensor, target: Tensor, options: dict[str, str], message: str
) -> None:
    with pytest.raises((IndexError, ValueError, RuntimeError)) as theirs:
        F.cross_entropy(logits, target, **options)
    # NotImplementedError, which torch raises for whole numbers, is a RuntimeError
    kind = next(kind for kind in (IndexError, ValueError, RuntimeError) if isinstance(theirs.value, kind))
    with pytest.raises(kind, match=message):
        shaped_cross_entropy(logits, target, MIXED, **options)


@pytest.mark.parametrize("loss", [shaped_cross_entropy, lambda z, t, s: linear_shaped_cross_entropy(z, z, t, s)])
def test_a_shaping_is_asked_for_where_something_else_is_given(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(TypeError, match="shaping must be a RewardShaping, got float"):
        loss(Z, IDS, -0.25)


# --- the module ---


@each_reduction
def test_the_module_is_the_function(reduction: str) -> None:
    logits, target = rows()
    module = ShapedCrossEntropyLoss(MIXED, ignore_index=2, reduction=reduction)
    function = shaped_cross_entropy(logits, target % V, MIXED, ignore_index=2, reduction=reduction)
    assert torch.equal(module(logits, target % V), function)
    assert list(module.parameters()) == []
    assert repr(MIXED) in repr(module)


def test_the_module_refuses_a_wrong_argument_when_it_is_built() -> None:
    with pytest.raises(ValueError, match="reduction"):
        ShapedCrossEntropyLoss(MIXED, reduction="average")
    with pytest.raises(TypeError, match="shaping"):
        ShapedCrossEntropyLoss("precision")


def test_hugging_face_accumulation_gives_the_gradient_of_the_whole_batch() -> None:
    """`compute_loss_func` as a user of transformers.Trainer writes it: labels come unshifted."""

    def compute_loss_func(
        outputs: dict[str, Tensor], labels: Tensor, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        labels = F.pad(labels, (0, 1), value=-100)[..., 1:]  # (B, T)
        reduction = "mean" if num_items_in_batch is None else "sum"
        loss = shaped_cross_entropy(outputs["logits"].flatten(0, 1), labels.flatten(), MIXED, reduction=reduction)
        return loss if num_items_in_batch is None else loss / num_items_in_batch

    embedding = normal(V, V).requires_grad_()  # a bigram model
    ids = random_ids(V, 4, 6)
    labels = ids.clone()
    labels[0, 2:] = labels[3, :4] = -100  # rows of different lengths: a mean of means would be wrong
    whole = compute_loss_func({"logits": embedding[ids]}, labels)
    expected = torch.autograd.grad(whole, embedding)[0]

    num_items_in_batch = (labels[:, 1:] != -100).sum()
    for half in (slice(0, 2), slice(2, 4)):
        compute_loss_func({"logits": embedding[ids[half]]}, labels[half], num_items_in_batch).backward()
    torch.testing.assert_close(embedding.grad, expected, rtol=1e-12, atol=1e-15)
