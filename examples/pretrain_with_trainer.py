"""Pre-train a tiny Qwen3 on a text with transformers' `Trainer` and any arm; `pgce import` takes the result.

    python examples/pretrain_with_trainer.py --arm precision --text book.txt

Without --text it reads Python's own manual. The loss is the surrogate: read cross_entropy and entropy, which are
plain.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, Trainer, TrainingArguments

from pgce_mini import GPT, PAPER_ARMS, Text
from pgce_mini.integrations.export import to_transformers
from pgce_mini.integrations.hf import PlainMetricsMixin, causal_lm_loss
from pgce_mini.training import ModelShape


class PlainTrainer(PlainMetricsMixin, Trainer):
    """Logs plain cross-entropy and entropy beside the loss."""


def main(words: list[str] | None = None) -> PlainTrainer:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", help="a UTF-8 file")
    parser.add_argument("--arm", choices=PAPER_ARMS, default="precision")
    parser.add_argument("--beta", type=float, help="in place of the arm's")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("runs/trainer"), help="a new folder")
    args = parser.parse_args(words)

    shaping = PAPER_ARMS[args.arm]
    if args.beta is not None:
        shaping = replace(shaping, beta=args.beta)
    corpus = Text(path=args.text, vocab_size=512, context_length=64)
    to_transformers(GPT(ModelShape().config(corpus)), corpus, args.out / "untrained")
    model = AutoModelForCausalLM.from_pretrained(args.out / "untrained")
    model.loss_function = causal_lm_loss(shaping)

    documents = [corpus.document(0, index) for index in range(32 * args.steps)]
    heldout = [corpus.document(0, index, "heldout") for index in range(64)]
    trainer = PlainTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.out),
            max_steps=args.steps,
            per_device_train_batch_size=32,
            learning_rate=4e-3,
            adam_beta2=0.95,
            weight_decay=0.1,
            warmup_steps=args.steps // 10,
            logging_steps=max(1, args.steps // 6),
            eval_strategy="steps",
            eval_steps=max(1, args.steps // 3),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list([{"input_ids": ids, "labels": ids} for ids in documents]),
        eval_dataset=Dataset.from_list([{"input_ids": ids, "labels": ids} for ids in heldout]),
        processing_class=AutoTokenizer.from_pretrained(args.out / "untrained"),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model(str(args.out / "trained"))
    for row in trainer.state.log_history:
        for prefix in ("", "eval_"):
            if f"{prefix}loss" in row:
                numbers = (f"{name} {row[prefix + name]:7.4f}" for name in ("loss", "cross_entropy", "entropy"))
                print(f"step {row['step']:4} {prefix or 'train'} ".replace("_", ""), *numbers)
    print(f"next: pgce import {args.out / 'trained'} {args.out / 'run'}")
    return trainer


if __name__ == "__main__":
    main()
