"""For TRL: the shaped losses in its `SFTTrainer`, and the tasks' verifiers and problems for its `GRPOTrainer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pgce_mini.checks import check_whole
from pgce_mini.integrations.hf import IGNORE_INDEX, plain_rows, shifted
from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import RewardShaping, true_token_weight
from pgce_mini.tasks import Corpus, Problem, Split, Task


class ShapedLossMixin:
    """`class Trainer(ShapedLossMixin, SFTTrainer): shaping = RewardShaping(beta=-0.25)`

    TRL's loss is minus the sum of the model's `log_probs`; here these have the gradient of the shaped loss. All
    else is TRL's: gradient accumulation, several processes, metrics. `loss` and `eval_loss` are the surrogate;
    TRL's `entropy` is plain, and so is `cross_entropy`, which comes beside it: nats/token, a mean over batches,
    as all of TRL's metrics.

    With beta alone TRL's fused head serves, which never holds all logits; lambda_head and lambda_tail need them.
    """

    shaping: RewardShaping

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """
        Raises:
            TypeError: `shaping` is not a RewardShaping, the other base is no `SFTTrainer` with a fused head (TRL
                1.16), or its settings ask for another loss than plain "nll".
        """
        if not isinstance(shaping := getattr(self, "shaping", None), RewardShaping):
            raise TypeError(
                "shaping must be set in the class, to a RewardShaping such as PAPER_ARMS['precision'], "
                f"got {shaping!r}"
            )
        trainer: Any = self
        if getattr(trainer.args, "loss_type", "nll") != "nll" or trainer.args.label_smoothing_factor:
            raise TypeError(
                "ShapedLossMixin replaces the loss: leave loss_type='nll' and label_smoothing_factor=0"
            )
        mode = "train" if trainer.model.training else "eval"
        shaped = False

        def with_shaped_log_probs(**kwargs: Any) -> Any:
            nonlocal shaped
            if not kwargs.get("fused_lm_head"):
                return model(**kwargs)
            shaped = True
            outputs, plain = _shaped_outputs(model, kwargs, shaping)
            sums = torch.stack([-plain.sum(), outputs.label_mask.sum().to(plain.dtype)])
            total, count = trainer.accelerator.reduce(sums, reduction="sum").tolist()
            trainer._metrics[mode]["cross_entropy"].append(total / max(count, 1))
            return outputs

        base: Any = super()  # mypy sees no class beside this one
        loss = base.compute_loss(with_shaped_log_probs, inputs, return_outputs, num_items_in_batch)
        if not shaped:
            raise TypeError(
                "ShapedLossMixin needs as its other base an SFTTrainer of TRL with a fused head, which 1.16 has "
                "(for transformers' Trainer: model.loss_function = causal_lm_loss(shaping))"
            )
        return loss


def _shaped_outputs(model: Any, inputs: dict[str, Any], shaping: RewardShaping) -> tuple[Any, Tensor]:
    """What a model with a fused head returns, its `log_probs` shaped, and the plain ones, detached: (B, T)."""
    if not (shaping.lambda_head or shaping.lambda_tail):
        outputs = model(**inputs)
        plain = outputs.log_probs.detach()
        outputs.log_probs = outputs.log_probs * true_token_weight(plain, shaping)
        return outputs, plain
    target = inputs.get("shift_labels")
    target = shifted(inputs["labels"]) if target is None else target  # (B, T)
    outputs = model(**{name: value for name, value in inputs.items() if name not in ("labels", "fused_lm_head")})
    logits, ids = outputs.logits.float().flatten(0, 1), target.flatten()  # (B * T, V), (B * T)
    cross_entropy, entropy = (numbers.view_as(target) for numbers in plain_rows(logits, ids))
    outputs.entropy = entropy
    outputs.is_top1 = logits.argmax(-1).view_as(target) == target
    outputs.label_mask = target != IGNORE_INDEX
    outputs.log_probs = -shaped_cross_entropy(logits, ids, shaping, reduction="none").view_as(target)
    return outputs, -cross_entropy


def verifier_reward(task: Task) -> Callable[..., list[float]]:
    """The task's verifier as one of `GRPOTrainer`'s reward_funcs, for rows of `problem_rows`: 1 or 0 a completion,
    judged by its ids, so a completion without EOS earns 0.

    Raises:
        ValueError: the task has no verifier; in training, the rows are not of `problem_rows`.
    """
    _check_verifiable(task)

    def verifier(
        prompts: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        operands: Sequence[Sequence[int]] = (),
        target: Sequence[int] = (),
        **_: object,
    ) -> list[float]:
        if not len(prompts) == len(completion_ids) == len(operands) == len(target):
            raise ValueError("the data set must have columns prompt, operands and target: make it of problem_rows")
        rows = zip(prompts, operands, target, completion_ids, strict=True)
        return [
            task.reward(Problem(tuple(task.encode(prompt)), tuple(numbers), goal), ids)
            for prompt, numbers, goal, ids in rows
        ]

    return verifier


def problem_rows(task: Task, seed: int, count: int, split: Split = "train") -> list[dict[str, Any]]:
    """`count` problems as rows for `Dataset.from_list`: prompt (text), and operands and target, which the verifier
    judges by.

    Raises:
        ValueError: the task has no verifier, there is no such split, or count is no whole number.
    """
    _check_verifiable(task)
    check_whole("count", count, 0)
    problems = [task.problem(seed, index, split) for index in range(count)]
    return [{"prompt": task.decode(p.prompt), "operands": list(p.operands), "target": p.target} for p in problems]


def _check_verifiable(task: Corpus) -> None:
    if not isinstance(task, Task):
        raise ValueError(f"task must be one with a verifier, got {task!r}")
