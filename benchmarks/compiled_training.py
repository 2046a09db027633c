"""`pgce pretrain --compile` against the same training without it: the speed of a step, and when it has paid back.

Two corpora at d = 128 with 4 layers: chain sums, where 96 documents of a step are a little padded, and text in
characters, 32 windows of 128 without padding. A step is the whole of pre-training's: documents, forward, loss,
backward, clipping, update, metrics. What the first steps take longer is the compiling.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from itertools import count

import torch
from common import exit_unless, paired_median, parse_args, seconds, within

from pgce_mini.gpt import GPT
from pgce_mini.tasks import ChainSum, Text
from pgce_mini.training import ModelShape, PretrainConfig, adamw
from pgce_mini.training.pretrain import Forward, _compiled, _packed, _update

SHAPE = ModelShape(hidden_size=128, num_hidden_layers=4, intermediate_size=256)
CONFIGS = {
    "chain": PretrainConfig(corpus=ChainSum(), model=SHAPE),
    "text": PretrainConfig(corpus=Text(tokenizer="char"), model=SHAPE, batch_size=32),
}
WARM_UP = 10  # steps in which everything is compiled
SPEED_TARGET, STEPS_LIMIT = 1.3, 2000


class Training:
    def __init__(self, config: PretrainConfig, compile: bool) -> None:
        model = GPT(config.model.config(config.corpus))
        forward: Forward = _compiled(model) if compile else partial(_packed, model)
        optimizer, steps = adamw(model, config.lr, config.weight_decay), count(1)
        self.step = lambda: _update(model, forward, optimizer, config, next(steps))

    def cost(self) -> float:
        return seconds(self.step)


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    kept = []
    for name, config in CONFIGS.items():
        compiled, plain = Training(config, compile=True), Training(config, compile=False)
        first = sum(compiled.cost() for _ in range(WARM_UP))
        result = paired_median(compiled.cost, plain.cost, 3 * args.repeats)
        print(f"{name}: {result.ours * 1e3:.1f} ms a step, without {result.theirs * 1e3:.1f} ms")
        kept.append(within(f"{name}: time of a step", 1 / result.ratio, 1 / SPEED_TARGET, "that without"))
        saved = result.theirs - result.ours
        steps = (first - WARM_UP * result.ours) / saved if saved > 0 else float("inf")
        kept.append(within(f"{name}: the compiling ({first:.0f} s) is paid back", steps, STEPS_LIMIT, "a step"))
    exit_unless(kept)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # nothing that an earlier run has compiled
        main()
