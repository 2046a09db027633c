"""Saved models: the weights, with the settings of the model and of its corpus in the header.

The header also holds the corpus's fitted state, such as a tokenizer, and a hash of its vocabulary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.paths import expanded
from pgce_mini.runs.files import RunError, digest, load_tensors, save_tensors
from pgce_mini.runs.run import Run, config_to_dict
from pgce_mini.tasks import Corpus, task_from_dict, task_to_dict


def save_model(path: Path, model: GPT, corpus: Corpus, weights: Mapping[str, Tensor] | None = None) -> None:
    """Writes a model with all that is needed to rebuild it and to decode its tokens; `weights` in place of
    those in the model, where it holds a part of them."""
    header = {"model": config_to_dict(model.config), **describe_corpus(corpus)}
    save_tensors(path, model.state_dict() if weights is None else weights, header)


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """All that `described_corpus` needs to make the corpus again, ready for JSON."""
    return {
        "corpus": task_to_dict(corpus),
        "learnt": corpus.fitted_state(),  # the key in the files of every version
        "vocabulary": _vocabulary(corpus),
    }


def described_corpus(found: Mapping[str, Any], file: Path) -> Corpus:
    """The corpus that `describe_corpus` described in `file`.

    Raises:
        RunError: naming the file, when it is not one of this version, or has another vocabulary now.
    """
    if not isinstance(found.get("corpus"), dict):
        raise RunError(
            f"{file} does not say which corpus its tokens are of: it is damaged, or no model of pgce_mini"
        )
    try:
        corpus = task_from_dict(found["corpus"]).with_fitted_state(found.get("learnt", {}))
        vocabulary = _vocabulary(corpus)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RunError(f"{file} does not fit this version of pgce_mini: {error}") from None
    if vocabulary != found.get("vocabulary"):
        raise RunError(
            f"{file} has another vocabulary than {corpus.name} has now: it comes from another version of pgce_mini"
        )
    return corpus


def load_model(path: Path | str) -> tuple[GPT, Corpus]:
    """The model and corpus of a run's folder, or of the file of a model.

    Raises:
        RunError: naming the file, when it is missing, damaged or not one of ours.
    """
    path = expanded(path)
    file = path / "model.safetensors" if path.is_dir() or not path.suffix else path
    if path.is_dir() and not file.exists() and (path / "config.json").exists():
        raise RunError(f"{path} is not finished: it has no model.safetensors yet; run it to its end first")
    tensors, header = load_tensors(file)
    if not {"model", "corpus"} <= header.keys():
        raise RunError(f"{file} holds no finished model: its header lacks the settings of a model or corpus")
    try:
        model = GPT(GPTConfig(**header["model"]), device="cpu")
        model.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise RunError(f"{file} does not fit this version of pgce_mini: {error}") from None
    return model, described_corpus(header, file)


def check_finished(run: Run, model: GPT, corpus: Corpus, steps: int) -> None:
    """Whether a finished run is whole: a model of the shape and corpus of `model`, and the metrics of all steps.

    Raises:
        RunError: naming the file that is damaged, and saying what to do.
    """
    found, learnt = load_model(run.path)
    if found.config != model.config or task_to_dict(learnt) != task_to_dict(corpus):
        raise RunError(
            f"{run.model_path} is not the model of this run, but of another shape or corpus: restore a copy, or "
            "move it away and run again"
        )
    logged = len(run.metrics())
    if logged != steps:
        what = f"has {logged} of {steps} steps" if logged else "is missing or empty"
        raise RunError(f"{run.metrics_path} {what}: restore a copy; the model beside it is finished and whole")


def fingerprint(model: GPT) -> str:
    """Content hash of a model's weights. It stands for the prior in the settings of a run, as its file may move,
    and for the model in an evaluation."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    return f"sha256:{digest(None, weights)}"


def is_made_from(path: Path, recorded: object) -> bool:
    """Whether what is recorded as made from a model of this `fingerprint` fits the run in the folder `path`; where
    the folder has no model (any more), nothing speaks against it.

    Raises:
        RunError: naming the model, when it is damaged.
    """
    return not Run(path).finished or fingerprint(load_model(path)[0]) == recorded


def _vocabulary(corpus: Corpus) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(corpus.vocab).encode()).hexdigest()}"
