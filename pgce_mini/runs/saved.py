"""Saved models: weights, the settings of model and corpus, and the tokens of the corpus."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.runs.files import (
    RunError,
    digest,
    load_tensors,
    save_tensors,
)
from pgce_mini.tasks import task_from_dict, task_to_dict
from pgce_mini.tasks.base import Corpus


def fingerprint(model: GPT) -> str:
    """What stands for a model in the configuration of a run that began from it: the model, not its place."""
    return f"sha256:{digest(None, model.state_dict())}"


def save_model(path: Path, model: GPT, corpus: Corpus) -> None:
    """Writes a model with all that is needed to rebuild it and to read its tokens."""
    header = {
        "model": dataclasses.asdict(model.config),
        "corpus": task_to_dict(corpus),
        "learnt": corpus.learnt(),
        "vocabulary": _vocabulary(corpus),
    }
    save_tensors(path, model.state_dict(), header)


def load_model(path: Path | str) -> tuple[GPT, Corpus]:
    """The model and corpus of a run's folder, or of a model.safetensors itself.

    Raises:
        RunError: naming the file, when it is missing, damaged or not one of ours.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() or not path.suffix else path
    if path.is_dir() and not file.exists() and (path / "config.json").exists():
        raise RunError(f"{path} is not finished: it has no model.safetensors yet; run it to its end first")
    tensors, header = load_tensors(file)
    if not {"model", "corpus"} <= header.keys():
        raise RunError(f"{file} holds no finished model: its header names neither model nor corpus")
    try:
        model = GPT(GPTConfig(**header["model"]))
        model.load_state_dict(tensors)
        corpus = task_from_dict(header["corpus"]).with_learnt(header.get("learnt", {}))
    except (TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{file} does not fit this version of pgce_mini: {error}") from None
    if _vocabulary(corpus) != header.get("vocabulary"):
        raise RunError(
            f"{file} knows other tokens than {corpus.name} has now: it comes from another version of pgce_mini"
        )
    return model, corpus


def _vocabulary(corpus: Corpus) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(corpus.vocab).encode()).hexdigest()}"
