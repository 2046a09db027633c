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
