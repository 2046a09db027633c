"""The page of `pgce playground`, and what is found on it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from pgce_mini import stationary_policy
from pgce_mini.playground import PlaygroundState
from pgce_mini.theory import entropy, expected_gradient, expected_reward

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


def handle(page: Page, token: str, kind: str = "frequency of") -> Locator:
    return page.get_by_role("slider", name=f"{kind} “{token}”")


def readout(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator(".number")


def middle(knob: Locator) -> tuple[float, float]:
    box = knob.locator(".hit").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def downloaded(page: Page, kind: str, name: str = "one_token") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    assert download.value.suggested_filename == f"{name}.{kind.lower()}"
    return Path(download.value.path()).read_bytes()


def shown(page: Page) -> dict[str, Any]:
    """The columns of the CSV: the numbers in full."""
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "CSV").decode("utf-8-sig"))))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    words = ("token", "rank")
    return {name: c if name in words else np.array(c, dtype=float) for name, c in columns.items()}


def assert_shows(page: Page, state: PlaygroundState) -> None:
    """The numbers of the page are those of the library for this state."""
    columns = shown(page)
    np.testing.assert_allclose(columns["frequency q"], state.labels, atol=1e-5)  # an address has 6 digits
    state = replace(state, labels=tuple(columns["frequency q"] / columns["frequency q"].sum()))
    policy = state.policy()
    np.testing.assert_allclose(columns["policy π"], policy, atol=1e-9)
    with np.errstate(divide="ignore"):
        push = -expected_gradient(np.log(policy), state.labels, state.shaping)
    np.testing.assert_allclose(columns["push"], push, atol=1e-9)
    plain = replace(state, beta=0.0, lambda_head=0.0, lambda_tail=0.0).policy()
    np.testing.assert_allclose(columns["cross-entropy"], plain, atol=1e-9)
    try:
        end = stationary_policy(state.labels, state.shaping)
    except ValueError:
        assert "end" not in columns
        expect(readout(page, "distance to end")).to_have_text("–")
    else:
        np.testing.assert_allclose(columns["end"], end, atol=1e-9)
        expect(readout(page, "distance to end")).to_have_text(f"{np.abs(policy - end).sum() / 2:.3f}")
    expect(readout(page, "entropy")).to_have_text(f"{float(entropy(policy)):.3f}")
    expect(readout(page, "mass of the head")).to_have_text(f"{np.sort(policy)[::-1][: state.top_k].sum():.3f}")
    reward = float(expected_reward(np.log(np.maximum(policy, 1e-300)), state.labels, state.shaping))
    expect(readout(page, "mean reward")).to_have_text(f"{reward:.3f}".replace("-", "−"))
