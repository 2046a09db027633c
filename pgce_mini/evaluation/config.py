"""What to evaluate on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pgce_mini.checks import check_seed, check_whole

KS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class EvaluationConfig:
    """What to evaluate on; two evaluations compare when these agree.

    Raises:
        ValueError: naming the argument, when a value makes no sense.
    """

    problems: int = 96
    """held-out problems"""
    samples: int = 64
    """completions of each problem"""
    ks: tuple[int, ...] = KS
    """the k of Pass@k, none above samples (the defaults above it are left out)"""
    temperature: float = 1.0
    """of the samples"""
    documents: int = 512
    """held-out documents for cross-entropy, entropy and calibration"""
    batch_size: int = 256
    """sequences in one forward pass: memory, and as it orders the random draws, samples depend on it"""
    seed: int = 0
    """of the samples"""

    def __post_init__(self) -> None:
        for name in ("problems", "samples", "documents", "batch_size"):
            check_whole(name, getattr(self, name), least=1)
        check_seed(self.seed)
        if self.ks == KS:
            object.__setattr__(self, "ks", tuple(k for k in KS if k <= self.samples))
        if not self.ks or not all(isinstance(k, int) and 1 <= k <= self.samples for k in self.ks):
            raise ValueError(
                f"ks must be whole numbers between 1 and samples={self.samples}, got {self.ks!r}: "
                "leave out the larger k or draw more samples"
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be a positive number, got {self.temperature!r}")
