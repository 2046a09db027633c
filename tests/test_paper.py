from __future__ import annotations

import pytest

from pgce_mini import PAPER_ARMS
from pgce_mini.shipped.paper import PAPER_RESULTS, PaperResult, paper_differences


def test_every_number_stands_once_and_belongs_to_an_arm_with_a_baseline() -> None:
    keys = [(row.model, row.metric, row.arm) for row in PAPER_RESULTS]
    assert len(set(keys)) == len(keys) == 34
    assert {row.arm for row in PAPER_RESULTS} == set(PAPER_ARMS)
    assert all((model, metric, "ce") in keys for model, metric, _ in keys)
    assert all(10 < row.value < 70 for row in PAPER_RESULTS)


def test_some_numbers_as_the_paper_has_them() -> None:
    for model, metric, arm, value in (
        ("20B-A1B", "Pass@64", "diversity", 68.03),
        ("10B-A0.5B", "Avg@128", "precision", 16.18),
        ("4B", "before RL", "ce", 42.62),
    ):
        assert PaperResult(model, metric, arm, value) in PAPER_RESULTS  # type: ignore[arg-type]


def test_differences_are_taken_from_the_papers_own_cross_entropy() -> None:
    assert paper_differences("Avg@128") == {
        "4B": {"precision": 0.85, "diversity": 0.88},
        "10B-A0.5B": {"precision": 1.81, "diversity": 0.12, "tail-penalty": 2.13},
        "20B-A1B": {"precision": 1.27, "diversity": -2.38, "tail-penalty": 1.23},
    }


def test_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match="metric must be one of before RL, Avg@128, Pass@64, got 'Pass@1'"):
        paper_differences("Pass@1")  # type: ignore[arg-type]
