"""How numbers with an interval are written: one rule a kind, for terminal, document, pages and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, stdev

from pgce_mini.evaluation import Estimate
from pgce_mini.study.analysis.statistics import PairedDifference

LARGE = 10  # from here on one decimal is enough
SMALLEST_P = 0.001  # that is written out


def format_estimate(value: Estimate) -> str:
    """`0.284 [0.272, 0.296]`, or - where there is no value."""
    if value["value"] is None:
        return "-"
    digits = _digits(value["value"])
    return f"{value['value']:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def format_difference(difference: PairedDifference, digits: int = 3) -> str:
    """`+0.027 [-0.007, +0.061]`"""
    return f"{signed(difference.mean, digits)} {signed_interval(difference.low, difference.high, digits)}"


def signed_interval(low: float, high: float, digits: int = 3) -> str:
    """`[-0.007, +0.061]`"""
    return f"[{signed(low, digits)}, {signed(high, digits)}]"


def signed(value: float, digits: int = 3) -> str:
    """`+0.027`"""
    return f"{value:+.{digits}f}"


def format_p(p: float) -> str:
    """`0.031`, or `<0.001`: a test never says that something is impossible."""
    return f"{p:.3f}" if p >= SMALLEST_P else f"<{SMALLEST_P:g}"


def format_spread(values: Iterable[float]) -> str:
    """`0.875 ± 0.073`, mean and standard deviation; the mean alone of one value, and - of none."""
    found = list(values)
    if not found:
        return "-"
    digits = _digits(fmean(found))
    return f"{fmean(found):.{digits}f}" + (f" ± {stdev(found):.{digits}f}" if len(found) > 1 else "")


def _digits(value: float) -> int:
    return 1 if abs(value) >= LARGE else 3
