"""A page of the explorer with its chart, and what the buttons under it hand over."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

Visit = Callable[..., Page]

PLOT = "document.querySelector('.js-plotly-plot')"
TITLED = f"title => {PLOT}?.layout?.title?.text === title"
MAGIC = {"png": b"\x89PNG", "svg": b"<svg"}


def open_page(visit: Visit, address: str, **options: object) -> Page:
    """With its chart drawn, and nothing moving any more under a mouse."""
    page = visit(address, **options)
    page.wait_for_function(f"() => {PLOT}?._fullData?.length > 0")
    page.wait_for_function("() => document.querySelector('.stApp').dataset.testScriptState === 'notRunning'")
    page.evaluate("() => document.fonts.ready.then(() => {})")
    return page


def download(page: Page, kind: str, folder: Path) -> Path:
    """The file behind the button CSV, PNG or SVG."""
    with page.expect_download() as arriving:
        page.get_by_role("button", name=kind.upper(), exact=True).click()
    path = folder / arriving.value.suggested_filename
    arriving.value.save_as(path)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def assert_pictures_arrive(page: Page, name: str, folder: Path) -> None:
    for kind, magic in MAGIC.items():
        path = download(page, kind, folder)
        assert path.name == f"{name}.{kind}"
        assert path.read_bytes().startswith(magic)
        assert path.stat().st_size > 5000
