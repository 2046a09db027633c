"""RL from an exported prior with TRL's `GRPOTrainer` on a task's verifier, beside `pgce rl` from the same prior.

    python examples/grpo_with_trl.py --steps 20

Both sample 16 completions for each of 24 problems a step, with the same settings, and print the mean reward.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import GRPOConfig as TRLConfig, GRPOTrainer

from pgce_mini.integrations.export import to_transformers
from pgce_mini.integrations.trl import problem_rows, verifier_reward
from pgce_mini.runs import load_model
from pgce_mini.shipped import priors
from pgce_mini.tasks import Task
from pgce_mini.training import ADAM_BETAS, GRPOConfig, train_grpo


def trl_config(config: GRPOConfig, limit: int, out: Path) -> TRLConfig:
    """The settings of `pgce rl` in TRL's words. Dynamic sampling has none: TRL keeps groups that teach nothing."""
    completions = config.prompts_per_step * config.num_generations
    return TRLConfig(
        output_dir=str(out),
        seed=config.seed,
        max_steps=config.steps * config.num_minibatches,  # TRL counts updates
        per_device_train_batch_size=completions // config.num_minibatches,
        generation_batch_size=completions,
        num_generations=config.num_generations,
        max_completion_length=limit,
        temperature=config.temperature,
        learning_rate=config.lr,
        lr_scheduler_type="constant",
        adam_beta1=ADAM_BETAS[0],
        adam_beta2=ADAM_BETAS[1],
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        beta=config.kl_coef,
        epsilon=config.epsilon,
        epsilon_high=config.epsilon_high,
        loss_type=config.loss_type,
        scale_rewards=config.scale_rewards,
        mask_truncated_completions=config.mask_truncated_completions,
        logging_steps=config.num_minibatches,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=False,  # TRL's default is True
        dataloader_pin_memory=False,
    )


def main(words: list[str] | None = None) -> tuple[list[float], list[float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prior", type=Path, default=priors.path("chain-sum", "ce"), help="a run or a model's file"
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/grpo"), help="a new folder")
    args = parser.parse_args(words)

    config = GRPOConfig(run_dir=args.out / "pgce", prior=args.prior, steps=args.steps, seed=args.seed)
    model, task = load_model(args.prior)
    assert isinstance(task, Task)
    to_transformers(model, task, args.out / "prior")
    rows = problem_rows(task, config.seed, config.prompts_per_step * config.steps)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(args.out / "prior"),
        reward_funcs=verifier_reward(task),
        args=trl_config(config, config.completion_limit(task), args.out / "trl"),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(args.out / "prior"),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model(str(args.out / "trained"))
    theirs = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    ours = [row["reward"] for row in train_grpo(config, progress=False).metrics()]
    print("step   TRL   pgce rl")
    for step, rewards in enumerate(zip(theirs, ours, strict=True), start=1):
        print(f"{step:4}  {rewards[0]:.3f}  {rewards[1]:.3f}")
    print(f"next: pgce import {args.out / 'trained'} {args.out / 'run'}")
    return theirs, ours


if __name__ == "__main__":
    main()
