"""The explorer against its budgets: first page, slider to repaint, rerun of a page, size of charts, 30 visitors.

Times are on the wall, as a reader has them, so a machine that is busy with other things misses some; beside them
stands the load of the machine. A release is a key on a slider, which Streamlit sends at once as it does a mouse
let go; it ends when the chart's new numbers have been painted. Most releases ask for a state that no cache has.
The rerun is in processor time and of the whole page, compiled anew; the explorer reruns the fragment with the
controls.
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
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import streamlit as st
import torch
from common import chromium_path, exit_unless, main_thread, p95, parse_args, within
from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pgce_mini.figures import training_curves

APP = Path(__file__).parents[1] / "app"
FIRST_PAGE, REPAINT, RERUN = 3000, 200, 50  # ms; the last two at the 95th percentile
CHART, WITH_FRAMES = 300, 1000  # kB of JSON
VISITORS, RELEASES, PAUSE = 30, 12, 0.3  # at a time; of each visitor; seconds between two
MEMORY, GROWTH = 1000, 50  # MB of the server in all, and from one wave of visitors to the next
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PING = 30  # s from one to the next, and for the answer
PATIENCE = 120_000  # ms, for what is slow on a busy machine
IDLE = "() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
CHART_SHOWN = "() => document.querySelector('.js-plotly-plot')?._fullData?.length > 0"


class View(NamedTuple):
    """A page: its file, its address and sliders that change its picture at every step, as label -> key."""

    file: str
    path: str
    sliders: dict[str, str]


STATE_PAGES = [
    View("policy_gradient", "policy-gradient", {"N: samples": "n"}),
    View("hidden_rewards", "hidden-rewards", {"π:": "pi", "β of": "beta", "γ of": "gamma"}),
    View("where_training_ends", "where-training-ends", {"β:": "beta", "λ head": "lambda_head"}),
    View("simplex", "simplex", {"Start: tea": "start", "β:": "beta", "Frequency q: tea": "labels"}),
]
MODEL_PAGES = [
    View("tiny_gpts", "tiny-gpts", {"Temperature": "temperature"}),
    View("grpo_step", "grpo-step", {"Temperature": "temperature"}),
]

# Prepares window.repaint: ms from the next key until a chart with other numbers than now is on the screen.
# The chart stays, and has other data once its new figure is drawn.
WATCH = """() => {
    const numbers = ({ data, layout }) => JSON.stringify([data, layout.shapes, layout.annotations]);
    const old = document.querySelector(".js-plotly-plot");
    const [data, before] = [old.data, numbers(old)];
    const drawn = (plot) => plot.data !== data && plot.querySelector(".cartesianlayer .trace")
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
                [sys.executable, "-m", "pgce_mini", "explore", "--port", str(port), "--runs-dir", folder],
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
    spent = main_thread(page)
    wall, processor = [], []
    keys = dict.fromkeys(view.sliders, "ArrowRight")  # of each slider, until it is at its end
    for i in range(-len(view.sliders), count):  # the first of each warm up
        page.wait_for_function(IDLE)
        label = list(view.sliders)[i % len(view.sliders)]
        slider = page.get_by_role("slider", name=label).first
        slider.focus()
        value, low, high = slider.evaluate("({ value, min, max }) => [value, min, max].map(Number)")
        keys[label] = {low: "ArrowRight", high: "ArrowLeft"}.get(value, keys[label])
        page.evaluate(WATCH)
        before = spent()
        page.keyboard.press(keys[label])
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
    st.page_link = lambda *_, **__: None  # a view run alone has no other page
    page = AppTest.from_file(str(APP / "views" / f"{view.file}.py"), default_timeout=120).run()
    names = list(view.sliders.values())
    first = {name: 0 if name == "n" else page.slider(name).value for name in names}
    new, warm, specs = [], [], []
    for times in (new, warm):
        for name in names:  # back to the beginning, so that the second round has the states of the first
            if name != "n":
                page.slider(name).set_value(first[name])
        page.run()
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
            specs += [element.proto.bytes for element in page.get("bidi_component")]  # of charts; none of others
    largest = max(specs, key=len)
    return Reruns(new, warm, len(largest), "frames" in json.loads(largest)["figure"])


def live_chart() -> int:
    """Bytes of the chart of the longest live training, whose page draws at most so many points of it."""
    from live import SIZES  # of the app

    size = SIZES["full"]
    prior = [{"step": i, "cross_entropy": 1 / (i + 3), "entropy": 1 / (i + 7)} for i in range(size.steps)]
    policy = [{"step": i, "reward": 1 / (i + 3), "reasoned_share": 1 / (i + 7)} for i in range(size.rl_steps)]
    figure = training_curves(prior, policy, size.steps, size.rl_steps, "precision on chain-sum, full, seed 9999")
    return len(figure.to_json().encode())


class Visitor:
    """A session without a browser, so that 30 of them leave the machine to the server: Streamlit's own messages
    over a websocket. It opens a page and lets go of one of its sliders again and again."""

    def __init__(self, socket: ClientConnection, view: View) -> None:
        self.socket, self.view = socket, view
        self.complaints: list[str] = []
        self.times: list[float] = []
        self.shown: set[str] = set()  # pictures and texts
        self.sliders: list[Slider] = []  # of the view, as the page has them
        self._first: set[str] = set()
        self._fragment = self._page = ""

    async def open(self) -> None:
        await self._run(ClientState(page_name=self.view.path))
        self._first = set(self.shown)

    async def move(self, first: int) -> None:
        """Releases of the slider, 1 to RELEASES steps from where it is at the beginning, from step `first` on."""
        named = next(iter(self.view.sliders))
        slider = next((slider for slider in self.sliders if slider.label.startswith(named)), None)
        if slider is None:
            self.complaints.append(f"{self.view.path}: its slider is not there")
            return
        for i in range(RELEASES):
            await self.release({slider.id: slider.default[0] + ((first + i) % RELEASES + 1) * slider.step})
            await asyncio.sleep(PAUSE)
        if self.shown == self._first:
            self.complaints.append(f"{self.view.path}: it never shows anything new")

    async def release(self, values: Mapping[str, float]) -> None:
        """Lets go of sliders, id -> value, and waits until the page has answered."""
        states = [WidgetState(id=name, double_array_value={"data": [value]}) for name, value in values.items()]
        began = time.perf_counter()
        await self._run(
            ClientState(page_script_hash=self._page, fragment_id=self._fragment, widget_states={"widgets": states})
        )
        self.times.append(1000 * (time.perf_counter() - began))

    async def unless_cut(self, visit: Coroutine[None, None, None]) -> None:
        """A connection that is cut, or that nobody answers, is a complaint like any other."""
        try:
            await visit
        except (ConnectionClosed, TimeoutError) as cut:
            self.complaints.append(f"{self.view.path}: {type(cut).__name__} {cut}")

    async def _run(self, state: ClientState) -> None:
        """Sends a message and reads what the server answers, to the end of the script."""
        await self.socket.send(BackMsg(rerun_script=state).SerializeToString())
        message = ForwardMsg()
        while message.WhichOneof("type") != "script_finished":
            message.ParseFromString(await asyncio.wait_for(self.socket.recv(), PATIENCE / 1000))
            if message.WhichOneof("type") == "new_session":
                self._page = message.new_session.page_script_hash
            element = message.delta.new_element
            kind = element.WhichOneof("type")
            if kind == "exception":
                self.complaints.append(f"{self.view.path}: {element.exception.type} {element.exception.message}")
            elif kind == "bidi_component":
                self.shown.add(element.bidi_component.bytes)
            elif kind == "html":
                self.shown.add(element.html.body)
            elif kind == "slider" and element.slider.label.startswith(tuple(self.view.sliders)):
                known = {slider.id for slider in self.sliders}
                self.sliders += [element.slider] * (element.slider.id not in known)
                self._fragment = message.delta.fragment_id


async def wave(server: Server) -> tuple[list[Visitor], float]:
    """VISITORS at a time move the sliders of five pages; and MB of the server while they are there."""
    views = [*STATE_PAGES[1:], *MODEL_PAGES]
    async with contextlib.AsyncExitStack() as sockets:
        visitors = []
        for i in range(VISITORS):
            socket = await sockets.enter_async_context(
                connect(
                    f"{server.address.replace('http', 'ws')}_stcore/stream",
                    max_size=None,
                    ping_interval=PING,
                    ping_timeout=PING,
                )
            )
            visitors.append(Visitor(socket, views[i % len(views)]))
        await asyncio.gather(*(visitor.unless_cut(visitor.open()) for visitor in visitors))
        await asyncio.gather(*(visitor.unless_cut(visitor.move(i)) for i, visitor in enumerate(visitors)))
        return visitors, server.megabytes()


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
    """Two waves: the first fills the caches; the second asks for the same and shall add nothing to speak of."""
    kept, left = [], []
    print(f"server before the visitors: {server.megabytes():.0f} MB")
    for number in (1, 2):
        visitors, megabytes = asyncio.run(wave(server))
        left.append(server.megabytes())
        times = [time for visitor in visitors for time in visitor.times]
        complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
        print(*complaints, sep="\n", end="\n" if complaints else "")
        print(f"wave {number}: {VISITORS} visitors, {len(times)} releases, answered within {told(times)}")
        print(f"complaints: {len(complaints)}; {'MISSED' if complaints else 'kept'}")
        kept.append(not complaints)
        text = f"memory: {megabytes:.0f} MB with all there, {left[-1]:.0f} MB when they have left"
        kept.append(within(text, megabytes / MEMORY, 1, f"the budget of {MEMORY} MB"))
    growth = left[1] - left[0]
    kept.append(within(f"the second wave added {growth:.0f} MB", growth / GROWTH, 1, f"the budget of {GROWTH} MB"))
    trace = "Traceback" in server.log.read_text()
    print(f"server log: {server.log.read_text() if trace else 'no exception'}")
    return [*kept, not trace]


def main() -> None:
    args = parse_args(__doc__, threads=False)
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
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
            print(f"load of the machine after the browser: {os.getloadavg()[0]:.1f}")
            browser.close()
        kept += check_visitors(server)
    exit_unless(kept)


if __name__ == "__main__":
    main()
