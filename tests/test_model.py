import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from pgce_mini.gpt import GPT, GPTConfig, RMSNormFunction, attention, sample
from pgce_mini.tasks.base import EOS_ID, PAD_ID

SHAPES = {
    "plain": GPTConfig(vocab_size=23, hidden_size=32, intermediate_size=48, max_position_embeddings=64),
    "grouped": GPTConfig(23, 32, 3, 4, 2, max_position_embeddings=64, rope_theta=1e6),
    "wide heads": GPTConfig(23, 32, 2, 4, 1, head_dim=12, max_position_embeddings=64),
    "untied": GPTConfig(23, 32, 1, 2, 2, max_position_embeddings=64, tie_word_embeddings=False),
}
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]


def make(name: str = "grouped", seed: int = 0, scale: float = 1.0) -> GPT:
    """A model whose predictions are far from uniform and do not just repeat the last token."""
    model = GPT(SHAPES[name], torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(scale if "embed" in key else 2 * scale)
            else:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


def random_ids(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 23, (batch, length), generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def greedy_without_cache(model: GPT, prompt: list[int], length: int) -> list[int]:
    ids = list(prompt)
    for _ in range(length):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == EOS_ID:
            break
    return ids[len(prompt) :]


# --- the network ---


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers_after_export(name: str, tmp_path: Path) -> None:
    from transformers import Qwen3ForCausalLM

    model, ids = make(name), random_ids(3, 17)
    model.to_qwen3(tmp_path)
    theirs, loading = Qwen3ForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(loading.values())
    with torch.no_grad():
        logits = model(ids)
        assert logits.std() > 0.5
        torch.testing.assert_close(logits, theirs(ids).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shards", ["one file", "sharded"])
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers_after_import(name: str, shards: str, tmp_path: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    shape = asdict(SHAPES[name])
    theta = shape.pop("rope_theta")
    rope = {"rope_type": "default", "rope_theta": theta}
    config = Qwen3Config(**shape, rope_parameters=rope, initializer_range=0.2)
    torch.manual_seed(0)
    theirs = Qwen3ForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="5KB" if shards == "sharded" else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards == "sharded")
    ours, ids = GPT.from_qwen3(tmp_path), random_ids(3, 17)
    assert ours.config == SHAPES[name]
    with torch.no_grad():
        logits = theirs(ids).logits
        assert logits.std() > 0.5
        torch.testing.assert_close(ours(ids), logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_export_then_import_changes_nothing(name: str, tmp_path: Path) -> None:
    model = make(name)
    model.to_qwen3(tmp_path / "new" / "directory")
    again = GPT.from_qwen3(tmp_path / "new" / "directory")
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    for key, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], weight), key


def test_parameters_have_the_names_of_transformers() -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    for name in ("grouped", "untied"):
        theirs = Qwen3ForCausalLM(Qwen3Config(**asdict(SHAPES[name])))
        ours = {key: value.shape for key, value in make(name).named_parameters()}
        assert ours == {key: value.shape for key, value in theirs.named_parameters()}


def test_bfloat16_weights_load_in_the_asked_dtype(tmp_path: Path) -> None:
    model = make().to(torch.bfloat16)
    model.to_qwen3(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    wide, narrow = GPT.from_qwen3(tmp_path), GPT.from_qwen3(tmp_path, dtype=torch.bfloat16)
    assert wide.unembedding.dtype == torch.float32
    assert narrow.unembedding.dtype == torch.bfloat16
    assert torch.equal(wide.unembedding, narrow.unembedding.float())


def test_bfloat16_forward_stays_close_to_transformers(tmp_path: Path) -> None:
    """Our error against float32 is at most theirs, and a little."""
    from transformers import Qwen3ForCausalLM

    model, ids = make(scale=0.4), random_ids(3, 17)
    model.to_qwen3(tmp_path)
    with torch.no_grad():
        exact = model(ids)
        theirs = Qwen3ForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)(ids).logits
        ours = model.to(torch.bfloat16)(ids)
    assert ours.dtype == torch.bfloat16
    assert (ours - exact).abs().mean() <= 1.2 * (theirs - exact).abs().mean()


def test_generation_works_in_bfloat16() -> None:
    generation = make().to(torch.bfloat16).generate(PROMPTS, 5, generator=seeded())
    assert generation.logps.dtype == torch.float32
    assert generation.logps.isfinite().all()


def test_a_position_never_sees_what_comes_after_it() -> None:
    model, ids = make(), random_ids(1, 12)
    changed = ids.clone()
    changed[0, 7] = (ids[0, 7] + 1) % 23
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.isclose(before[:, 7:], after[:, 7:]).all(-1).any()


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any),
    name=st.sampled_from(list(SHAPES)),
)
@settings(max_examples=25, deadline=None)
def test_kept_positions_have_the_same_states_and_gradients(lengths: list[int], name: str) -> None:
    model, ids = make(name).double(), random_ids(len(lengths), 9)
    keep = torch.arange(9) < torch.tensor(lengths)[:, None]
    full, packed = model.hidden_states(ids)[keep], model.hidden_states(ids, keep)
    torch.testing.assert_close(packed, full)
    upstream = torch.randn(full.shape, dtype=full.dtype, generator=seeded())
    parameters = list(model.model.parameters())
    for ours, plain in zip(
        torch.autograd.grad(packed, parameters, upstream),
        torch.autograd.grad(full, parameters, upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("shape", [(7, 6), (3, 2, 4)], ids=["vectors", "heads"])
def test_rms_norm_and_its_gradient_are_those_of_torch(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=seeded(0)).requires_grad_()
    weight = torch.randn(shape[-1], dtype=torch.float64, generator=seeded(1)).requires_grad_()
    eps = 0.1  # large enough to show in the gradient
    torch.testing.assert_close(RMSNormFunction.apply(x, weight, eps), F.rms_norm(x, shape[-1:], weight, eps))
    assert torch.autograd.gradcheck(lambda x, weight: RMSNormFunction.apply(x, weight, eps), (x, weight))


@pytest.mark.parametrize("heads", [4, 2, 1])
def test_short_and_long_attention_agree(heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    q = torch.randn(3, 4, 9, 8, dtype=torch.float64, generator=seeded(0)).requires_grad_()
    k, v = (torch.randn(3, heads, 9, 8, dtype=torch.float64, generator=seeded(i)).requires_grad_() for i in (1, 2))
    upstream = torch.randn(q.shape, dtype=q.dtype, generator=seeded(3))

    def with_gradients() -> list[Tensor]:
        out = attention(q, k, v)
        return [out, *torch.autograd.grad(out, (q, k, v), upstream)]

    short = with_gradients()
    monkeypatch.setattr("pgce_mini.gpt.attention.SHORT", 8)
    for ours, fused in zip(short, with_gradients(), strict=True):
        torch.testing.assert_close(ours, fused)


def test_few_tokens_have_the_states_they_have_among_many() -> None:
    """With more tokens than the vocabulary has, the first layer's projections are looked up."""
    model, ids = make(), random_ids(4, 7)
    torch.testing.assert_close(model(ids), torch.cat([model(row[None]) for row in ids]))


def test_logits_are_hidden_states_times_the_unembedding() -> None:
    for name in ("plain", "untied"):
        model, ids = make(name), random_ids(2, 5)
        torch.testing.assert_close(model.hidden_states(ids) @ model.unembedding.T, model(ids))


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


# --- generation ---


@pytest.mark.parametrize("name", SHAPES)
def test_greedy_generation_is_the_same_without_a_cache(name: str) -> None:
    model = make(name)
    for prompt in PROMPTS:
        expected = greedy_without_cache(model, prompt, 20)
        generation = model.generate([prompt], 20, temperature=0)
        assert generation.completions[0].tolist() == expected


def test_a_long_greedy_completion_is_the_same_without_a_cache() -> None:
    """The cache multiplies few keys in another way than many."""
    model, prompt = make("wide heads", seed=7), PROMPTS[2]
    expected = greedy_without_cache(model, prompt, 57)
    assert len(expected) == 57
    assert model.generate([prompt], 57, temperature=0).completions[0].tolist() == expected


def test_the_greedy_tests_are_not_trivial() -> None:
    """They would be if the models repeated one token or never read their prompt."""
    for name in SHAPES:
        written = [greedy_without_cache(make(name), prompt, 20) for prompt in PROMPTS]
        assert max(len(set(tokens)) for tokens in written) > 4
        assert len({tuple(tokens) for tokens in written}) == len(written)


@pytest.mark.parametrize("name", SHAPES)
def test_prompts_of_unequal_length_go_together_as_well_as_alone(name: str) -> None:
    model = make(name)
    together = model.generate(PROMPTS, 20, temperature=0)
    for i, prompt in enumerate(PROMPTS):
        alone = model.generate([prompt], 20, temperature=0)
        length = int(together.completion_mask[i].sum())
        assert length == alone.completion_mask.sum()
        assert together.completions[i, :length].tolist() == alone.completions[0].tolist()


def ending_model() -> GPT:
    """Nearly uniform, so that it ends each completion at its own time, after 23 tokens on average."""
    return make("untied", scale=0.1)


@pytest.mark.parametrize("prompts", [PROMPTS, [[5, 6], [7, 8]]], ids=["unequal", "equal"])
def test_each_row_stops_at_its_own_eos_and_is_padded_after_it(prompts: list[list[int]]) -> None:
    generation = ending_model().generate(prompts, 40, generator=seeded(), num_generations=20)
    lengths = generation.completion_mask.sum(1)
    assert len(lengths.unique()) > 5  # the batch shrank on the way
    for tokens, mask, logps, length in zip(*generation, lengths.tolist(), strict=True):
        assert mask.tolist() == [True] * length + [False] * (mask.numel() - length)
        assert EOS_ID not in tokens[: length - 1]
        assert length == 40 or tokens[length - 1] == EOS_ID
        assert (tokens[length:] == PAD_ID).all()
        assert (logps[:length] < 0).all()
        assert (logps[length:] == 0).all()


def test_generation_is_as_long_as_its_longest_completion() -> None:
    model, longest = ending_model(), []
    for seed in range(10):
        generation = model.generate([[5, 6]], 40, generator=seeded(seed), num_generations=2)
        longest.append(int(generation.completion_mask.sum(1).max()))
        assert all(tensor.shape == (2, longest[-1]) for tensor in generation)
    assert min(longest) < 40  # one draw may well reach the limit, where there is nothing to cut; not all ten


def test_eos_and_pad_are_the_callers_choice() -> None:
    model = make()
    first = int(model.generate([[5]], 1, temperature=0).completions)
    generation = model.generate([[5], [9, 10]], 6, temperature=0, eos_id=first, pad_id=22)
    assert generation.completions[0].tolist() == [first, *[22] * (generation.completions.shape[1] - 1)]
    assert generation.completion_mask[0].sum() == 1


@pytest.mark.parametrize("temperature", [0, 0.5, 1.0, 1.7])
@pytest.mark.parametrize("model", [make(), ending_model()], ids=["long", "ending"])
def test_logps_are_those_of_scoring_again(model: GPT, temperature: float) -> None:
    generation = model.generate(PROMPTS, 25, temperature=temperature, generator=seeded(), num_generations=9)
    for row in range(len(generation.completions)):
        prompt, length = PROMPTS[row // 9], int(generation.completion_mask[row].sum())
        completion = generation.completions[row, :length]
        ids = torch.cat([torch.tensor(prompt), completion])
        logps = F.log_softmax(model(ids[None])[0] / (temperature or 1), -1)[len(prompt) - 1 : -1]
        expected = logps.gather(1, completion[:, None]).squeeze(1)
        torch.testing.assert_close(generation.logps[row, :length], expected, rtol=1e-4, atol=1e-4)


def test_the_generations_of_a_prompt_stand_together() -> None:
    model = make()
    generation = model.generate(PROMPTS, 8, temperature=0, num_generations=3)
    for i, prompt in enumerate(PROMPTS):
        expected = greedy_without_cache(model, prompt, 8)
        for row in generation.completions[3 * i : 3 * i + 3].tolist():
            assert row[: len(expected)] == expected


def test_a_repeated_prompt_is_answered_each_time_it_is_asked() -> None:
    model = make()
    generation = model.generate([[5, 6], [8], [5, 6]], 8, temperature=0, num_generations=2)
    for row, prompt in enumerate([[5, 6], [5, 6], [8], [8], [5, 6], [5, 6]]):
        expected = greedy_without_cache(model, prompt, 8)
        assert generation.completions[row, : len(expected)].tolist() == expected
    sampled = model.generate([[5, 6], [5, 6]], 20, generator=seeded()).completions
    assert not torch.equal(sampled[0], sampled[1])


def test_samples_depend_on_the_generator_alone() -> None:
    model = ending_model()
    torch.manual_seed(1)
    first = model.generate(PROMPTS, 20, generator=seeded(5), num_generations=4)
    torch.manual_seed(2)
    again = model.generate(PROMPTS, 20, generator=seeded(5), num_generations=4)
    other = model.generate(PROMPTS, 20, generator=seeded(6), num_generations=4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.completions[:, 0], other.completions[:, 0])


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_sampled_frequencies_match_the_softmax(temperature: float) -> None:
    model, draws = make(scale=0.4), 20_000
    prompts = [[5, 6, 7], [8]]
    generation = model.generate(prompts, 1, temperature=temperature, generator=seeded(11), num_generations=draws)
    for i, prompt in enumerate(prompts):
        logits = model(torch.tensor([prompt])).detach()[0, -1].double()
        expected = draws * F.softmax(logits / temperature, -1)
        counts = generation.completions[i * draws : (i + 1) * draws].flatten().bincount(minlength=23)
        likely = expected > 5  # the chi-square law needs that; the rest goes into one cell
        observed = [*counts[likely].tolist(), int(counts[~likely].sum())]
        wanted = [*expected[likely].tolist(), float(expected[~likely].sum())]
        kept = slice(None) if wanted[-1] > 5 else slice(-1)
        scale = sum(observed[kept]) / sum(wanted[kept])
        assert chisquare(observed[kept], [scale * w for w in wanted[kept]]).pvalue > 0.001


def test_a_token_of_probability_0_is_never_drawn() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]).expand(10_000, 5)
    token, logps = sample(logits, 1.0, seeded())
    assert set(token.tolist()) == {1, 3}
    torch.testing.assert_close(logps, torch.full_like(logps, 0.5).log())


def test_a_prompt_may_fill_the_positions_to_the_last() -> None:
    assert make().generate([[5] * 60], 4, temperature=0).completions.shape[1] <= 4


def test_generation_leaves_no_graph() -> None:
    assert not make().generate([[5]], 3, generator=seeded()).logps.requires_grad


# --- bad input ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 0),
        ("hidden_size", -1),
        ("hidden_size", 30),  # not a multiple of the heads
        ("num_hidden_layers", 1.5),
        ("num_attention_heads", True),
        ("num_attention_heads", 0),
        ("num_key_value_heads", 3),
        ("num_key_value_heads", None),
        ("head_dim", 7),
        ("head_dim", 0),
        ("intermediate_size", "128"),
        ("max_position_embeddings", 0),
        ("rope_theta", float("nan")),
        ("rope_theta", 0.0),
        ("rms_norm_eps", float("inf")),
        ("tie_word_embeddings", 1),
    ],
)
def test_config_names_the_field_that_makes_no_sense(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} "):
        GPTConfig(**({"vocab_size": 23} | {field: value}))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "^prompts "),
        ({"prompts": [[5], []]}, "^prompts "),
        ({"prompts": [[5, 23]]}, "^prompts .* got 23"),
        ({"prompts": [[-1]]}, "^prompts .* got -1"),
        ({"prompts": [[5] * 61]}, "max_position_embeddings"),
        ({"max_completion_length": 0}, "^max_completion_length "),
        ({"num_generations": 0}, "^num_generations "),
        ({"temperature": -0.1}, "^temperature "),
        ({"temperature": float("nan")}, "^temperature "),
        ({"temperature": float("inf")}, "^temperature "),
        ({"generator": None}, "^generator "),
        ({"pad_id": 23}, "^pad_id "),
        ({"eos_id": -1}, "^eos_id "),
    ],
)
def test_generate_names_the_argument_that_makes_no_sense(arguments: dict[str, object], message: str) -> None:
    sensible = {"prompts": [[5]], "max_completion_length": 4, "generator": seeded()}
    with pytest.raises(ValueError, match=message):
        make().generate(**(sensible | arguments))  # type: ignore[arg-type]  # wrong on purpose


