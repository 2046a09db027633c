"""A story in a browser: the bar asks, hides the answer, goes on and back, and comes back by its address."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import SCROLLS
from pages import AT_REST, PLOT, Visit
from playwright.sync_api import Locator, Page, expect

STORIES = Path(__file__).parents[2] / "app" / "stories"

# The ticks of upright axes that a title lies on, and words that leave the picture.
SPOILT = f"""() => {{
    if (!{PLOT}) return [];
    const boxes = (name) => [...{PLOT}.querySelectorAll(name)].map(node => node.getBoundingClientRect());
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const titles = boxes("[class^=g-y][class$=title]"), picture = {PLOT}.getBoundingClientRect();
    return [...boxes("[class^=y][class$=tick] text").filter(tick => titles.some(title => meet(tick, title))),
        ...boxes(".annotation text").filter(({{ bottom }}) => bottom > picture.bottom + 1)];
}}"""


def told(story: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = tomllib.loads((STORIES / f"{story}.toml").read_text(encoding="utf-8"))["steps"]
    return steps


def bar(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Story")


def arrived(page: Page, number: int, count: int) -> None:
    expect(bar(page)).to_contain_text(f"{number} of {count}")
    expect(page).to_have_url(re.compile(f"step={number}(&|$)"))
    page.wait_for_function(AT_REST)


def test_clicker_walks_the_lecture_to_its_end_in_the_states_that_it_names(explorer: str, visit: Visit) -> None:
    steps = told("lecture")
    page = visit(f"{explorer}tiny-gpts?story=lecture&step=1&present=1")
    page.set_viewport_size({"width": 1280, "height": 720})
    for number, step in enumerate(steps, 1):
        arrived(page, number, len(steps))
        expect(page.get_by_role("alert")).to_have_count(0)
        path = "" if step["page"] == "one-token" else step["page"]
        assert page.url.startswith(f"{explorer}{path}?"), page.url
        assert "present=1" in page.url
        if path:
            for key in (*step.get("state", {}), *step.get("control", ())):
                expect(page.locator(f".st-key-{key}")).to_have_count(1)
        if reveal := " ".join(step.get("reveal", "").split()):
            sentence = page.locator(".takeaway").first if path else None
            expect(bar(page)).not_to_contain_text(reveal)
            if sentence:
                expect(sentence).to_have_css("visibility", "hidden")
            page.keyboard.press("PageDown")
            expect(bar(page)).to_contain_text(reveal)
            if sentence:
                expect(sentence).to_have_css("visibility", "visible")
                page.wait_for_function(f"() => ({SPOILT})().length === 0")  # the picture has less room now
        page.keyboard.press("PageDown")  # the last one leads nowhere
    page.keyboard.press("PageUp")
    arrived(page, len(steps) - 1, len(steps))


def test_back_of_the_browser_leads_to_the_step_before_on_the_same_page(explorer: str, visit: Visit) -> None:
    count = len(told("lecture"))
    page = visit(f"{explorer}simplex?story=lecture&step=8&present=1")
    arrived(page, 8, count)
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    arrived(page, 9, count)
    page.go_back()
    arrived(page, 8, count)
    expect(bar(page)).not_to_contain_text("In coffee's corner")
    page.go_forward()
    arrived(page, 9, count)


def test_story_comes_back_by_its_address_with_what_was_moved_and_starts_each_step_afresh(
    explorer: str, visit: Visit
) -> None:
    page = visit(f"{explorer}simplex?story=lecture&step=8&present=1")  # without its state
    arrived(page, 8, 15)
    tea = page.locator(".st-key-start [role=slider], .st-key-start input[type=range]").first
    expect(page.locator(".st-key-start")).to_contain_text("0.30")
    page.keyboard.press("Escape")  # no presentation: all controls can be seen
    tea.focus()
    tea.press("ArrowRight")
    expect(page).to_have_url(re.compile("start=0.31"))
    page.reload()
    arrived(page, 8, 15)
    expect(page.locator(".st-key-start")).to_contain_text("0.31")

    bar(page).get_by_role("button", name="Reveal").click()
    expect(bar(page)).to_contain_text("In coffee's corner")
    bar(page).get_by_role("link", name="Next").click()
    arrived(page, 9, 15)
    expect(page.locator(".st-key-start")).to_contain_text("0.10")  # its usual place, which no address names
    expect(bar(page)).not_to_contain_text("Not water")
    bar(page).get_by_role("link", name="Next").click()  # to a page with controls of the same names
    arrived(page, 10, 15)
    expect(page.get_by_role("radio", name="two tokens")).to_be_checked()
    bar(page).get_by_role("link", name="Back").click()
    arrived(page, 9, 15)
    bar(page).get_by_role("button", name="End story").click()
    expect(bar(page)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/simplex\?(?!.*(story|step)=)"))
    left = page.get_by_text("At β = -0.25 training ends at tea 45.7%").first
    expect(left).to_be_visible()  # where the step left it


def test_five_minutes_fit_a_phone(explorer: str, visit: Visit, assert_accessible: Callable[[Page], None]) -> None:
    page = visit(f"{explorer}?story=five-minutes&step=1", width=360, color_scheme="dark")
    arrived(page, 1, 5)
    assert_accessible(page)
    for number in (2, 3):
        bar(page).get_by_role("link", name="Next").click()
        arrived(page, number, 5)
        assert not page.evaluate(SCROLLS)
        box = bar(page).get_by_role("link", name="Next").bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 900  # in reach of a thumb, wherever the page is scrolled to
    assert_accessible(page)
