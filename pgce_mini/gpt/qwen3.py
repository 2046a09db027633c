"""A transformers directory of a Qwen3 model: config.json and *.safetensors, read and written as plain values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

FEATURES: dict[str, object] = {
    "model_type": "qwen3",
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "use_sliding_window": False,
    "rope_scaling": None,
}
"""Settings of Qwen3's config.json that `GPT` has in one variant only."""


def read_config(directory: Path, names: Sequence[str]) -> dict[str, Any]:
    """The settings `names` of config.json.

    Raises:
        ValueError: naming the field that is missing or asks for what `GPT` has not.
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
    missing = [name for name in ("model_type", *names) if name not in raw]
    if missing:
        raise ValueError(f"config.json lacks {', '.join(missing)}: take the whole file of a Qwen3 model")
    return {name: raw[name] for name in names}


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


def write(directory: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Write config.json and model.safetensors, as `Qwen3ForCausalLM.from_pretrained` reads them."""
    directory.mkdir(parents=True, exist_ok=True)
    dtype = str(weights["model.embed_tokens.weight"].dtype).removeprefix("torch.")
    settings = FEATURES | config | {"dtype": dtype, "architectures": ["Qwen3ForCausalLM"]}
    (directory / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    contiguous = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})
