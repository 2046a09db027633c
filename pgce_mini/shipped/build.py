"""What priors and policies share: a file for each model, a manifest, and the loop that builds them."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from pgce_mini.paths import expanded
from pgce_mini.runs import Run, load_model, read_json, save_model, write_json
from pgce_mini.training import GRPOConfig, PretrainConfig

Config = TypeVar("Config", PretrainConfig, GRPOConfig)


@cache
def read_manifest(folder: Path) -> dict[str, Any]:
    return read_json(folder / "manifest.json")


def file_sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def build_models(
    kind: Literal["priors", "policies"],
    configs: Iterable[Config],
    folder: Path,
    runs: Path,
    train: Callable[[Config], Run],
    describe: Callable[[Config, Path], dict[str, Any]],
    order: Iterable[str],
    more: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """Trains a model of each of `configs` in `runs`, and writes its file, in half precision, and its entry in the
    manifest into `folder`. Entries of other models stay, all in the `order` of names. Returns the manifest.

    describe(config, file) gives an entry without its SHA-256 and the versions that built it; more() what the
    manifest holds besides entries.
    """
    folder, runs = expanded(folder), expanded(runs)
    path, names = folder / "manifest.json", list(order)
    entries = read_json(path)[kind] if path.exists() else {}
    for config in configs:
        run = train(replace(config, run_dir=runs / config.run_dir.name))
        model, corpus = load_model(run.path)
        file = folder / f"{run.path.name}.safetensors"
        save_model(file, model.half(), corpus)
        versions = {"python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
        entries[file.stem] = {"sha256": file_sha256(file), "built_with": versions, **describe(config, file)}
        ordered = {name: entries[name] for name in names if name in entries}
        write_json(path, {"command": f"pgce build-{kind}", **more(), kind: ordered})
    read_manifest.cache_clear()
    return read_json(path)
