"""The site, built once: whole, quiet, readable on a phone, from the disk and without JavaScript."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import SCROLLS
from pages import Visit
from playwright.sync_api import Browser, Page, expect

from pgce_mini.site.build import MARK, build_site
from pgce_mini.study.analysis import Evidence, precision_answer

MEGABYTE = 1e6
BEFORE_SCROLLING = 500_000  # bytes
OF_THE_REFERENCE = ("index", "loss", "study-analysis")  # its pages are of one kind
MOST_SHIFT = 0.1  # CLS that a reader does not mind
DRAWN = ".live-picture .js-plotly-plot .main-svg"


class Anchors(HTMLParser):
    """The links of a page, and what a link can lead to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        address = found.get("href") if tag in ("a", "link") else found.get("src")
        if address and tag != "use":
            self.links.append(address)


@cache
def anchors(path: Path) -> Anchors:
    return Anchors(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    folder.mkdir()
    (folder / "old.html").touch()  # an older site, which is replaced
    (folder / MARK).write_text(f"old.html\n{MARK}\n")
    assert build_site(folder, progress=False) == []
    assert not (folder / "old.html").exists()
    assert [*folder.parent.iterdir()] == [folder]  # nothing of the work is left
    return folder


@pytest.fixture(scope="module")
def written(site: Path) -> list[Path]:
    """The pages that Sphinx wrote and a reader sees."""
    return [path for path in sorted(site.rglob("*.html")) if "furo" in path.read_text(encoding="utf-8")]


def test_every_link_leads_somewhere(site: Path) -> None:
    broken = []
    for page in site.rglob("*.html"):
        for link in anchors(page).links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not to.is_file():
                broken.append((page.name, link))
            elif to.suffix != ".html" or "=" in parts.fragment:  # no page, or a state of the playground
                continue
            elif unquote(parts.fragment) not in anchors(to).ids:
                broken.append((page.name, link))
    assert broken == []


def test_it_is_small_and_every_page_has_its_neighbours_source_and_a_way_to_run_it(
    site: Path, written: list[Path]
) -> None:
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 40 * MEGABYTE
    assert len(written) > 60
    for page in written:
        text = page.read_text(encoding="utf-8")
        if page.name in ("search.html", "genindex.html", "py-modindex.html"):
            continue
        assert 'class="next-page"' in text or 'class="prev-page"' in text, page
        assert re.search(r'class="from">Source: <a href="https://github.com/', text), page
        assert "mybinder.org" in text, page
        assert "colab.research.google.com" in text, page
    binder = (site / "notebooks/05_a_gpt_from_scratch.html").read_text(encoding="utf-8")
    assert "labpath=notebooks/05_a_gpt_from_scratch.ipynb" in binder.partition('class="from"')[2]
    assert '<meta name="description" content="' in binder
    for name in ("lecture-slides", "prediction-sheet", "playground"):
        assert '<a href="index.html">' in (site / f"{name}.html").read_text(encoding="utf-8")
    assert (site / "404.html").is_file()
    assert (site / ".nojekyll").is_file()


def test_next_leads_from_the_last_notebook_to_the_study_and_solutions_are_last(site: Path) -> None:
    following = r'class="next-page" href="([^"]+)"'
    last = (site / "notebooks/09_your_turn.html").read_text(encoding="utf-8")
    assert re.findall(following, last) == ["../the-studies.html"]
    solutions = sorted(site.glob("notebooks/solutions/[0-9]*.html"))
    assert re.findall(following, solutions[-1].read_text(encoding="utf-8")) == []


def test_no_page_complains_asks_another_host_or_scrolls_sideways(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("index.html").as_uri())  # notes errors and requests of all that follow
    wide = []
    alike = {*site.glob("reference/*.html")} - {site / f"reference/{name}.html" for name in OF_THE_REFERENCE}
    for path in sorted({*site.rglob("*.html")} - alike):
        page.set_viewport_size({"width": 360, "height": 800})
        page.goto(path.as_uri())
        if page.locator(".live-picture").count():
            assert scrolled_through(page) < MOST_SHIFT, path.name
            assert page.locator(".live-picture img").count() == 0, path.name  # all are live
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate(SCROLLS):
                wide.append((path.name, width))
    assert wide == []


def scrolled_through(page: Page) -> float:
    """How far the page moved under the reader meanwhile, as CLS says it."""
    page.evaluate(
        "async () => { window.shift = 0; await document.fonts.ready;"  # the formulas' font comes before
        "new PerformanceObserver(seen => seen.getEntries().forEach(({value}) => window.shift += value))"
        ".observe({type: 'layout-shift'}) }"
    )
    for picture in page.locator(".live-picture").all():
        picture.scroll_into_view_if_needed()
        expect(picture.locator(".js-plotly-plot")).to_be_visible()
    return float(page.evaluate("() => new Promise(done => setTimeout(() => done(window.shift), 100))"))


def test_a_link_far_down_leads_there_and_stays_when_pictures_come(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("docs/study.html").as_uri() + "#run-it-again", width=390)
    section = page.locator("#run-it-again")
    expect(section).to_be_in_viewport()
    page.wait_for_function(f"() => document.querySelectorAll('{DRAWN}').length > 0")
    page.wait_for_function("() => !document.querySelector('.coming')")
    expect(section).to_be_in_viewport()


def test_a_picture_stays_still_when_its_library_does_not_come(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    failed: list[object] = []
    page.on("pageerror", lambda error: failed.append(error))
    page.route("**/plotly.min.js*", lambda route: route.abort())
    page.goto(site.joinpath("notebooks/02_shaping_the_true_token.html").as_uri())
    picture = page.locator(".live-picture").first
    with page.expect_event("requestfailed"):
        picture.scroll_into_view_if_needed()
    expect(picture.locator("img")).to_be_visible()
    page.unroute("**/plotly.min.js*")
    page.locator(".live-picture").last.scroll_into_view_if_needed()
    expect(page.locator(".live-picture").last.locator(".main-svg").first).to_be_visible()
    picture.scroll_into_view_if_needed()  # comes near again
    expect(picture.locator(".main-svg").first).to_be_visible()
    assert failed == []
    page.close()


def test_a_playground_in_a_notebook_has_its_height_and_the_theme_of_the_page(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("notebooks/00_start_here.html").as_uri(), width=390)
    frame = page.locator("iframe.playground").first
    frame.scroll_into_view_if_needed()
    inner = page.frame_locator("iframe.playground").first
    expect(inner.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(inner.locator("h1")).to_be_hidden()
    scrolls = "root => root.scrollHeight > root.clientHeight"
    assert not inner.locator("html").evaluate(scrolls)
    page.evaluate("document.body.dataset.theme = 'dark'")
    inner.locator("html[style*='color-scheme: dark']").wait_for(state="attached")


def test_printed_nothing_is_folded_or_dark_and_formulas_fit(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("notebooks/02_shaping_the_true_token.html").as_uri(), color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 600, "height": 800})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"
    fits = "boxes => boxes.every(box => box.scrollWidth <= box.clientWidth + 1)"
    assert page.locator(".formula").evaluate_all(fits)
    page.goto(site.joinpath("index.html").as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details').length") > 3
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0


def test_verdicts_of_the_study_fit_a_laptop_and_the_first_bars_a_screen(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("docs/study.html").as_uri(), width=1280)
    tables = page.locator(".table-wrapper", has=page.locator("th", has_text="verdict"))
    assert tables.count() > 10
    assert not any(tables.evaluate_all("boxes => boxes.map(box => box.scrollWidth > box.clientWidth + 1)"))
    page = visit(site.joinpath("index.html").as_uri(), width=1280)
    page.set_viewport_size({"width": 1280, "height": 720})
    bars = page.locator(".picture").first.bounding_box()
    assert bars
    assert bars["y"] + bars["height"] < 760


def test_a_stranger_finds_from_the_first_page_what_he_came_for(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("index.html").as_uri())
    article = page.get_by_role("main").or_(page.locator("article")).first
    expect(article.get_by_text("a policy gradient").first).to_be_visible()  # what the project says
    article.get_by_role("link", name="Does it help RL?", exact=True).click()
    answer = article.locator("#does-it-help-rl")
    expect(answer).to_be_in_viewport()
    expect(answer).to_contain_text(precision_answer(Evidence()).partition(":")[0])
    article.get_by_role("link", name="two commands").click()
    expect(page.get_by_text("make demo").first).to_be_visible()
    page.go_back()
    article.get_by_role("link", name="shaped_cross_entropy").first.click()
    signature = page.locator("dt[id='pgce_mini.shaped_cross_entropy']")
    expect(signature).to_contain_text("shaping")
    expect(signature).to_be_in_viewport()
    entry = page.locator("dl", has=signature)
    for told in ("nats", "ValueError", "paper Eq. 11"):
        expect(entry).to_contain_text(told)


def test_first_screen_is_the_playground_and_its_weight_is_small(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.joinpath("index.html").as_uri())
    play = page.get_by_role("button", name="Play", exact=True)
    expect(play).to_be_in_viewport()
    page.wait_for_load_state("load")
    files = {Path(unquote(urlsplit(url).path)) for url in asked if url.startswith("file:")}
    assert sum(path.stat().st_size for path in files) <= BEFORE_SCROLLING
    page.get_by_role("link", name="Set the playground").nth(1).click()
    expect(page.get_by_role("slider", name="β").first).to_have_value("-0.25")
    expect(play).to_be_in_viewport()
    expect(play).to_be_focused()
    page.get_by_role("link", name="Look it up").click()  # leaves the playground as it is
    expect(page.locator("#look-it-up")).to_be_in_viewport()
    expect(page.get_by_role("slider", name="β").first).to_have_value("-0.25")
    page.close()


@pytest.mark.parametrize("name", ["notebooks/02_shaping_the_true_token", "docs/study"])
def test_a_picture_becomes_live_when_it_comes_near(site: Path, visit: Visit, name: str) -> None:
    page = visit(site.joinpath(f"{name}.html").as_uri(), width=360, color_scheme="dark")
    assert page.locator(".live-picture img").count() >= 4
    assert page.locator(DRAWN).count() == 0
    page.locator(".live-picture").first.scroll_into_view_if_needed()
    expect(page.locator(DRAWN).first).to_be_visible()
    chart = page.locator(".live-picture [role=img]").first
    assert chart.get_attribute("aria-label")
    assert chart.evaluate("chart => chart.layout.font.color") == "rgb(233, 231, 228)"  # the ink of the dark page
    assert not page.evaluate(SCROLLS)
    assert page.locator(".live-picture img").count() > 0  # those far away are still
    page.emulate_media(color_scheme="light")
    page.wait_for_function(
        "document.querySelector('.live-picture [role=img]').layout.font.color === 'rgb(31, 35, 40)'"
    )


def test_search_finds_a_name_and_a_word_from_the_disk(site: Path, visit: Visit) -> None:
    page = visit(site.joinpath("search.html").as_uri() + "?q=shaped_cross_entropy")
    expect(page.locator("#search-results a", has_text="shaped_cross_entropy").first).to_be_visible()
    page.goto(site.joinpath("search.html").as_uri() + "?q=advantage")
    expect(page.locator("#search-results li").nth(2)).to_be_visible()


@pytest.fixture
def without_javascript(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    yield context.new_page()
    context.close()


def test_reading_works_without_javascript(site: Path, without_javascript: Page) -> None:
    page = without_javascript
    page.goto(site.joinpath("notebooks/02_shaping_the_true_token.html").as_uri())
    picture = page.locator(".live-picture img").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_be_visible()
    formula = page.locator("math").first
    expect(formula).to_be_visible()
    page.goto(site.joinpath("index.html").as_uri())
    expect(page.locator("noscript").first).to_be_visible()
    page.locator("summary").first.click()
    expect(page.locator("details p").first).to_be_visible()


@pytest.fixture(scope="module")
def hosted(site: Path) -> Iterator[str]:
    """Its address in a sub-folder of a static host; axe reads style sheets, which file:// does not allow."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(site.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/{site.name}"
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("index", "light"),
        ("index", "dark"),
        ("notebooks/09_your_turn", "light"),
        ("notebooks/00_start_here", "dark"),
        ("reference/loss", "dark"),
        ("the-studies", "light"),
        ("tiny-gpts", "light"),
        ("handouts", "light"),
        ("search", "light"),
    ],
)
def test_axe_finds_nothing(
    hosted: str, visit: Visit, assert_accessible: Callable[..., None], name: str, scheme: str
) -> None:
    assert_accessible(visit(f"{hosted}/{name}.html", width=390, color_scheme=scheme))


def test_axe_finds_nothing_in_a_section_of_the_study(
    hosted: str, visit: Visit, assert_accessible: Callable[..., None]
) -> None:
    """One for all, which are alike: the whole page takes half a minute."""
    page = visit(f"{hosted}/docs/study.html", width=390, color_scheme="dark")
    section = page.locator("section").filter(has=page.locator("th", has_text="verdict"))
    section = section.filter(has=page.locator(".live-picture")).last  # the innermost
    assert_accessible(page, f"#{section.get_attribute('id')}")
