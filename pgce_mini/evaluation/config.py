"""Settings of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pgce_mini.checks import (
    TEMPERATURES,
    check_seed,
    check_temperature,
    check_whole,
    plain_number,
    plain_numbers,
)

KS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class EvaluationConfig:
    """What to evaluate on; two evaluations may be compared when they have the same settings.

    Raises:
        ValueError: naming the argument, when a value makes no sense.
    """

    problems: int = 96
    """held-out problems"""
    samples: int = 64
    """completions of each problem"""
    ks: tuple[int, ...] = KS
    """the k of Pass@k, at most samples each (defaults above samples are left out)"""
    temperature: float = 1.0
    """the samples are drawn at it"""
    scored_at: tuple[float, ...] = ()
    """`temperature`, and further ones at which accuracy is measured on the same problems; 0 takes the likeliest
    tokens, in one completion of each"""
    documents: int = 512
    """held-out documents for cross-entropy, entropy and calibration"""
    batch_size: int = 256
    """sequences in one forward pass: sets the memory, and the order of random draws, so samples depend on it"""
    seed: int = 0
    """draws documents, problems and samples"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        for name in ("problems", "samples", "documents", "batch_size"):
            check_whole(name, getattr(self, name), least=1)
        check_seed(self.seed)
        ks: tuple[Any, ...] = tuple(map(plain_number, self.ks)) if isinstance(self.ks, Iterable) else ()
        given = self.ks
        object.__setattr__(self, "ks", tuple(k for k in KS if k <= self.samples) if ks == KS else ks)
        if not self.ks or not all(type(k) is int and 1 <= k <= self.samples for k in self.ks):
            raise ValueError(
                f"ks must be whole numbers between 1 and samples={self.samples}, got {given!r}: "
                "leave out the larger k or draw more samples"
            )
        object.__setattr__(self, "scored_at", self._checked_scored_at())
        check_temperature(self.temperature)

    def _checked_scored_at(self) -> tuple[float, ...]:
        given: Any = self.scored_at
        try:
            scored_at = tuple(check_temperature(value, or_zero=True) for value in given)
        except (TypeError, ValueError):
            scored_at = (math.nan,)
        names = {f"{value:g}" for value in scored_at}
        if scored_at and (not scored_at[0] > 0 or len(names) < len(scored_at)):
            raise ValueError(
                f"scored_at must list temperatures between {TEMPERATURES[0]:g} and {TEMPERATURES[1]:g}, none "
                f"twice; 0, the likeliest token, may follow the first; got {given!r}"
            )
        if scored_at and scored_at[0] != self.temperature:
            raise ValueError(f"scored_at must begin with temperature={self.temperature!r}, got {given!r}")
        return scored_at
