"""A file in the place of weights or settings that is none of them is named, with what it is likely to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from disk import FOUND, POINTER
from plain_gpt import make
from safetensors.torch import load_file, save_file
from tiny import TASK, new_model

from pgce_mini.gpt import GPT
from pgce_mini.gpt.weights import read_safetensors
from pgce_mini.runs import RunError, load_model, save_model

cases = pytest.mark.parametrize("found", FOUND)


@cases
def test_transformers_weights_that_are_none(found: str, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    path, (data, cause) = tmp_path / "model.safetensors", FOUND[found]
    path.write_bytes(data(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"model\.safetensors holds no weights: .*{cause}"):
        GPT.from_qwen3(tmp_path)


@cases
def test_saved_model_that_is_none(found: str, tmp_path: Path) -> None:
    path, (data, cause) = tmp_path / "model.safetensors", FOUND[found]
    save_model(path, new_model(), TASK)
    path.write_bytes(data(path.read_bytes()))
    for given in (tmp_path, path):
        with pytest.raises(
            RunError, match=rf"model\.safetensors is no model of pgce_mini, or damaged \(.*{cause}"
        ):
            load_model(given)


def test_cut_file_whose_header_is_as_long_as_a_pickle_begins_is_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(1000)}, path, {"by": "x" * 32})
    whole = path.read_bytes()
    assert whole[:8] == bytes([0x80, *[0] * 7])
    path.write_bytes(whole[:2048])
    with pytest.raises(ValueError, match=r"it is cut off: 2,048 of 4,136 bytes are there"):
        read_safetensors(path)


def sharded(folder: Path) -> Path:
    """A transformers directory in two shards; returns the index."""
    make().to_qwen3(folder)
    weights = list(load_file(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    shards = {f"model-{i}-of-2.safetensors": dict(weights[i - 1 :: 2]) for i in (1, 2)}
    for name, part in shards.items():
        save_file(part, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {weight: name for name, part in shards.items() for weight in part}})
    )
    return index


def test_shard_that_is_missing_or_none_is_named(tmp_path: Path) -> None:
    sharded(tmp_path)
    assert isinstance(GPT.from_qwen3(tmp_path), GPT)
    shard = tmp_path / "model-2-of-2.safetensors"
    shard.write_bytes(POINTER)
    with pytest.raises(ValueError, match=r"model-2-of-2\.safetensors holds no weights: .*git-lfs"):
        GPT.from_qwen3(tmp_path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"model-2-of-2\.safetensors is missing"):
        GPT.from_qwen3(tmp_path)


@pytest.mark.parametrize("index", [[], {}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": {"a": 1}}])
def test_index_that_is_none_is_named(index: Any, tmp_path: Path) -> None:
    sharded(tmp_path).write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"index\.json must "):
        GPT.from_qwen3(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "is not JSON: it is empty"), (POINTER, "is not JSON: .*git-lfs"), (b"<html>", "is not JSON: .*page"),
        (b'{"model_type": ', "is not JSON: it is damaged"), (b"\xff\xfe{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"), (b"[]", "must hold an object, got list"), (b"null", "must hold"),
        (b'"qwen3"', "must hold an object, got str"), (b"3", "must hold an object"),
    ],
)  # fmt: skip
def test_json_that_is_none_is_named(file: str, data: bytes, cause: str, tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / file).write_bytes(data)
    with pytest.raises(ValueError, match=f"{file} {cause}"):
        GPT.from_qwen3(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", "64"), ("hidden_size", None), ("hidden_size", 64.0), ("vocab_size", [50]),
        ("vocab_size", 0), ("model_type", ["qwen3"]), ("vocab_size", True), ("rms_norm_eps", None),
        ("rope_theta", "1e4"), ("rms_norm_eps", {}), ("tie_word_embeddings", "true"),
        ("rope_parameters", [1]), ("rope_parameters", "default"),
    ],
)  # fmt: skip
def test_setting_of_another_type_is_named_with_its_file(field: str, value: Any, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=rf"^{field} .*config\.json"):
        GPT.from_qwen3(tmp_path)


def test_folder_without_weights_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/config\.json is missing"):
        GPT.from_qwen3(tmp_path / "nowhere")
    make().to_qwen3(tmp_path)
    with pytest.raises(ValueError, match=r"model\.safetensors is a file: give the folder"):
        GPT.from_qwen3(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        GPT.from_qwen3(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin is a pickle, which is not read"):
        GPT.from_qwen3(tmp_path)


def test_absurd_size_is_refused_before_memory_is_taken_and_so_are_weights_that_are_no_numbers(
    tmp_path: Path,
) -> None:
    make().to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    config = path.read_text()
    path.write_text(json.dumps(json.loads(config) | {"vocab_size": 10**15}))
    with pytest.raises(ValueError, match=r"do not fit its config\.json: the embedding is"):
        GPT.from_qwen3(tmp_path)
    path.write_text(config)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(weights | {"model.norm.weight": weights["model.norm.weight"].char()}, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"model\.norm\.weight .* must hold floating-point numbers, got torch.int8"
    ):
        GPT.from_qwen3(tmp_path)


def test_folder_in_the_place_of_weights_is_called_one(tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ValueError, match=r"holds no weights: .*it is a folder"):
        GPT.from_qwen3(tmp_path)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("../other/model.safetensors", "which file of its folder"), ("/etc/passwd", "which file of its folder"),
        ("", "is a folder"), ("..", "is a folder"), ("a" * 300, "is missing"), ("a\0b", "is missing"),
    ],
)  # fmt: skip
def test_shard_with_a_name_of_no_file_of_the_folder(file: str, said: str, tmp_path: Path) -> None:
    make().to_qwen3(tmp_path / "other")  # whole weights, within reach
    folder = tmp_path / "model"
    make().to_qwen3(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": file}}))
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        GPT.from_qwen3(folder)
