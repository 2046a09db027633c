"""The network: against the plain model of notebook 05 in float64, forward and gradients, in every layout."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from plain_gpt import SHAPES, make, plain_logits, plain_states, random_ids, seeded
from torch import Tensor

from pgce_mini.gpt import GPT, GPTConfig, shared_prompt_attention
from pgce_mini.gpt.norm import RMSNormFunction


def assert_same_with_gradients(ours: Tensor, plain: Tensor, model: GPT) -> None:
    """Values, and gradients of all parameters for one random upstream gradient."""
    upstream = torch.randn(plain.shape, dtype=plain.dtype, generator=seeded())
    parameters = list(model.parameters())
    gradients = [torch.autograd.grad(x, parameters, upstream) for x in (ours, plain)]
    for one, other in [(ours, plain), *zip(*gradients, strict=True)]:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * other.detach().abs().max().item())


@pytest.mark.parametrize("length", [3, 30])  # fewer positions than the vocabulary has tokens, and more
@pytest.mark.parametrize("longest", [8, 64])  # torch's fused attention beyond `longest`
@pytest.mark.parametrize("name", SHAPES)
def test_model_is_the_one_built_by_hand(
    name: str, longest: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgce_mini.gpt.attention.MAX_BATCHED_MATMUL_LENGTH", longest)
    model, ids = make(name).double(), random_ids(2, length)
    assert_same_with_gradients(model(ids), plain_logits(model, ids), model)
    with torch.no_grad():  # another RMSNorm
        torch.testing.assert_close(model(ids), plain_logits(model, ids), rtol=0, atol=1e-12)


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any), name=st.sampled_from(list(SHAPES)))
@settings(max_examples=25)
def test_packed_positions_have_the_states_built_by_hand(lengths: list[int], name: str) -> None:
    model, ids = make(name).double(), random_ids(len(lengths), 9)
    keep = torch.arange(9) < torch.tensor(lengths)[:, None]
    ours = F.linear(model.hidden_states(ids, keep), model.unembedding)
    assert_same_with_gradients(ours, plain_logits(model, ids)[keep], model)


@pytest.mark.parametrize("name", SHAPES)
def test_completions_that_share_a_prompt_have_the_states_built_by_hand(name: str) -> None:
    model = make(name).double()
    prompts, lengths = random_ids(2, 5), torch.tensor([5, 3])  # (G, P), right-padded
    completions = random_ids(6, 4, seed=1).view(2, 3, 4)  # (G, n, L)
    read = torch.arange(4) < torch.tensor([[4, 2, 0], [1, 3, 4]])[..., None]
    positions = (lengths[:, None, None] + torch.arange(4)).expand_as(read)
    states = model.model(
        torch.cat([prompts.flatten(), completions[read]]),
        torch.cat([torch.arange(5).repeat(2), positions[read]]),
        shared_prompt_attention(lengths, 5, read),
    )
    plain_prompts, plain_completions = [], []
    for prompt, length, rows, kept in zip(prompts, lengths.tolist(), completions, read, strict=True):
        plain_prompts.append(plain_states(model, prompt[None])[0])
        for row, mask in zip(rows, kept, strict=True):
            whole = torch.cat([prompt[:length], row[mask]])
            plain_completions.append(plain_states(model, whole[None])[0, length:])
    plain = torch.cat(plain_prompts + plain_completions)
    assert_same_with_gradients(F.linear(states, model.unembedding), F.linear(plain, model.unembedding), model)


@pytest.mark.parametrize("shape", [(6,), (7, 6), (3, 2, 4)], ids=["one", "vectors", "heads"])
def test_rms_norm_and_its_gradient_are_those_of_torch(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=seeded(0)).requires_grad_()
    weight = torch.randn(shape[-1], dtype=torch.float64, generator=seeded(1)).requires_grad_()
    eps = 0.1  # large enough to show in the gradient
    torch.testing.assert_close(RMSNormFunction.apply(x, weight, eps), F.rms_norm(x, shape[-1:], weight, eps))
    assert torch.autograd.gradcheck(lambda x, weight: RMSNormFunction.apply(x, weight, eps), (x, weight))


def test_weights_depend_on_the_generator_alone() -> None:
    def weights(model: GPT) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    state = torch.random.get_rng_state()
    first, default = GPT(SHAPES["plain"], seeded(3)), GPT(SHAPES["plain"])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    assert torch.equal(weights(GPT(SHAPES["plain"], seeded(3))), weights(first))
    assert torch.equal(weights(default), weights(GPT(SHAPES["plain"], seeded(0))))
    assert not torch.equal(weights(default), weights(first))
    assert first.unembedding.std().item() == pytest.approx(32**-0.5, rel=0.1)


def test_state_dict_round_trips_without_the_rotary_tables() -> None:
    model, other = make(seed=1), make(seed=2)
    assert not any("cos" in key or "sin" in key for key in model.state_dict())
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(random_ids(1, 4)), other(random_ids(1, 4)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 0), ("hidden_size", -1), ("hidden_size", 30),  # not a multiple of the heads
        ("num_hidden_layers", 1.5), ("num_attention_heads", True), ("num_attention_heads", 0),
        ("num_key_value_heads", 3), ("num_key_value_heads", None), ("head_dim", 7), ("head_dim", 0),
        ("intermediate_size", "128"), ("max_position_embeddings", 0), ("rope_theta", float("nan")),
        ("rope_theta", 0.0), ("rms_norm_eps", float("inf")), ("tie_word_embeddings", 1),
    ],
)  # fmt: skip
def test_config_names_the_field_that_makes_no_sense(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} "):
        GPTConfig(**({"vocab_size": 23} | {field: value}))  # type: ignore[arg-type]  # wrong on purpose


def test_forward_refuses_ids_of_the_wrong_shape() -> None:
    for ids in (torch.tensor([1, 2]), random_ids(1, 65)):
        with pytest.raises(ValueError, match=r"^ids "):
            make()(ids)


@pytest.mark.parametrize(
    "keep", [torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 4), torch.tensor([[True, False, True, True]] * 2)]
)
def test_keep_must_be_a_mask_of_right_padded_rows(keep: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^keep "):
        make().hidden_states(random_ids(2, 4), keep)
