"""Reads and writes a transformers directory of a Qwen3 model: config.json and *.safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pgce_mini.gpt.config import GPTConfig
from pgce_mini.paths import expanded

FEATURES: dict[str, object] = {
    "model_type": "qwen3",
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "use_sliding_window": False,
    "rope_scaling": None,
}
"""Settings of Qwen3's config.json of which `GPT` supports one value only."""


class Qwen3Mixin(nn.Module):
    """`from_qwen3` and `to_qwen3`, for a model made from a config alone."""

    config: GPTConfig

    @classmethod
    def from_qwen3(cls, directory: str | Path, dtype: torch.dtype = torch.float32) -> Self:
        """Load a local transformers directory: config.json and *.safetensors, in one file or sharded.

        Raises:
            ValueError: naming the field of config.json that is missing or that `GPT` does not support, or saying
                which weights do not fit.
            FileNotFoundError: when a file is missing.
        """
        directory = expanded(directory)
        config = read_config(directory)
        model, weights = cls(config).to(dtype), read_weights(directory)
        if config.tie_word_embeddings:
            weights.pop("lm_head.weight", None)  # some directories hold the shared matrix twice
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights in {directory} do not fit its config.json: {error}") from error
        return model

    def to_qwen3(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors, as `Qwen3ForCausalLM.from_pretrained` reads them.

        They do not say which ids pad and end a text, because that belongs to the task: pass these to transformers'
        `generate`.
        """
        directory, weights = expanded(directory), self.state_dict()
        directory.mkdir(parents=True, exist_ok=True)
        dtype = str(weights["model.embed_tokens.weight"].dtype).removeprefix("torch.")
        settings = FEATURES | asdict(self.config) | {"dtype": dtype, "architectures": ["Qwen3ForCausalLM"]}
        (directory / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
        contiguous = {name: weight.contiguous() for name, weight in weights.items()}
        save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})


def read_config(directory: Path) -> GPTConfig:
    """
    Raises:
        ValueError: naming the field of config.json that is missing or that `GPT` does not support.
        FileNotFoundError: when there is no config.json.
    """
    raw = json.loads((directory / "config.json").read_text())
    rope = raw.get("rope_parameters") or {}  # where transformers 5 writes what was rope_theta and rope_scaling
    if "rope_theta" in rope:
        raw["rope_theta"] = rope["rope_theta"]
    for name, value in FEATURES.items():
        if raw.get(name, value) != value:
            raise ValueError(f"{name} in config.json must be {value!r} for a GPT, got {raw.get(name)!r}")
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters in config.json must have rope_type 'default', got {rope!r}")
    names = [field.name for field in fields(GPTConfig)]
    missing = [name for name in ("model_type", *names) if name not in raw]
    if missing:
        raise ValueError(f"config.json lacks {', '.join(missing)}: take the whole file of a Qwen3 model")
    return GPTConfig(**{name: raw[name] for name in names})


def read_weights(directory: Path) -> dict[str, Tensor]:
    """All weights by name, from one file or from shards.

    Raises:
        FileNotFoundError: when a file is missing.
    """
    index = directory / "model.safetensors.index.json"
    files = {"model.safetensors"}
    if index.exists():
        files = set(json.loads(index.read_text())["weight_map"].values())
    return {name: weight for file in files for name, weight in load_file(directory / file).items()}
