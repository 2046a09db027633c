"""The model and the loss are the same under every wrapper: DDP, FSDP2, checkpointing, torch.compile, half
precision, weights that come to a model on "meta"."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import wrapped
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import checkpoint
from wrapped import SHAPING, V, batch, new

from pgce_mini import GPT, RewardShaping, ShapedLM, shaped_cross_entropy
from pgce_mini.gpt import causal_attention

# --- two processes ---


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(wrapped.process, (str(folder),), wrapped.PROCESSES)
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("case", wrapped.CASES)
def test_the_gradients_of_two_processes_are_those_of_one(case: str, found: Any) -> None:
    half = case.endswith(("bf16", "autocast"))
    forms = [result for name, result in found.items() if name.startswith(case + ";")]
    assert len(forms) == (1 if case == "fsdp, embedding alone" else 2)
    for result in forms:
        assert result["gradient"] < (0.1 if half else 2e-6), forms
        assert result["value"] < (5e-3 if half else 1e-6), forms
        assert result["dtype"] == "torch.float32"


def test_a_loss_is_synchronised_as_a_head_and_not_around_the_wrapper(found: Any) -> None:
    errors = found["around the wrapper"]
    assert errors["head"] < 2e-6
    assert errors["around"] > 0.5  # what the docstring of hidden_states warns of, and this test can see it


def test_a_process_without_a_token_to_learn_from_takes_part(found: Any) -> None:
    assert max(found["nothing kept"]) < 2e-6


def test_a_sharded_model_samples_what_a_whole_one_does(found: Any) -> None:
    assert found["generate"]


# --- the module ---


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_it_is_the_loss_of_the_logits(tied: bool, linear: bool) -> None:
    ids, target, keep = batch()
    lm = new(tied, linear)
    model = lm.model
    logits = model(ids)  # (B, T, V)
    wanted = target.where(keep, -100)
    for reduction in ("none", "sum", "mean"):
        expected = shaped_cross_entropy(logits.mT, wanted, SHAPING, reduction=reduction)
        for loss in (lm(ids, target, keep, reduction=reduction), lm(ids, wanted, reduction=reduction)):
            torch.testing.assert_close(loss, expected)
        parameters = list(model.parameters())
        upstream = torch.rand(expected.shape, generator=torch.Generator().manual_seed(0))
        ours = torch.autograd.grad(lm(ids, target, keep, reduction=reduction), parameters, upstream)
        theirs = torch.autograd.grad(expected, parameters, upstream, retain_graph=True)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    plain = ShapedLM(model, RewardShaping(), linear=linear, ignore_index=7)
    expected = F.cross_entropy(logits.mT, wanted.where(wanted != 7, -100), reduction="sum")
    torch.testing.assert_close(plain(ids, wanted.where(wanted != -100, 7)), expected)


@pytest.mark.parametrize("linear", [False, True])
def test_a_batch_without_a_document_or_a_kept_token_has_a_loss_and_gradients_of_zero(linear: bool) -> None:
    """So a process that has run out of documents takes part in the step of the others."""
    ids, target, keep = batch()
    for words in ((ids[:0], target[:0]), (ids[:0], target[:0], keep[:0]), (ids, target, keep & False)):
        lm = new(False, linear)
        loss = lm(*words)
        loss.backward()
        assert loss == 0
        assert all(parameter.grad is not None and not parameter.grad.any() for parameter in lm.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("linear", [False, True])
def test_a_sum_over_half_precision_neither_overflows_nor_is_rounded(linear: bool, dtype: torch.dtype) -> None:
    ids, target, _ = batch()
    ids, target = ids.repeat(160, 1), target.repeat(160, 1)  # a sum above 65,504, the largest number of fp16
    lm = new(True, linear)
    expected = lm(ids, target).item()
    assert expected > 65_504
    half = copy.deepcopy(lm).to(dtype)
    loss = half(ids, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=2e-3)
    (loss * 2.0**-10).backward()
    assert all(parameter.grad.isfinite().all() and parameter.grad.any() for parameter in half.parameters())


def test_what_does_not_belong_together_is_refused() -> None:
    ids, target, keep = batch()
    lm = new(True, False)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: lm(ids, target[:, 1:]), "target must have the shape of ids"),
        (lambda: lm(ids, target.to("meta")), "target must be on the device of ids, cpu, got meta"),
        (lambda: lm(ids, target, keep.to("meta")), "keep must be on the device of ids, cpu, got meta"),
        (lambda: lm(ids, target, keep.long()), "keep must be bool"),
        (lambda: lm(ids, target, keep[:, 1:]), "keep must be bool of shape"),
        (lambda: lm(ids, target, ~keep), "pad documents on the right"),
        (lambda: lm(ids, target, reduction="average"), "'average' is not a valid value"),
        (lambda: lm(ids[0], target[0]), r"ids must be \(B, T\)"),
    ]
    for call, words in calls:
        with pytest.raises(ValueError, match=words):
            call()
    others: list[Any] = [torch.nn.Linear(2, 2), "runs/prior"]
    for other in others:
        with pytest.raises(TypeError, match=f"model must be a GPT, wrapped or not, got {type(other).__name__}"):
            ShapedLM(other, SHAPING)
    with pytest.raises(ValueError, match="chunk_size is of linear=True"):
        ShapedLM(lm.model, SHAPING, chunk_size=8)
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1, got -5"):
        ShapedLM(lm.model, SHAPING, linear=True, chunk_size=-5)
    with pytest.raises(TypeError, match="shaping must be a RewardShaping"):
        ShapedLM(lm.model, -0.25)


# --- wrappers in one process ---


def gradients(lm: ShapedLM, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(lm.parameters())))


def test_checkpointing_changes_no_bit() -> None:
    ids, target, keep = batch()
    lm = new(False, True)
    expected = gradients(lm, lm(ids, target, keep))
    whole = checkpoint(lm, ids, target, keep, use_reentrant=False)
    assert all(map(torch.equal, gradients(lm, whole), expected))
    layers: Any = lm.model.model.layers
    for i, layer in enumerate(layers):
        layers[i] = checkpoint_wrapper(layer)
    assert all(map(torch.equal, gradients(lm, lm(ids, target, keep)), expected))


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # the same
def test_it_compiles_to_one_graph_and_a_compiled_layer_samples() -> None:
    ids, target, _ = batch()
    lm = new(True, True)
    expected = gradients(lm, lm(ids, target))
    compiled = torch.compile(lm, fullgraph=True, backend="eager")
    torch.testing.assert_close(gradients(lm, compiled(ids, target)), expected)

    layers: Any = lm.model.model.layers
    layers[0] = torch.compile(layers[0], backend="eager")
    torch.testing.assert_close(gradients(lm, lm(ids, target)), expected)
    assert len(lm.model.generate([[3]], 2, temperature=0, num_generations=20).completions) == 20


def test_a_hook_on_the_embedding_reaches_the_first_layer() -> None:
    """It is not looked up past it: noise or a change by hand would reach the residual stream alone."""
    ids, _, keep = batch()
    changed, model = new(False, False).model, new(False, False).model
    assert isinstance(changed, GPT)
    with torch.no_grad():
        changed.model.embed_tokens.weight.mul_(2).add_(0.5)
    model.model.embed_tokens.register_forward_hook(lambda module, args, out: 2 * out + 0.5)
    torch.testing.assert_close(model(ids, keep), changed(ids, keep))


class Scaled(nn.Embedding):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input) + 0.5


def test_a_subclass_or_a_hook_before_the_embedding_reaches_the_first_layer() -> None:
    ids, _, keep = batch()
    changed, model, other = (new(False, False).model for _ in range(3))
    assert isinstance(changed, GPT)
    with torch.no_grad():
        changed.model.embed_tokens.weight.mul_(2).add_(0.5)
    embed = model.model.embed_tokens
    model.model.embed_tokens = Scaled(*embed.weight.shape, _weight=embed.weight.detach())
    torch.testing.assert_close(model(ids, keep), changed(ids, keep))
    other.model.embed_tokens.register_forward_pre_hook(lambda module, args: (0 * args[0],))
    torch.testing.assert_close(other(ids, keep), new(False, False).model(0 * ids, keep))


# --- precision ---


@pytest.mark.parametrize("how", ["to", "bfloat16", "half", "autocast", "double"])
def test_queries_keys_and_values_have_one_dtype(how: str) -> None:
    ids, _, _ = batch()
    model = new(True, False).model
    exact = model(ids)
    if how == "to":
        model = model.to(torch.bfloat16)
    elif how != "autocast":
        model = getattr(model, how)()
    seen = set()

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.add((q.dtype, k.dtype, v.dtype))
        return causal_attention(layer, q, k, v)

    dtype = {"half": torch.float16, "double": torch.float64}.get(how, torch.bfloat16)
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient), torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            model.model(ids, torch.arange(ids.shape[1]), attend)
            assert seen == {(dtype,) * 3}
            assert (model(ids) - exact).norm() < 0.02 * exact.norm()
            assert len(model.generate([[3], [4, 5]], 4, temperature=0).completions) == 2


# --- weights that come later ---


@pytest.mark.parametrize("tied", [False, True])
def test_weights_that_come_to_a_model_on_meta_make_it_whole(tied: bool) -> None:
    ids, _, keep = batch()
    whole = new(tied, False).model
    with torch.device("meta"):
        emptied, assigned = (GPT(whole.config) for _ in range(2))
    moved = copy.deepcopy(whole).to("meta").to_empty(device="cpu")
    assert {parameter.device.type for parameter in emptied.parameters()} == {"meta"}
    assert emptied(ids.to("meta")).shape == (4, wrapped.LENGTH, V)
    emptied.to_empty(device="cpu").load_state_dict(whole.state_dict())
    assigned.load_state_dict(whole.state_dict(), assign=True)
    moved.load_state_dict(whole.state_dict())
    for model in (emptied, assigned, moved):
        with torch.inference_mode():  # what is made here is used in training, too
            model(ids)
        logits = model(ids, keep)
        assert torch.equal(logits, whole(ids, keep))
        logits.sum().backward()
        model.bfloat16().float()
        assert (model(ids, keep) - logits).norm() < 0.02 * logits.norm()


def test_a_model_on_meta_takes_no_memory() -> None:
    huge = replace(new(True, False).model.config, vocab_size=10**13)
    assert sum(parameter.numel() for parameter in GPT(huge, device="meta").parameters()) > 10**14
    with pytest.raises(ValueError, match="needs at least"):
        GPT(huge, device="cpu")
