"""What a CUDA card shows, in one command of at most five minutes, without network.

Gradients of the losses on the card against float64 on the CPU; one training step and one rollout; then the tables
of vocabulary.py with their targets. After 4.5 minutes nothing new is begun, and what is missing is named.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Literal, NamedTuple

import torch
from common import exit_unless, within
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from vocabulary import (
    CHUNKED,
    DTYPES,
    LINEAR_BETA,
    LINEAR_CE,
    LINEAR_RANK,
    POSITIONS,
    SHAPED_BETA,
    SHAPED_RANK,
    WIDTH,
    Cell,
    Setting,
    Skipped,
    cell,
    print_absent,
    print_heading,
    table,
    timed,
)

from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.shipped import priors
from pgce_mini.tasks import PAD_ID, Task
from pgce_mini.training import GRPOConfig, PretrainConfig, adamw, clip_gradient, sample_rollout

SECONDS = 270.0
REPEATS = 7
TIME_TARGETS = {SHAPED_BETA: 1.1, SHAPED_RANK: 1.5}  # to F.cross_entropy
LINEAR_TIME_TARGET, LINEAR_MEMORY_TARGET = 1.2, 1 / 8  # to torch a chunk at a time; to all the logits
# share of the gradient's norm: some roundings of the dtype
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1.5e-2}
HEAD_MARGIN = 6.0  # by which the logits of the head lie above the others: no rounding changes what the head is

STRONG = RewardShaping(-0.25, lambda_head=20.0, lambda_tail=-10.0)  # nearly all of its gradient is that of ranks
ARMS = PAPER_ARMS | {"strong": STRONG}

Form = Literal["logits", "linear"]


class Size(NamedTuple):
    """Of a check of gradients; linear_shaped_cross_entropy takes `chunk` positions at a time."""

    positions: int
    vocab_size: int
    width: int
    chunk: int


SIZE = Size(positions=256, vocab_size=50_257, width=64, chunk=100)
TWO_BLOCKS = SIZE._replace(positions=1400)  # of logits in fp32, as the loss takes them on a card


class Budget:
    """Time for new work, and the names of what there was none for."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.end = time.monotonic() + seconds
        self.missing: list[str] = []

    def allows(self, name: str) -> bool:
        if time.monotonic() < self.end:
            return True
        self.missing.append(name)
        return False


def gradient_error(form: Form, shaping: RewardShaping, dtype: torch.dtype, device: str, size: Size) -> float:
    """Distance of the gradients on `device` from those of the same inputs in float64 on the CPU, as a share of
    their norm; of an input's the largest. Every seventh row is ignored, and so is a long stretch of them, and
    ignored rows hold nan."""
    inputs, target = rows(form, shaping.top_k, dtype, size)

    def gradients(dtype: torch.dtype, device: str) -> list[Tensor]:
        leaves = [tensor.to(device, dtype, copy=True).requires_grad_() for tensor in inputs]
        if form == "logits":
            loss = shaped_cross_entropy(leaves[0], target.to(device), shaping)
        else:
            loss = linear_shaped_cross_entropy(
                leaves[0], leaves[1], target.to(device), shaping, chunk_size=size.chunk
            )
        loss.backward()
        return [leaf.grad.cpu().double() for leaf in leaves]

    pairs = zip(gradients(dtype, device), gradients(torch.float64, "cpu"), strict=True)
    return max(float((ours - exact).norm() / exact.norm()) for ours, exact in pairs)


def rows(form: Form, top_k: int, dtype: torch.dtype, size: Size) -> tuple[list[Tensor], Tensor]:
    """Logits (N, V), or hidden states (N, d) and weight (V, d), with the first `top_k` tokens as head; targets."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        return torch.empty(shape).uniform_(-1, 1, generator=generator)

    n, vocab_size, d = size.positions, size.vocab_size, size.width
    if form == "logits":
        inputs = [uniform(n, vocab_size)]
        inputs[0][:, :top_k] += HEAD_MARGIN
    else:
        inputs = [uniform(n, d), uniform(vocab_size, d) / d**0.5]
        inputs[0][:, 0], inputs[1][:, 0] = 1, 0
        inputs[1][:top_k, 0] = HEAD_MARGIN
    target = torch.randint(vocab_size, (n,), generator=generator)
    target[::2] %= top_k  # half of them in the head
    target[::7] = target[n // 3 : n // 2] = -100
    inputs[0][target == -100] = torch.nan
    return [tensor.to(dtype) for tensor in inputs], target


def check_gradients(
    device: str, budget: Budget, size: Size = SIZE, larger: Size | None = TWO_BLOCKS
) -> list[bool]:
    """Print the error of each form, arm and dtype, and whether it is within the tolerance of the dtype; and of one
    arm at a `larger` size."""
    cases = [(form, arm, dtype, size) for form in ("logits", "linear") for dtype in DTYPES for arm in ARMS]
    if larger is not None:
        cases.append(("logits", "tail-penalty", torch.float32, larger))
    kept = []
    for form, arm, dtype, at in cases:
        name = f"gradient, {form} {at.positions} x {at.vocab_size}, {arm}, {DTYPES[dtype]}"
        if budget.allows(name):
            error = gradient_error(form, ARMS[arm], dtype, device, at)
            kept.append(within(name, error, TOLERANCE[dtype], "its norm off float64"))
    return kept


def training_tokens_per_second(config: GPTConfig, ids: Tensor, device: str, repeats: int = REPEATS) -> float:
    """Of a whole step: forward, loss, backward, clipping, update. ids: (B, T) documents, right-padded."""
    model = GPT(config).to(device)
    optimizer = adamw(model, 1e-3, 0.1)
    ids = ids.to(device)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    keep_mask = targets != PAD_ID
    target = targets[keep_mask]  # (N)

    def step() -> None:
        logits = F.linear(model.hidden_states(inputs, keep_mask), model.unembedding)  # (N, V)
        shaped_cross_entropy(logits, target, PAPER_ARMS["precision"]).backward()
        clip_gradient(model, 1.0, 1)
        optimizer.step()
        optimizer.zero_grad()

    return len(target) / median_seconds(step, device, repeats)


def median_seconds(run: Callable[[], object], device: str, repeats: int) -> float:
    for _ in range(3):
        run()
    return median(timed(run, device) for _ in range(repeats))


def default_training() -> tuple[GPTConfig, Tensor]:
    """PretrainConfig's model and its first batch, of chain sums."""
    config = PretrainConfig()
    documents = [config.corpus.document(0, index) for index in range(config.batch_size)]
    ids = pad_sequence([torch.tensor(row) for row in documents], batch_first=True, padding_value=PAD_ID)
    return config.model.config(config.corpus), ids


