"""A page of the explorer with its chart: what it hands over, and mice and fingers on it."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from playwright.sync_api import CDPSession, Page, expect

from pgce_mini.shipped import priors
from pgce_mini.teaching.reading import next_token

Visit = Callable[..., Page]

PLOT = "document.querySelector('.js-plotly-plot')"
TITLED = f"title => {PLOT}?.layout?.title?.text === title"
AT_REST = "() => document.querySelector('.stApp').dataset.testScriptState === 'notRunning'"  # its script
MAGIC = {"png": b"\x89PNG", "svg": b"<svg"}
SUM = "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 ="  # the first prompt of chain-sum
EXACT = 1e-9
POINTS = 4  # of each drag

# What is drawn once the chart has caught up with the sliders, and where they stand.
SEEN = """async () => {
    const place = document.querySelector(".js-plotly-plot");
    const frame = () => new Promise(requestAnimationFrame);
    const keyOf = (input) => input.closest('[class*="st-key-"]').className.match(/st-key-(\\S+)/)[1];
    const sliders = () => Object.fromEntries([...document.querySelectorAll('input[type="range"]')]
        .map((input) => [keyOf(input), Number(input.value)]));
    await frame();
    for (let values = {}; place.pgce.busy || JSON.stringify(sliders()) !== values; await frame())
        values = JSON.stringify(sliders());
    await frame();
    return {
        values: sliders(),
        data: place.data.map(({ name, x, y }) => ({ name, x: Array.from(x), y: Array.from(y) })),
        mark: place.layout.shapes?.[0]?.x0 ?? null,
        words: document.querySelector(".takeaway").textContent,
        alt: place.getAttribute("aria-label"),
    };
}"""


def open_page(visit: Visit, address: str, **options: object) -> Page:
    """With its chart drawn, and nothing moving any more under a mouse."""
    page = visit(address, **options)
    page.wait_for_function(f"() => {PLOT}?._fullData?.length > 0")
    page.wait_for_function(AT_REST)
    page.evaluate("() => document.fonts.ready.then(() => {})")
    return page


def settled(page: Page) -> None:
    """What was done is drawn: two frames have passed."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def download(page: Page, kind: str, folder: Path) -> Path:
    """The file behind the button CSV, PNG or SVG."""
    with page.expect_download() as arriving:
        page.get_by_role("button", name=kind.upper(), exact=True).click()
    path = folder / arriving.value.suggested_filename
    arriving.value.save_as(path)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def assert_pictures_arrive(page: Page, name: str, folder: Path) -> None:
    for kind, magic in MAGIC.items():
        path = download(page, kind, folder)
        assert path.name == f"{name}.{kind}"
        assert path.read_bytes().startswith(magic)
        assert path.stat().st_size > 5000


def python_of(page: Page) -> dict[str, Any]:
    """What "Copy as Python" shows, run: the page's own functions."""
    fold = page.get_by_text("Copy as Python")
    fold.click()
    code = page.get_by_test_id("stCode")
    expect(code).to_be_visible()
    names: dict[str, Any] = {}
    exec(compile(code.inner_text(), "cell", "exec"), names)
    fold.click()
    return names


def expected_of(arm: str, tokens: Sequence[str]) -> list[float]:
    """What a shipped prior of chain-sum gives each of these tokens after SUM."""
    model, corpus = priors.load("chain-sum", arm)
    probs = next_token(model, corpus.encode(SUM), 6).probs
    return [float(probs[corpus.vocab.index(token)]) for token in tokens]


def close(ours: ArrayLike, theirs: ArrayLike) -> None:
    one, two = (np.array([math.nan if v is None else v for v in np.ravel(x)], float) for x in (ours, theirs))
    np.testing.assert_allclose(one, two, rtol=EXACT, atol=EXACT, equal_nan=True)


def dragged(page: Page, keys: Sequence[str], draws: random.Random) -> list[dict[str, Any]]:
    """What is seen at points of a drag of each of the sliders, before it is let go."""
    seen = []
    sent: list[Any] = []  # to the server
    devtools = page.context.new_cdp_session(page)
    devtools.on("Network.webSocketFrameSent", lambda frame: sent.append(frame))
    devtools.send("Network.enable")
    for key in keys:
        slider = page.locator(f".st-key-{key} [data-testid=stSlider]")
        slider.scroll_into_view_if_needed()
        box = page.locator(f".st-key-{key} [data-orientation=horizontal]").nth(1).bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        before = len(sent)
        for _ in range(POINTS):
            page.mouse.move(box["x"] + box["width"] * draws.uniform(0.02, 0.98), middle)
            seen.append(page.evaluate(SEEN))
        assert len(sent) == before  # the server knows nothing yet
        page.mouse.up()
    return seen


def touch(devtools: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    """Fingers at these places, or at none when they end."""
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
    devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def swipe(devtools: CDPSession, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A finger from start to end, in steps of a tenth."""
    (x, y), (across, down) = start, (end[0] - start[0], end[1] - start[1])
    touch(devtools, "touchStart", start)
    for i in range(1, 11):
        touch(devtools, "touchMove", (x + i / 10 * across, y + i / 10 * down))
    touch(devtools, "touchEnd")
