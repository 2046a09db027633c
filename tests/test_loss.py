"""The loss against brute force, against enumeration, and against torch's own cross-entropy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pgce_mini.loss import SHORT_ROW, ShapedCrossEntropyLoss, linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.loss.shaped import _head
from pgce_mini.reward import PAPER_ARMS, RewardShaping, token_rewards

V = 9
CE = RewardShaping()
MIXED = RewardShaping(beta=-0.25, lambda_head=0.3, lambda_tail=-0.2, top_k=3)
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
REDUCTIONS = ("mean", "sum", "none")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

each_shaping = pytest.mark.parametrize("shaping", SHAPINGS.values(), ids=SHAPINGS.keys())
each_arm = pytest.mark.parametrize("shaping", [*PAPER_ARMS.values(), MIXED], ids=[*PAPER_ARMS, "mixed"])
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def rows(
    n: int = 12, vocab: int = V, dtype: torch.dtype = torch.float64, scale: float = 3
) -> tuple[Tensor, Tensor]:
    """Random logits (n, V) that require a gradient, and targets (n) of which every fifth is ignored."""
    logits = (torch.randn(n, vocab) * scale).to(dtype).requires_grad_()
    target = torch.randint(vocab, (n,))
    target[4::5] = -100
    return logits, target


def brute_force(logits: Tensor, target: Tensor, shaping: RewardShaping, ignore_index: int = -100) -> Tensor:
    """(N, V), (N) -> (N): -sum_a sg(pi_a r_a) log pi_a for autograd, the reward spelt out token by token."""
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
    """The loss and the gradients for an upstream gradient drawn from one fixed seed."""
    upstream = torch.randn(loss.shape, generator=torch.Generator().manual_seed(1)).to(loss.dtype)
    return loss.detach(), *torch.autograd.grad(loss, inputs, upstream)


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], tolerance: float) -> None:
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance, atol=tolerance)


# --- The value and the gradient ---------------------------------------------------------------------------


@each_shaping
@each_reduction
def test_value_and_gradient_are_those_of_brute_force(shaping: RewardShaping, reduction: str) -> None:
    logits, target = rows()
    assert_same(
        value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction=reduction), logits),
        value_and_gradients(reduced(brute_force(logits, target, shaping), target, reduction), logits),
        tolerance=1e-10,
    )


@each_arm
def test_the_paper_s_own_top_k_of_100_binds_in_a_larger_vocabulary(shaping: RewardShaping) -> None:
    logits, target = rows(vocab=130)
    assert_same(
        value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits),
        value_and_gradients(reduced(brute_force(logits, target, shaping), target, "mean"), logits),
        tolerance=1e-10,
    )


@pytest.mark.parametrize("shaping", [CE, MIXED], ids=["ce", "mixed"])
def test_many_blocks_of_rows_give_what_one_gives(shaping: RewardShaping, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = rows(n=23)
    whole = value_and_gradients(shaped_cross_entropy(logits, target, shaping, reduction="none"), logits)
    monkeypatch.setattr("pgce_mini.loss.shaped.CPU_BLOCK_ELEMENTS", 4 * V + 1)
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


def test_gradcheck_of_plain_cross_entropy() -> None:
    logits, target = rows(n=3, vocab=4)
    for reduction in REDUCTIONS:
        assert torch.autograd.gradcheck(
            lambda z, reduction=reduction: shaped_cross_entropy(z, target, CE, reduction=reduction), logits
        )


@each_shaping
def test_the_gradient_is_the_slope_of_the_loss_with_its_weights_frozen(shaping: RewardShaping) -> None:
    logits, target = rows(n=3)
    point = logits.detach()
    pi = torch.softmax(point, -1)
    frozen = pi * token_rewards(pi, target, shaping)
    ours = torch.autograd.grad(shaped_cross_entropy(logits, target, shaping, reduction="sum"), logits)[0]
    eps = 1e-6
    for row, a in itertools.product(range(3), range(V)):
        step = torch.zeros_like(point)
        step[row, a] = eps
        up, down = (-(frozen * torch.log_softmax(point + s, -1)).sum() for s in (step, -step))
        assert ours[row, a].item() == pytest.approx(((up - down) / (2 * eps)).item(), abs=1e-8)


@each_arm
def test_gradients_of_a_row_sum_to_zero(shaping: RewardShaping) -> None:
    """Softmax does not feel a constant added to the logits."""
    logits, target = rows()
    gradient = torch.autograd.grad(shaped_cross_entropy(logits, target, shaping), logits)[0]
    assert gradient.sum(-1).abs().max() < 1e-14


# --- Cross-entropy is the case beta = lambda = 0 ----------------------------------------------------------


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
    target = torch.randint(V, (n,))
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


# --- torch's layouts, dtypes and edge cases ---------------------------------------------------------------


@pytest.mark.parametrize("layout", [(V,), (4, V), (4, V, 3), (4, V, 3, 2), (0, V), (4, V, 0)])
@pytest.mark.parametrize("shaping", [CE, MIXED], ids=["ce", "mixed"])
@each_reduction
def test_every_layout_of_torch(layout: tuple[int, ...], shaping: RewardShaping, reduction: str) -> None:
    class_dim = min(1, len(layout) - 1)
    logits = torch.randn(layout, dtype=torch.float64, requires_grad=True)
    target = torch.randint(V, layout[:class_dim] + layout[class_dim + 1 :])
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
    base = torch.randn(12, 10, dtype=torch.float64, requires_grad=True)
    logits = view(base)
    target = torch.randint(logits.shape[1], (logits.shape[0],))
    for reduction in REDUCTIONS:
        assert_same(
            value_and_gradients(shaped_cross_entropy(logits, target, MIXED, reduction=reduction), base),
            value_and_gradients(
                shaped_cross_entropy(logits.contiguous(), target, MIXED, reduction=reduction), base
            ),
            tolerance=1e-14,
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
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
    shaped = shaped_cross_entropy(logits, target, MIXED, ignore_index=ignore_index, reduction=reduction)
    oracle = reduced(brute_force(logits, target, MIXED, ignore_index), target, reduction, ignore_index)
    assert_same(value_and_gradients(shaped, logits), value_and_gradients(oracle, logits), 1e-10)


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


# --- Hard numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("top_k", [1, 3, 7, V])  # 7 are more than there are finite logits
@each_arm
def test_a_masked_vocabulary_is_the_smaller_vocabulary(shaping: RewardShaping, top_k: int) -> None:
    shaping = replace(shaping, top_k=top_k)
    allowed = torch.tensor([0, 2, 3, 6, 8])
    small = torch.randn(20, len(allowed), dtype=torch.float64, requires_grad=True)
    target = torch.randint(len(allowed), (20,))
    large = torch.full((20, V), -math.inf, dtype=torch.float64).index_copy(1, allowed, small)
    assert_same(
        value_and_gradients(shaped_cross_entropy(large, allowed[target], shaping), small),
        value_and_gradients(shaped_cross_entropy(small, target, shaping), small),
        tolerance=1e-12,
    )


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


@pytest.mark.parametrize("beta", [-0.9, 0.0, 2.0])
@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize("lambdas", [(0.0, 0.0), (0.1, 0.0), (0.0, -0.1), (1.0, -1.0)])
def test_extreme_logits_stay_finite_in_fp32(beta: float, form: str, lambdas: tuple[float, float]) -> None:
    logits = (torch.randn(40, V) * 1e4).requires_grad_()
    target = torch.randint(V, (40,))
    target[:10] = logits[:10].argmax(-1)  # certain tokens too
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


@given(
    st.integers(2, 40).flatmap(
        lambda vocab: st.tuples(
            st.lists(st.lists(st.integers(-2, 2), min_size=vocab, max_size=vocab), min_size=1, max_size=5),
            st.integers(1, vocab - 1),
        )
    ),
    st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)
@settings(deadline=None)
def test_tied_logits_leave_the_head_that_torch_topk_picks(
    table_and_top_k: tuple[list[list[int]], int], dtype: torch.dtype
) -> None:
    table, top_k = table_and_top_k
    logits = torch.tensor(table, dtype=dtype)
    assert torch.equal(head_by_gradient(logits, top_k), head_by_topk(logits, top_k))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("top_k", [1, 100, 200])
def test_a_coarse_grid_leaves_exactly_top_k_tokens_in_the_head(dtype: torch.dtype, top_k: int) -> None:
    coarse = torch.randn(64, 256).bfloat16().to(dtype)
    equal = torch.zeros(2, 256, dtype=dtype)
    for logits in (coarse, equal):
        assert torch.equal(head_by_gradient(logits, top_k), head_by_topk(logits, top_k))


@pytest.mark.parametrize("vocab", [SHORT_ROW + 1, 7 * 1024 - 1])  # one row divides into folds, the other does not
@pytest.mark.parametrize("top_k", [1, 7, 100, SHORT_ROW])
def test_the_head_of_a_long_row_is_torch_topk_s_ties_and_masked_tokens_included(vocab: int, top_k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    fine = torch.randn(6, vocab, generator=generator)
    masked = fine.masked_fill(torch.rand(fine.shape, generator=generator) < 0.5, -math.inf)
    for logits in (
        fine,
        fine.bfloat16().float(),
        (2 * fine).round(),
        torch.zeros_like(fine),
        masked.sort(-1).values,
    ):
        ours = _head(logits, logits.softmax(-1), torch.zeros(6, 1).long(), top_k, torch.empty_like(logits))
        assert ours.ids is not None
        expected = logits.topk(top_k).indices
        finite = logits.gather(1, expected) > -math.inf  # which of the masked tokens fill up a head is no matter
        head = torch.zeros_like(logits).scatter_(1, ours.ids, 1)
        assert (head.sum(1) == top_k).all()
        assert head.gather(1, expected)[finite].all()


@each_arm
def test_value_and_gradient_of_long_rows_are_those_of_brute_force(shaping: RewardShaping) -> None:
    logits, target = rows(n=4, vocab=SHORT_ROW + 905)
    assert_same(
        value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits),
        value_and_gradients(reduced(brute_force(logits, target, shaping), target, "mean"), logits),
        tolerance=1e-10,
    )


@pytest.mark.parametrize("top_k", [1, 50, 200])
def test_probabilities_that_underflow_and_tie_cost_nothing(top_k: int) -> None:
    logits = (torch.randn(16, 256) * 200).requires_grad_()  # nearly all probabilities are 0 in fp32
    exact = logits.detach().double().requires_grad_()
    target = logits.argmax(-1)
    shaping = replace(MIXED, top_k=top_k)
    ours = value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)
    truth = value_and_gradients(shaped_cross_entropy(exact, target, shaping), exact)
    assert_same(tuple(our.double() for our in ours), truth, tolerance=1e-6)


# --- What autograd and torch.compile expect of a loss -----------------------------------------------------


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


@each_reduction
def test_a_scaled_loss_has_a_scaled_gradient(reduction: str) -> None:
    logits, target = rows()
    gradients = [
        torch.autograd.grad(
            scale * shaped_cross_entropy(logits, target, MIXED, reduction=reduction).sum(), logits
        )[0]
        for scale in (1.0, -0.375)
    ]
    torch.testing.assert_close(gradients[1], -0.375 * gradients[0], rtol=1e-14, atol=0)


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


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compiled_without_a_graph_break_it_gives_what_eager_gives() -> None:
    logits, target = rows(dtype=torch.float32)
    hidden = torch.randn(len(target), 4, requires_grad=True)
    weight = torch.randn(V, 4, requires_grad=True)

    halves = tuple(x.detach().half().requires_grad_() for x in (logits, hidden, weight))

    def losses(z: Tensor, h: Tensor, w: Tensor, *halves_and_ids: Tensor) -> Tensor:
        z_half, h_half, w_half, ids = halves_and_ids
        per_row = shaped_cross_entropy(z, ids, MIXED, reduction="none")
        fused = linear_shaped_cross_entropy(h, w, ids, MIXED)
        half = shaped_cross_entropy(z_half, ids, CE) + linear_shaped_cross_entropy(h_half, w_half, ids, MIXED)
        return shaped_cross_entropy(z, ids, PAPER_ARMS["precision"]) + per_row.square().sum() + 2 * fused + half

    inputs = (logits, hidden, weight, *halves)
    eager = value_and_gradients(losses(*inputs, target), *inputs)
    compiled = value_and_gradients(torch.compile(losses, fullgraph=True)(*inputs, target), *inputs)
    assert_same(compiled[:4], eager[:4], tolerance=1e-5)
    assert_same(compiled[4:], eager[4:], tolerance=1e-3)


# --- Errors -----------------------------------------------------------------------------------------------

Z = torch.zeros(4, 7)
IDS = torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("logits", "target", "options", "message"),
    [
        (Z, torch.tensor([0, 9, 1, 2]), {}, r"Target 9 is out of bounds\."),
        (Z, torch.tensor([0, -1, 1, 2]), {}, r"Target -1 is out of bounds\."),
        (Z, IDS[:3], {}, r"Expected input batch_size \(4\) to match target batch_size \(3\)\."),
        (Z, IDS[0], {}, r"Expected input batch_size \(4\)"),
        (Z, IDS.float(), {}, "expected target dtype to be Long or Byte"),
        (Z, IDS.int(), {}, "expected target dtype to be Long or Byte"),
        (Z, IDS[:, None], {}, r"Expected target size \[4\], got \[4, 1\]"),
        (torch.zeros(2, 3, 5), IDS[:3].expand(2, 3), {}, r"Expected target size \[2, 5\], got \[2, 3\]"),
        (torch.zeros(()), IDS[0], {}, "input must be floating-point logits of at least one dimension"),
        (Z.long(), IDS, {}, "input must be floating-point logits"),
        (Z, IDS, {"reduction": "average"}, "not a valid value for reduction"),
    ],
)
def test_a_misuse_raises_what_torch_raises(
    logits: Tensor, target: Tensor, options: dict[str, str], message: str
) -> None:
    with pytest.raises((IndexError, ValueError, RuntimeError)) as theirs:
        F.cross_entropy(logits, target, **options)
    # NotImplementedError, which torch raises for whole numbers, is a RuntimeError
    kind = next(kind for kind in (IndexError, ValueError, RuntimeError) if isinstance(theirs.value, kind))
    with pytest.raises(kind, match=message):
        shaped_cross_entropy(logits, target, MIXED, **options)


def test_logits_laid_out_batch_time_vocabulary_are_recognised() -> None:
    with pytest.raises(
        RuntimeError, match=r"look like \(N, T, V\): flatten both, or pass input.transpose\(1, 2\)"
    ):
        shaped_cross_entropy(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long), CE)


@pytest.mark.parametrize("loss", [shaped_cross_entropy, lambda z, t, s: linear_shaped_cross_entropy(z, z, t, s)])
def test_a_shaping_is_asked_for_where_something_else_is_given(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(TypeError, match="shaping must be a RewardShaping, got float"):
        loss(Z, IDS, -0.25)


# --- The linear form --------------------------------------------------------------------------------------


def hidden_weight_target(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """(11, 4), (V, 4), (11), two of them ignored."""
    hidden = torch.randn(11, 4).to(dtype).requires_grad_()
    weight = torch.randn(V, 4).to(dtype).requires_grad_()
    _, target = rows(n=11)
    return hidden, weight, target


@pytest.mark.parametrize("chunk_size", [1, 3, 11, 100, None])
@each_reduction
@each_arm
def test_the_linear_form_is_the_unfused_one(
    chunk_size: int | None, reduction: str, shaping: RewardShaping
) -> None:
    hidden, weight, target = hidden_weight_target()
    fused = linear_shaped_cross_entropy(
        hidden, weight, target, shaping, reduction=reduction, chunk_size=chunk_size
    )
    unfused = shaped_cross_entropy(F.linear(hidden, weight), target, shaping, reduction=reduction)
    assert_same(
        value_and_gradients(fused, hidden, weight),
        value_and_gradients(unfused, hidden, weight),
        tolerance=1e-13,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("chunk_size", [3, None])
@each_reduction
def test_the_linear_form_in_half_precision_is_as_close_to_fp64_as_the_unfused_one(
    dtype: torch.dtype, chunk_size: int | None, reduction: str
) -> None:
    hidden, weight, target = hidden_weight_target(dtype)
    exact_inputs = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    exact = value_and_gradients(
        linear_shaped_cross_entropy(*exact_inputs, target, MIXED, reduction=reduction), *exact_inputs
    )
    unfused = shaped_cross_entropy(F.linear(hidden, weight), target, MIXED, reduction=reduction)
    theirs = value_and_gradients(unfused, hidden, weight)
    fused = linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction=reduction, chunk_size=chunk_size)
    ours = value_and_gradients(fused, hidden, weight)
    for our, their, truth in zip(ours, theirs, exact, strict=True):
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


def test_gradcheck_of_the_linear_form() -> None:
    hidden, weight, target = hidden_weight_target()
    for reduction in REDUCTIONS:
        assert torch.autograd.gradcheck(
            lambda h, w, reduction=reduction: linear_shaped_cross_entropy(
                h, w, target, CE, reduction=reduction, chunk_size=4
            ),
            (hidden, weight),
        )


@pytest.mark.parametrize("frozen", ["hidden", "weight"])
def test_a_frozen_side_of_the_linear_form_gets_no_gradient(frozen: str) -> None:
    hidden, weight, target = hidden_weight_target()
    (hidden if frozen == "hidden" else weight).requires_grad_(False)
    linear_shaped_cross_entropy(hidden, weight, target, MIXED).backward()
    assert (hidden.grad is None) == (frozen == "hidden")
    assert (weight.grad is None) == (frozen == "weight")


def test_a_scaled_linear_loss_and_a_retained_graph() -> None:
    hidden, weight, target = hidden_weight_target()
    loss = linear_shaped_cross_entropy(hidden, weight, target, MIXED)
    once = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    assert_same(torch.autograd.grad(loss / 4, (hidden, weight)), tuple(g / 4 for g in once), 1e-15)


@pytest.mark.parametrize(
    ("hidden", "weight", "target"),
    [
        (torch.zeros(3, 4), torch.zeros(V, 5), IDS[:3]),
        (torch.zeros(3, 4), torch.zeros(V, 4, 1), IDS[:3]),
        (torch.zeros(3, 4), torch.zeros(V, 4), IDS),
        (torch.zeros(()), torch.zeros(V, 4), IDS[0]),
    ],
)
def test_shapes_of_the_linear_form_that_do_not_belong_together_are_refused(
    hidden: Tensor, weight: Tensor, target: Tensor
) -> None:
    with pytest.raises(ValueError, match=r"hidden \(\.\.\., d\), weight \(V, d\) and target"):
        linear_shaped_cross_entropy(hidden, weight, target, MIXED)


def test_other_misuse_of_the_linear_form_is_refused() -> None:
    hidden, weight, target = hidden_weight_target()
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        linear_shaped_cross_entropy(hidden, weight, target, MIXED, chunk_size=0)
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        linear_shaped_cross_entropy(hidden, weight, target, MIXED, reduction="average")
    with pytest.raises(RuntimeError, match="expected target dtype to be Long or Byte"):
        linear_shaped_cross_entropy(hidden, weight, target.int(), MIXED)
    with pytest.raises(IndexError, match=rf"Target {V} is out of bounds\."):
        linear_shaped_cross_entropy(hidden, weight, target.clamp_min(V), MIXED)


# --- The module, and the loss in use ----------------------------------------------------------------------


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

    embedding = torch.randn(V, V, dtype=torch.float64, requires_grad=True)  # a bigram model
    ids = torch.randint(V, (4, 6))
    labels = ids.clone()
    labels[0, 2:] = labels[3, :4] = -100  # rows of different lengths: a mean of means would be wrong
    whole = compute_loss_func({"logits": embedding[ids]}, labels)
    expected = torch.autograd.grad(whole, embedding)[0]

    num_items_in_batch = (labels[:, 1:] != -100).sum()
    parts = [
        compute_loss_func({"logits": embedding[ids[half]]}, labels[half], num_items_in_batch)
        for half in (slice(0, 2), slice(2, 4))
    ]
    for part in parts:
        part.backward()
    torch.testing.assert_close(sum(parts), whole, rtol=1e-13, atol=0)
    torch.testing.assert_close(embedding.grad, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("beta", [-0.25, 0.0, 0.5])
def test_gradient_descent_ends_at_the_stationary_policy(beta: float) -> None:
    """pi_a is proportional to q_a (1 - pi_a)^beta, and with two tokens odds(pi) = odds(q)^(1 / (1 + beta))."""
    for q in (torch.tensor([0.8, 0.2]), torch.tensor([0.55, 0.25, 0.15, 0.05])):
        q = q.double()
        logits = torch.zeros_like(q, requires_grad=True)
        optimizer = torch.optim.SGD([logits], lr=1.0)
        for _ in range(400):
            optimizer.zero_grad()
            per_target = shaped_cross_entropy(  # every token in turn as the true one
                logits.expand(len(q), -1), torch.arange(len(q)), RewardShaping(beta), reduction="none"
            )
            (q * per_target).sum().backward()
            optimizer.step()
        pi = torch.softmax(logits.detach(), -1)
        stationary = q * (1 - pi) ** beta
        torch.testing.assert_close(pi, stationary / stationary.sum(), rtol=1e-9, atol=0)
        if len(q) == 2:
            odds, label_odds = (p[0] / p[1] for p in (pi, q))
            torch.testing.assert_close(odds, label_odds ** (1 / (1 + beta)), rtol=1e-9, atol=0)
