"""The explorer as its reader meets it, started by `pgce explore`, in a browser; its pages have their own files."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

Visit = Callable[..., Page]


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
