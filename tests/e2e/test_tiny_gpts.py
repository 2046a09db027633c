"""Page 6: a prompt, five priors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from pages import SUM, TITLED, Visit, assert_pictures_arrive, download, expected_of, rows_of
from playwright.sync_api import Page, expect

from pgce_mini import PAPER_ARMS

LINES = "() => document.querySelector('.js-plotly-plot')?.data?.map(line => [line.name, line.x])"


def open_page(explorer: str, visit: Visit, query: str = "", **options: object) -> Page:
    page = visit(f"{explorer}tiny-gpts?{query}", **options)
    page.wait_for_function(TITLED, arg="Next token" if "along" not in query else "Entropy along the text")
    return page


def test_distributions_are_those_of_the_priors(explorer: str, visit: Visit, tmp_path: Path) -> None:
    page = open_page(explorer, visit, "task=chain-sum")
    lines = dict(page.evaluate(LINES))
    rows = rows_of(download(page, "csv", tmp_path))
    assert list(lines) == list(PAPER_ARMS)
    for arm in PAPER_ARMS:
        expected = expected_of(arm, [row["token"] for row in rows])
        assert lines[arm] == pytest.approx(expected, abs=1e-5)
        assert [float(row[arm]) for row in rows] == pytest.approx(expected, abs=1e-5)
    sentence = page.get_by_text("precision is surest")
    expect(sentence).to_be_visible()
    assert_pictures_arrive(page, "tiny_gpts", tmp_path)


def test_typed_prompt_changes_picture_takeaway_and_address_and_the_address_brings_it_back(
    explorer: str, visit: Visit
) -> None:
    page = open_page(explorer, visit, "task=chain-sum")
    before = page.evaluate(LINES)
    box = page.get_by_role("textbox", name="Prompt")
    box.fill(f"{SUM} 3 4 8")
    box.press("Control+Enter")
    page.wait_for_function(f"before => JSON.stringify(({LINES})()) !== JSON.stringify(before)", arg=before)
    page.get_by_text("entropy along the text").click()
    page.wait_for_function(TITLED, arg="Entropy along the text")
    sentence = page.get_by_role("status").first.inner_text()
    lines = page.evaluate(LINES)
    page.wait_for_function("() => location.search.includes('picture=') && location.search.includes('3+4+8')")
    other = open_page(explorer, visit, page.url.partition("?")[2])
    other.wait_for_function(f"lines => JSON.stringify(({LINES})()) === JSON.stringify(lines)", arg=lines)
    expect(other.get_by_role("status").first).to_have_text(sentence)
    expect(other.get_by_role("textbox", name="Prompt")).to_have_value(f"{SUM} 3 4 8")


def test_button_fills_the_prompt_in(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, "task=countdown")
    page.get_by_role("radio", name="64 from 9 8 1").or_(page.get_by_role("button", name="64 from 9 8 1")).click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("9 8 1 -> 64 :")


def test_completions_are_marked_and_their_probabilities_can_be_read(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit)
    expect(page.locator(".written")).to_have_count(10)
    levels = {page.locator(f".written .p{level}").count() > 0 for level in range(4)}
    assert levels == {True}
    expect(page.locator(".written sub")).to_have_count(0)
    page.get_by_text("Write the probability after each token").click()
    expect(page.locator(".written sub").first).to_be_visible()
    page.wait_for_function("() => location.search.includes('numbers=true')")


@pytest.mark.parametrize(
    ("task", "prompt", "message"),
    [
        ("chain-sum", "3 + x =", "text holds 'x', which is not a token of chain-sum"),
        ("chain-sum", "<img src=x onerror=alert(1)>", "which is not a token of chain-sum"),
        ("countdown", "2 3 7 -> 😀", "text holds '😀'"),
        ("text", "word " * 200, "tokens, and with the 40 to be written after it at most 57 fit the 97"),
    ],
)
def test_prompt_that_cannot_be_read_gets_one_sentence(
    explorer: str, visit: Visit, task: str, prompt: str, message: str
) -> None:
    page = visit(f"{explorer}tiny-gpts?task={task}&prompt_{task}={quote(prompt)}")
    expect(page.get_by_role("alert")).to_contain_text(message)
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    assert page.locator("img[src=x]").count() == 0


def test_markup_and_emoji_in_a_text_prompt_stay_text_and_are_called_unseen(explorer: str, visit: Visit) -> None:
    prompt = "<b>bold</b> 😀 **stars** $x$ <script>alert(1)</script>"
    page = open_page(explorer, visit, f"prompt_text={quote(prompt)}")
    expect(page.get_by_role("alert")).to_contain_text("😀 — to them, bytes without a meaning")
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(prompt)
    page.get_by_text("Copy as Python").click()
    expect(page.get_by_text("**stars**").last).to_be_visible()
    assert page.locator(".stMain b").count() == 0
    assert page.locator(".katex").count() == 0


def test_100_kilobytes_are_refused_and_do_not_go_into_the_address(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit)
    box = page.get_by_role("textbox", name="Prompt")
    box.fill("x " * 50_000)
    box.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("100,000 characters, and at most 2,000 are read")
    page.wait_for_function("() => location.href.length < 3000")
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
