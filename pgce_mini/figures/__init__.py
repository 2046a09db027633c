"""Every Plotly figure, used by report, notebooks and explorer alike: functions that take numbers."""

from pgce_mini.figures.answers import number_answers
from pgce_mini.figures.comparison import arm_differences, paper_dots
from pgce_mini.figures.endings import endings_over, policies_over_labels, score_valleys, stationary_bars
from pgce_mini.figures.frames import base_figure, stacked_figure
from pgce_mini.figures.grpo import advantages_over_right, clipped_objectives, completion_group
from pgce_mini.figures.one_training import arms_by_panel, entropy_predicted
from pgce_mini.figures.over_beta import Prior, answer_cells, longest_answer, priors_over_beta
from pgce_mini.figures.rewards import (
    Earnings,
    both_pushes,
    gradient_by_rank,
    gradient_estimates,
    held_reward,
    hidden_rewards,
)
from pgce_mini.figures.rl import predicted_measured, prediction_dots, through_rl
from pgce_mini.figures.runs import (
    before_after,
    entropy_by_position,
    learning_curves,
    pass_at_k_curves,
    reliability_diagram,
)
from pgce_mini.figures.simplex import SimplexFrame, simplex_flow
from pgce_mini.figures.studies import paired_forest, phase_map
from pgce_mini.figures.style import arm_style
from pgce_mini.figures.text import attention_map, coloured_tokens, entropy_along, next_tokens, visible
from pgce_mini.figures.training import Trained, probability_paths, rl_curves, training_curves, trainings_overlaid
from pgce_mini.figures.trap import Seeds, trap_dots

__all__ = [
    "Earnings", "Prior", "Seeds", "SimplexFrame", "Trained", "advantages_over_right", "answer_cells",
    "arm_differences", "arm_style", "arms_by_panel", "attention_map", "base_figure", "before_after",
    "both_pushes", "clipped_objectives", "coloured_tokens", "completion_group", "endings_over",
    "entropy_along", "entropy_by_position", "entropy_predicted", "gradient_by_rank", "gradient_estimates",
    "held_reward", "hidden_rewards", "learning_curves", "longest_answer", "next_tokens", "number_answers",
    "paired_forest", "paper_dots", "pass_at_k_curves", "phase_map", "policies_over_labels",
    "predicted_measured", "prediction_dots", "priors_over_beta", "probability_paths", "reliability_diagram",
    "rl_curves", "score_valleys", "simplex_flow", "stacked_figure", "stationary_bars", "through_rl",
    "training_curves", "trainings_overlaid", "trap_dots", "visible",
]  # fmt: skip
