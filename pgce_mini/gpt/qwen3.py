"""Reads and writes a transformers directory of a Qwen3 or Qwen3-MoE model: config.json and *.safetensors."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn

from pgce_mini.atomic import write_atomic
from pgce_mini.gpt.config import MIXTURE, GPTConfig
from pgce_mini.gpt.memory import check_memory, model_bytes
from pgce_mini.gpt.weights import likely_cause, read_safetensors
from pgce_mini.paths import expanded

FEATURES: dict[str, object] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "use_sliding_window": False,
    "rope_scaling": None,
}
"""Settings of Qwen3's config.json of which `GPT` supports one value only."""
DENSE, MOE = "qwen3", "qwen3_moe"
"""The model_type of either."""
MOE_FEATURES: dict[str, object] = {"decoder_sparse_step": 1, "mlp_only_layers": []}
"""What FEATURES are, of a mixture of experts: every layer is one."""
INDEX = "model.safetensors.index.json"
"""Says which shard holds which weight."""


class Qwen3Mixin(nn.Module):
    """`from_qwen3` and `to_qwen3`, for a model made from a config alone."""

    config: GPTConfig
    eos_ids: tuple[int, ...] | None
    pad_id: int | None

    @classmethod
    def from_qwen3(cls, directory: str | Path, dtype: torch.dtype = torch.float32) -> Self:
        """Load a local transformers directory: config.json and *.safetensors, in one file or sharded.

        `generate` ends and pads texts by the ids of generation_config.json, or of config.json.

        Raises:
            ValueError: naming the field of config.json that is missing or that `GPT` does not support, or the file
                that holds something else, with the likely cause, or saying which weights do not fit; this machine
                has too little memory.
            FileNotFoundError: naming the file that is missing.
        """
        directory = expanded(directory)
        config, weights = read_config(directory), read_weights(directory)
        if config.tie_word_embeddings:
            weights.pop("lm_head.weight", None)  # some directories hold the shared matrix twice
        embedding, shape = weights.get("model.embed_tokens.weight"), (config.vocab_size, config.hidden_size)
        if embedding is not None and embedding.shape != shape:  # before memory is taken for a wrong size
            raise ValueError(
                f"the weights in {directory} do not fit its config.json: the embedding is "
                f"{tuple(embedding.shape)} and should be {shape}"
            )
        check_memory(model_bytes(config, dtype.itemsize), "model, or dtype")
        model = cls(config, device="meta")  # no weights are drawn to be overwritten
        model.eos_ids, model.pad_id = read_special_ids(directory)
        try:
            copies = {name: weight.to(dtype, copy=True) for name, weight in weights.items()}  # not the mapped file
            model.load_state_dict(copies, assign=True)
        except RuntimeError as error:
            reasons = " ".join(str(error).split())  # on one line
            raise ValueError(f"the weights in {directory} do not fit its config.json: {reasons}") from error
        return model

    def to_qwen3(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors, as `from_pretrained` of `Qwen3ForCausalLM` reads them, or of
        `Qwen3MoeForCausalLM` if there are experts.

        Which ids end and pad a text is written for a model of `from_qwen3` alone; for others that belongs to the
        task: pass these to transformers' `generate`. In a folder of shards the new file takes their place; the
        shards themselves stay.
        """
        directory, weights = expanded(directory), self.state_dict()
        dtype = str(weights["model.embed_tokens.weight"].dtype).removeprefix("torch.")
        settings = _features(MOE if self.config.num_experts else DENSE) | asdict(self.config) | {"dtype": dtype}
        if self.config.num_experts:
            settings["architectures"] = ["Qwen3MoeForCausalLM"]
        else:
            settings["architectures"] = ["Qwen3ForCausalLM"]
            settings = {name: value for name, value in settings.items() if name not in MIXTURE}
        if self.eos_ids is not None:
            settings["eos_token_id"] = self.eos_ids[0] if len(self.eos_ids) == 1 else list(self.eos_ids) or None
            settings["pad_token_id"] = self.pad_id
        contiguous = {name: weight.contiguous() for name, weight in weights.items()}
        # config.json comes last: without it a folder is no model
        write_atomic(directory / "model.safetensors", save(contiguous, {"format": "pt"}))
        (directory / INDEX).unlink(missing_ok=True)  # of older shards, which would be read in its place
        write_atomic(directory / "config.json", json.dumps(settings, indent=2).encode() + b"\n")


def _features(kind: str) -> dict[str, object]:
    """The settings of which `GPT` supports one value only, of a model_type."""
    return {"model_type": kind} | FEATURES | (MOE_FEATURES if kind == MOE else {})


def read_config(directory: Path) -> GPTConfig:
    """
    Raises:
        ValueError: naming the field of config.json that is missing or that `GPT` does not support, or what the
            file is in place of a model's settings.
        FileNotFoundError: when there is no config.json.
    """
    path = directory / "config.json"
    raw = _read_object(path)
    rope = raw.get("rope_parameters") or {}  # where transformers 5 writes what was rope_theta and rope_scaling
    if not isinstance(rope, dict):
        raise ValueError(f"rope_parameters in {path} must be an object, got {rope!r}")
    if "rope_theta" in rope:
        raw["rope_theta"] = rope["rope_theta"]
    kind = raw.get("model_type", DENSE)
    if kind not in (DENSE, MOE):
        raise ValueError(f"model_type in {path} must be {DENSE!r} or {MOE!r} for a GPT, got {kind!r}")
    if "num_local_experts" in raw:  # as transformers 5 writes it
        raw["num_experts"] = raw["num_local_experts"]
    for name, value in _features(kind).items():
        if raw.get(name, value) != value:
            raise ValueError(f"{name} in {path} must be {value!r} for a GPT, got {raw.get(name)!r}")
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters in {path} must have rope_type 'default', got {rope!r}")
    names = [field.name for field in fields(GPTConfig) if kind == MOE or field.name not in MIXTURE]
    missing = [name for name in ("model_type", *names) if name not in raw]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: take the whole file of a Qwen3 model")
    try:
        return GPTConfig(**{name: raw[name] for name in names})
    except ValueError as error:
        raise ValueError(f"{error} (in {path})") from None


def read_special_ids(directory: Path) -> tuple[tuple[int, ...] | None, int | None]:
    """The ids that end a text, () if the checkpoint has none, and the id that pads it, by default the first of
    them; None where no file speaks of them.

    Raises:
        ValueError: naming the file in which one is no id.
    """
    found: dict[str, list[int]] = {}
    for path in (directory / "config.json", directory / "generation_config.json"):  # the last that has one counts
        content = _read_object(path) if path.exists() else {}
        for name in {"eos_token_id", "pad_token_id"} & content.keys():
            value = content[name]
            ids = [] if value is None else value if isinstance(value, list) else [value]
            if not all(type(token) is int and token >= 0 for token in ids) or (name[0] == "p" and len(ids) > 1):
                raise ValueError(f"{name} in {path} must be an id or, for eos, a list of ids, got {value!r}")
            if ids or name not in found:
                found[name] = ids
    eos_ids = tuple(found["eos_token_id"]) if "eos_token_id" in found else None
    return eos_ids, next(iter([*found.get("pad_token_id", []), *(eos_ids or ())]), None)


def read_weights(directory: Path) -> dict[str, Tensor]:
    """All weights by name, from one file or from shards.

    Raises:
        ValueError: naming the file that holds no weights, with the likely cause.
        FileNotFoundError: naming the file that is missing.
    """
    index = directory / INDEX
    files = {"model.safetensors"}
    if index.exists():
        shards = _read_object(index).get("weight_map")
        if (
            not isinstance(shards, dict)
            or not shards
            or not all(isinstance(file, str) and file == Path(file).name for file in shards.values())
        ):
            raise ValueError(f"{index} must say in weight_map which file of its folder holds which weight")
        files = set(shards.values())
    weights: dict[str, Tensor] = {}
    for path in (directory / file for file in sorted(files)):
        if not os.path.exists(path):  # unlike Path.exists, also if no file can have that name
            pickle = next((other.name for other in directory.glob("*.bin")), None)
            advice = (
                f"{pickle} is a pickle, which is not read" if pickle else f"take all files of {directory.name}"
            )
            raise FileNotFoundError(f"{path} is missing: {advice}")
        try:
            weights |= read_safetensors(path)[0]
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} holds no weights: {error}") from None
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise ValueError(f"{name} in {directory} must hold floating-point numbers, got {weight.dtype}")
    return weights


def _read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file of a transformers directory; raises as `read_weights`."""
    if path.parent.is_file():
        raise ValueError(f"{path.parent} is a file: give the folder that holds {path.name}")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: give the folder of a Qwen3 model, with all of its files")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not JSON: {likely_cause(path)}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object, got {type(content).__name__}: take that of a Qwen3 model")
    return content
