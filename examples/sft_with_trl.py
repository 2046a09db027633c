"""Fine-tune a prior that guesses on worked sums, with TRL's `SFTTrainer` and any arm's loss on the completions.

    python examples/sft_with_trl.py --arm diversity

The loss is the surrogate: read cross_entropy and entropy, which are plain. Solved is the share of held-out
problems whose greedy completion the task's verifier accepts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer

from pgce_mini import PAPER_ARMS
from pgce_mini.integrations.export import from_transformers, to_transformers
from pgce_mini.integrations.trl import ShapedLossMixin
from pgce_mini.runs import load_model
from pgce_mini.shipped import priors
from pgce_mini.tasks import Task


class ShapedSFTTrainer(ShapedLossMixin, SFTTrainer):
    """`shaping` is set before training."""


def solved(path: Path) -> float:
    model, task = load_model(path)
    assert isinstance(task, Task)
    problems = [task.problem(0, index, "heldout") for index in range(200)]
    prompts = [problem.prompt for problem in problems]
    completions = model.generate(prompts, task.max_completion_length, temperature=0).completions.tolist()
    return sum(map(task.reward, problems, completions)) / len(problems)


def main(words: list[str] | None = None) -> ShapedSFTTrainer:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", choices=PAPER_ARMS, default="precision")
    parser.add_argument("--beta", type=float, help="in place of the arm's")
    parser.add_argument("--top-k", type=int, default=6, help="size of the head: the vocabulary is small")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("runs/sft"), help="a new folder")
    args = parser.parse_args(words)

    prior = priors.path("chain-sum", "ce")
    model, task = load_model(prior)
    assert isinstance(task, Task)
    to_transformers(model, task, args.out / "prior")
    rows = []
    for index in range(32 * args.steps):
        problem = task.problem(0, index)
        worked = task.decode(task.reference(problem))  # TRL adds the end
        rows.append({"prompt": task.decode(problem.prompt), "completion": " " + worked})
    trainer = ShapedSFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(args.out / "prior"),
        args=SFTConfig(
            output_dir=str(args.out),
            max_steps=args.steps,
            per_device_train_batch_size=32,
            learning_rate=1e-3,
            logging_steps=max(1, args.steps // 5),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=False,  # TRL's default
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(args.out / "prior"),
    )
    beta = PAPER_ARMS[args.arm].beta if args.beta is None else args.beta
    trainer.shaping = replace(PAPER_ARMS[args.arm], beta=beta, top_k=args.top_k)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model(str(args.out / "trained"))
    for row in trainer.state.log_history:
        if "loss" in row:
            numbers = (f"{name} {row[name]:7.4f}" for name in ("loss", "cross_entropy", "entropy"))
            print(f"step {row['step']:4} ", *numbers)
    run = from_transformers(args.out / "trained", args.out / "run")
    print(f"solved: {solved(prior):.3f} before, {solved(run.path):.3f} after")
    return trainer


if __name__ == "__main__":
    main()
