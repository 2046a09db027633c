"""The losses over a real vocabulary, Qwen3's of 151,936 tokens: memory and time, forward + backward, as markdown.

The model is 256 wide on a CPU and 1,024, as Qwen3-0.6B, on CUDA; fp32 and bf16, 2,048 and 8,192 positions. Memory
is the peak beyond the inputs, gradients included: on a CPU the rise of the high water of a fresh process, on CUDA
what torch allocates. A time is a median after one step to warm up, its ratio that of pairs with the form's first
row in turn; a slow cell has fewer of them. What would not fit into memory is not run.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
from common import in_fresh_process, paired_median, parse_args, peak_rise, seconds
from torch import Tensor

from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.loss.linear import CHUNK_ROWS, CPU_CHUNK_ELEMENTS, DEVICE_CHUNK_ELEMENTS
from pgce_mini.reward import PAPER_ARMS, RewardShaping

WIDTH = {"cpu": 256, "cuda": 1024}
DTYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
POSITIONS = (2048, 8192)
BETA, RANK_AWARE = PAPER_ARMS["precision"], PAPER_ARMS["tail-penalty"]
SECONDS_A_CELL = 20  # fewer repeats where they would take longer

Loss = Callable[..., Tensor]  # (logits, target), or (hidden, weight, target)


class Setting(NamedTuple):
    device: str
    dtype: torch.dtype
    positions: int
    width: int
    vocab_size: int = 151_936

    @property
    def chunk(self) -> int:
        """Positions in a chunk of linear_shaped_cross_entropy."""
        elements = CPU_CHUNK_ELEMENTS if self.device == "cpu" else DEVICE_CHUNK_ELEMENTS
        return max(CHUNK_ROWS, elements // self.vocab_size)

    def __str__(self) -> str:
        return f"{DTYPES[self.dtype]}, {self.positions:,} positions"


class Absent(Exception):
    """A peer that is not on this machine."""


def linear_plain(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), target)


def shaped(shaping: RewardShaping) -> Loss:
    return lambda logits, target: shaped_cross_entropy(logits, target, shaping)


def linear_shaped(shaping: RewardShaping) -> Loss:
    return lambda hidden, weight, target: linear_shaped_cross_entropy(hidden, weight, target, shaping)


def torch_chunked(chunk: int | None = None) -> Loss:
    """`F.linear_cross_entropy` a chunk at a time: as many positions as it chooses, or `chunk`."""
    if not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        raise Absent("not in this torch")
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=chunk)
    return lambda hidden, weight, target: F.linear_cross_entropy(hidden, weight, target, options=options)


def liger(setting: Setting) -> Loss:
    need_cuda(setting)
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError as error:
        raise Absent("not installed") from error
    loss = LigerFusedLinearCrossEntropyLoss()
    return lambda hidden, weight, target: loss(weight, hidden, target)


def cut(setting: Setting) -> Loss:
    need_cuda(setting)
    try:
        from cut_cross_entropy import linear_cross_entropy
    except ImportError as error:
        raise Absent("not installed") from error
    return linear_cross_entropy


def need_cuda(setting: Setting) -> None:
    if setting.device == "cpu":
        raise Absent("runs on CUDA alone")


@dataclass(frozen=True)
class Row:
    make: Callable[[Setting], Loss]  # raises Absent
    base: str  # the row that its ratios are to
    buffers: float  # logits-sized, the logits included, that a step holds at once: an estimate
    foreign: bool = False  # neither ours nor torch's: it may refuse a dtype


CE, LINEAR_CE = "F.cross_entropy", "F.linear + F.cross_entropy"
SHAPED_BETA, SHAPED_RANK = "shaped, beta", "shaped, rank-aware (k = 100)"
CHUNKED, CHUNKED_AS_OURS = "F.linear_cross_entropy, its own chunks", "F.linear_cross_entropy, our chunks"
LINEAR_BETA, LINEAR_RANK = "linear shaped, beta", "linear shaped, rank-aware (k = 100)"
ROWS = {
    CE: Row(lambda _: F.cross_entropy, CE, 4),
    SHAPED_BETA: Row(lambda _: shaped(BETA), CE, 2),
    SHAPED_RANK: Row(lambda _: shaped(RANK_AWARE), CE, 2),
    LINEAR_CE: Row(lambda _: linear_plain, LINEAR_CE, 4),
    CHUNKED: Row(lambda _: torch_chunked(), LINEAR_CE, 0),
    CHUNKED_AS_OURS: Row(lambda setting: torch_chunked(setting.chunk), LINEAR_CE, 0),
    LINEAR_BETA: Row(lambda _: linear_shaped(BETA), LINEAR_CE, 0),
    LINEAR_RANK: Row(lambda _: linear_shaped(RANK_AWARE), LINEAR_CE, 0),
    "Liger": Row(liger, LINEAR_CE, 0, foreign=True),
    "cut-cross-entropy": Row(cut, LINEAR_CE, 0, foreign=True),
}


class Cell(NamedTuple):
    memory: float  # bytes beyond the inputs
    seconds: float
    time_ratio: float | None  # to the time of the row's base, where both fit


class Skipped(NamedTuple):
    why: str
    absent: bool = False  # the peer is not on this machine


def batch(name: str, setting: Setting) -> tuple[Tensor, ...]:
    """(N, V) logits and (N) targets; or for a linear row (N, d) hidden states, (V, d) weight and targets."""
    generator = torch.Generator(setting.device).manual_seed(0)

    def normal(rows: int, columns: int, std: float) -> Tensor:
        values = torch.empty(rows, columns, dtype=setting.dtype, device=setting.device)
        return values.normal_(0, std, generator=generator).requires_grad_()

    n, d, vocab_size = setting.positions, setting.width, setting.vocab_size
    target = torch.randint(vocab_size, (n,), generator=generator, device=setting.device)
    if ROWS[name].base == CE:
        return normal(n, vocab_size, 3), target
    return normal(n, d, 1), normal(vocab_size, d, 3 / d**0.5), target


def step(loss: Loss, inputs: tuple[Tensor, ...]) -> None:
    for tensor in inputs:
        tensor.grad = None
    loss(*inputs).backward()


def timed(run: Callable[[], object], device: str) -> float:
    """Seconds until the device has done its work."""

    def whole() -> None:
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    if device == "cuda":
        torch.cuda.synchronize()
    return seconds(whole)


def peak_bytes(run: Callable[[], object], device: str) -> float:
    """By which `run` raises the memory in use at most."""
    if device == "cpu":
        return peak_rise(run)
    run()  # kernels are compiled and tuned
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before


def needed_bytes(name: str, setting: Setting) -> float:
    """About as much a step takes, inputs included."""
    size = setting.dtype.itemsize
    logits = setting.positions * setting.vocab_size * size * ROWS[name].buffers
    weight = 0 if ROWS[name].base == CE else setting.vocab_size * setting.width * (2 * size + 2 * 4)
    return logits + weight + 2**29  # blocks and chunks


def free_bytes(device: str) -> float:
    if device == "cuda":
        torch.cuda.empty_cache()  # what torch keeps counts as used
        return torch.cuda.mem_get_info()[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def fits(name: str, setting: Setting) -> bool:
    return needed_bytes(name, setting) < 0.9 * free_bytes(setting.device)


def measure(name: str, setting: Setting, repeats: int, threads: int | None = None) -> Cell:
    """Memory of a step, then times; on a CPU a fresh process alone tells the memory."""
    if threads is not None:
        torch.set_num_threads(threads)
    base, device = ROWS[name].base, setting.device
    loss, base_loss = (ROWS[row].make(setting) for row in (name, base))
    pair = base != name and fits(base, setting)  # asked while the inputs are not there yet
    for warm in (loss, base_loss):
        step(warm, batch(name, setting._replace(positions=8, vocab_size=min(setting.vocab_size, 512))))
    inputs = batch(name, setting)

    def ours() -> float:
        return timed(lambda: step(loss, inputs), device)

    def theirs() -> float:
        return timed(lambda: step(base_loss, inputs), device)

    first: list[float] = []
    memory = peak_bytes(lambda: first.append(ours()), device)
    if not pair:
        return Cell(memory, median(ours() for _ in range(affordable(repeats, first[-1]))), None)
    times = paired_median(ours, theirs, affordable(repeats, first[-1] + theirs()), warm_up=False)
    return Cell(memory, times.ours, 1 / times.ratio)


def affordable(repeats: int, seconds: float) -> int:
    return max(1, min(repeats, int(SECONDS_A_CELL / seconds)))


def cell(
    name: str, setting: Setting, repeats: int, threads: int | None = None, isolated: bool = False
) -> Cell | Skipped:
    """One row of a table, in a process of its own if `isolated`, or why there is none."""
    arguments = name, setting, repeats, threads
    try:
        ROWS[name].make(setting)
        if not fits(name, setting):
            return Skipped(f"would need about {needed_bytes(name, setting) / 1e9:.0f} GB")
        return in_fresh_process(measure, *arguments) if isolated else measure(*arguments)
    except Absent as absent:
        return Skipped(str(absent), absent=True)
    except (torch.OutOfMemoryError, BrokenProcessPool):
        return Skipped("ran out of memory")
    except Exception as error:
        if not ROWS[name].foreign:
            raise
        return Skipped(f"did not run: {type(error).__name__}")


def table(setting: Setting, cell: Callable[[str, Setting], Cell | Skipped]) -> dict[str, Cell | Skipped]:
    """Fills every row of the table of one dtype and size, saying so on stderr, and prints it."""
    cells: dict[str, Cell | Skipped] = {}
    for name in ROWS:
        print(f"{setting}: {name} ...", file=sys.stderr, flush=True)
        cells[name] = cell(name, setting)
    print(f"\n| {setting} | memory | ratio | time | ratio |\n|---|---|---|---|---|")
    for name, found in cells.items():
        if isinstance(found, Cell):
            base = cells[ROWS[name].base]
            memory_ratio = found.memory / base.memory if isinstance(base, Cell) and base.memory else None
            time_ratio = 1.0 if name == ROWS[name].base else found.time_ratio
            ratios = ["-" if ratio is None else f"{ratio:.3g}" for ratio in (memory_ratio, time_ratio)]
            ms = found.seconds * 1e3
            memory, time = f"{found.memory / 1e9:.3g} GB", f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
            print(f"| {name} | {memory} | {ratios[0]} | {time} | {ratios[1]} |")
        elif not found.absent:
            print(f"| {name} | {found.why} | - | - | - |")
    return cells


def print_heading(device: str, vocab_size: int, width: int) -> None:
    print(f"{machine(device)}; torch {torch.__version__}. V = {vocab_size:,}, d = {width:,}, forward + backward.")
    print(f"Memory beyond the inputs; ratios to {CE} over logits, to {LINEAR_CE} from hidden states.")


def print_absent(cells: dict[str, Cell | Skipped]) -> None:
    absent = [
        f"{name}: {found.why}" for name, found in cells.items() if isinstance(found, Skipped) and found.absent
    ]
    print(*absent, sep="\n")


def machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def one(name: str, setting: Setting) -> Cell | Skipped:
        return cell(name, setting, args.repeats, args.threads, isolated=device == "cpu")

    settings = [Setting(device, dtype, n, WIDTH[device]) for dtype in DTYPES for n in POSITIONS]
    print_heading(device, settings[0].vocab_size, WIDTH[device])
    for setting in settings[:1] if args.quick else settings:
        cells = table(setting, one)
    print()
    print_absent(cells)


if __name__ == "__main__":
    main()
