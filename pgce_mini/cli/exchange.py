"""`pgce export` and `pgce import`: a model out to transformers, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from pgce_mini.cli.options import Options
from pgce_mini.integrations.export import from_transformers, to_transformers
from pgce_mini.runs import load_model
from pgce_mini.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Export(Options):
    """Write a finished run as a folder that transformers and TRL load, with its tokenizer."""

    run_dir: Positional[Path]  # folder of a finished run, or the file of a model
    directory: Positional[Path]  # folder to write, new or empty

    def run(self) -> None:
        model, corpus = load_model(self.run_dir)
        to_transformers(model, corpus, self.directory)
        text = f"{self.directory}: load it with AutoModelForCausalLM and AutoTokenizer of transformers"
        written = {"directory": str(self.directory), "corpus": corpus.name, "vocab_size": model.config.vocab_size}
        self.say(f"{text}\nnext, if you train it further: pgce import {self.directory} RUN", written)


@dataclass(frozen=True, kw_only=True)
class Import(Options):
    """Make a run of a folder that `pgce export` wrote, trained further or not."""

    directory: Positional[Path]  # folder that `pgce export` or `save_pretrained` wrote
    run_dir: Positional[Path]  # folder of the run to make, new or empty

    def run(self) -> None:
        run = from_transformers(self.directory, self.run_dir)
        model, corpus = load_model(run.path)
        text = f"{run.path}: a run of {corpus.name}\nnext: pgce evaluate {run.path}, pgce sample {run.path}"
        if isinstance(corpus, Task):
            text += f", pgce rl --prior {run.path}"
        self.say(text, {"run": str(run.path), "corpus": corpus.name, "vocab_size": model.config.vocab_size})
