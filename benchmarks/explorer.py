"""The explorer against its budgets: first page, slider to repaint, rerun of a page, size of charts, 30 visitors.

Times are on the wall, as a reader has them, so a machine that is busy with other things misses some. A release is
a key on a slider, which Streamlit sends at once as it does a mouse let go; it ends when the chart's new numbers
have been painted. Most releases ask for a state that no cache has. The rerun is of the whole page, where the
explorer reruns only the fragment with its controls. Everything stays on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from common import chromium_path, exit_unless, parse_args, within
from playwright.async_api import Browser, ConsoleMessage, TimeoutError, async_playwright
from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Page, sync_playwright
from streamlit.testing.v1 import AppTest

from pgce_mini.figures import training_curves

APP = Path(__file__).parents[1] / "app"
FIRST_PAGE, REPAINT, RERUN = 3000, 200, 50  # ms; the last two at the 95th percentile
CHART, WITH_FRAMES = 300, 1000  # kB of JSON
VISITORS, MOVING, MOST_PRESSES = 30, 10, 12  # at a time; seconds; of each, so that no slider meets its end
MEMORY, GROWTH = 1000, 50  # MB of the server in all, and from one wave of visitors to the next
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PATIENCE = 120_000  # ms, for a page that opens among 30
IDLE = "() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
# Of [name in the address, value]: the address has it, and the server has nothing more to do.
SETTLED = """([name, value]) => document.querySelector(".stApp")?.dataset.testScriptState === "notRunning"
    && Math.abs(Number(new URLSearchParams(location.search).get(name)) - value) < 1e-6"""
CHART_SHOWN = "() => document.querySelector('.js-plotly-plot')?._fullData?.length > 0"


class View(NamedTuple):
    """A page: its file, its address and sliders that change its picture at every step, as label -> name in the
    address; `start` is that name's first value and `step` its step, of the first slider."""

    file: str
    path: str
    sliders: dict[str, str]
    start: float
    step: float


STATE_PAGES = [
    View("policy_gradient", "policy-gradient", {"N: samples": "n"}, 0, 0),
    View("hidden_rewards", "hidden-rewards", {"π:": "pi", "β of": "beta", "γ of": "gamma"}, 0.1, 0.01),
    View("where_training_ends", "where-training-ends", {"β:": "beta", "λ head": "lambda_head"}, -0.25, 0.05),
    View("simplex", "simplex", {"Start: tea": "start", "β:": "beta", "Labels: tea": "labels"}, 0.1, 0.01),
]
MODEL_PAGES = [
    View("tiny_gpts", "tiny-gpts", {"Temperature": "temperature"}, 1, 0.05),
    View("grpo_step", "grpo-step", {"Temperature": "temperature"}, 1, 0.05),
]

# Prepares window.repaint: ms from the next key until a chart with other numbers than now is on the screen.
# Streamlit puts a new chart into the place of the old one whenever anything about it has changed.
WATCH = """() => {
    const numbers = ({ data, layout }) => JSON.stringify([data, layout.shapes, layout.annotations]);
    const before = numbers(document.querySelector(".js-plotly-plot"));
    const drawn = (plot) => plot.querySelector(".cartesianlayer .trace")
        && plot.querySelector(".gtitle")?.textContent && numbers(plot) !== before;
    let began;
    document.addEventListener("keydown", ({ timeStamp }) => { began = timeStamp; }, { capture: true, once: true });
    window.repaint = new Promise((done, fail) => {
        const given = setTimeout(() => fail(new Error("no new picture in 20 s")), 20000);
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => done(performance.now() - began);
        const look = () => {
            const plots = [...document.querySelectorAll(".js-plotly-plot")];
            if (!plots.some(drawn)) return requestAnimationFrame(look);
            clearTimeout(given);
            port2.postMessage(0);  // runs after the paint of this frame
        };
        requestAnimationFrame(look);
    });
    window.repaint.catch(() => {});  // until it is asked for
}"""


class Server(NamedTuple):
    address: str
    pid: int
    log: Path

    def megabytes(self) -> float:
        """Resident memory."""
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.pid)])) / 1024