def test_forward_refuses_ids_of_the_wrong_shape() -> None:
    for ids in (torch.tensor([1, 2]), random_ids(1, 65)):
        with pytest.raises(ValueError, match=r"^ids "):
            make()(ids)


@pytest.mark.parametrize(
    "keep",
    [torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 4), torch.tensor([[True, False, True, True]] * 2)],
)
def test_keep_must_be_a_mask_of_right_padded_rows(keep: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^keep "):
        make().hidden_states(random_ids(2, 4), keep)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_type", "llama"),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("attention_dropout", 0.1),
        ("use_sliding_window", True),
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}),
        ("num_key_value_heads", 3),
    ],
)
def test_import_names_the_setting_it_has_not(field: str, value: object, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=f"^{field} "):
        GPT.from_qwen3(tmp_path)


@pytest.mark.parametrize("field", ["model_type", "head_dim", "tie_word_embeddings", "rope_theta"])
def test_import_names_what_config_lacks(field: str, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != field}))
    with pytest.raises(ValueError, match=f"lacks {field}"):
        GPT.from_qwen3(tmp_path)


def test_import_refuses_weights_that_do_not_fit(tmp_path: Path) -> None:
    make("plain").to_qwen3(tmp_path / "plain")
    make("grouped").to_qwen3(tmp_path / "grouped")
    (tmp_path / "plain/model.safetensors").rename(tmp_path / "grouped/model.safetensors")
    with pytest.raises(ValueError, match="do not fit"):
        GPT.from_qwen3(tmp_path / "grouped")


def test_import_takes_a_tied_directory_that_holds_the_matrix_twice(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = make()
    model.to_qwen3(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file(load_file(path) | {"lm_head.weight": model.unembedding.detach().clone()}, path)
    assert torch.equal(GPT.from_qwen3(tmp_path).unembedding, model.unembedding)
