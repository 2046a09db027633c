"""The explorer as a public host runs it: its pages under a path, and no trainings for visitors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from server import serving


def test_pages_charts_and_links_stay_under_the_path_and_nobody_trains(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    asked: list[str] = []
    with serving(
        tmp_path, tmp_path / "runs", "--base-path", "lab/pgce", "--no-training", path="/lab/pgce/"
    ) as root:
        page = visit(f"{root}where-training-ends?beta=-0.5")
        page.on("request", lambda request: asked.append(request.url))
        expect(page.locator(".js-plotly-plot .gtitle")).to_be_visible()
        expect(page.get_by_role("slider", name="β:").first).to_have_value("-0.5")
        page.get_by_role("link", name="Train live").click()
        expect(page.get_by_text("This server shows trainings and starts none.")).to_be_visible()
        expect(page.get_by_role("button", name="Start training")).to_be_disabled()
        assert page.url.startswith(f"{root}train-live")
        page.get_by_role("link", name="Teach").click()
        page.get_by_role("link", name="A tour in six stops").click()
        expect(page.get_by_role("heading", name="One token")).to_be_visible()
        page.wait_for_url(lambda url: url.startswith(f"{root}?") and "beta=-0.25" in url)
        page.close()
    assert [url for url in asked if not url.startswith((root, "data:", "blob:"))] == []
    assert list((tmp_path / "runs").glob("live/*")) == []
