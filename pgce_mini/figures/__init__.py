"""Every Plotly figure, used by report, notebooks and explorer alike: functions that take numbers."""

from pgce_mini.figures.endings import endings_over
from pgce_mini.figures.gradients import gradient_estimates
from pgce_mini.figures.one_state import stationary_bars
from pgce_mini.figures.rewards import Earnings, hidden_rewards
from pgce_mini.figures.runs import (
    before_after,
    entropy_by_position,
    learning_curves,
    pass_at_k_curves,
    reliability_diagram,
)
from pgce_mini.figures.simplex import SimplexFrame, simplex_flow
from pgce_mini.figures.studies import paired_forest, phase_map
from pgce_mini.figures.style import arm_style, base_figure, stacked_figure

__all__ = [
    "Earnings",
    "SimplexFrame",
    "arm_style",
    "base_figure",
    "before_after",
    "endings_over",
    "entropy_by_position",
    "gradient_estimates",
    "hidden_rewards",
    "learning_curves",
    "paired_forest",
    "pass_at_k_curves",
    "phase_map",
    "reliability_diagram",
    "simplex_flow",
    "stacked_figure",
    "stationary_bars",
]
