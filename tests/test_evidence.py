"""Comparisons read from tables: across variants, within an arm, of differences, several at once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pgce_mini.study import Columns, Curve, write_curves, write_rows
from pgce_mini.study.analysis import Comparison, Evidence
from pgce_mini.study.analysis.statistics import log_odds

VALUES = {  # (variant, arm) -> by seed
    ("dense", "ce"): (0.1, 0.2, 0.3), ("dense", "precision"): (0.2, 0.2, 0.5),
    ("experts", "ce"): (0.4, 0.4, 0.4), ("experts", "precision"): (0.7, 0.5, 0.8),
}  # fmt: skip


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    rows: list[Columns] = [
        {"study": "experts", "task": "chain-sum", "variant": variant, "arm": arm, "seed": seed, "error": None,
         "settings": "{}", "avg_at_m_after": value}
        for (variant, arm), values in VALUES.items() for seed, value in enumerate(values)
    ]  # fmt: skip
    write_rows(tmp_path / "experts.parquet", rows)
    reward: list[Curve] = [
        {"stage": "rl", "metric": "reward", "steps": list(range(1, 9)), "values": [0.0] * 4 + [1.0] * 4}
    ]
    write_curves(tmp_path / "experts-curves.parquet", [(row, reward) for row in rows])
    return Evidence(tmp_path)


def compared(**fields: object) -> Comparison:
    return Comparison("experts", "precision", "avg_at_m_after", "higher", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("comparison", "gaps", "words"),
    [
        (compared(variant="dense"), (0.1, 0.0, 0.2), "precision - ce"),
        (compared(variant="experts", baseline_variant="dense"), (0.6, 0.3, 0.5), "precision - ce (dense)"),
        (
            compared(variant="experts", baseline="precision", baseline_variant="dense"),
            (0.5, 0.3, 0.3),
            "precision - precision (dense)",
        ),
        (compared(variant="experts", baseline=None), (0.7, 0.5, 0.8), ": precision"),
        (
            compared(variant="experts", minus_variant="dense"),
            (0.2, 0.1, 0.2),
            "(precision - ce) minus the same in dense",
        ),
    ],
)
def test_gaps_by_hand(evidence: Evidence, comparison: Comparison, gaps: tuple[float, ...], words: str) -> None:
    assert evidence.gaps(comparison) == pytest.approx(dict(enumerate(gaps)))
    difference = evidence.compare(comparison)
    assert difference is not None
    assert difference.mean == pytest.approx(sum(gaps) / 3)
    assert comparison.words.endswith(words)


def test_a_difference_of_differences_in_log_odds_by_hand(evidence: Evidence) -> None:
    """Of seed 2: 0.8 is 4 : 1, 0.4 is 2 : 3, 0.5 is 1 : 1, 0.3 is 3 : 7."""
    interaction = compared(variant="experts", minus_variant="dense")
    by_hand = (math.log(4) - math.log(2 / 3)) - (math.log(1) - math.log(3 / 7))
    assert evidence.gaps(interaction, log_odds)[2] == pytest.approx(by_hand)
    difference = evidence.compare(interaction, log_odds)
    assert difference is not None
    assert difference.n == 3


def test_pooled_is_the_mean_of_the_differences_seed_by_seed(evidence: Evidence) -> None:
    pooled = evidence.pooled([compared(variant="dense"), compared(variant="experts")])
    assert pooled is not None
    assert pooled.mean == pytest.approx(((0.1 + 0.3) / 2 + (0.0 + 0.1) / 2 + (0.2 + 0.4) / 2) / 3)
    assert evidence.pooled([compared(variant="dense"), compared(variant="nowhere")]) is None


def test_steps_to_any_reward_are_made_from_the_curves(evidence: Evidence) -> None:
    steps = Comparison("experts", "ce", "rl_steps_to_0.35", "lower", baseline=None, variant="dense")
    assert evidence.gaps(steps) == {0: 6.0, 1: 6.0, 2: 6.0}  # of steps 2 to 6, two are 1
