"""On a phone a swipe scrolls and changes nothing, wherever it begins; a tap or a drag sideways moves a slider."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pages import PLOT, Visit, open_page, settled, swipe, touch
from playwright.sync_api import CDPSession, Page, expect

PAGES = (
    "policy-gradient", "hidden-rewards", "simplex", "where-training-ends", "tiny-gpts", "grpo-step",
    "results?study=demo",
)  # fmt: skip
PLACES = [(0.04, 0.4), (0.5, 0.3), (0.5, 0.93)]  # in a picture: an axis, the middle, a slider or an axis

# All that a touch could change: sliders, ranges of axes, hidden traces, the slider in the picture.
STATE = f"""() => JSON.stringify([
    [...document.querySelectorAll('input[type="range"]')].map(({{ value }}) => value),
    Object.entries({PLOT}._fullLayout).flatMap(([name, axis]) => /^[xy]axis/.test(name) ? [axis.range] : []),
    {PLOT}._fullData.map(({{ visible }}) => visible),
    {PLOT}._fullLayout.sliders?.[0]?.active ?? null,
])"""
SCROLLED = "() => document.querySelector('.stMain').scrollTop + scrollY"


def place_of(page: Page, selector: str, number: int = 0) -> Callable[[float, float], tuple[float, float]]:
    """Brings an element to the middle of the screen; then maps shares of its width and height to px."""
    element = page.locator(selector).nth(number)
    element.evaluate("(element) => element.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = element.bounding_box()
    assert box is not None
    return lambda across, down: (box["x"] + across * box["width"], box["y"] + down * box["height"])


def phone(visit: Visit, address: str) -> tuple[Page, CDPSession]:
    page = open_page(visit, address, width=390, has_touch=True, is_mobile=True)
    return page, page.context.new_cdp_session(page)


TRACK = '[data-testid="stSlider"] [data-orientation] [data-orientation]:has(input)'


@pytest.mark.parametrize("path", PAGES)
def test_swipe_scrolls_and_changes_nothing(explorer: str, visit: Visit, path: str) -> None:
    page, devtools = phone(visit, explorer + path)
    address, before = page.url, page.evaluate(STATE)
    starts = [(TRACK, i, 0.8, 0.5) for i in range(min(page.locator(TRACK).count(), 3))]
    swipes = 0
    for selector, number, across, down in starts + [(".js-plotly-plot", 0, *place) for place in PLACES]:
        x, y = place_of(page, selector, number)(across, down)
        if not 200 < y < 800:
            continue
        scrolled = page.evaluate(SCROLLED)
        swipe(devtools, (x, y), (x + 6, y - 150))
        swipes += 1
        page.wait_for_function(f"(from) => ({SCROLLED})() !== from", arg=scrolled)
    assert swipes >= 2
    settled(page)
    assert page.evaluate(STATE) == before
    assert page.url == address


def test_drag_sideways_and_tap_move_a_slider(explorer: str, visit: Visit) -> None:
    page, devtools = phone(visit, explorer + "simplex")
    said = page.locator(".takeaway")
    beta = page.locator(".st-key-beta input")

    at = place_of(page, TRACK)
    touch(devtools, "touchStart", at(0.6, 0.5))
    for part in (0.5, 0.4, 0.3, 0.2):
        touch(devtools, "touchMove", at(part, 0.6))
    expect(said).to_contain_text("At β = -1.")  # before it is let go
    assert page.url == explorer + "simplex"
    touch(devtools, "touchEnd")
    expect(page).to_have_url(f"{explorer}simplex?beta={beta.input_value()}")

    touch(devtools, "touchStart", place_of(page, TRACK)(0.9, 0.5))
    touch(devtools, "touchEnd")
    expect(page).to_have_url(f"{explorer}simplex?beta=0.3")
    expect(said).to_contain_text("At β = 0.30")

    x, y = place_of(page, ".slider-grip-rect")(0.5, 0.5)  # of the slider in the picture
    swipe(devtools, (x, y), (x - 120, y + 4))
    expect(page).not_to_have_url(f"{explorer}simplex?beta=0.3")
    assert float(beta.input_value()) < 0

    touch(devtools, "touchStart", place_of(page, ".scatterlayer .trace:nth-child(2) .point", 30)(0.5, 0.5))
    touch(devtools, "touchEnd")
    expect(page.locator(".st-key-start input")).to_have_value("0.33")
