"""Numbers with an interval, as they are written everywhere."""

from __future__ import annotations

from pgce_mini.study.analysis import (
    PairedDifference,
    format_difference,
    format_estimate,
    format_p,
    format_spread,
    signed_interval,
)


def test_large_numbers_lose_decimals_and_missing_ones_are_a_dash() -> None:
    assert format_estimate({"value": 0.28449, "low": 0.272, "high": 0.2961}) == "0.284 [0.272, 0.296]"
    assert format_estimate({"value": 12.345, "low": 12, "high": 13}) == "12.3 [12.0, 13.0]"
    assert format_estimate({"value": None, "low": None, "high": None}) == "-"


def test_a_difference_has_its_sign() -> None:
    difference = PairedDifference(10, 0.0274, -0.0066, 0.0613, 0.1, 0.05, low_90=0.0, high_90=0.06)
    assert format_difference(difference) == "+0.027 [-0.007, +0.061]"
    assert format_difference(difference, 1) == "+0.0 [-0.0, +0.1]"
    assert signed_interval(0, -12.5) == "[+0.000, -12.500]"


def test_no_p_is_zero() -> None:
    assert [format_p(p) for p in (1.0, 0.0316, 0.001, 0.00099, 0.0)] == [
        "1.000",
        "0.032",
        "0.001",
        "<0.001",
        "<0.001",
    ]


def test_a_spread_is_that_of_two_or_more() -> None:
    assert format_spread([0.25, 0.75]) == "0.500 ± 0.354"
    assert format_spread([11.0, 10.0]) == "10.5 ± 0.7"
    assert format_spread([0.25]) == "0.250"
    assert format_spread([]) == "-"
