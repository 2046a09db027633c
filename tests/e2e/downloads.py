"""What the buttons under a chart hand over."""

from __future__ import annotations

import csv
from pathlib import Path

from playwright.sync_api import Page

MAGIC = {"png": b"\x89PNG", "svg": b"<svg"}


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
