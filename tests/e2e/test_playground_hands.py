"""Mice, fingers and keys reach every control of the playground, and nothing that they did not mean."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from pages import settled, swipe, touch
from playground_pages import DEFAULT, Visit, assert_shows, handle, middle, shown, slider
from playwright.sync_api import expect

from pgce_mini.playground import PRESETS, preset


def test_dragged_label_renormalises_the_rest_and_moves_the_end(play: Visit) -> None:
    page = play()
    x, y = middle(handle(page, "4"))
    page.mouse.move(x + 2, y)
    page.mouse.down()
    page.mouse.move(x - 100, y, steps=5)
    page.mouse.move(x - 198, y, steps=5)  # taken hold of 2 px beside its middle, it stays so
    settled(page)
    assert middle(handle(page, "4"))[0] == pytest.approx(x - 200, abs=1.5)
    page.mouse.up()
    columns = shown(page)
    q = columns["frequency q"]
    assert q[0] < 0.55
    assert q.sum() == pytest.approx(1, abs=1e-12)
    before = np.array(preset("peaked")["labels"])
    np.testing.assert_allclose(q[1:] / q[1:].sum(), before[1:] / before[1:].sum(), rtol=1e-9)
    np.testing.assert_allclose(columns["end"], q, atol=1e-9)  # cross-entropy


def test_press_beside_a_handle_brings_it_there(play: Visit) -> None:
    page = play()
    x, _ = middle(handle(page, "4"))
    _, y = middle(handle(page, "x"))
    page.mouse.click(x - 50, y)
    page.wait_for_function("() => location.hash.includes('q=')")
    assert shown(page)["frequency q"][7] > 0.5


def test_finger_drags_sideways_and_a_tap_or_a_swipe_down_sets_nothing(play: Visit) -> None:
    page = play(width=390, has_touch=True)
    devtools = page.context.new_cdp_session(page)
    x, y = middle(handle(page, "4"))
    page.touchscreen.tap(x - 60, y)
    expect(handle(page, "4")).to_have_attribute("aria-valuenow", "0.7347")
    page.evaluate(
        """() => {
        window.changes = 0;
        const picture = document.querySelector(".pgce-playground").shadowRoot.querySelector(".picture");
        const seen = (records) => (changes += records.filter(({ target }) => target.role === "slider").length);
        const watched = { subtree: true, attributeFilter: ["aria-valuenow"] };
        new MutationObserver(seen).observe(picture, watched);
    }"""
    )
    for lean in (0, 25, -40):  # px that the finger strays sideways on its way up
        page.evaluate("() => scrollTo(0, 0)")
        x, y = middle(handle(page, "x"))
        swipe(devtools, (x, y), (x + lean, y - 300))
        page.wait_for_function("() => scrollY > 100")
    assert page.evaluate("() => changes") == 0
    for control in page.locator("input[type=range]").all():
        control.scroll_into_view_if_needed()
        page.evaluate("() => scrollBy(0, 250)")
        box = control.bounding_box()
        assert box is not None
        swipe(devtools, (box["x"] + 100, box["y"] + 14), (box["x"] + 105, box["y"] + 150))
    page.wait_for_timeout(400)  # QUIET of instrument.js, after which a change reaches the address, is 250
    assert "#" not in page.url.rstrip("#")
    beta = slider(page, "β")
    beta.scroll_into_view_if_needed()
    box = beta.bounding_box()
    assert box is not None
    swipe(devtools, (box["x"] + 160, box["y"] + 14), (box["x"] + 250, box["y"] + 20))
    page.wait_for_function("() => location.hash.startsWith('#beta=')")
    slider(page, "λ head").tap(position={"x": 250, "y": 14})
    page.wait_for_function("() => location.hash.includes('lambda_head=')")
    page.evaluate("() => scrollTo(0, 0)")
    x, y = middle(handle(page, "4"))
    swipe(devtools, (x, y), (x - 60, y + 5))
    page.wait_for_function("() => location.hash.includes('q=')")
    assert shown(page)["frequency q"][0] < 0.6


def test_a_second_finger_sets_nothing(play: Visit) -> None:
    page = play(width=390, has_touch=True)
    (x, y), (_, other) = middle(handle(page, "4")), middle(handle(page, "5"))
    devtools = page.context.new_cdp_session(page)
    touch(devtools, "touchStart", (x, y))
    for i in range(1, 6):
        touch(devtools, "touchMove", (x - 10 * i, y))
    expect(handle(page, "4")).not_to_have_attribute("aria-valuenow", "0.7347")
    settled(page)
    before = [handle(page, token).get_attribute("aria-valuenow") for token in ("4", "5")]
    touch(devtools, "touchStart", (x - 50, y), (x - 50, other))
    for i in range(1, 6):
        touch(devtools, "touchMove", (x - 50, y), (x - 50 - 10 * i, other + 10 * i))
    touch(devtools, "touchEnd")
    settled(page)
    assert [handle(page, token).get_attribute("aria-valuenow") for token in ("4", "5")] == before


def test_mark_moves_only_with_its_number(play: Visit) -> None:
    page = play("beta=0.5")
    x, _ = middle(handle(page, "4"))
    end = page.locator("line.end").first
    ends = [float(end.get_attribute("x1") or 0)]
    for _ in range(4):  # from diversity by cross-entropy to precision
        slider(page, "β").press("PageDown")
        page.wait_for_function(
            "before => +document.querySelector('.pgce-playground').shadowRoot"
            ".querySelector('line.end').getAttribute('x1') > before + 1",
            arg=ends[-1],
        )
        ends.append(float(end.get_attribute("x1") or 0))
        assert middle(handle(page, "4"))[0] == x  # its frequency is as it was


def test_keys_reach_every_token_from_one_tab_stop(play: Visit) -> None:
    page = play()
    tops = page.locator("[role=slider][tabindex='0']")
    expect(tops).to_have_count(1)
    tops.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(handle(page, "5")).to_be_focused()
    expect(tops).to_have_count(1)
    values = {"ArrowRight": 0.061, "PageUp": 0.161, "ArrowLeft": 0.151, "Home": 0.0, "End": 0.999}
    for key, value in values.items():
        page.keyboard.press(key)
        expect(handle(page, "5")).to_have_attribute("aria-valuenow", re.compile(f"^{value:.3f}"))
    page.keyboard.press("ArrowUp")
    expect(handle(page, "four")).to_be_focused()
    expect(handle(page, "four")).to_have_attribute("aria-valuenow", re.compile(r"^0\.0"))


def test_label_can_go_to_zero_and_come_back(play: Visit) -> None:
    page = play()
    tokens = preset("peaked")["tokens"]
    for token in tokens[1:]:
        handle(page, token).focus()
        page.keyboard.press("Home")
    page.wait_for_function("() => location.hash.includes('q=1,0,0,0,0,0,0,0')")
    handle(page, "4").focus()
    page.keyboard.press("PageDown")
    page.wait_for_function("() => location.hash.includes('q=0.9,')")
    np.testing.assert_allclose(shown(page)["frequency q"], [0.9] + [0.1 / 7] * 7, atol=1e-9)


def test_arm_moves_the_sliders_and_leaves_k(play: Visit) -> None:
    page = play("k=2")
    expect(page.get_by_role("radio", name="ce", exact=True)).to_be_checked()
    page.get_by_role("radio", name="tail-penalty").check()
    page.wait_for_function("() => location.hash === '#lambda_tail=-0.1&k=2'")
    assert_shows(page, replace(DEFAULT, lambda_tail=-0.1, top_k=2))
    slider(page, "λ tail").press("ArrowLeft")
    expect(page.get_by_role("radio", name="tail-penalty")).not_to_be_checked()


def test_presets_and_sizes_change_the_rows(play: Visit) -> None:
    page = play("steps=9")
    page.get_by_role("radio", name="flat").check()
    expect(page.get_by_text("Next token after “My favourite colour is”")).to_be_visible()
    page.get_by_role("slider", name="Tokens", exact=True).press("End")
    expect(handle(page, "slate")).to_have_count(1)
    page.wait_for_function("() => location.hash === '#labels=flat&tokens=50'")  # a run begins anew
    page.get_by_role("slider", name="Tokens", exact=True).press("Home")
    page.wait_for_function("() => location.hash === '#labels=flat&tokens=4'")
    assert shown(page)["token"] == PRESETS["flat"]["tokens"][:4]
