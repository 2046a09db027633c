"""`linear_shaped_cross_entropy` against losses over all the logits, and against torch's own a chunk at a time.

2,048 positions, d = 256, V = 50,257, fp32, forward and backward. Memory is how far the high water of resident
memory rises, in a fresh process, above where it stood with hidden states and weight made; the gradients count.
`F.linear_cross_entropy` chooses few positions for a chunk on a CPU, and so takes long but little memory; it is
also given as many as ours takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from common import exit_unless, in_fresh_process, paired_median, parse_args, peak_rise, seconds, within
from torch import Tensor
from vocabulary import Absent, Setting, linear_plain, torch_chunked

from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS

N, D, V = 2048, 256, 50_257
SHAPING = PAPER_ARMS["tail-penalty"]  # the dearest arm
CHUNK = Setting("cpu", torch.float32, N, D, V).chunk

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def fused(input: Tensor, linear_weight: Tensor, target: Tensor) -> Tensor:
    return linear_shaped_cross_entropy(input, linear_weight, target, SHAPING)


def unfused(input: Tensor, linear_weight: Tensor, target: Tensor) -> Tensor:
    return shaped_cross_entropy(F.linear(input, linear_weight), target, SHAPING)


class Peer(NamedTuple):
    loss: Callable[[], Loss]  # raises Absent
    time_limit: float
    memory_limit: float | None = None  # a chunk at a time needs as little as ours: nothing to win


PEERS = {
    "F.linear, F.cross_entropy": Peer(lambda: linear_plain, 1.1, 1 / 8),
    "F.linear, shaped_cross_entropy": Peer(lambda: unfused, 1.1, 1 / 8),
    "F.linear_cross_entropy, its own chunks": Peer(torch_chunked, 1.2),
    f"F.linear_cross_entropy, our chunks of {CHUNK}": Peer(lambda: torch_chunked(CHUNK), 1.2),
}


def batch(n: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states (N, d), weight (V, d), targets (N)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.empty(n, D).normal_(generator=generator).requires_grad_()
    weight = torch.empty(vocab_size, D).normal_(0, 0.2, generator=generator).requires_grad_()
    return hidden, weight, torch.randint(vocab_size, (n,), generator=generator)


def step(loss: Loss, hidden: Tensor, weight: Tensor, target: Tensor) -> None:
    hidden.grad = weight.grad = None
    loss(hidden, weight, target).backward()


def extra_bytes(name: str, threads: int) -> float:
    """Of ours, or of a peer."""
    torch.set_num_threads(threads)
    loss = PEERS[name].loss() if name in PEERS else fused
    step(loss, *batch(4, 256))
    inputs = batch(N, V)
    return peak_rise(lambda: step(loss, *inputs))


def present() -> list[str]:
    """The peers that this torch has; says which it has not."""
    found = []
    for name, peer in PEERS.items():
        try:
            peer.loss()
            found.append(name)
        except Absent as absent:
            print(f"{name}: {absent}")
    return found


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    kept, names = [], present()
    ours = in_fresh_process(extra_bytes, "ours", args.threads)
    for name in names:
        theirs, limit = in_fresh_process(extra_bytes, name, args.threads), PEERS[name].memory_limit
        sizes = f"memory: {ours / 2**20:.0f} MB, {name} {theirs / 2**20:.0f} MB"
        if limit is None:
            print(f"{sizes}; {ours / theirs:.3g} x its memory")
        else:
            kept.append(within(sizes, ours / theirs, limit, "its memory"))

    inputs = batch(N, V)

    def cost(loss: Loss) -> float:
        return seconds(lambda: step(loss, *inputs))

    for name in names:
        result = paired_median(partial(cost, fused), partial(cost, PEERS[name].loss()), args.repeats)
        times = f"time: {result.ours:.2f} s, {name} {result.theirs:.2f} s"
        kept.append(within(times, 1 / result.ratio, PEERS[name].time_limit, "its time"))
    exit_unless(kept)


if __name__ == "__main__":
    main()
