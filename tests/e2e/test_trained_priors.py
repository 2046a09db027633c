"""β over trained priors, the trap, and a state of a trained prior in the playground."""

from __future__ import annotations

import csv
import functools
import random
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from pages import PLOT, SUM, Visit, close, download, dragged, expected_of, open_page, python_of, rows_of
from playwright.sync_api import Page, expect

from pgce_mini.shipped import priors
from pgce_mini.teaching.reading import next_token


def test_beta_slides_over_trained_priors_in_the_browser_and_the_address_keeps_where(
    explorer: str,
    visit: Visit,
    assert_accessible: Callable[[Page], None],
    assert_readable: Callable[[Page], None],
    tmp_path: Path,
) -> None:
    open_page(visit, f"{explorer}trained-beta?beta=1&present=1")  # its columns are drawn on a projector, too
    page = open_page(visit, f"{explorer}trained-beta?beta=-0.25")
    python = python_of(page)
    for seen in dragged(page, ["beta"], random.Random(0)):
        beta = seen["values"]["beta"]
        along, figure = python["over_beta"](SUM, 0, beta)
        for ours, theirs in zip(seen["data"][:3], figure.data, strict=False):
            close(ours["x"], theirs.x)
            close(ours["y"], theirs.y)
        model, corpus = priors.load("chain-sum", priors.OVER_BETA[beta])
        probs = next_token(model, corpus.encode(SUM), 6).probs
        assert seen["data"][0]["x"][0] == pytest.approx(probs.max().item(), abs=1e-5)
        assert f"{along[beta].entropy:.2f} nats" in seen["words"]
    page = open_page(visit, f"{explorer}trained-beta?beta=0.5", width=360)
    expect(page.locator(".takeaway")).to_contain_text("At β = 0.5 the prior reasons in 30% of its answers")
    rows = rows_of(download(page, "csv", tmp_path))
    assert [float(row["beta"]) for row in rows] == list(priors.OVER_BETA)
    assert all(row["first answer"].endswith("<eos>") for row in rows)
    assert_accessible(page)
    assert_readable(page)


def test_the_trap_takes_a_bet_first_and_then_shows_theory_and_seeds(
    explorer: str,
    visit: Visit,
    assert_accessible: Callable[[Page], None],
    assert_readable: Callable[[Page], None],
) -> None:
    page = open_page(visit, f"{explorer}trap-game?bet_share=0.9", width=360)
    expect(page.locator(".takeaway")).to_contain_text("Place your bet")
    assert page.evaluate(f"() => {PLOT}.data.map(({{x}}) => Array.from(x))") == [[0.9, 0.5]]
    page.get_by_text("Show what happened").click()
    expect(page.locator(".takeaway")).to_contain_text("7 of 10 seeds of β = −0.25 came to reason")
    expect(page.get_by_text("wrong in 3 of 10")).to_be_visible()  # where theory erred, the page says so
    expect(page.get_by_text("it reasons in 90%")).to_be_visible()
    assert_accessible(page)
    assert_readable(page)


@pytest.mark.parametrize("start", ["the documents", "what cross-entropy learnt"])
def test_the_trap_follows_its_sliders_with_the_numbers_of_theory(explorer: str, visit: Visit, start: str) -> None:
    page = open_page(visit, f"{explorer}trap-game?shown=true&start={quote(start)}")
    learnt = start != "the documents"
    python = python_of(page)
    python["settings_that_were_run"] = functools.cache(python["settings_that_were_run"])  # as the page does
    for seen in dragged(page, ["beta"] if learnt else ["slip", "beta"], random.Random(1)):
        share, slip, beta, *bet = (
            seen["values"][key] for key in ("share", "slip", "beta", "bet_share", "bet_accuracy")
        )
        if beta == 0:
            continue  # then there is one prior, and the other's marks are empty
        game, figure = python["play"](share, slip, beta, tuple(bet), True, learnt)
        for ours, theirs in zip(seen["data"], figure.data, strict=True):
            close(ours["x"], theirs.x)
            close(ours["y"], theirs.y)
            assert ours["name"] == theirs.name
        for name, setting in game.recorded.items():
            assert (
                f"{setting.came_to_reason} of {len(setting.seeds)} seeds of {name} came to reason" in seen["words"]
            )


def test_a_state_of_the_priors_opens_in_the_playground_with_the_priors_marked(
    explorer: str, visit: Visit, assert_accessible: Callable[[Page], None]
) -> None:
    typed = quote(SUM.replace(" ", ""))
    page = open_page(visit, f"{explorer}tiny-gpts?task=chain-sum&prompt_chain-sum={typed}")
    page.get_by_role("link", name="Open this state in One token").click()
    expect(page.get_by_text("small marks: what trained models expect")).to_be_visible()
    expect(page.locator(".legend").get_by_text("precision, trained")).to_be_visible()
    with page.expect_download() as arriving:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.DictReader(StringIO(Path(arriving.value.path()).read_text("utf-8-sig"))))
    for arm in ("ce", "precision", "diversity"):
        expected = expected_of(arm, [row["token"] for row in rows[:-1]])
        assert [float(row[f"{arm}, trained"]) for row in rows[:-1]] == pytest.approx(expected, abs=1e-5)
    # Theory ends within a hundredth of the trained prior, nowhere near where it began.
    first = rows[0]
    assert float(first["end"]) == pytest.approx(float(first["precision, trained"]), abs=0.01)
    assert float(first["end"]) > float(first["ce, trained"]) + 0.05
    assert_accessible(page)
    page.reload()
    expect(page.locator(".legend").get_by_text("precision, trained")).to_be_visible()
    page.get_by_role("link", name="Hidden rewards").click()
    page.get_by_role("link", name="One token").click()
    expect(page.locator(".legend").get_by_text("precision, trained")).to_be_visible()
    slider = page.get_by_role("slider", name="β")
    slider.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('beta=')")
    page.reload()
    expect(page.locator(".legend").get_by_text("precision, trained")).to_be_visible()
    for broken in ("token=a&token=a&given=0.5,0.5", "token=a&token=b&given=0.5,0.9", "token=a&given=1"):
        other = visit(f"{explorer}?{broken}&mark=x:0.5,0.5")
        expect(other.get_by_text("Next token after “2 + 2 =”")).to_be_visible()
