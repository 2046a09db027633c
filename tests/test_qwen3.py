"""transformers' Qwen3: the same weights under the same names give the same logits, both ways."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from plain_gpt import SHAPES, make, random_ids

from pgce_mini.gpt import GPT
from pgce_mini.gpt.memory import parameter_count

ABSENT = object()


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers_after_export(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, ids = make(name), random_ids(3, 17)
    model.to_qwen3(tmp_path)
    theirs, loading = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(theirs).__name__ == ("Qwen3MoeForCausalLM" if name == "mixture" else "Qwen3ForCausalLM")
    assert not any(loading.values())
    with torch.no_grad():
        logits = model(ids)
        assert logits.std() > 0.5
        torch.testing.assert_close(logits, theirs(ids).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shards", ["one file", "sharded"])
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers_after_import(name: str, shards: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3MoeConfig

    kind = Qwen3MoeConfig if SHAPES[name].num_experts else Qwen3Config
    shape = asdict(SHAPES[name])
    theta = shape.pop("rope_theta")
    rope = {"rope_type": "default", "rope_theta": theta}
    config = kind(**shape, rope_parameters=rope, initializer_range=0.2)
    torch.manual_seed(0)
    theirs = AutoModelForCausalLM.from_config(config).eval()
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


def test_export_into_a_folder_of_shards_is_what_is_read(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = make()
    model.to_qwen3(tmp_path)
    AutoModelForCausalLM.from_pretrained(tmp_path).save_pretrained(tmp_path, max_shard_size="5KB")
    (tmp_path / "model.safetensors").unlink(missing_ok=True)
    model = GPT.from_qwen3(tmp_path)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1
    shards = {path: path.read_bytes() for path in tmp_path.glob("model-*-of-*")}
    model.to_qwen3(tmp_path)
    assert shards
    assert {path: path.read_bytes() for path in shards} == shards  # files of the user
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    again = GPT.from_qwen3(tmp_path).state_dict()
    for key, weight in model.state_dict().items():
        assert torch.equal(again[key], weight), key
        assert torch.equal(theirs[key], weight), key


@pytest.mark.parametrize("name", SHAPES)
def test_loaded_model_is_moved_trained_and_sampled_as_any_other(name: str, tmp_path: Path) -> None:
    model = make(name)
    model.to_qwen3(tmp_path)
    loaded = GPT.from_qwen3(tmp_path).to("cpu")
    assert all(p.requires_grad and p.dtype == torch.float32 for p in loaded.parameters())
    loaded(random_ids(2, 9)).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())
    drawn = [
        gpt.to(torch.bfloat16).generate([[3, 4]], 6, generator=torch.Generator().manual_seed(0))
        for gpt in (loaded, model)
    ]
    assert torch.equal(drawn[0].completions, drawn[1].completions)


def test_loading_draws_no_weights_and_needs_the_memory_of_its_dtype(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    model.to_qwen3(tmp_path)
    needed: list[int] = []
    monkeypatch.setattr("pgce_mini.gpt.qwen3.check_memory", lambda size, smaller: needed.append(size))
    monkeypatch.setattr(GPT, "to_empty", None)  # with which a new model's weights begin
    for dtype in (torch.float32, torch.bfloat16):
        GPT.from_qwen3(tmp_path, dtype)
    assert needed[0] - needed[1] == 2 * parameter_count(model.config)


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_type", "llama"), ("hidden_act", "gelu"), ("attention_bias", True), ("attention_dropout", 0.1),
        ("use_sliding_window", True), ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}), ("num_key_value_heads", 3),
        ("model_type", ABSENT), ("head_dim", ABSENT), ("tie_word_embeddings", ABSENT), ("rope_theta", ABSENT),
    ],
)  # fmt: skip
def test_import_names_the_setting_it_has_not_and_the_one_that_is_absent(
    field: str, value: object, tmp_path: Path
) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | {field: value}
    path.write_text(json.dumps({name: set_to for name, set_to in config.items() if set_to is not ABSENT}))
    with pytest.raises(ValueError, match=f"lacks {field}" if value is ABSENT else f"^{field} "):
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


# --- which ids end and pad a text ---


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        ({}, None, (None, None)),  # as written before: the tasks' ids
        ({"eos_token_id": 7, "pad_token_id": 9}, None, ((7,), 9)),
        ({"eos_token_id": [7, 5]}, None, ((7, 5), 7)),
        ({"eos_token_id": 7, "pad_token_id": 9}, {"eos_token_id": [5, 7, 11]}, ((5, 7, 11), 9)),
        ({"eos_token_id": 7}, {"eos_token_id": None, "pad_token_id": 3}, ((7,), 3)),
        ({"eos_token_id": None, "pad_token_id": None}, {}, ((), None)),
    ],
)  # fmt: skip
def test_special_ids_are_those_of_the_checkpoint(
    config: dict[str, object], generation: dict[str, object] | None, expected: object, tmp_path: Path
) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    model = GPT.from_qwen3(tmp_path)
    assert (model.eos_ids, model.pad_id) == expected
    model.to_qwen3(tmp_path / "again")
    again = GPT.from_qwen3(tmp_path / "again")
    assert (again.eos_ids, again.pad_id) == expected


def test_greedy_completions_end_and_are_padded_as_those_of_transformers(tmp_path: Path) -> None:
    from transformers import Qwen3ForCausalLM

    make(scale=0.4).to_qwen3(tmp_path)
    theirs = Qwen3ForCausalLM.from_pretrained(tmp_path)
    theirs.generation_config.eos_token_id, theirs.generation_config.pad_token_id = [5, 7, 11], 9
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_qwen3(tmp_path)
    prompts = [[token] for token in range(12, 23)]
    completions = ours.generate(prompts, 12, temperature=0).completions
    expected = theirs.generate(torch.tensor(prompts), max_new_tokens=12, do_sample=False)[:, 1:]
    assert {*expected.flatten().tolist()} & {5, 7, 11}
    assert torch.equal(completions, expected)
    ours.to_qwen3(tmp_path / "again")
    again = Qwen3ForCausalLM.from_pretrained(tmp_path / "again")
    assert torch.equal(again.generate(torch.tensor(prompts), max_new_tokens=12, do_sample=False)[:, 1:], expected)


@pytest.mark.parametrize("name", ["eos_token_id", "pad_token_id"])
@pytest.mark.parametrize("value", [-1, "7", 1.5, True, [[7]], {"id": 7}])
def test_what_is_no_id_is_refused(name: str, value: object, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(ValueError, match=rf"^{name} in .*generation_config.json must be"):
        GPT.from_qwen3(tmp_path)


def test_an_id_outside_of_the_vocabulary_is_named_where_it_is_used(tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": 151_645, "pad_token_id": 0}))
    model = GPT.from_qwen3(tmp_path)
    with pytest.raises(ValueError, match=r"^eos_id must be or hold ids in"):
        model.generate([[3]], 2, temperature=0)
    assert model.generate([[3]], 2, temperature=0, eos_id=1).completions.shape[0] == 1
