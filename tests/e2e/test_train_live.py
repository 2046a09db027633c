"""Page 8: a training in the background, its curves, its stop, its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Visit, download, open_page, rows_of
from playwright.sync_api import Page, expect

PATIENCE = 120_000  # ms, for what takes a few seconds
LONG = "train-live?live_task=countdown&live_size=full&live_arm=precision"
TEXT = "train-live?live_task=text&live_size=tiny"
STEPS = "() => document.querySelector('.js-plotly-plot')?.data?.[0]?.x?.length ?? 0"


def says(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE)


@pytest.mark.live
def test_training_runs_shows_progress_survives_other_pages_and_stops(
    explorer: str, visit: Visit, tmp_path: Path
) -> None:
    page = open_page(visit, explorer + LONG)
    says(page, "Not trained yet.")
    expect(page.get_by_role("button", name="Stop training")).to_be_disabled()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_function(f"() => ({STEPS})() > 3", timeout=PATIENCE)
    says(page, "left.")  # the remaining time
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    seen = page.evaluate(STEPS)

    page.get_by_role("link", name="One GRPO step").click()
    expect(page.get_by_role("heading", name="One GRPO step")).to_be_visible()
    page.get_by_role("link", name="Train live").click()
    page.wait_for_function(f"seen => ({STEPS})() > seen", arg=seen, timeout=PATIENCE)  # mine is there again
    says(page, "precision on countdown, full, seed 0")

    other = open_page(visit, explorer + "train-live?live_size=tiny")  # a second viewer
    says(other, "Running now: precision on countdown, full, seed 0.")
    other.get_by_role("button", name="Start training").click()
    says(other, "Waiting: 1 training before this one.")
    watching = open_page(visit, explorer + LONG)  # a third looks at the first's
    expect(watching.get_by_role("button", name="Stop training")).to_be_disabled()
    watching.close()

    page.get_by_role("button", name="Stop training").click()
    says(page, "Stopped. What is done is saved")
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    rows = rows_of(download(page, "csv", tmp_path))
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > seen

    says(other, "Finished.")  # its turn came when the first stopped
    expect(other.get_by_role("status").first).to_contain_text("RL took the reward from")
    expect(other.get_by_role("button", name="Start training")).to_be_disabled()


@pytest.mark.live
def test_training_goes_on_when_its_browser_is_closed(explorer: str, visit: Visit) -> None:
    page = open_page(visit, explorer + TEXT)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_function(f"() => ({STEPS})() > 1", timeout=PATIENCE)
    page.close()
    says(open_page(visit, explorer + TEXT), "Finished.")
