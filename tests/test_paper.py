from __future__ import annotations

import pytest

from pgce_mini import PAPER_ARMS
from pgce_mini.shipped.paper import PAPER_RESULTS, PaperResult, paper_differences


def test_every_number_stands_once_and_belongs_to_an_arm_with_a_baseline() -> None:
    keys = [(row.model, row.metric, row.arm) for row in PAPER_RESULTS]
    assert len(set(keys)) == len(keys) == 34
    assert {row.arm for row in PAPER_RESULTS} == set(PAPER_ARMS)
    assert all((model, metric, "ce") in keys for model, metric, _ in keys)


def test_a_sample_of_64_finds_more_than_one() -> None:
    found = {(row.model, row.metric, row.arm): row.value for row in PAPER_RESULTS}
    averages = {key: value for key, value in found.items() if key[1] == "Avg@128"}
    assert averages
    assert all(found[model, "Pass@64", arm] > value for (model, _, arm), value in averages.items())


def test_the_paper_prefers_precision() -> None:
    """Before RL it is the best arm of every model, and after RL it is above cross-entropy in Avg@128."""
    for differences in paper_differences("before RL").values():
        assert max(differences, key=differences.__getitem__) == "precision"
        assert differences["precision"] > 0
    assert all(differences["precision"] > 0 for differences in paper_differences("Avg@128").values())


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
