"""A study whose rows take a second: its specification, and the bytes of its tables."""

from __future__ import annotations

from pathlib import Path

from disk import everything_in

from pgce_mini.study import Spec, load_spec

TINY = """
question = "Does it run?"
arms = ["ce", "precision"]
seeds = [3, 4]

[task]
name = "chain-sum"
num_operands = 5
max_operand = 3

[model]
hidden_size = 16
intermediate_size = 16

[pretrain]
steps = 20
batch_size = 8
eval_every = 10
eval_documents = 8
save_every = 5

[rl]
steps = 3
prompts_per_step = 2
num_generations = 4
save_every = 1

[evaluation]
problems = 4
samples = 4
ks = [1, 2, 4]
documents = 8
"""


def spec_in(folder: Path, text: str = TINY) -> Spec:
    """Writes the specification tiny.toml, which runs in `folder`/runs."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(text)
    return load_spec(folder / "tiny.toml", folder / "runs")


def tables(folder: Path) -> dict[str, bytes]:
    return everything_in(folder / "results")
