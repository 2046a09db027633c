"""Seconds to nanoGPT's own held-out loss: `pretrain` against its train.py, given the folder of a checkout.

    git clone https://github.com/karpathy/nanoGPT && python benchmarks/nanogpt.py nanoGPT

nanoGPT trains as its README says for a CPU, 2,000 iterations on 12 windows of 64 characters. Both read the
characters of Python's manual, train on the same blocks of it, and are judged by the same windows of the held-out
blocks. Ours has no more parameters; its training is the shortest of `STEPS` that ends at nanoGPT's last loss or
below.

Evaluation is in neither time. Of nanoGPT the iterations count, of ours the whole call, which reads the text and
saves the model.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import exit_unless, seconds, within

from pgce_mini.evaluation import evaluate_documents
from pgce_mini.runs import load_model
from pgce_mini.tasks import Text
from pgce_mini.training import ModelShape, PretrainConfig, pretrain

TARGET = 0.35
FILES = ("train.py", "model.py", "configurator.py", "config/train_shakespeare_char.py")
ITERATIONS, EVAL_INTERVAL = 2000, 250
FLAGS = (
    "--device=cpu --compile=False --eval_iters=20 --log_interval=1 --block_size=64 --batch_size=12 --n_layer=4 "
    f"--n_head=4 --n_embd=128 --max_iters={ITERATIONS} --lr_decay_iters={ITERATIONS} --dropout=0.0 "
    "--always_save_checkpoint=True --dataset=manual --out_dir=out"
).split()  # the README's, and the last three: the weights of the last evaluation are wanted, whatever it says

CORPUS = Text(tokenizer="char", context_length=64)
STEPS = (300, 350, 400, 450, 500, 600, 800, 1000)
OURS = PretrainConfig(
    corpus=CORPUS, batch_size=12, lr=4e-3, eval_every=max(STEPS), eval_documents=1, save_every=max(STEPS),
    model=ModelShape(128, 4, 4, 4, intermediate_size=256, max_position_embeddings=64),
)  # fmt: skip
HELDOUT = 1000  # windows


def heldout() -> list[list[int]]:
    return [CORPUS.document(0, index, "heldout") for index in range(HELDOUT)]


def their_copy(checkout: Path, folder: Path) -> None:
    """What nanoGPT needs to train on our text, in a folder of its own."""
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(checkout / name, folder / name)
    data = folder / "data/manual"
    data.mkdir(parents=True)
    for split, name in (("train", "train.bin"), ("heldout", "val.bin")):
        ids, _ = CORPUS._windows[split]
        ids.astype(np.uint16).tofile(data / name)
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(CORPUS.vocab)}))


def train_theirs(folder: Path, threads: int) -> float:
    """Seconds of the iterations before the last evaluation; one that evaluates counts as their median."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": "",
    }  # a card changes the dtype
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *FLAGS]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if ran.returncode:
        fail(f"nanoGPT's train.py failed: {ran.stderr.strip().splitlines()[-1]}")
    times = [float(time) / 1e3 for time in re.findall(r"^iter \d+: loss .*, time ([\d.]+)ms", ran.stdout, re.M)]
    plain = [time for iteration, time in enumerate(times[:ITERATIONS]) if iteration % EVAL_INTERVAL]
    return sum(plain) + (ITERATIONS - len(plain)) * median(plain)


@torch.no_grad()
def their_loss(folder: Path, documents: list[list[int]]) -> tuple[float, int]:
    """Held-out cross-entropy of nanoGPT's last checkpoint, nats a token, and its parameters."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkpoint = torch.load(folder / "out/ckpt.pt", map_location="cpu", weights_only=True)
    model = module.GPT(module.GPTConfig(**checkpoint["model_args"]))
    model.load_state_dict(checkpoint["model"])
    ids = torch.tensor(documents)
    parts = (x.contiguous().split(HELDOUT // 10) for x in (ids[:, :-1], ids[:, 1:]))
    losses = [model.eval()(inputs, targets)[1].item() for inputs, targets in zip(*parts, strict=True)]
    return float(np.mean(losses)), sum(parameter.numel() for parameter in model.parameters())


def train_ours(steps: int, documents: list[list[int]]) -> tuple[float, float, int]:
    """Seconds, held-out cross-entropy, parameters."""
    with tempfile.TemporaryDirectory() as folder:
        config = replace(OURS, run_dir=Path(folder) / "run", steps=steps, corpus=replace(CORPUS))
        spent = seconds(lambda: pretrain(config, progress=False))
        model, _ = load_model(config.run_dir)
    loss = evaluate_documents(model, documents, HELDOUT // 10)["cross_entropy"]
    assert loss is not None
    return spent, loss, sum(parameter.numel() for parameter in model.parameters())


def fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of a checkout of nanoGPT; nothing is written there")
    parser.add_argument("--threads", type=int, default=2, help="torch threads, for both sides (default 2)")
    args = parser.parse_args()
    missing = [name for name in FILES if not (args.checkout / name).is_file()]
    if missing:
        fail(f"{args.checkout} is no checkout of nanoGPT: it has no {missing[0]}")
    torch.set_num_threads(args.threads)
    documents = heldout()

    with tempfile.TemporaryDirectory() as name:
        their_copy(args.checkout, Path(name))
        theirs = train_theirs(Path(name), args.threads)
        goal, parameters = their_loss(Path(name), documents)
    print(f"nanoGPT, {parameters:,} parameters: held-out {goal:.4f} nats a character after {theirs:.1f} s")

    for steps in STEPS:
        ours, loss, parameters = train_ours(steps, documents)
        print(f"ours, {parameters:,} parameters, {steps} steps: held-out {loss:.4f} after {ours:.1f} s")
        if loss <= goal:
            exit_unless([within("seconds to nanoGPT's loss", ours / theirs, TARGET, "its seconds")])
    print("MISSED: none of these lengths ends at nanoGPT's loss")
    sys.exit(1)


if __name__ == "__main__":
    main()