def larger_training() -> tuple[GPTConfig, Tensor]:
    config = GPTConfig(4096, 512, 8, 8, 8, intermediate_size=1408)
    return config, torch.randint(PAD_ID + 1, 4096, (32, 257), generator=torch.Generator().manual_seed(0))


def completions_per_second(model: GPT, task: Task, config: GRPOConfig, repeats: int = REPEATS) -> float:
    model = model.to(config.device)
    seconds = median_seconds(lambda: sample_rollout(model, task, config, 1), config.device, repeats)
    return config.prompts_per_step * config.num_generations / seconds


def print_speeds(device: str, budget: Budget) -> None:
    trainings = {"PretrainConfig's model on chain sums": default_training, "8 x 512, V = 4,096": larger_training}
    for name, make in trainings.items():
        if budget.allows(f"training step, {name}"):
            config, ids = make()
            print(f"training step, {name}: {training_tokens_per_second(config, ids, device):,.0f} tokens/s")
    if budget.allows("rollout"):
        model, task = priors.load("chain-sum", "ce")
        assert isinstance(task, Task)
        config = GRPOConfig(device=device, dynamic_sampling=False)
        print(f"rollout of GRPO, chain sums: {completions_per_second(model, task, config):,.0f} completions/s")


def tables(
    settings: list[Setting], budget: Budget, repeats: int = REPEATS
) -> list[tuple[Setting, dict[str, Cell | Skipped]]]:
    """The table of each setting, printed."""

    def one(name: str, setting: Setting) -> Cell | Skipped:
        if not budget.allows(f"{setting}: {name}"):
            return Skipped("no time left")
        return cell(name, setting, repeats)

    return [(setting, table(setting, one)) for setting in settings]


def judge(setting: Setting, cells: dict[str, Cell | Skipped], with_memory: bool) -> list[bool]:
    """Print each target beside what was measured, and say which are kept."""
    measured = {name: found for name, found in cells.items() if isinstance(found, Cell)}
    kept = []
    for name, target in TIME_TARGETS.items():
        if name in measured and (ratio := measured[name].time_ratio) is not None:
            kept.append(within(f"{setting}, {name}: time", ratio, target, "F.cross_entropy's"))
    for name in (LINEAR_BETA, LINEAR_RANK):
        if {name, CHUNKED} <= measured.keys():
            ratio = measured[name].seconds / measured[CHUNKED].seconds
            kept.append(within(f"{setting}, {name}: time", ratio, LINEAR_TIME_TARGET, f"that of {CHUNKED}"))
        base = measured.get(LINEAR_CE)
        if with_memory and name in measured and base is not None and base.memory:
            ratio = measured[name].memory / base.memory
            kept.append(within(f"{setting}, {name}: memory", ratio, LINEAR_MEMORY_TARGET, f"that of {LINEAR_CE}"))
    return kept


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not torch.cuda.is_available():
        print("error: this benchmark needs a CUDA device, and torch sees none", file=sys.stderr)
        sys.exit(2)
    device, budget = "cuda", Budget()
    settings = [Setting(device, dtype, n, WIDTH[device]) for dtype in DTYPES for n in POSITIONS]
    print_heading(device, settings[0].vocab_size, WIDTH[device])
    kept = check_gradients(device, budget)
    print_speeds(device, budget)
    found = tables(settings, budget)
    print()
    print_absent(found[0][1])
    for setting, cells in found:  # at fewer positions the weight's gradient alone is an eighth of the logits
        kept += judge(setting, cells, with_memory=setting.positions == max(POSITIONS))
    if budget.missing:
        print("not begun after 4.5 minutes:", "; ".join(budget.missing))
    exit_unless(kept)


if __name__ == "__main__":
    main()
