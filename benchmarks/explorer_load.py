"""How many people dragging sliders one core carries: the explorer on one core, more visitors until it is slow.

A visitor lets go of all sliders of a page, at values that hardly anybody had before, waits for the answer, looks
at it for a second, and does it again: on pages of one state, and on those that ask models. The visitors are no
browsers but Streamlit's own messages over a websocket, on the other cores. Beside the time on the wall stands the
processor time of the server for an answer, which a busy machine changes little.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from common import exit_unless, parse_args, reached
from websockets.asyncio.client import connect

from explorer import MODEL_PAGES, PING, STATE_PAGES, Server, View, Visitor, explorer, p95

MEDIAN = 500  # ms for an answer
LOOKING = 1.0  # s between an answer and the next release
VISITORS = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
GROUPS = {  # pages, and the visitors that a core shall carry; the playground needs no server
    "one state": (STATE_PAGES[1:], 30),  # a class; the first page has no such slider
    "models": (MODEL_PAGES, 2),
}


class Load(NamedTuple):
    visitors: int
    times: list[float]  # ms of each answer
    processor: float  # s of the server, in all
    complaints: list[str]


def processor_seconds(pid: int) -> float:
    """Of all threads of a process so far (Linux)."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def visit(visitor: Visitor, until: float, draws: random.Random) -> None:
    await asyncio.sleep(draws.uniform(0, LOOKING))  # not all at once
    while time.monotonic() < until:
        values = {}
        for slider in visitor.sliders:
            steps = round((slider.max - slider.min) / slider.step)
            values[slider.id] = slider.min + draws.randint(0, steps) * slider.step
        await visitor.release(values)
        await asyncio.sleep(LOOKING)


async def load(server: Server, pages: Sequence[View], count: int, seconds: float) -> Load:
    """`count` visitors on the pages in turn, for so long."""
    address = f"{server.address.replace('http', 'ws')}_stcore/stream"
    async with contextlib.AsyncExitStack() as sockets:
        visitors = []
        for i in range(count):
            socket = await sockets.enter_async_context(
                connect(address, max_size=None, ping_interval=PING, ping_timeout=PING)
            )
            visitors.append(Visitor(socket, pages[i % len(pages)]))
        for visitor in visitors:
            await visitor.unless_cut(visitor.open())
        before, until = processor_seconds(server.pid), time.monotonic() + seconds
        draws = [random.Random(1000 * count + i) for i in range(count)]
        await asyncio.gather(*(v.unless_cut(visit(v, until, d)) for v, d in zip(visitors, draws, strict=True)))
        times = [time for visitor in visitors for time in visitor.times]
        complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
        return Load(count, times, processor_seconds(server.pid) - before, complaints)


def check(server: Server, name: str, pages: Sequence[View], target: int, seconds: float) -> bool:
    """More and more visitors, until answers take too long or somebody is cut off."""
    asyncio.run(load(server, pages, len(pages), 3))  # warm up: the first visitor of a page waits for its models
    carried = 0
    for count in VISITORS:
        found = asyncio.run(load(server, pages, count, seconds))
        if found.complaints:
            print(f"{name}, {count} visitors:", *found.complaints, sep="\n", flush=True)
            break
        median, each = statistics.median(found.times), found.processor / len(found.times)
        print(
            f"{name}, {count} visitors: {len(found.times)} answers, median {median:.0f} ms, "
            f"p95 {p95(found.times):.0f} ms; processor time of each {1000 * each:.0f} ms, so that a free core "
            f"carries {(LOOKING + MEDIAN / 1000) / each:.0f} at most; server {server.megabytes():.0f} MB",
            flush=True,
        )
        if median > MEDIAN:
            break
        carried = count
    what = f"{name}: {carried} visitors on a core, who look for {LOOKING:g} s, median answer up to {MEDIAN} ms"
    return reached(what, carried / target, 1)


def main() -> None:
    args = parse_args(__doc__, threads=False)
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this benchmark gives the server one core, which Python can do on Linux alone")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("this benchmark needs two cores: one for the server, one for its visitors")
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {len(cores)} cores")
    os.sched_setaffinity(0, cores[:1])  # for the server, which inherits it
    with explorer() as server:
        os.sched_setaffinity(0, cores[1:])
        kept = [check(server, name, *group, 10 if args.quick else 30) for name, group in GROUPS.items()]
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    exit_unless(kept)


if __name__ == "__main__":
    main()
