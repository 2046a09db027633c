"""Arguments are checked in one sentence that names them; NumPy's numbers are numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pgce_mini.checks import check_choice, check_number, check_positive, check_whole, plain_numbers


@pytest.mark.parametrize("value", [0, 7, np.int64(3), np.uint8(7)])
def test_whole_numbers_between_the_bounds_pass(value: Any) -> None:
    check_whole("x", value, 0, 7)


@pytest.mark.parametrize("value", [-1, 8, np.int8(-1), 1.0, np.float64(1), True, np.True_, "1", None])
def test_what_is_no_whole_number_between_the_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"x must be a whole number between 0 and 7, got {value!r}")):
        check_whole("x", value, 0, 7)
    if not isinstance(value, int) or value < 1:
        with pytest.raises(ValueError, match="x must be a whole number of at least 1, got"):
            check_whole("x", value, 1)


@pytest.mark.parametrize("value", [1, 0.25, np.int64(1), np.float32(0.5), Fraction(1, 3)])
def test_numbers_between_the_bounds_pass(value: Any) -> None:
    check_number("x", value, 1)
    check_positive("x", value)


@pytest.mark.parametrize("value", [math.nan, np.float32("nan"), math.inf, -1, -0.5, True, np.True_, "1", None, 1j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    for check, sentence in (
        (lambda: check_number("x", value), "x must be a number of at least 0, got"),
        (lambda: check_number("x", value, 0.5), "x must be a number between 0 and 0.5, got"),
        (lambda: check_positive("x", value), "x must be a finite number above 0, got"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check()


def test_zero_is_a_number_but_not_above_0() -> None:
    check_number("x", 0)
    with pytest.raises(ValueError, match="x must be a finite number above 0, got 0"):
        check_positive("x", 0)


def test_choice_that_is_not_there_is_refused_with_all_that_are() -> None:
    check_choice("x", "a", ("a", "b"))
    with pytest.raises(ValueError, match="x must be one of a, b, got 'c'"):
        check_choice("x", "c", ("a", "b"))


def test_numpy_numbers_of_a_dataclass_become_pythons() -> None:
    @dataclass(frozen=True)
    class Settings:
        whole: Any
        number: Any
        flag: Any
        other: Any

        def __post_init__(self) -> None:
            plain_numbers(self)

    settings = Settings(np.uint8(200), np.float32(0.5), np.True_, (1, "a"))
    assert (settings.whole, settings.number, settings.flag, settings.other) == (200, 0.5, True, (1, "a"))
    assert [type(value) for value in vars(settings).values()] == [int, float, bool, tuple]
