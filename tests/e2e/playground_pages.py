"""The page of `pgce playground`, and what is found on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from pgce_mini.playground import PlaygroundState

Visit = Callable[..., Page]
DEFAULT = PlaygroundState()
SERVED = 60_000  # ms: a page of a server that has just started, on a busy machine
LOAD = 'const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));'


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=name)


def takeaway(page: Page) -> Locator:
    return page.locator(".takeaway")


def python_cell(page: Page) -> tuple[dict[str, Any], str]:
    """What "Copy as Python" defines and prints."""
    page.get_by_text("Copy as Python").click()
    expect(page.locator("pre code")).to_contain_text("import numpy")
    cell: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as printed, np.errstate():  # the cell quietens NumPy for itself
        exec(page.locator("pre code").text_content() or "", cell)
    return cell, printed.getvalue()
