"""The teacher's page: its tour leads where it says, and its quiz answers and remembers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pages import Visit
from playwright.sync_api import Page, expect

PROMISES = {  # of the tour
    "Sharper than the data": "",
    "A rare token": "0 of 64 samples drew the true token",
    "A baseline that hurts": "of the variance. It adds here",
    "Focal loss is not diversity": "At π = 0.30, focal pushes the true token 1.05 times as hard as cross-entropy",
    "Winner takes all": "from here coffee has 100.0%",
    "When β is a temperature": "temperature 0.75 gives the same policy",
}


def test_tour_opens_pages_in_the_states_that_it_promises(explorer: str, visit: Visit) -> None:
    page = visit(explorer + "teach")
    expect(page.get_by_test_id("stMain").get_by_test_id("stPageLink")).to_have_count(len(PROMISES))
    for title, promise in PROMISES.items():
        page.get_by_role("link", name=title).click()
        expect(page.get_by_role("heading", name="Teach", exact=True)).to_have_count(0)
        expect(page).to_have_url(re.compile(r"\?"))
        if promise:
            expect(page.get_by_text(promise)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_role("link", name="Teach", exact=True).click()


def test_quiz_explains_each_answer_counts_and_remembers(explorer: str, visit: Visit) -> None:
    page = visit(explorer + "teach")
    page.get_by_text("a reward of -1").click()
    expect(page.get_by_text("Not so. Nothing in cross-entropy mentions a wrong token")).to_be_visible()
    page.get_by_text("1, for any policy").click()
    expect(page.get_by_text("1 right of 2 answered, 5 in all.")).to_be_visible()
    page.get_by_role("link", name="Hidden rewards").click()
    expect(page.get_by_role("heading", name="Which reward")).to_be_visible()
    page.get_by_role("link", name="Teach", exact=True).click()
    expect(page.get_by_text("1 right of 2 answered, 5 in all.")).to_be_visible()
    page.get_by_text("a reward of 0").click()
    expect(page.get_by_text("2 right of 2 answered, 5 in all.")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_page_fits_and_is_accessible_in_light_and_dark(
    explorer: str, visit: Visit, assert_accessible: Callable[[Page], None], width: int
) -> None:
    page = visit(explorer + "teach", width=width, color_scheme="light")
    page.get_by_text("a reward of -1").click()
    expect(page.get_by_text("0 right of 1 answered")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert_accessible(page)
