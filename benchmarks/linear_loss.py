"""`linear_shaped_cross_entropy` against `F.linear` and then a loss over all the logits: memory and seconds.

2,048 positions, d = 256, V = 50,257, fp32, forward and backward. Memory is how far the high water of resident
memory rises, in a fresh process, above where it stood with hidden states and weight made; the gradients count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from common import exit_unless, in_fresh_process, paired_median, parse_args, peak_rise, seconds, within
from torch import Tensor

from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS

N, D, V = 2048, 256, 50_257
SHAPING = PAPER_ARMS["tail-penalty"]  # the dearest arm
MEMORY_LIMIT, TIME_LIMIT = 1 / 8, 1.1


def fused(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return linear_shaped_cross_entropy(hidden, weight, target, SHAPING)


def plain(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), target)


def unfused(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return shaped_cross_entropy(F.linear(hidden, weight), target, SHAPING)


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
PEERS: dict[str, Loss] = {"F.linear, F.cross_entropy": plain, "F.linear, shaped_cross_entropy": unfused}


def batch(n: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states (N, d), weight (V, d), targets (N)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.empty(n, D).normal_(generator=generator).requires_grad_()
    weight = torch.empty(vocab_size, D).normal_(0, 0.2, generator=generator).requires_grad_()
    return hidden, weight, torch.randint(vocab_size, (n,), generator=generator)


def step(loss: Loss, hidden: Tensor, weight: Tensor, target: Tensor) -> None:
    hidden.grad = weight.grad = None
    loss(hidden, weight, target).backward()


def extra_bytes(loss: Loss, threads: int) -> float:
    torch.set_num_threads(threads)
    step(loss, *batch(4, 256))
    inputs = batch(N, V)
    return peak_rise(lambda: step(loss, *inputs))


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    kept = []
    ours = in_fresh_process(extra_bytes, fused, args.threads)
    for name, peer in PEERS.items():
        theirs = in_fresh_process(extra_bytes, peer, args.threads)
        sizes = f"memory: {ours / 2**20:.0f} MB, {name} {theirs / 2**20:.0f} MB"
        kept.append(within(sizes, ours / theirs, MEMORY_LIMIT, "its memory"))

    inputs = batch(N, V)

    def cost(loss: Loss) -> float:
        return seconds(lambda: step(loss, *inputs))

    for name, peer in PEERS.items():
        result = paired_median(partial(cost, fused), partial(cost, peer), args.repeats)
        times = f"time: {result.ours:.2f} s, {name} {result.theirs:.2f} s"
        kept.append(within(times, 1 / result.ratio, TIME_LIMIT, "its time"))
    exit_unless(kept)


if __name__ == "__main__":
    main()
