"""Visitors of one explorer at the same time: none sees an error, or anything of another's."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

Visit = Callable[..., Page]

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
