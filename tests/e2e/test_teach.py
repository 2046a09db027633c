"""The teacher's page: what was found, what it hands out, and a quiz that answers and remembers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SCROLLS
from pages import Visit
from playwright.sync_api import Page, expect

HANDOUTS = {"Slides (HTML)": "lecture-slides.html", "Prediction sheet, to print (HTML)": "prediction-sheet.html"}


def test_page_says_what_was_found_starts_stories_and_hands_out(
    explorer: str, visit: Visit, tmp_path: Path, assert_accessible: Callable[[Page], None]
) -> None:
    page = visit(explorer + "teach")
    claims = page.get_by_role("region", name="What was found").get_by_role("row")
    expect(claims.filter(has_text="2. Precision and tail-penalty give the better space")).to_contain_text(
        "undecided in chain"
    )
    for button, name in HANDOUTS.items():
        with page.expect_download() as arriving:
            page.get_by_role("button", name=button).click()
        assert arriving.value.suggested_filename == name
        arriving.value.save_as(tmp_path / name)
    page.get_by_role("link", name="The lecture").click()
    expect(page.get_by_role("navigation", name="Story")).to_contain_text(
        "The lecture: A model that writes, 1 of 15"
    )

    page.goto((tmp_path / "lecture-slides.html").as_uri())
    expect(page.locator("section:visible")).to_have_count(1)
    for _ in range(4):  # to the question about β, by way of the answer to the one before it
        page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="Paid more when sure")).to_be_visible()
    expect(page.locator("section:visible .answer")).to_have_css("visibility", "hidden")
    playground = page.frame_locator("section.now iframe")
    expect(playground.locator(".takeaway")).to_contain_text("Where will each token end?")
    diamond = playground.get_by_role("slider", name="your prediction for").first
    diamond.press("End")
    diamond.press("PageDown")  # the clicker's
    expect(page.locator("section:visible .answer")).to_have_css("visibility", "visible")
    expect(page.get_by_role("status")).to_contain_text([re.compile("[0-9]+ of"), "."])  # the answer, too
    expect(diamond).to_have_attribute("aria-valuenow", "0.9990")
    link = page.locator("section:visible").get_by_role("link", name="Open One token")
    expect(link).to_have_attribute("href", re.compile(re.escape(explorer) + r"\?story=lecture&step=3&beta=-0.25"))
    assert_accessible(page)
    page.goto((tmp_path / "prediction-sheet.html").as_uri())
    assert_accessible(page)


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
        assert not page.evaluate(SCROLLS)
        assert_accessible(page)
