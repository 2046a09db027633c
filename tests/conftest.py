"""Every test computes on one thread and, for hypothesis, on the same examples each time."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)  # two xdist workers fill two cores, and sums are taken in one order everywhere

settings.register_profile("pgce_mini", deadline=None, derandomize=True)
settings.load_profile("pgce_mini")
