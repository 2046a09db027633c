"""The theory of one state, without a network; in NumPy, and in torch only where many states are solved at once
(`stationary_rows`, and `chain_prediction`, which calls it) or a formula of `reward` is taken (`hidden_rewards`).

`distributions` checks; `dynamics`: gradient, path and end of training; `stationary_rows`: the end of many states
at once; `temperature`: the end beside a temperature; `group_rl`: RL with a verifier from there on; `estimators`:
three ways to the policy gradient; `hidden_rewards`: the reward behind each known loss; `scoring_rule`: the loss
behind a shaped reward; `chain_prediction`: what the end of training means for chain sums.
"""

from pgce_mini.theory.chain_prediction import ChainPrediction, fit_chain, predict_chain
from pgce_mini.theory.distributions import FloatArray, entropy
from pgce_mini.theory.dynamics import (
    expected_gradient,
    expected_reward,
    policy_flow,
    simplex_field,
    simplex_xy,
    stationary_policies,
    stationary_policy,
)
from pgce_mini.theory.estimators import (
    GradientComparison,
    compare_gradients,
    cross_entropy_gradient,
    cross_entropy_rewards,
    optimal_baseline,
    policy_gradient,
    reinforce_gradient,
    reinforce_residual,
    reinforce_variance,
    sample_counts,
)
from pgce_mini.theory.group_rl import (
    GroupRun,
    all_alike,
    expected_group_push,
    expected_group_run,
    group_push,
    group_run,
    right_in_k,
    sample_tokens,
    uniforms,
)
from pgce_mini.theory.hidden_rewards import HIDDEN_REWARDS
from pgce_mini.theory.scoring_rule import expected_score, hidden_score
from pgce_mini.theory.stationary_rows import stationary_logits
from pgce_mini.theory.temperature import Ending, ending, endings, matched_temperature, tempered, total_variation

__all__ = [
    "HIDDEN_REWARDS", "ChainPrediction", "Ending", "FloatArray", "GradientComparison", "GroupRun", "all_alike",
    "compare_gradients", "cross_entropy_gradient", "cross_entropy_rewards", "ending", "endings", "entropy",
    "expected_gradient", "expected_group_push", "expected_group_run", "expected_reward", "expected_score",
    "fit_chain", "group_push", "group_run", "hidden_score", "matched_temperature", "optimal_baseline",
    "policy_flow", "policy_gradient", "predict_chain", "reinforce_gradient", "reinforce_residual",
    "reinforce_variance", "right_in_k", "sample_counts", "sample_tokens", "simplex_field", "simplex_xy",
    "stationary_logits", "stationary_policies", "stationary_policy", "tempered", "total_variation", "uniforms",
]  # fmt: skip