@contextlib.contextmanager
def explorer() -> Iterator[Server]:
    """A server that has just become healthy, with no runs to show."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        with log.open("w") as out:
            server = subprocess.Popen(
                [sys.executable, "-m", "pgce_mini.cli", "explore", "--port", str(port), "--runs-dir", folder],
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while not healthy(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the explorer does not start: {log.read_text()}")
                time.sleep(0.02)
            yield Server(f"http://localhost:{port}/", server.pid, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def p95(times: Sequence[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def told(times: Sequence[float]) -> str:
    return f"p50 {sorted(times)[len(times) // 2]:.0f} ms, p95 {p95(times):.0f} ms, longest {max(times):.0f} ms"


def first_page(page: Page, server: Server) -> float:
    """ms until the explorer, which nobody has asked for anything yet, shows the playground."""
    began = time.perf_counter()
    page.goto(server.address)
    page.locator(".token").first.wait_for(timeout=PATIENCE)
    return 1000 * (time.perf_counter() - began)


def repaints(page: Page, server: Server, view: View, count: int) -> tuple[list[float], list[float]]:
    """ms of each of `count` releases, the sliders in turn: on the wall, and of the page's main thread."""
    page.goto(server.address + view.path)
    page.wait_for_function(CHART_SHOWN, timeout=PATIENCE)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

    wall, processor = [], []
    for i in range(-len(view.sliders), count):  # the first of each warm up
        page.wait_for_function(IDLE)
        page.get_by_role("slider", name=list(view.sliders)[i % len(view.sliders)]).first.focus()
        page.evaluate(WATCH)
        before = spent()
        page.keyboard.press("ArrowLeft" if len(view.sliders) == 1 and i % 10 >= 5 else "ArrowRight")
        took = page.evaluate("() => window.repaint")
        if i >= 0:
            wall.append(took)
            processor.append(spent() - before)
    return wall, processor


class Reruns(NamedTuple):
    """ms of processor time of a page's reruns, for states that are new and for the same ones again; what its
    largest chart weighs, in bytes of JSON, and whether it has frames."""

    new: list[float]
    warm: list[float]
    size: int
    frames: bool


