"""A model as a folder of transformers, and back: `pgce export RUN DIR`, `pgce import DIR RUN`.

    config.json             Qwen3's, with pad and eos; under "pgce_mini" the corpus, which `save_pretrained` keeps
    model.safetensors       the weights
    generation_config.json  ends at eos, for a task after its longest completion
    tokenizer.json, tokenizer_config.json

Neither needs transformers.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from pgce_mini.atomic import new_folder, write_atomic
from pgce_mini.gpt import GPT
from pgce_mini.gpt.qwen3 import read_config
from pgce_mini.integrations.tokenizer import tokenizer_of
from pgce_mini.paths import expanded
from pgce_mini.runs import (
    Run,
    RunError,
    config_to_dict,
    describe_corpus,
    described_corpus,
    fingerprint,
    save_model,
    write_json,
)
from pgce_mini.tasks import EOS_ID, PAD_ID, Corpus, Task

RECORD = "pgce_mini"
"""The key of the corpus in config.json."""


def to_transformers(model: GPT, corpus: Corpus, directory: str | os.PathLike[str]) -> None:
    """Writes a new folder that `AutoModelForCausalLM` and `AutoTokenizer` load and TRL trains.

    Raises:
        ValueError: the folder holds files already, or model and corpus have another number of tokens.
        OSError: it cannot be written; nothing is then.
    """
    _check_size(model, corpus, "model")
    special = {"eos_token_id": EOS_ID, "pad_token_id": PAD_ID, "bos_token_id": None}
    limit = {"max_new_tokens": corpus.max_completion_length} if isinstance(corpus, Task) else {}
    generation = special | limit  # the default of transformers is 20 tokens with the prompt
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": corpus.vocab[PAD_ID],
        "eos_token": corpus.vocab[EOS_ID],
        "padding_side": "left",  # for generation
        "model_max_length": model.config.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
    }
    with new_folder(directory) as folder:
        model.to_qwen3(folder)
        config = json.loads((folder / "config.json").read_bytes()) | special | {RECORD: describe_corpus(corpus)}
        files = {"config.json": config, "generation_config.json": generation, "tokenizer_config.json": tokens}
        for name, content in files.items():
            write_atomic(folder / name, json.dumps(content, indent=2).encode() + b"\n")
        write_atomic(folder / "tokenizer.json", tokenizer_of(corpus).to_str(pretty=True).encode())


def from_transformers(directory: str | os.PathLike[str], run: str | os.PathLike[str]) -> Run:
    """Makes the folder of a finished run from a folder of `to_transformers`, trained further or not; weights are
    stored in single precision.

    Raises:
        ValueError: `directory` is no such folder, is damaged or has other tokens now; `run` holds files already.
        RunError: its corpus is one of another version of pgce_mini.
        OSError: `run` cannot be written.
    """
    directory = expanded(directory)
    if (directory / "adapter_config.json").exists():
        raise ValueError(f"{directory} holds an adapter: merge it (merge_and_unload) and save the whole model")
    with contextlib.suppress(RunError):
        kind = Run(directory).config()["kind"]
        raise ValueError(f"{directory} is a run already, of {kind}: nothing is to be imported")
    try:
        read_config(directory)  # says of most other folders what they are
        corpus = _corpus(directory)
        model = GPT.from_qwen3(directory)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None
    _check_size(model, corpus, f"the model in {directory}")
    with new_folder(run) as folder:
        settings = {"model": config_to_dict(model.config), "weights": fingerprint(model)}
        write_json(folder / "config.json", {"kind": "import", "config": settings})
        save_model(folder / "model.safetensors", model, corpus)
    return Run(expanded(run))


def _corpus(directory: Path) -> Corpus:
    path, tokens = directory / "config.json", directory / "tokenizer.json"
    record: Any = json.loads(path.read_bytes()).get(RECORD)
    if not isinstance(record, dict):
        raise ValueError(
            f"{path} names no corpus of pgce_mini: only what pgce export wrote, trained further or not, "
            "comes back (the weights of another Qwen3 load with GPT.from_qwen3)"
        )
    corpus = described_corpus(record, path)
    if tokens.exists():  # a trainer that saves the model alone leaves it out
        from tokenizers import Tokenizer

        try:
            vocab = Tokenizer.from_file(str(tokens)).get_vocab()
        except Exception as error:  # tokenizers raises nothing more special
            raise ValueError(f"{tokens} is damaged ({error}): restore it, or delete it") from None
        if vocab != tokenizer_of(corpus).get_vocab():
            raise ValueError(
                f"{tokens} has other tokens than {corpus.name}: tokens that were added cannot come back"
            )
    return corpus


def _check_size(model: GPT, corpus: Corpus, name: str) -> None:
    if model.config.vocab_size != len(corpus.vocab):
        raise ValueError(
            f"{name} has {model.config.vocab_size} tokens and {corpus.name} has {len(corpus.vocab)}: "
            "they do not belong together"
        )
