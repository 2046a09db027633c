"""Expected calibration error and its bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pgce_mini.evaluation import calibration


def test_calibration_of_a_table_worked_by_hand() -> None:
    # Bins (0, .5] and (.5, 1]: .5 belongs to the first. Gaps |1/2 - .4| of 2 and |2/3 - .8| of 3.
    result = calibration([0.3, 0.5, 0.7, 0.8, 0.9], [0, 1, 1, 1, 0], bins=2)
    assert result["ece"] == pytest.approx(2 / 5 * 0.1 + 3 / 5 * (0.8 - 2 / 3))
    first, second = result["reliability"]
    assert first == pytest.approx({"low": 0, "high": 0.5, "confidence": 0.4, "accuracy": 0.5, "count": 2})
    assert second == pytest.approx({"low": 0.5, "high": 1, "confidence": 0.8, "accuracy": 2 / 3, "count": 3})


def test_calibration_puts_every_prediction_in_a_bin_and_leaves_empty_bins_without_means() -> None:
    result = calibration([0.0, 1.0, 1 / 3], [1, 1, 0], bins=3)
    assert [row["count"] for row in result["reliability"]] == [2, 0, 1]
    assert result["reliability"][1]["confidence"] is None
    assert result["reliability"][1]["accuracy"] is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
def test_calibration_error_is_a_gap_and_counts_add_up(predictions: list[tuple[float, bool]], bins: int) -> None:
    result = calibration([p for p, _ in predictions], [r for _, r in predictions], bins)
    assert sum(row["count"] for row in result["reliability"]) == len(predictions)
    overall = abs(np.mean([p for p, _ in predictions]) - np.mean([r for _, r in predictions]))
    assert overall - 1e-12 <= result["ece"] <= 1  # gaps of opposite sign cancel only in the overall gap


def test_calibration_names_the_argument_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="confidence"):
        calibration([1.5], [1])
    with pytest.raises(ValueError, match="confidence"):
        calibration([0.5, 0.5], [1])
    with pytest.raises(ValueError, match="bins"):
        calibration([0.5], [1], bins=0)
