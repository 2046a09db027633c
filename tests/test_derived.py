"""Columns derived from the curves of RL, against numbers worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pgce_mini.evaluation import column_label, column_title
from pgce_mini.study import Curve
from pgce_mini.study.analysis import derived, derived_column
from pgce_mini.study.analysis.derived import THRESHOLDS, WINDOW


def curve(metric: str, values: list[float], steps: list[int] | None = None, stage: str = "rl") -> Curve:
    return {"stage": stage, "metric": metric, "steps": steps or list(range(1, len(values) + 1)), "values": values}


REWARDS = [0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 0.75, 1.0]


def test_areas_are_means_over_what_was_measured() -> None:
    heldout = curve("heldout_reward", [0.25, 0.5, 1.0], [1, 5, 8])
    found = derived([curve("entropy", [9.0], stage="before"), heldout, curve("reward", REWARDS)])
    assert found["rl_area"] == sum(REWARDS) / 8 == 0.59375
    assert found["rl_heldout_area"] == 1.75 / 3


@pytest.mark.parametrize(
    ("reward", "step"),
    [("0.4", 5), ("0.41", 6), ("0.6", 6), ("0.7", 7), ("0.8", 8), ("0.81", 9), ("1", 9)],  # means: .4 .6 .7 .8
)
def test_reward_is_reached_at_the_first_step_whose_last_five_have_that_mean(reward: str, step: int) -> None:
    assert derived_column([curve("reward", REWARDS)], f"rl_steps_to_{reward}") == step


def test_five_steps_are_needed_to_reach_anything() -> None:
    assert derived_column([curve("reward", [1.0] * 4)], "rl_steps_to_0.5") == 5


@given(st.lists(st.integers(0, 16).map(lambda n: n / 16), min_size=WINDOW, max_size=40))
def test_higher_rewards_are_reached_later(rewards: list[float]) -> None:
    found = derived([curve("reward", rewards)])
    steps = [found[f"rl_steps_to_{threshold:g}"] for threshold in THRESHOLDS]
    assert steps == sorted(steps)
    assert steps[0] >= WINDOW
    assert steps[-1] <= len(rewards) + 1


def test_changes_are_late_minus_early_means() -> None:
    lengths = [float(step) for step in range(1, 31)]
    found = derived([curve("completions/mean_length", lengths), curve("entropy", [2.0] * 5 + [1.0] * 15)])
    assert found == {"rl_length_change": 18 - 3, "rl_entropy_change": -1}


def test_curve_that_lacks_the_steps_gives_no_column() -> None:
    assert derived([]) == {}
    assert derived([curve("reward", REWARDS, stage="pretrain"), curve("entropy", [1.0] * 10)]) == {}


def test_columns_have_labels_with_units() -> None:
    assert column_title("rl_area") == "mean reward through RL (share)"
    assert column_title("rl_heldout_area") == "mean held-out reward at T = 1 through RL (share)"
    assert column_title("rl_steps_to_0.70") == "RL steps to a reward of 0.7 (steps)"
    assert column_label("rl_temperature") == "T in RL"


@pytest.mark.parametrize("column", ["rl_steps_to_", "rl_steps_to_soon", "rl_steps_to_-1", "rl_volume"])
def test_column_that_is_none_is_named(column: str) -> None:
    with pytest.raises(ValueError, match=f"column must be rl_entropy_change, .*got '{column}'"):
        derived_column([curve("reward", REWARDS)], column)
