"""For transformers: the shaped loss as a model's own, and plain cross-entropy and entropy in `Trainer`'s logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pgce_mini.evaluation import token_entropy
from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import RewardShaping

IGNORE_INDEX = -100
PART_ROWS = 256  # whose logits are held in fp32 at once, to measure them


def causal_lm_loss(shaping: RewardShaping) -> Callable[..., Tensor]:
    """After `model.loss_function = causal_lm_loss(shaping)` a causal model of transformers trains on the shaped
    loss, in `Trainer` (gradient accumulation and several processes included) or in a loop of your own.

    Its value is the surrogate, `eval_loss` too: `PlainMetricsMixin` logs what measures progress. It is not called
    where a trainer computes the loss itself: with label smoothing, and in TRL's `SFTTrainer`, for which there is
    `pgce_mini.integrations.trl.ShapedLossMixin`.

    Shapes:
        logits: (B, T, V), labels: (B, T), unshifted, -100 where ignored; shift_labels instead, where given -> ()

    Raises:
        TypeError: `shaping` is not a RewardShaping.
    """
    if not isinstance(shaping, RewardShaping):
        raise TypeError(f"shaping must be a RewardShaping, such as PAPER_ARMS['precision'], got {shaping!r}")

    def loss(
        logits: Tensor, labels: Tensor, vocab_size: int | None = None, num_items_in_batch: Any = None,
        ignore_index: int = IGNORE_INDEX, shift_labels: Tensor | None = None, **_: object,
    ) -> Tensor:  # fmt: skip
        target = shifted(labels, ignore_index) if shift_labels is None else shift_labels  # (B, T)
        target = target.to(logits.device).flatten()
        rows = logits.float().flatten(0, -2)  # (B * T, V); sums would round in half precision
        total = shaped_cross_entropy(rows, target, shaping, ignore_index=ignore_index, reduction="sum")
        count = (target != ignore_index).sum() if num_items_in_batch is None else num_items_in_batch
        return total / torch.as_tensor(count, device=total.device)

    return loss


def shifted(labels: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """The target of each position, the label after it: (B, T) -> (B, T)"""
    return F.pad(labels, (0, 1), value=ignore_index)[..., 1:]


@torch.no_grad()
def plain_rows(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Plain cross-entropy and entropy of each row in nats, in fp32; 0 where the target is ignored.

    A part of the rows is computed at a time: of a large vocabulary all would take more memory than the shaped loss
    saves.

    Shapes:
        logits: (N, V); target: (N) -> (N), (N)
    """
    cross_entropy, entropy = logits.new_zeros(2, len(target), dtype=torch.float32)
    for rows in (target != IGNORE_INDEX).nonzero().squeeze(1).split(PART_ROWS):
        part = logits[rows].float()  # (n, V)
        cross_entropy[rows] = F.cross_entropy(part, target[rows], reduction="none")
        entropy[rows] = token_entropy(part)
    return cross_entropy, entropy


class PlainMetricsMixin:
    """`class PlainTrainer(PlainMetricsMixin, Trainer)` logs plain `cross_entropy` and `entropy`, in nats/token,
    beside the loss, and in evaluations with its prefix.

    Both are means over all targets of all processes since the last line of the log. They need the model's logits,
    which Liger's fused loss does not make.
    """

    accelerator: Any  # the trainer's; `super()` is Any as well, as mypy sees no class beside this one

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        base: Any = super()
        if not {"labels", "shift_labels"} & inputs.keys():  # Trainer says so
            return base.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        target = inputs["shift_labels"] if "shift_labels" in inputs else shifted(inputs["labels"])  # (B, T)
        loss, outputs = base.compute_loss(model, inputs, True, num_items_in_batch)
        logits = outputs["logits"].flatten(0, -2)  # (B * T, V)
        target = target.to(logits.device).flatten()
        cross_entropy, entropy = plain_rows(logits, target)
        sums = torch.stack([cross_entropy.sum(), entropy.sum(), (target != IGNORE_INDEX).sum()])
        name = "_train_sums" if model.training else "_eval_sums"
        setattr(self, name, getattr(self, name, 0) + sums.cpu().double())
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        base: Any = super()
        self.__dict__.pop("_eval_sums", None)  # of `predict`, which logs nothing
        return base.evaluation_loop(*args, **kwargs)

    def log(self, logs: dict[str, float], *more: Any) -> None:
        base: Any = super()
        loss = next((name for name in logs if name.endswith("loss")), "train_loss")
        name = "_train_sums" if loss == "loss" else "_eval_sums"
        if loss != "train_loss" and hasattr(self, name):  # not the summary of a training
            sums = getattr(self, name).float().to(self.accelerator.device)
            sums = self.accelerator.reduce(sums, reduction="sum")
            cross_entropy, entropy = (sums[:2] / sums[2]).tolist()  # NaN without a target, as the loss
            prefix = loss.removesuffix("loss")
            logs |= {f"{prefix}cross_entropy": cross_entropy, f"{prefix}entropy": entropy}
            delattr(self, name)
        base.log(logs, *more)
