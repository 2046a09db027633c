"""What RL draws beside cross-entropy, and what is left of a gain at equal cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgce_mini.evaluation import LENGTH
from pgce_mini.study import Columns, Curve, write_curves, write_rows
from pgce_mini.study.analysis import Evidence
from pgce_mini.study.analysis.cost import costs


def run(
    arm: str, seed: int, groups: list[int], length: float, rewards: list[float]
) -> tuple[Columns, list[Curve]]:
    """Four steps of RL, of which the second and the last are evaluated."""
    row = {"study": "small", "variant": "", "arm": arm, "seed": seed, "settings": "{}", "error": None}
    curves: list[Curve] = [
        {"stage": "rl", "metric": "sampled_groups", "steps": [1, 2, 3, 4], "values": [*map(float, groups)]},
        {"stage": "rl", "metric": LENGTH, "steps": [1, 2, 3, 4], "values": [length] * 4},
        {"stage": "rl", "metric": "heldout_reward", "steps": [2, 4], "values": rewards},
    ]
    return row, curves


def test_rewards_at_equal_cost_are_those_where_the_cheaper_run_ends(tmp_path: Path) -> None:
    found = [
        measured
        for seed, more in ((0, 0.0), (1, 0.1))
        for measured in (
            run("ce", seed, [1, 1, 1, 1], 2.0, [0.2, 0.4 - more]),
            # At 4 groups it is half way from step 2 (3 groups) to step 4 (5), and at 8 tokens short of step 2 (9).
            run("precision", seed, [1, 2, 1, 1], 3.0, [0.6, 0.8]),
        )
    ]
    write_rows(tmp_path / "small.parquet", [row for row, _ in found])
    write_curves(tmp_path / "small-curves.parquet", found)
    (cost,) = costs(Evidence(tmp_path), "small", ("precision", "diversity"))
    assert (cost.variant, cost.arm) == ("", "precision")
    assert cost.times == pytest.approx({"steps": 1.0, "groups": 5 / 4, "tokens": 15 / 8})
    means = {name: difference.mean for name, difference in cost.at_equal.items()}
    assert means == pytest.approx({"steps": 0.8 - 0.35, "groups": 0.7 - 0.35, "tokens": 0.6 - 0.35})


def test_parts_that_did_not_count_groups_have_no_cost() -> None:
    assert not list(costs(Evidence(), "confirm", ("precision",)))
