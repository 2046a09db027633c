"""Checks of arguments: one sentence that names the argument, says what is wrong and how to mend it.

NumPy's numbers are numbers. A dataclass of settings replaces them by Python's own (`plain_numbers`), so that later
arithmetic does not overflow a narrow type and JSON can write them.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

MAX_SEED = 10**12  # every generator takes it, and RL's a million times it


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not good or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")


def check_count(name: str, value: Any, least: int, most: int = 10**12) -> None:
    """`check_whole` where only a slip of the hand is above `most`: who is below `least` is not told of it."""
    check_whole(name, value, least)
    check_whole(name, value, least, most)


def check_seed(seed: Any, name: str = "seed") -> None:
    check_whole(name, seed, 0, MAX_SEED)


def check_number(name: str, value: Any, most: float = math.inf) -> None:
    if not _is_finite(value) or not 0 <= value <= most:
        span = "of at least 0" if most == math.inf else f"between 0 and {most:g}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")


def check_finite(name: str, value: Any) -> None:
    if not _is_finite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def check_positive(name: str, value: Any) -> None:
    if not _is_finite(value) or not value > 0:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    known = tuple(choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def plain_number(value: Any) -> Any:
    """Python's number in place of NumPy's; any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value


def plain_numbers(settings: Any) -> None:
    """`plain_number` of every field of a frozen dataclass; the first line of its `__post_init__`."""
    for field in fields(settings):
        object.__setattr__(settings, field.name, plain_number(getattr(settings, field.name)))
