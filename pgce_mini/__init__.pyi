from .evaluation import (
    EvaluationConfig as EvaluationConfig,
    avg_at_m as avg_at_m,
    cons_at_m as cons_at_m,
    evaluate as evaluate,
    pass_at_k as pass_at_k,
)
from .gpt import GPT as GPT, GPTConfig as GPTConfig
from .installation import __version__ as __version__
from .loss import (
    ShapedCrossEntropyLoss as ShapedCrossEntropyLoss,
    linear_shaped_cross_entropy as linear_shaped_cross_entropy,
    shaped_cross_entropy as shaped_cross_entropy,
)
from .reward import PAPER_ARMS as PAPER_ARMS, RewardShaping as RewardShaping, token_rewards as token_rewards
from .study import StudyConfig as StudyConfig, run_study as run_study
from .tasks import TASKS as TASKS, ChainSum as ChainSum, Countdown as Countdown, Text as Text
from .teaching.exercises import check as check
from .theory import (
    policy_flow as policy_flow,
    simplex_field as simplex_field,
    stationary_policies as stationary_policies,
    stationary_policy as stationary_policy,
)
from .training import (
    GRPOConfig as GRPOConfig,
    PretrainConfig as PretrainConfig,
    ShapedLM as ShapedLM,
    pretrain as pretrain,
    train_grpo as train_grpo,
)
