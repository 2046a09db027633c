"""Seconds of a whole GRPO step, rollout and two updates: ours against TRL's `GRPOTrainer`, same weights and task.

Both sample 16 completions for each of 24 chain-sum prompts at temperature 1, judge them with the same verifier
and take two clipped updates on half of them each: token-mean loss, no KL, truncated completions masked out, fused
AdamW. Nothing is refilled and the learning rate is 1e-6, so that both keep writing completions of one length
(printed). "direct" is a prior as RL starts from it: most completions are short answers. "reasoned" is what a good
RL ends with: all are long, and there is less to save. The target judges "direct" and leaves "reasoned" to be read.

What differs is design, not settings. TRL generates with transformers, whose batch keeps all 384 rows until the
last one ends; it scores the rollout once more to know the old log-probabilities, which our sampler writes down; it
decodes completions to text, shuffles them, and runs every prompt and all padding through each update, where ours
reads a prompt once for its group. Its clock runs from the begin of the first update to the end of the second:
fetching data and starting `train()` are not counted.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import exit_unless, paired_median, parse_args, reached, seconds
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import GRPOConfig as TRLConfig, GRPOTrainer

from pgce_mini.integrations.export import to_transformers
from pgce_mini.runs import load_model
from pgce_mini.tasks import ChainSum, Task
from pgce_mini.training import (
    ADAM_BETAS,
    GRPOConfig,
    PretrainConfig,
    adamw,
    pretrain,
    sample_rollout,
    update_policy,
)

TARGET = 3.0
SHARES = {"direct": 0.2, "reasoned": 1.0}  # how often the prior has learnt to reason
CONFIG = GRPOConfig(lr=1e-6, dynamic_sampling=False)


class OurStep:
    """Calls run one step each; `lengths` are the mean lengths of its completions."""

    def __init__(self, prior: Path) -> None:
        self.model, self.task = load_model(prior)
        self.optimizer = adamw(self.model, CONFIG.lr, CONFIG.weight_decay)
        self.steps = count(1)
        self.lengths: list[float] = []

    def __call__(self) -> None:
        assert isinstance(self.task, Task)
        step = next(self.steps)
        rollout, row = sample_rollout(self.model, self.task, CONFIG, step)
        assert rollout is not None
        limit = CONFIG.completion_limit(self.task)
        update_policy(self.model, None, self.optimizer, rollout, CONFIG, limit, step)
        self.lengths.append(row["completions/mean_length"])


class TheirStep(TrainerCallback):
    """Calls run one step each and return its seconds."""

    def __init__(self, prior: Path, directory: Path) -> None:
        model, task = load_model(prior)
        assert isinstance(task, Task)
        to_transformers(model, task, directory / "theirs")
        problems = [task.problem(CONFIG.seed, index) for index in range(1000)]
        by_text = {task.decode(problem.prompt): problem for problem in problems}
        self.trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(directory / "theirs"),
            reward_funcs=self.judge,
            args=trl_config(directory, task),
            train_dataset=Dataset.from_dict({"prompt": list(by_text)}),
            processing_class=AutoTokenizer.from_pretrained(directory / "theirs"),
            callbacks=[self],
        )
        self.trainer.remove_callback(PrinterCallback)
        self.task, self.problems = task, by_text
        self.lengths: list[float] = []

    def judge(self, prompts: list[str], completion_ids: list[list[int]], **_: object) -> list[float]:
        self.lengths.append(sum(map(len, completion_ids)) / len(completion_ids))
        pairs = zip(prompts, completion_ids, strict=True)
        return [self.task.reward(self.problems[prompt], completion) for prompt, completion in pairs]

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: object) -> None:
        if state.global_step == 0:
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        self.ended = time.perf_counter()

    def __call__(self) -> float:
        self.trainer.train()
        return self.ended - self.started


def trl_config(directory: Path, task: Task) -> TRLConfig:
    completions = CONFIG.prompts_per_step * CONFIG.num_generations
    return TRLConfig(
        output_dir=str(directory / "trl"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=completions // CONFIG.num_minibatches,
        generation_batch_size=completions,
        max_steps=CONFIG.num_minibatches,
        num_generations=CONFIG.num_generations,
        max_completion_length=CONFIG.completion_limit(task),
        temperature=CONFIG.temperature,
        beta=CONFIG.kl_coef,
        epsilon=CONFIG.epsilon,
        epsilon_high=CONFIG.epsilon_high,
        loss_type=CONFIG.loss_type,
        scale_rewards=CONFIG.scale_rewards,
        mask_truncated_completions=CONFIG.mask_truncated_completions,
        learning_rate=CONFIG.lr,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        adam_beta1=ADAM_BETAS[0],
        adam_beta2=ADAM_BETAS[1],
        max_grad_norm=CONFIG.max_grad_norm,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    kept = []
    for name, share in SHARES.items():
        with tempfile.TemporaryDirectory() as directory:
            corpus = ChainSum(reasoned_share=share)
            config = PretrainConfig(run_dir=Path(directory, "prior"), corpus=corpus, steps=150, eval_every=1000)
            prior = pretrain(config, progress=False).path
            ours, theirs = OurStep(prior), TheirStep(prior, Path(directory))
            result = paired_median(lambda ours=ours: seconds(ours), theirs, args.repeats)
            words = (
                f"{name}: ours {1000 * result.ours:.0f} ms at {median(ours.lengths):.1f} tokens a completion, "
                f"TRL {1000 * result.theirs:.0f} ms at {median(theirs.lengths):.1f}"
            )
            if name == "direct":
                kept.append(reached(words, result.ratio, TARGET))
            else:
                print(f"{words}; ratio {result.ratio:.2f}x")
    exit_unless(kept)


if __name__ == "__main__":
    main()
