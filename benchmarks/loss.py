"""Shaped cross-entropy, forward and backward, against `F.cross_entropy`: seconds, and memory beyond the logits.

Two shapes in fp32: 1,024 positions of GPT-2's vocabulary, where the arithmetic rules, and 4,096 positions of a
small one, where the calls do. The large one is timed beside a busy process, too. Ratios are ours / theirs. The
floor, without a target, is what any loss needs: to read the logits once and to write the gradient once.

Memory is how far the high water of resident memory rises, in a fresh process, above where it stood with the logits
made: it counts whoever allocates, NumPy included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from common import (
    busy_neighbour,
    exit_unless,
    in_fresh_process,
    paired_median,
    parse_args,
    peak_rise,
    seconds,
    within,
)
from torch import Tensor

from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS

LARGE, SMALL = (1024, 50_257), (4096, 256)  # (N, V)
CALLS = {LARGE: 1, SMALL: 20}  # to a timing: a call on the small one takes a millisecond or two
TIME_LIMITS = {
    LARGE: {"precision": 0.5, "tail-penalty": 0.8, "head-reward": 0.8},
    SMALL: {"precision": 1.3, "tail-penalty": 2.5, "head-reward": 2.5},
}
BUSY_LIMITS = {"precision": 1.0, "tail-penalty": 2.0, "head-reward": 2.0}  # LARGE, beside a busy process
MEMORY_LIMIT = 1.1  # logits-sized buffers: the gradient, and the blocks being worked on

Loss = Callable[[Tensor, Tensor], Tensor]


def losses() -> dict[str, Loss]:
    shaped = {name: partial(shaped_cross_entropy, shaping=arm) for name, arm in PAPER_ARMS.items()}
    return {"F.cross_entropy": F.cross_entropy, **shaped}


def step(loss: Loss, logits: Tensor, target: Tensor) -> None:
    logits.grad = None
    loss(logits, target).backward()


def accumulation_step(loss: Loss, logits: Tensor, target: Tensor) -> None:
    """One of four accumulated batches: the gradient has to be scaled, which must not cost a second buffer."""
    logits.grad = None
    (loss(logits, target) / 4).backward()


def batch(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Logits (N, V) that want a gradient, and targets (N)."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.empty(shape).normal_(0, 3, generator=generator)
    return logits.requires_grad_(), torch.randint(shape[1], shape[:1], generator=generator)


def extra_buffers(name: str, threads: int) -> float:
    """Memory that a step takes beyond the logits, in units of the logits."""
    torch.set_num_threads(threads)
    loss = losses()[name]
    accumulation_step(loss, *batch((4, 256)))
    logits, target = batch(LARGE)
    return peak_rise(lambda: accumulation_step(loss, logits, target)) / (logits.numel() * logits.element_size())


class Timing:
    """Times on one batch, each run of `CALLS` steps."""

    def __init__(self, shape: tuple[int, int], repeats: int) -> None:
        self.shape, self.repeats = shape, repeats
        self.logits, self.target = batch(shape)
        self.gradient = torch.zeros_like(self.logits, requires_grad=False)  # written once, so its memory is mapped

    def step(self, loss: Loss) -> float:
        return self._seconds(lambda: step(loss, self.logits, self.target))

    def floor(self) -> float:
        """Of reading the logits and writing the gradient, once each."""

        def read_and_write() -> None:
            self.logits.detach().sum()
            self.gradient.fill_(1)

        return self._seconds(read_and_write)

    def _seconds(self, run: Callable[[], None]) -> float:
        def calls() -> None:
            for _ in range(CALLS[self.shape]):
                run()

        return seconds(calls) / CALLS[self.shape]

    def judge(self, limits: Mapping[str, float], where: str = "") -> list[bool]:
        """Print the time of each arm beside its limit, and say which are kept."""
        kept = []
        for name, limit in limits.items():
            ours, theirs = (partial(self.step, losses()[loss]) for loss in (name, "F.cross_entropy"))
            result = paired_median(ours, theirs, self.repeats)
            times = f"{result.ours * 1e3:.1f} ms, F.cross_entropy {result.theirs * 1e3:.1f} ms"
            row = f"{self.shape[0]} x {self.shape[1]}{where}, {name}: {times}"
            kept.append(within(row, 1 / result.ratio, limit, "its time"))
        return kept

    def print_distance(self) -> None:
        for name, loss in losses().items():
            result = paired_median(partial(self.step, loss), self.floor, self.repeats)
            row, floor = f"{self.shape[0]} x {self.shape[1]}, {name}", f"{result.theirs * 1e3:.2f} ms"
            print(f"{row}: {1 / result.ratio:.3g} x the floor of one read and one write ({floor})")


def main() -> None:
    args = parse_args(__doc__)
    kept = []
    theirs = in_fresh_process(extra_buffers, "F.cross_entropy", args.threads)
    print(f"memory beyond the logits, F.cross_entropy: {theirs:.2f} x the logits")
    for name in ("precision", "tail-penalty", "head-reward"):
        ours = in_fresh_process(extra_buffers, name, args.threads)
        kept.append(within(f"memory beyond the logits, {name}", ours, MEMORY_LIMIT, "the logits"))

    torch.set_num_threads(args.threads)
    for shape, limits in TIME_LIMITS.items():
        timing = Timing(shape, args.repeats)
        kept += timing.judge(limits)
        timing.print_distance()
    timing = Timing(LARGE, args.repeats)
    with busy_neighbour():
        kept += timing.judge(BUSY_LIMITS, " beside a busy process")
    exit_unless(kept)


if __name__ == "__main__":
    main()
