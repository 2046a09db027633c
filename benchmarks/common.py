"""Paired timing, because on a busy machine only the ratio of two runs side by side means anything; peak memory."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pgce_mini.cli.doctor import BROWSERS

if TYPE_CHECKING:  # not every benchmark needs a browser
    from playwright.sync_api import Page

T = TypeVar("T")


class Paired(NamedTuple):
    """Median cost of ours and of theirs (lower is better), and the median of the ratios theirs / ours."""

    ours: float
    theirs: float
    ratio: float


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired_median(
    ours: Callable[[], float], theirs: Callable[[], float], repeats: int = 7, *, warm_up: bool = True
) -> Paired:
    """Run both once to warm up (unless they are warm) and then `repeats` times in turn, swapping who goes first.

    `ours` and `theirs` return their cost: `lambda: seconds(step)` for a time, or e.g. seconds a token where the
    two do not get through the same work.
    """
    if warm_up:
        ours(), theirs()
    pairs = []
    for repeat in range(repeats):
        if repeat % 2:
            their_cost, our_cost = theirs(), ours()
        else:
            our_cost, their_cost = ours(), theirs()
        pairs.append((our_cost, their_cost))
    return Paired(
        statistics.median(our for our, _ in pairs),
        statistics.median(their for _, their in pairs),
        statistics.median(their / our for our, their in pairs),
    )


def in_fresh_process(function: Callable[..., T], *args: object) -> T:
    """function(*args) in a process of its own; `function` is one of a module. BrokenProcessPool: it was killed."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


@contextmanager
def busy_neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own priority that wants a whole core; it ends with the block, or with this process."""
    work = f"import os\nwhile os.getppid() == {os.getpid()}:\n    for _ in range(10**6): pass"
    neighbour = subprocess.Popen([sys.executable, "-c", work], stderr=subprocess.DEVNULL)
    try:
        yield neighbour
    finally:
        neighbour.kill()
        neighbour.wait()


def peak_rise(run: Callable[[], object]) -> float:
    """Bytes by which `run` raises the high water of this process's resident memory."""

    def high_water() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    before = high_water()
    run()
    return high_water() - before


def chromium_path() -> str:
    """Of the Chromium on this machine; without one, the benchmark ends and says how to get it."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or sys.exit("this benchmark needs Chromium: apt install chromium")


def main_thread(page: Page) -> Callable[[], float]:
    """A function that says how many ms of processor time the page's main thread has spent."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

    return spent


def p95(times: Sequence[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def parse_args(description: str | None, *, threads: bool = True) -> argparse.Namespace:
    """`--quick` for fewer repeats, and, where torch computes in this process, `--threads` for it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repeats: a smoke test")
    if threads:
        parser.add_argument("--threads", type=int, default=2, help="torch threads, for both sides (default 2)")
    args = parser.parse_args()
    args.repeats = 3 if args.quick else 9
    return args


def reached(name: str, ratio: float, target: float) -> bool:
    """Print how many times as fast ours is, beside the least it should be, and say whether it is reached."""
    print(f"{name}; ratio {ratio:.2f}x, target at least {target:g}x: {'reached' if ratio >= target else 'MISSED'}")
    return ratio >= target


def within(name: str, ratio: float, limit: float, unit: str) -> bool:
    """Print a cost, as `ratio` times `unit`, beside the most it may be, and say whether it is kept."""
    print(f"{name}; {ratio:.3g} x {unit}, target at most {limit:g}: {'kept' if ratio <= limit else 'MISSED'}")
    return ratio <= limit


def exit_unless(kept: list[bool]) -> None:
    """Leave with exit code 1 unless every limit is kept."""
    sys.exit(0 if all(kept) else 1)
