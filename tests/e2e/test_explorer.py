"""What all pages of the explorer have, as its readers meet them in a browser; each page has its own tests too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import pytest
from pages import Visit, open_page
from playwright.sync_api import expect

PAGES = (
    "policy-gradient?n=256&seed=2", "hidden-rewards?pi=0.12&gamma=1.8", "simplex?beta=0&start=0.13",
    "where-training-ends?lambda_tail=-0.1&k=3", "tiny-gpts?picture=next+token&numbers=true",
    "tiny-gpts?picture=entropy+along+the+text&numbers=true", "grpo-step?task=countdown&stage=before+4",
    "grpo-step?task=chain-sum&stage=before+4", "train-live", "results?study=demo&picture=minus+the+baseline",
    "results?study=studies%2Fchain&picture=minus+the+baseline",
)  # fmt: skip
MALFORMED = (
    "beta=nan&n=1e999&seed=%00&x=%3Cscript%3Ealert(1)%3C/script%3E&pi=&gamma=inf&losses=no+such+loss&start=2&k=2.5"
    "&labels=%22%3E%3Cb%3Ebold%3C/b%3E&over=%F0%9F%8E%89&form=&baseline=&lambda_head=-7&lambda_tail=1,5&unknown=1"
)
IGNORED = {  # address -> what the page says all the same
    f"policy-gradient?{MALFORMED}": "of 64 samples drew the true token (π(x) = 0.6)",
    f"hidden-rewards?{MALFORMED}": "At π = 0.10, focal gives the true token 1.22 times",
    f"simplex?{MALFORMED}": "At β = -0.25 training ends at tea 64.6%",
    f"where-training-ends?{MALFORMED}": "(1.179 → 1.078 nats)",
    "tiny-gpts?task=%00&picture=none&temperature=nan&seed=-1": "surest about the next token",
    "tiny-gpts?task=text&temperature=99&log=2": "surest about the next token",
    "grpo-step?task=text&arm=x&problem=99&size=5": "of 16 are right",
    "grpo-step?stage=before+9&updates=0&epsilon_high=nan": "of 16 are right",
    "train-live?live_task=..%2F..&live_arm=%00&live_size=huge&live_seed=-3": "ce on chain-sum, small, seed 0",
    "train-live?live_seed=1e9&live_task=text%2Fx": "ce on chain-sum, small, seed 0",
}


def test_explorer_opens_on_one_token_and_offers_nothing_to_deploy(explorer: str, visit: Visit) -> None:
    page = visit(explorer)
    expect(page.get_by_role("heading", name="One token")).to_be_visible()
    expect(page.get_by_role("link", name="CE is a policy gradient")).to_be_visible()
    expect(page.get_by_text("Deploy")).to_have_count(0)


def test_back_and_forward_bring_pages_as_they_were_left(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}simplex?beta=-0.5&lambda_head=0.25")
    expect(page.locator(".takeaway")).to_contain_text("At β = -0.50")
    page.get_by_role("link", name="Where training ends").click()
    expect(page.locator(".takeaway")).to_contain_text("nats) and the model is")  # both pages have a slider β
    expect(page).to_have_url(f"{explorer}where-training-ends")
    beta = page.get_by_role("slider", name="β: below 0 precision, above 0 diversity")
    beta.focus()
    beta.press("ArrowLeft")
    expect(page).to_have_url(f"{explorer}where-training-ends?beta=-0.3")
    page.get_by_role("link", name="Hidden rewards").click()
    expect(page).to_have_url(f"{explorer}hidden-rewards")

    page.go_back()
    expect(page.get_by_role("heading", name="Where training ends")).to_be_visible()
    expect(beta).to_have_value("-0.3")
    expect(page).to_have_url(f"{explorer}where-training-ends?beta=-0.3")
    page.wait_for_function("() => window.pgceHistory")  # comes with the page, perhaps after its heading
    page.go_back()
    expect(page.locator(".takeaway")).to_contain_text("At β = -0.50")
    expect(page.get_by_role("slider", name="λ head")).to_have_value("0.25")
    expect(page).to_have_url(f"{explorer}simplex?beta=-0.5&lambda_head=0.25")
    page.go_forward()
    expect(page.get_by_role("heading", name="Where training ends")).to_be_visible()
    expect(beta).to_have_value("-0.3")


@pytest.mark.parametrize(("width", "schemes"), [(1280, ("dark", "light")), (360, ("light",))], ids=["1280", "360"])
@pytest.mark.parametrize("address", PAGES)
def test_page_is_readable_and_accessible_in_light_and_dark(
    explorer: str, visit: Visit, assert_readable: Callable[..., None], assert_accessible: Callable[..., None],
    address: str, width: int, schemes: Sequence[Literal["light", "dark"]],
) -> None:  # fmt: skip
    page = open_page(visit, explorer + address, width=width, color_scheme=schemes[0])
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert_readable(page)
        assert_accessible(page)


@pytest.mark.parametrize("address", IGNORED)
def test_malformed_address_is_quietly_ignored(explorer: str, visit: Visit, address: str) -> None:
    page = open_page(visit, explorer + address)
    expect(page.locator("#root")).to_contain_text(IGNORED[address])
    expect(page.get_by_role("alert")).to_have_count(0)
    assert page.locator("b:text('bold'), script:text('alert')").count() == 0


# Of each page a slider, where it stands at first, its step, its name in the address, and what is said of it.
SLIDERS = {
    "hidden-rewards": ("π: probability to read off", 0.10, 0.01, "pi", "At π = {:.2f},"),
    "simplex": ("β: below 0 precision, above 0 diversity", -0.25, 0.05, "beta", "At β = {:.2f} training ends"),
}
PRESSES = (("hidden-rewards", 3), ("simplex", 6), ("hidden-rewards", 8), ("simplex", 2))  # a visitor each


def test_four_visitors_who_move_sliders_at_once_each_keep_their_own_state(explorer: str, visit: Visit) -> None:
    pages = [visit(explorer + path) for path, _ in PRESSES]  # each a browser context of its own
    sliders = [
        page.get_by_role("slider", name=SLIDERS[path][0]) for page, (path, _) in zip(pages, PRESSES, strict=True)
    ]
    for page, slider in zip(pages, sliders, strict=True):
        expect(page.locator(".takeaway")).to_be_visible()
        slider.focus()
    for turn in range(max(presses for _, presses in PRESSES)):
        for page, (_, presses) in zip(pages, PRESSES, strict=True):
            if turn < presses:
                page.keyboard.press("ArrowRight")

    for page, slider, (path, presses) in zip(pages, sliders, PRESSES, strict=True):
        _, first, step, name, sentence = SLIDERS[path]
        value = round(first + presses * step, 2)
        expect(page).to_have_url(f"{explorer}{path}?{name}={value:g}")
        expect(page.locator(".takeaway")).to_contain_text(sentence.format(value))
        expect(slider).to_have_value(f"{value:g}")
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_test_id("stException")).to_have_count(0)
