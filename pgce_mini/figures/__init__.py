"""Every Plotly figure, used by report, notebooks and explorer alike: functions that take numbers."""

from pgce_mini.figures.one_state import stationary_bars
from pgce_mini.figures.runs import (
    before_after,
    entropy_by_position,
    learning_curves,
    pass_at_k_curves,
    reliability_diagram,
)
from pgce_mini.figures.style import arm_style, base_figure

__all__ = [
    "arm_style",
    "base_figure",
    "before_after",
    "entropy_by_position",
    "learning_curves",
    "pass_at_k_curves",
    "reliability_diagram",
    "stationary_bars",
]
