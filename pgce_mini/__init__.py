"""Cross-entropy as a policy gradient: reward-shaped pre-training and GRPO, small enough to watch.

Read in this order: `reward` (what a token earns), `loss` (its exact gradient), `dynamics` (where training ends),
`model`, `tasks`, `pretrain`, `grpo`, `evaluate`, `study`.
"""

from pgce_mini.dynamics import policy_flow, simplex_field, stationary_policies, stationary_policy
from pgce_mini.evaluate import EvaluationConfig, avg_at_m, cons_at_m, evaluate, pass_at_k
from pgce_mini.exercises import check
from pgce_mini.grpo import GRPOConfig, train_grpo
from pgce_mini.loss import ShapedCrossEntropyLoss, linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.model import GPT, GPTConfig
from pgce_mini.pretrain import PretrainConfig, pretrain
from pgce_mini.reward import PAPER_ARMS, RewardShaping, token_rewards
from pgce_mini.study import StudyConfig, run_study
from pgce_mini.tasks import TASKS, ChainSum, Countdown, Text

__all__ = [
    "GPT",
    "PAPER_ARMS",
    "TASKS",
    "ChainSum",
    "Countdown",
    "EvaluationConfig",
    "GPTConfig",
    "GRPOConfig",
    "PretrainConfig",
    "RewardShaping",
    "ShapedCrossEntropyLoss",
    "StudyConfig",
    "Text",
    "avg_at_m",
    "check",
    "cons_at_m",
    "evaluate",
    "linear_shaped_cross_entropy",
    "pass_at_k",
    "policy_flow",
    "pretrain",
    "run_study",
    "shaped_cross_entropy",
    "simplex_field",
    "stationary_policies",
    "stationary_policy",
    "token_rewards",
    "train_grpo",
]
