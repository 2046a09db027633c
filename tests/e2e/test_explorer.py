"""The explorer as its reader meets it: started by `pgce explore`, seen in a browser."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pgce_mini import RewardShaping, stationary_policy

Visit = Callable[..., Page]

BARS = "() => document.querySelector('.js-plotly-plot').data.map(bar => bar.x)"
BARS_ARE = """([index, expected]) => {
    const bar = document.querySelector(".js-plotly-plot")?.data?.[index];
    return bar?.x.length === expected.length && bar.x.every((x, i) => Math.abs(x - expected[i]) < 1e-9);
}"""
PEAKED = [0.72, 0.08, 0.05, 0.04, 0.03, 0.025, 0.02, 0.015, 0.01, 0.005, 0.003, 0.002]


def wait_for_policy(page: Page, shaping: RewardShaping, labels: Sequence[float] = PEAKED) -> None:
    """Until the chart shows these labels and, beside them, where the reward ends."""
    page.wait_for_function(BARS_ARE, arg=[0, list(labels)])
    page.wait_for_function(BARS_ARE, arg=[1, stationary_policy(labels, shaping).tolist()])


def slider(page: Page, label: str) -> str:
    value = page.get_by_role("slider", name=label).input_value()
    return f"{float(value):g}"


def test_explorer_opens_on_cross_entropy_which_ends_at_the_labels(explorer: str, visit: Visit) -> None:
    page = visit(explorer)
    wait_for_policy(page, RewardShaping())
    expect(page.get_by_text("Training ends at the labels themselves")).to_be_visible()
    expect(page.get_by_role("heading", name="One token")).to_be_visible()
    expect(page.get_by_text("Deploy")).to_have_count(0)


def test_moving_a_slider_changes_picture_takeaway_and_address(explorer: str, visit: Visit) -> None:
    page = visit(explorer)
    wait_for_policy(page, RewardShaping())
    for _ in range(5):
        page.get_by_role("slider", name="β").press("ArrowLeft")
    wait_for_policy(page, RewardShaping(beta=-0.25, top_k=4))
    expect(page.get_by_text("entropy falls (1.158 → 0.937 nats)").first).to_be_visible()
    expect(page).to_have_url(f"{explorer}?beta=-0.25")
    figure = page.get_by_role("figure")  # what a screen reader is told
    expect(figure).to_have_attribute("aria-label", "Compared with cross-entropy, entropy falls (1.158 → 0.937 "
                                     "nats) and the head gains probability (0.890 → 0.918).")  # fmt: skip


def test_address_holds_the_whole_state(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}?labels=flat&beta=0.5&lambda_head=0.1&lambda_tail=-0.3&k=7&form=exponent")
    flat = [0.12, 0.11, 0.1, 0.095, 0.09, 0.085, 0.08, 0.075, 0.07, 0.065, 0.06, 0.05]
    wait_for_policy(page, RewardShaping(0.5, 0.1, -0.3, 7, "exponent"), flat)
    assert [slider(page, label) for label in ("β", "λ head", "λ tail", "k:")] == ["0.5", "0.1", "-0.3", "7"]
    expect(page.get_by_role("radio", name="exponent")).to_be_checked()
    expect(page.get_by_role("radio", name="flat")).to_be_checked()


@pytest.mark.parametrize(
    "query",
    [
        "beta=99&k=0&lambda_head=-7",
        "beta=nan&lambda_tail=inf&k=2.5",
        "beta=abc&k=%00&form=%3Cscript%3Ealert(1)%3C/script%3E&labels=",
        "beta=&beta=&unknown=1&labels=peaked&labels=flat",
    ],
)
def test_malformed_address_is_harmless(explorer: str, visit: Visit, query: str) -> None:
    page = visit(f"{explorer}?{query}")
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length === 2")
    labels, policy = page.evaluate(BARS)
    assert policy == pytest.approx(labels)  # cross-entropy, the default
    expect(page.get_by_role("alert")).to_have_count(0)


def test_arm_moves_the_sliders_and_shows_while_they_are_there(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}?k=2")
    wait_for_policy(page, RewardShaping())
    arm = page.get_by_role("radio", name="tail-penalty")
    expect(page.get_by_role("radio", name="ce", exact=True)).to_be_checked()
    arm.click()
    wait_for_policy(page, RewardShaping(lambda_tail=-0.1, top_k=2))
    expect(arm).to_be_checked()
    expect(page).to_have_url(f"{explorer}?k=2&lambda_tail=-0.1")
    page.get_by_role("slider", name="λ tail").press("ArrowLeft")
    expect(arm).not_to_be_checked()


@pytest.mark.parametrize(
    ("query", "reason"),
    [("beta=-1.0", "beta must be above -1"), ("lambda_head=-0.5", "being in the head drives a token out of it")],
)
def test_reward_without_an_end_is_explained_in_one_sentence(
    explorer: str, visit: Visit, query: str, reason: str
) -> None:
    page = visit(f"{explorer}?{query}")
    expect(page.get_by_role("alert")).to_contain_text(reason)
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    page.get_by_role("radio", name="diversity").click()  # and the page goes on
    wait_for_policy(page, RewardShaping(beta=0.5))


def test_csv_holds_what_the_chart_shows(explorer: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{explorer}?beta=0.5&labels=two-way+tie")
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data?.length === 2")
    labels, policy = page.evaluate(BARS)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "one_token.csv")
    with (tmp_path / "one_token.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["token"] for row in rows][:3] == ["heads", "tails", "edge"]
    assert [float(row["cross-entropy"]) for row in rows] == pytest.approx(labels)
    assert [float(row["this reward"]) for row in rows] == pytest.approx(policy)
    page.get_by_text("Data", exact=True).click()
    expect(page.get_by_role("cell", name="heads").or_(page.get_by_role("rowheader", name="heads"))).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_explorer_is_readable(
    explorer: str, visit: Visit, assert_readable: Callable[[Page], None], width: int, scheme: str
) -> None:
    page = visit(f"{explorer}?beta=0.5", width=width, color_scheme=scheme)
    wait_for_policy(page, RewardShaping(beta=0.5))
    assert_readable(page)


def test_chart_follows_a_change_to_dark(
    explorer: str, visit: Visit, assert_readable: Callable[[Page], None]
) -> None:
    page = visit(explorer, color_scheme="light")
    wait_for_policy(page, RewardShaping())
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".stApp")).not_to_have_css("background-color", "rgb(255, 255, 255)")
    assert_readable(page)
