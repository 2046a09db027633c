"""A real Chromium, and pages that fail their test when they log an error or ask the network for anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCAL = ("file:", "data:", "blob:", "http://localhost:", "ws://localhost:")

# Texts of charts that are cut off or lie on one another, in pairs.
CLASHES = """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(chart => {
    const inside = (a, b) =>
        a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
    const apart = (a, b) =>
        a.right <= b.left + 2 || b.right <= a.left + 2 || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
    const texts = [...chart.querySelectorAll(".gtitle, .xtitle, .ytitle, .legendtext, .xtick text, .ytick text")]
        .map(e => [e.textContent, e.getBoundingClientRect()]).filter(([, box]) => box.width);
    const frame = chart.getBoundingClientRect();
    const cut = texts.filter(([, box]) => !inside(box, frame)).map(([text]) => [text, "(cut off)"]);
    return cut.concat(texts.flatMap(([a, box], i) =>
        texts.slice(i + 1).filter(([, other]) => !apart(box, other)).map(([b]) => [a, b])));
})"""

# The least WCAG contrast of a chart's text against the page.
CONTRAST = """() => {
    const parse = colour => colour.match(/[0-9.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const page = document.querySelector(".stApp") ?? document.body;
    const paper = luminance(parse(getComputedStyle(page).backgroundColor));
    const texts = document.querySelectorAll(".js-plotly-plot :is(.cartesianlayer, .infolayer) text");
    return Math.min(...[...texts].map(e => luminance(parse(getComputedStyle(e).fill)))
        .map(ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail(
            "the browser tests need Chromium: `apt install chromium` or your system's package of it "
            f"(looked for {', '.join(BROWSERS)} on the PATH)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """visit(address, width=1280, color_scheme="light") opens a page of its own."""
    pages: list[Page] = []
    errors: list[str] = []
    requests: list[str] = []

    def open_page(address: str, width: int = 1280, **options: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        pages.append(page)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(LOCAL)] == []
    assert requests, "a page that was opened asks at least for itself"


@pytest.fixture
def assert_readable() -> Callable[[Page], None]:
    """No sideways scrolling of the page; texts of charts whole, apart and of WCAG AA's contrast."""

    def check(page: Page) -> None:
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert page.evaluate(CLASHES) == []
        assert page.evaluate(CONTRAST) >= 4.5

    return check
