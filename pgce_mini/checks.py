"""Checks of arguments: one sentence that names the argument, what is wrong and how to mend it."""

from __future__ import annotations

import math
import numbers

MAX_SEED = 10**12  # every generator takes it, and RL's a million times it


def check_whole(name: str, value: int, least: int, most: int | None = None) -> None:
    good = isinstance(value, int) and not isinstance(value, bool)
    if not good or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")


def check_seed(seed: int, name: str = "seed") -> None:
    check_whole(name, seed, 0, MAX_SEED)


def check_number(name: str, value: float, most: float = math.inf) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < 0 or value > most:
        span = "of at least 0" if most == math.inf else f"between 0 and {most:g}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")


def check_finite(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
