"""The two trainings: pre-training with the shaped loss, and GRPO."""

from pgce_mini.training.config import (
    CONTROLS,
    GRPOConfig,
    ModelShape,
    PretrainConfig,
    check_head,
    check_length,
    check_pretraining_memory,
)
from pgce_mini.training.distributed import is_first, join, launched
from pgce_mini.training.grpo import Update, train_grpo, update_policy
from pgce_mini.training.grpo_loss import (
    LossType,
    ScaleRewards,
    group_advantages,
    grpo_loss,
    held_back,
    kl_to_reference,
    masked_mean,
)
from pgce_mini.training.optimizer import ADAM_BETAS, adamw, check_device, clip_gradient
from pgce_mini.training.pretrain import learning_rate, pretrain
from pgce_mini.training.rollout import MAX_DRAWS, Rollout, per_token_logps, sample_rollout
from pgce_mini.training.shaped_lm import ShapedLM

__all__ = [
    "ADAM_BETAS", "CONTROLS", "MAX_DRAWS", "GRPOConfig", "LossType", "ModelShape", "PretrainConfig", "Rollout",
    "ScaleRewards", "ShapedLM", "Update", "adamw", "check_device", "check_head", "check_length",
    "check_pretraining_memory", "clip_gradient", "group_advantages", "grpo_loss", "held_back", "is_first",
    "join", "kl_to_reference", "launched", "learning_rate", "masked_mean", "per_token_logps", "pretrain",
    "sample_rollout", "train_grpo", "update_policy",
]  # fmt: skip