def reruns(view: View, count: int) -> Reruns:
    page = AppTest.from_file(str(APP / "views" / f"{view.file}.py"), default_timeout=120).run()
    names = list(view.sliders.values())
    first = {name: 0 if name == "n" else page.slider(name).value for name in names}
    new, warm, specs = [], [], []
    for times in (new, warm):
        for i in range(count):
            name = names[i % len(names)]
            if name == "n":
                page.select_slider(name).set_value(4 ** (i % 9))
            else:
                slider = page.slider(name)
                slider.set_value(round(first[name] + (i // len(names) + 1) * slider.step, 2))
            began = time.process_time()
            page.run()
            times.append(1000 * (time.process_time() - began))
            if page.exception:
                sys.exit(f"{view.file}: {page.exception[0].value}")
            specs += [chart.proto.spec for chart in page.get("plotly_chart")]
    largest = max(specs, key=len)
    return Reruns(new, warm, len(largest.encode()), bool(json.loads(largest).get("frames")))


def live_chart() -> int:
    """Bytes of the chart of the longest live training, whose page draws at most so many points of it."""
    from live import SIZES  # of the app

    size = SIZES["full"]
    prior = [{"step": i, "cross_entropy": 1 / (i + 3), "entropy": 1 / (i + 7)} for i in range(size.steps)]
    policy = [{"step": i, "reward": 1 / (i + 3), "reasoned_share": 1 / (i + 7)} for i in range(size.rl_steps)]
    figure = training_curves(prior, policy, size.steps, size.rl_steps, "precision on chain-sum, full, seed 9999")
    return len(figure.to_json().encode())


class Wave(NamedTuple):
    """What `VISITORS` saw and did: complaints, releases in all, and MB of the server while they were there."""

    complaints: list[str]
    releases: int
    megabytes: float


async def wave(server: Server) -> Wave:
    """Opens VISITORS pages, moves a slider of each for MOVING seconds, and looks at what each shows then."""
    complaints: list[str] = []
    views = [*STATE_PAGES[1:], *MODEL_PAGES]

    async def open_page(browser: Browser, i: int, gate: asyncio.Semaphore) -> AsyncPage:
        view = views[i % len(views)]
        page = await (await browser.new_context()).new_page()
        page.on("pageerror", lambda error: complaints.append(f"{view.path}: {error}"))
        page.on("console", lambda message: note(complaints, view.path, message))
        name = next(iter(view.sliders.values()))
        async with gate:
            await page.goto(f"{server.address}{view.path}?{name}={first_value(view, i):.2f}")
            await page.wait_for_function(CHART_SHOWN, timeout=PATIENCE)
        return page

    async def move(page: AsyncPage, i: int, until: float) -> int:
        """Presses until it is time, and then checks that the page shows this visitor's own state."""
        view = views[i % len(views)]
        label, name = next(iter(view.sliders.items()))
        if view.file == "grpo_step":
            await page.get_by_text("Temperature, advantages").click()
        slider = page.get_by_role("slider", name=label).first
        await slider.focus()
        presses = 0
        while time.monotonic() < until and presses < MOST_PRESSES:
            await page.keyboard.press("ArrowRight")
            presses += 1
            await asyncio.sleep(0.3)
        expected = first_value(view, i) + presses * view.step
        with contextlib.suppress(TimeoutError):
            await page.wait_for_function(SETTLED, arg=[name, expected], timeout=PATIENCE)
            return presses
        complaints.append(f"{view.path}: {page.url} after {presses} presses, where {expected:.2f} was expected")
        return presses

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        gate = asyncio.Semaphore(4)
        pages = await asyncio.gather(*(open_page(browser, i, gate) for i in range(VISITORS)))
        until = time.monotonic() + MOVING
        releases = sum(await asyncio.gather(*(move(page, i, until) for i, page in enumerate(pages))))
        for page in pages:
            alerts = page.get_by_test_id("stException").or_(page.get_by_role("alert"))
            complaints += [f"{page.url}: {text}" for text in await alerts.all_inner_texts()]
        megabytes = server.megabytes()
        await browser.close()
    return Wave(complaints, releases, megabytes)


def first_value(view: View, i: int) -> float:
    """Where visitor i begins: each of a page somewhere else."""
    return view.start + i // 5 * view.step


def note(complaints: list[str], path: str, message: ConsoleMessage) -> None:
    """An error in the console, save the two 404s of Streamlit's search for its root below a page's own address."""
    if message.type == "error" and not message.location["url"].endswith(("_stcore/health", "_stcore/host-config")):
        complaints.append(f"{path}: {message.text}")


def check_speed(page: Page, server: Server, count: int) -> list[bool]:
    kept = []
    for view in STATE_PAGES:
        wall, processor = repaints(page, server, view, count)
        text = f"{view.path}, release to repaint: {told(wall)} (its own processor time: {told(processor)})"
        kept.append(within(text, p95(wall) / REPAINT, 1, f"the budget of {REPAINT} ms"))
    return kept


def check_reruns(count: int) -> list[bool]:
    kept = []
    for view in (*STATE_PAGES, *MODEL_PAGES):
        found = reruns(view, count)
        text = f"{view.path}, warm rerun: {told(found.warm)} (a new state: {told(found.new)})"
        kept.append(within(text, p95(found.warm) / RERUN, 1, f"the budget of {RERUN} ms"))
        limit = WITH_FRAMES if found.frames else CHART
        text = f"{view.path}, its chart: {found.size / 1000:.0f} kB{' with frames' if found.frames else ''}"
        kept.append(within(text, found.size / 1000 / limit, 1, f"the budget of {limit} kB"))
    size = live_chart() / 1000
    return [*kept, within(f"train-live, its chart: {size:.0f} kB", size / CHART, 1, f"the budget of {CHART} kB")]


def check_visitors(server: Server) -> list[bool]:
    """Two waves: what the first leaves behind are caches, and the second shall add nothing to speak of."""
    kept, left = [], []
    print(f"server before the visitors: {server.megabytes():.0f} MB")
    for number in (1, 2):
        found = asyncio.run(wave(server))
        left.append(server.megabytes())
        print(*found.complaints, sep="\n", end="\n" if found.complaints else "")
        text = f"wave {number}: {VISITORS} visitors, {found.releases} releases, {len(found.complaints)} complaints"
        print(f"{text}: {'MISSED' if found.complaints else 'kept'}; {left[-1]:.0f} MB when they have left")
        kept.append(not found.complaints)
        kept.append(within(f"memory: {found.megabytes:.0f} MB", found.megabytes / MEMORY, 1, f"{MEMORY} MB"))
    growth = left[1] - left[0]
    kept.append(within(f"growth by the second wave: {growth:.0f} MB", growth / GROWTH, 1, f"{GROWTH} MB"))
    trace = "Traceback" in server.log.read_text()
    print(f"server log: {server.log.read_text() if trace else 'no exception'}")
    return [*kept, not trace]


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(1)  # as in the explorer
    sys.path.insert(0, str(APP))
    kept = check_reruns(3 * args.repeats)
    with explorer() as server:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            took = first_page(page, server)
            text = f"first page of a new server: {took:.0f} ms"
            kept.append(within(text, took / FIRST_PAGE, 1, f"the budget of {FIRST_PAGE} ms"))
            kept += check_speed(page, server, 20 if args.quick else 60)
            browser.close()
        kept += check_visitors(server)
    exit_unless(kept)


if __name__ == "__main__":
    main()
