"""A study's tables as pictures take them: means over seeds, pairs of settings, and nothing that is not there."""

from __future__ import annotations

import subprocess
import sys
from statistics import fmean

import pytest

from pgce_mini.study import Columns
from pgce_mini.study.analysis import expanded_interval, views


def row(arm: str, seed: int, value: float, variant: str = "") -> Columns:
    columns: Columns = {"variant": variant, "arm": arm, "seed": seed, "avg_at_m_before": value / 2}
    return columns | {"avg_at_m_after": value, "pass_at_16_after": value, "pass_at_2_after": value}


def test_means_and_intervals_are_over_seeds_and_k_is_in_order() -> None:
    values = [0.4, 0.5, 0.9]
    summary = views.over_seeds([row("ce", i, value) for i, value in enumerate(values)], ["ce"])
    after = summary["ce"]["after"]
    assert list(after) == ["avg_at_m", "pass_at_2", "pass_at_16"]
    assert after["avg_at_m"]["value"] == pytest.approx(fmean(values))
    assert (after["avg_at_m"]["low"], after["avg_at_m"]["high"]) == expanded_interval(values, 0)
    assert summary["ce"]["before"]["avg_at_m"]["value"] == pytest.approx(0.3)
    assert summary["ce"]["before"]["pass_at_2"]["value"] is None


def test_measures_are_the_columns_with_numbers() -> None:
    empty = {"pass_at_64_after": None, "seed": 1, "avg_at_m_before": None}
    assert views.measures([empty, row("ce", 0, 0.4)]) == [
        "avg_at_m_after", "avg_at_m_before", "pass_at_16_after", "pass_at_2_after",
    ]  # fmt: skip


def test_one_seed_has_no_interval() -> None:
    after = views.over_seeds([row("ce", 0, 0.4)], ["ce"])["ce"]["after"]["avg_at_m"]
    assert after == {"value": 0.4, "low": None, "high": None}


def test_differences_leave_out_the_baseline_and_arms_without_pairs() -> None:
    rows = [row("ce", i, 0.4) for i in range(3)] + [row("a", i, 0.5) for i in range(3)] + [row("b", 0, 0.9)]
    found = views.paired_differences(rows, ["ce", "a", "b"], "ce", "avg_at_m_after")
    assert list(found) == ["a"]
    assert found["a"].mean == pytest.approx(0.1)


def test_curves_are_by_arm_and_seed_of_one_variant() -> None:
    curve = {"stage": "rl", "metric": "reward", "steps": [1, 2], "values": [0.1, 0.2]}
    curves = {("", "ce", 0): [curve], ("", "ce", 1): [curve], ("x=1", "ce", 0): [curve], ("", "a", 0): []}
    found = views.learning_curves_of(curves, ["ce", "a"], "rl", "reward")  # type: ignore[arg-type]
    assert found == {"ce": [[{"step": 1, "reward": 0.1}, {"step": 2, "reward": 0.2}]] * 2}


def test_phase_has_a_cell_for_each_pair_of_numbers_and_none_where_nothing_was_run() -> None:
    rows = [
        row(arm, seed, 0.4 + gain * x, f"share={x},slip={y}")
        for x, y in ((0.1, 0.2), (0.3, 0.2), (0.1, 0.4))
        for seed in (0, 1)
        for arm, gain in (("ce", 0), ("a", 1))
    ]
    found = views.phase(rows, "a", "ce", "avg_at_m_after")
    assert found is not None
    assert found[:4] == ("share", "slip", [0.1, 0.3], [0.2, 0.4])
    assert found.values == [pytest.approx([0.1, 0.3]), [pytest.approx(0.1), None]]


@pytest.mark.parametrize(
    "names", [[""], ["loss=arm", "loss=ce"], ["d=32,m=64", "d=64,m=128", "d=128,m=256"], ["a=x,b=1", "a=y,b=2"]]
)
def test_other_variants_make_no_phase_diagram(names: list[str]) -> None:
    rows = [row(arm, seed, 0.4, name) for name in names for seed in (0, 1) for arm in ("ce", "a")]
    assert views.phase(rows, "a", "ce", "avg_at_m_after") is None


def test_reading_a_table_loads_no_trainer() -> None:
    code = """
import sys
from pgce_mini.study.analysis import Evidence, rows_of
assert rows_of("chain") and Evidence().findings
print([name for name in sys.modules if name.startswith("pgce_mini.training")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
