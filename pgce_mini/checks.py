"""Checks of arguments: one sentence that names the argument, says what is wrong and how to mend it.

What Python's `numbers` calls whole or real is a number, so NumPy's and fractions are; booleans, decimals, arrays
and tensors are not. A check returns Python's own number, and a dataclass of settings stores it (`plain_numbers`),
so that later arithmetic does not overflow a narrow type and JSON can write it.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

MAX_SEED = 10**12  # every generator takes it, and RL's a million times it
LEAST = 1e-12  # of a positive number: one that is smaller would vanish in single precision, without a word
TEMPERATURES = (1e-3, 1e3)
"""The least and the highest temperature above 0: below, rounding of the logits decides; above, all is uniform."""


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    if not is_whole(value) or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")
    return int(value)


def check_count(name: str, value: Any, least: int, most: int = 10**12) -> int:
    """`check_whole` with a bound that only a typing error exceeds. An error below `least` does not mention it."""
    check_whole(name, value, least)
    return check_whole(name, value, least, most)


def check_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def check_seed(seed: Any, name: str = "seed") -> int:
    return check_whole(name, seed, 0, MAX_SEED)


def check_number(name: str, value: Any, most: float = math.inf) -> float:
    if not is_finite(value) or not 0 <= float(value) <= most:
        span = "of at least 0" if most == math.inf else f"between 0 and {most:g}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")
    return float(value)


def check_finite(name: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    if not is_finite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not least <= float(value) <= most:
        raise ValueError(f"{name} must be a number between {least:g} and {most:g}, got {value!r}")
    return float(value)


def check_positive(name: str, value: Any, most: float = math.inf, least: float = LEAST) -> float:
    if not is_finite(value) or not value > 0:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    if not least <= float(value) <= most:
        span = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be {span}, got {value!r}")
    return float(value)


def check_temperature(value: Any, *, or_zero: bool = False) -> float:
    """The temperature of a softmax, within TEMPERATURES; `or_zero`: or 0, which takes the likeliest token."""
    if or_zero and not check_number("temperature", value):
        return 0.0
    least, most = TEMPERATURES
    if or_zero and 0 < float(value) < least:
        raise ValueError(f"temperature must be 0 (the likeliest token) or at least {least:g}, got {value!r}")
    return check_positive("temperature", value, most, least)


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def as_index(value: Any) -> int:
    """An id as Python's number, or -1 if it is none; an element of a tensor of whole numbers is one."""
    try:
        return operator.index(value)
    except TypeError:
        return -1


def is_finite(value: Any) -> bool:
    """Whether it is a number, and one that a float can hold."""
    try:
        return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # a whole number or a fraction beyond every float
        return False


def plain_number(value: Any) -> Any:
    """Python's number in place of any other; what is none, or too large for one, as it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if is_whole(value):
        return int(value)
    return float(value) if is_finite(value) else value


def plain_numbers(settings: Any) -> None:
    """`plain_number` of every field of a frozen dataclass; the first line of its `__post_init__`."""
    for field in fields(settings):
        object.__setattr__(settings, field.name, plain_number(getattr(settings, field.name)))
