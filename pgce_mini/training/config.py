"""The settings of pre-training and of GRPO, and checks that they fit a corpus."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_args

from pgce_mini.checks import (
    check_bool,
    check_choice,
    check_count,
    check_finite,
    check_number,
    check_positive,
    check_seed,
    check_temperature,
    check_whole,
    plain_numbers,
)
from pgce_mini.gpt import GPTConfig
from pgce_mini.gpt.memory import FLOAT, TRAINED, check_memory, documents_bytes, generation_bytes, model_bytes
from pgce_mini.reward import BETAS, RewardShaping
from pgce_mini.tasks import ChainSum, Corpus, Countdown, Task, Text
from pgce_mini.training.grpo_loss import MOST_EPSILON_HIGH, LossType, ScaleRewards

FAMILY = {"gem_beta": (0.01, 100.0), "coverage_samples": (0.01, 1e6), "maxrl_order": (0.01, 1e6)}
"""The settings of `loss.family`: between which numbers, if not 0."""
CONTROLS = ("label_smoothing", "focal_gamma", *FAMILY)
"""The settings that each put another loss in the place of the shaped one, if above 0."""


@dataclass(frozen=True)
class ModelShape:
    """The size of a new model, with the names of GPTConfig; the vocabulary comes from the corpus."""

    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    intermediate_size: int = 128
    max_position_embeddings: int = 512
    num_experts: int = 0
    """experts in place of the MLP of every layer, as in Qwen3-MoE; 0: the model is dense"""
    num_experts_per_tok: int = 2
    """experts that each token goes to"""
    moe_intermediate_size: int = 64
    """the intermediate_size of an expert"""
    router_aux_loss_coef: float = 0.001
    """weight of the loss that balances the experts, in pre-training"""

    def __post_init__(self) -> None:
        plain_numbers(self)

    def config(self, corpus: Corpus) -> GPTConfig:
        return GPTConfig(vocab_size=len(corpus.vocab), **asdict(self))


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one pre-training run; the defaults train a chain-sum prior in under a minute on one core.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    run_dir: Path = Path("runs/prior")
    """folder of the run, made or continued"""
    corpus: ChainSum | Countdown | Text = ChainSum()
    """what to learn"""
    shaping: RewardShaping = RewardShaping()
    """the arm: what a token earns"""
    label_smoothing: float = 0.0
    """a control instead of a shaping: this share of each target is spread over the vocabulary"""
    focal_gamma: float = 0.0
    """a control instead of a shaping: focal loss with this exponent"""
    gem_beta: float = 0.0
    """a control instead of a shaping: GEM with this beta; below 1 flatter than cross-entropy, above 1 sharper"""
    coverage_samples: float = 0.0
    """a control instead of a shaping: Direct Coverage of so many samples; above 1 flatter, below 1 sharper"""
    maxrl_order: float = 0.0
    """a control instead of a shaping: MaxRL's series of so many terms, sharper; 1 is dynamic fine-tuning"""
    model: ModelShape = ModelShape()
    """size of a new model; unused with init_from"""
    init_from: Path | None = None
    """run folder of an earlier prior to continue from (mid-training); without it the model is new"""
    steps: int = 600
    """optimizer steps"""
    batch_size: int = 96
    """documents a step"""
    lr: float = 8e-3
    """learning rate of the stable phase"""
    warmup_steps: int | None = None
    """steps of linear warmup; by default 50, but no more than a tenth of all"""
    decay_steps: int | None = None
    """steps at the end in which the rate falls linearly to final_lr_share * lr; by default a fifth of all"""
    final_lr_share: float = 0.1
    """learning rate at the end of the decay, as a share of lr"""
    weight_decay: float = 0.1
    """on matrices only"""
    max_grad_norm: float = 1.0
    """gradients are clipped to this norm"""
    eval_every: int = 100
    """steps between evaluations on held-out documents"""
    eval_documents: int = 256
    """held-out documents of such an evaluation"""
    save_every: int = 100
    """steps between saved states to resume from"""
    seed: int = 0
    """draws the initial weights and the order of the documents"""
    device: str = "cpu"
    """cpu, cuda or mps; these small models are fastest on the cpu"""
    gradient_accumulation_steps: int = 1
    """parts of a process's batch, one after the other, which saves memory; the loss is that of the whole batch"""
    fsdp: bool = False
    """under torchrun: split weights, gradients and moments among the processes (FSDP2), to save memory"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        _check_common(self, "batch_size", "eval_every", "eval_documents")
        check_whole("warmup_steps", self.warmup, 0)
        check_whole("decay_steps", self.decay, 0)
        if self.warmup + self.decay > self.steps:
            raise ValueError(
                f"warmup_steps + decay_steps must be at most steps={self.steps}, got {self.warmup} + {self.decay}"
            )
        check_number("final_lr_share", self.final_lr_share, 1)
        check_number("label_smoothing", self.label_smoothing, 1)
        check_number("focal_gamma", self.focal_gamma, BETAS[1])  # a power of 1 - pi, too
        for name, (least, most) in FAMILY.items():
            if getattr(self, name):
                check_finite(name, getattr(self, name), least, most)
        shaped = any((self.shaping.beta, self.shaping.lambda_head, self.shaping.lambda_tail))
        if shaped + sum(getattr(self, name) > 0 for name in CONTROLS) > 1:
            raise ValueError(f"shaping, {', '.join(CONTROLS)} are different losses: set one of them")

    @property
    def warmup(self) -> int:
        """warmup_steps, or its default."""
        return min(50, self.steps // 10) if self.warmup_steps is None else self.warmup_steps

    @property
    def decay(self) -> int:
        """decay_steps, or its default."""
        return self.steps // 5 if self.decay_steps is None else self.decay_steps


@dataclass(frozen=True)
class GRPOConfig:
    """Settings of one RL run, with the names of TRL and verl; the defaults suit chain sum.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    run_dir: Path = Path("runs/policy")
    """folder of the run, made or continued"""
    prior: Path = Path("runs/prior")
    """run folder (or model.safetensors) of the pre-trained model to start from"""
    steps: int = 80
    """rollouts, each with its updates"""
    prompts_per_step: int = 24
    """groups that one rollout trains on"""
    num_generations: int = 16
    """completions per prompt: the size of a group"""
    max_completion_length: int | None = None
    """tokens after which a completion is cut off; by default as many as the task's longest sensible answer has"""
    temperature: float = 1.0
    """temperature of the sampling, and of the policy whose gradient is taken"""
    lr: float = 3e-4
    """learning rate, constant"""
    weight_decay: float = 0.0
    """on matrices only"""
    max_grad_norm: float = 1.0
    """gradients are clipped to this norm"""
    num_minibatches: int = 2
    """parts into which a rollout is split, with one update for each"""
    num_iterations: int = 1
    """passes over each rollout"""
    epsilon: float = 0.2
    """the ratio is clipped from below at 1 - epsilon"""
    epsilon_high: float = 0.28
    """and from above at 1 + epsilon_high (clip-higher)"""
    kl_coef: float = 0.0
    """weight of the KL divergence from the prior"""
    loss_type: LossType = "dapo"
    """dapo: mean over tokens; grpo: mean over sequences of token means; dr_grpo: sum over a constant length"""
    scale_rewards: ScaleRewards = "group"
    """divide advantages by the standard deviation of the rewards of the group, of the batch, or not (Dr. GRPO)"""
    dynamic_sampling: bool = True
    """replace groups whose rewards are all equal, which give no gradient, by new ones"""
    max_refills: int = 4
    """rounds of such replacement per step; after them the step trains on the groups it has"""
    mask_truncated_completions: bool = True
    """leave completions that were cut off out of the loss"""
    eval_every: int | None = None
    """steps between evaluations on held-out problems, with one after the first step and one at the end; by default
    there are none"""
    eval_problems: int = 256
    """held-out problems of such an evaluation, new ones each time, with one completion of each at temperature 1"""
    save_every: int = 20
    """steps between saved states to resume from"""
    seed: int = 0
    """draws the problems and the completions"""
    device: str = "cpu"
    """cpu, cuda or mps; these small models are fastest on the cpu"""
    gradient_accumulation_steps: int = 1
    """parts of a process's share of an update, one after the other, to save memory; the loss is of the whole"""
    fsdp: bool = False
    """under torchrun: split weights, gradients and moments among the processes (FSDP2), to save memory; each
    samples with a whole copy of the weights"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        _check_common(self, "prompts_per_step", "num_minibatches", "num_iterations", "eval_problems")
        if self.eval_every is not None:
            check_count("eval_every", self.eval_every, 1)
        check_whole("num_generations", self.num_generations, 2)
        check_whole("max_refills", self.max_refills, 0)
        if self.max_completion_length is not None:
            check_whole("max_completion_length", self.max_completion_length, 1)
        check_temperature(self.temperature)
        check_number("epsilon", self.epsilon, 1)
        check_number("epsilon_high", self.epsilon_high, MOST_EPSILON_HIGH)
        check_number("kl_coef", self.kl_coef, 1e6)
        check_choice("loss_type", self.loss_type, get_args(LossType))
        check_choice("scale_rewards", self.scale_rewards, get_args(ScaleRewards))
        if self.num_minibatches > self.prompts_per_step:
            raise ValueError(
                f"num_minibatches must be at most prompts_per_step={self.prompts_per_step}, "
                f"got {self.num_minibatches}"
            )

    def evaluates_after(self, step: int) -> bool:
        """Whether held-out problems are answered after this step."""
        return self.eval_every is not None and (step % self.eval_every == 0 or step in (1, self.steps))

    def completion_limit(self, task: Task) -> int:
        """max_completion_length, or its default for `task`."""
        return self.max_completion_length or task.max_completion_length


def _check_common(config: PretrainConfig | GRPOConfig, *counts: str) -> None:
    """Checks the fields that both trainings have, and that the fields named in `counts` are at least 1."""
    for name in ("steps", "save_every", "gradient_accumulation_steps", *counts):
        check_count(name, getattr(config, name), 1)
    for field in fields(config):
        if field.type == "bool":
            check_bool(field.name, getattr(config, field.name))
    check_seed(config.seed)
    check_number("weight_decay", config.weight_decay)
    for name in ("lr", "max_grad_norm"):
        check_positive(name, getattr(config, name))


def check_head(shaping: RewardShaping, corpus: Corpus) -> None:
    """Raises ValueError if head and tail earn different rewards, but the head is the whole vocabulary."""
    vocab_size = len(corpus.vocab)
    if shaping.lambda_head != shaping.lambda_tail and shaping.top_k >= vocab_size:
        raise ValueError(
            f"top_k={shaping.top_k} leaves no tail in the {vocab_size} tokens of {corpus.name}: choose a smaller "
            "top_k, or lambda_tail = lambda_head if the whole vocabulary is meant"
        )


def check_length(corpus: Corpus, model: GPTConfig) -> None:
    """Raises ValueError if documents of the corpus are too long for the model."""
    longest = corpus.max_document_length - 1  # the last token is only a target
    if longest > model.max_position_embeddings:
        raise ValueError(
            f"max_position_embeddings must be at least {longest} for the documents of this corpus, "
            f"got {model.max_position_embeddings}"
        )


def check_pretraining_memory(
    config: PretrainConfig, model: GPTConfig, *, processes: int = 1, on_machine: int = 1
) -> None:
    """Raises ValueError if this machine has too little memory for the model, for the logits of a batch or part of
    one (documents are shorter than the longest, but a gradient comes to them), or for held-out documents, of those
    of the `processes` that run `on_machine`. A GPU has its own."""
    if config.device != "cpu":
        return
    length = config.corpus.max_document_length
    logits = (
        4 * (config.batch_size // (processes * config.gradient_accumulation_steps)) * length * model.vocab_size
    )
    trained = max(FLOAT, TRAINED // processes) if config.fsdp else TRAINED  # whole weights before they are divided
    needed = model_bytes(model, trained) + logits + documents_bytes(config.eval_documents, length)
    check_memory(on_machine * needed, "hidden_size, num_hidden_layers, batch_size or eval_documents")


def check_rl_memory(
    config: GRPOConfig, model: GPTConfig, limit: int, *, processes: int = 1, on_machine: int = 1
) -> None:
    """Raises ValueError if this machine has too little memory for the model, or for the completions of a step, of
    up to `limit` tokens, of those of the `processes` that run `on_machine`. A GPU has its own."""
    if config.device != "cpu":
        return
    rows = config.prompts_per_step * config.num_generations
    if config.eval_every is not None:
        rows = max(rows, config.eval_problems)
    trained = FLOAT + max(FLOAT, TRAINED // processes) if config.fsdp else TRAINED  # a whole copy samples
    needed = model_bytes(model, trained) + generation_bytes(model, rows // processes, limit)
    check_memory(on_machine * needed, "prompts_per_step, num_generations, eval_problems or max_completion_length")
