"""A real Chromium, and pages that fail their test when they log an error or ask the network for anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    TimeoutError,
    expect,
    sync_playwright,
)
from server import serving
from tiny_study import write_study, write_tables

from pgce_mini.cli.doctor import BROWSERS
from pgce_mini.playground import PlaygroundState, to_html

pytest.register_assert_rewrite("pages", "playground_pages")  # their asserts, too, say what they found
expect.set_options(timeout=60_000)  # ms: what comes late on a busy machine has come, and what fails is rare

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # see `shared`
)
# A page opened by its own address first looks for a server under that path, and Chromium logs the two 404s.
STREAMLIT_LOOKS_FOR_ITS_ROOT = re.compile(r"/[a-z-]+/_stcore/(health|host-config)$")
LOCAL = ("file:", "data:", "blob:", "http://localhost:", "ws://localhost:")

SCROLLS = "() => document.documentElement.scrollWidth > innerWidth"

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

# A change of theme that was asked for has come.
THEMED = """() => {
    const ink = getComputedStyle(document.querySelector(".stApp") ?? document.body).color;
    const isDark = Math.max(...ink.match(/[0-9]+/g).map(Number)) >= 128;
    return isDark === matchMedia("(prefers-color-scheme: dark)").matches;
}"""

# Nothing changes its colours any more; what turns for ever is left out.
STILL = (
    "() => document.getAnimations().every(({ playState, constructor }) =>\n"
    "    constructor !== CSSTransition || playState !== 'running')"
)

# The least WCAG contrast of a chart's text against the page; that in the cells of a heat map is on their colours.
CONTRAST = """() => {
    const parse = colour => colour.match(/[0-9.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const page = document.querySelector(".stApp") ?? document.body;
    const paper = luminance(parse(getComputedStyle(page).backgroundColor));
    const texts = document.querySelectorAll(".js-plotly-plot :is(.cartesianlayer, .infolayer) text");
    const onPage = [...texts].filter(e => !e.closest(".heatmap-label"));
    return Math.min(...onPage.map(e => luminance(parse(getComputedStyle(e).fill)))
        .map(ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
}"""


# What axe finds against WCAG 2.2 AA: [rule, where, what is wrong], shadow trees included.
AXE = """context => axe.run(context, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => [id, target.flat().join(" "), failureSummary])))"""


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


@pytest.fixture(scope="session")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    """The context of most pages: while one of its pages is open, others of the same site run in its process, which
    has the explorer's scripts compiled, half of the work of opening a page."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def explorer(shared: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running explorer, one for all tests: its visitors share nothing but the server.

    It has served its first page already, which loads torch and on a busy machine takes longer than any other."""
    folder = tmp_path_factory.mktemp("explorer")
    runs = folder / "runs"
    write_study(runs / "demo")
    write_tables(runs / "studies")
    with serving(folder, runs) as address:
        page = shared.new_page()
        page.goto(address)
        page.get_by_role("heading", name="One token").wait_for(timeout=240_000)
        page.goto(f"{address}_stcore/health")  # an empty page, which keeps the process
        yield address


@pytest.fixture
def visit(browser: Browser, shared: BrowserContext) -> Iterator[Callable[..., Page]]:
    """visit(address, width=1280, color_scheme="light") opens a page without cookies or local storage; each
    further page of a test is another visitor's."""
    pages: list[Page] = []
    errors: list[str] = []
    requests: list[str] = []

    def note_error(message: ConsoleMessage) -> None:
        if message.type == "error" and not STREAMLIT_LOOKS_FOR_ITS_ROOT.search(message.location["url"]):
            errors.append(message.text)

    def open_page(address: str, width: int = 1280, **options: Any) -> Page:
        media = {name: options.pop(name) for name in ("color_scheme", "reduced_motion") if name in options}
        page = browser.new_page(**options) if pages or options else shared.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(**media)
        page.set_default_timeout(90_000)  # ms, as above; the first of a task's pages loads its priors, too
        pages.append(page)
        page.on("console", note_error)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.goto(address)
        return page

    yield open_page
    for page in shared.pages:
        with suppress(Error):  # a page without an address has no storage
            page.evaluate("() => localStorage.clear()")
    shared.clear_cookies()
    for page in pages:
        page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(LOCAL)] == []
    assert requests, "a page that was opened asks at least for itself"


@pytest.fixture
def play(visit: Callable[..., Page], tmp_path: Path) -> Callable[..., Page]:
    """play(query, state) opens a page written by `pgce_mini.playground.to_html`."""

    def open_page(query: str = "", state: PlaygroundState | None = None, **options: Any) -> Page:
        path = tmp_path / "lesson.html"
        path.write_text(to_html(state), encoding="utf-8")
        return visit(f"{path.as_uri()}#{query}", **options)

    return open_page


@pytest.fixture
def assert_accessible() -> Callable[..., None]:
    """axe finds nothing against WCAG 2.2 AA, once the theme that was asked for has come; `context` is a selector,
    for a part of the page."""

    def check(page: Page, context: str = "body") -> None:
        page.wait_for_function(THEMED)
        page.wait_for_function(STILL)
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate(AXE, context)
        assert found == [], "\n".join(map(str, found))

    return check


@pytest.fixture
def assert_readable() -> Callable[[Page], None]:
    """Soon there is no sideways scrolling; texts of charts whole, apart and of WCAG AA's contrast."""

    def check(page: Page) -> None:
        page.wait_for_function(THEMED)
        with suppress(TimeoutError):  # fonts and styles arrive in their own time
            page.wait_for_function(f"() => !({SCROLLS})() && !({CLASHES})().length && ({CONTRAST})() >= 4.5")
        assert not page.evaluate(SCROLLS)
        assert page.evaluate(CLASHES) == []
        assert page.evaluate(CONTRAST) >= 4.5

    return check
