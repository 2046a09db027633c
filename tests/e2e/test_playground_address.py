"""The state of the playground in its address and in a notebook."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from pages import settled
from playground_pages import DEFAULT, LOAD, Visit, assert_shows, handle, readout, shown, slider
from playwright.sync_api import expect

from pgce_mini.playground import javascript


def test_address_brings_the_state_back_in_another_browser(play: Visit) -> None:
    page = play()
    slider(page, "β").press("PageUp")
    page.get_by_role("radio", name="exponent").check()
    page.get_by_role("radio", name="log").check()
    page.get_by_role("radio", name="frequencies").check()
    slider(page, "k, tokens").press("ArrowRight")
    handle(page, "four").focus()
    page.keyboard.press("PageUp")
    for _ in range(3):
        page.get_by_role("button", name="Step").click()
    page.wait_for_function("() => location.hash.includes('steps=3')")
    again = play(page.url.partition("#")[2])
    expect(readout(again, "step")).to_have_text("3")
    expect(again.get_by_role("radio", name="log")).to_be_checked()
    ours, theirs = shown(page), shown(again)
    assert ours["token"] == theirs["token"]
    for name in ("frequency q", "policy π", "end", "push"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
    again.get_by_role("button", name="All defaults").click()
    again.wait_for_function("() => location.hash === ''")


@pytest.mark.parametrize(
    "query",
    [
        "beta=99&k=0&lambda_head=-7&steps=501&lr=0",
        "beta=nan&lambda_tail=inf&k=2.5&steps=1e9&tokens=-3",
        "beta=0x1&k=%00&form=%3Cscript%3Ealert(1)%3C/script%3E&labels=__proto__&axis=constructor",
        "q=1,2,3&predict=a,b&labels=&start=&tokens=1e1000",
        "q=0.5,0.5,0,0,0,0,0,x&predict=,,,,,,,1&unknown=1",
        "%E0%A4%A&q=" + "0," * 10_000,
    ],
)
def test_malformed_address_is_as_if_it_were_not_there(play: Visit, query: str) -> None:
    assert_shows(play(query), DEFAULT)


def test_other_prompt_for_the_tokens_of_a_preset_is_a_preset_of_its_own(play: Visit) -> None:
    page = play("tokens=4", replace(DEFAULT, prompt="Which digit?"))
    expect(page.get_by_text("Next token after “Which digit?”")).to_be_visible()
    expect(page.get_by_role("radio", name="given")).to_be_checked()
    assert shown(page)["token"] == list(DEFAULT.tokens[:4])


def test_new_address_in_the_same_page_is_followed(play: Visit) -> None:
    page = play()
    page.evaluate("() => { location.hash = 'beta=0.5&steps=7'; }")
    expect(readout(page, "step")).to_have_text("7")
    assert_shows(page, replace(DEFAULT, beta=0.5, steps=7))


def test_new_address_ends_what_plays_and_holds_no_diamond(play: Visit) -> None:
    even = ",".join(["0.125"] * 8)
    page = play(f"predict={even}")
    for token in ("four", "5", "3"):
        handle(page, token, "your prediction for").press("PageUp")
    page.evaluate(f"() => {{ location.hash = 'beta=0.5&predict={even}'; }}")
    expect(slider(page, "β")).to_have_value("0.5")
    expect(handle(page, "3", "your prediction for")).to_have_attribute("aria-valuenow", "0.1250")
    handle(page, "4", "your prediction for").press("End")
    expect(handle(page, "4", "your prediction for")).to_have_attribute("aria-valuenow", "0.9990")
    page.get_by_role("button", name="Play").click()
    page.evaluate(f"() => {{ location.hash = 'beta=0.25&predict={even}'; }}")
    expect(slider(page, "β")).to_have_value("0.25")
    settled(page)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(readout(page, "step")).to_have_text("0")


def test_address_brings_back_a_state_that_differs_from_its_base(play: Visit) -> None:
    base = replace(DEFAULT, labels=(0.3, *[0.1] * 7), prediction=(0.125,) * 8)
    page = play(state=base)
    page.get_by_role("radio", name="flat").check()
    page.get_by_role("radio", name="peaked").check()
    page.wait_for_function("() => location.hash.includes('predict=') && !location.hash.includes('labels=')")
    expect(page.get_by_role("button", name="Predict first")).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.get_by_role("button", name="Predict first")).to_have_attribute("aria-pressed", "false")
    assert shown(page)["frequency q"][0] == pytest.approx(DEFAULT.labels[0], abs=1e-5)
    page.get_by_role("button", name="All defaults").click()
    page.wait_for_function("() => location.hash === ''")
    expect(handle(page, "4", "your prediction for")).to_have_attribute("aria-valuenow", "0.1250")


# A notebook's model, each of whose traits tells of a change by itself, as anywidget's do.
NOTEBOOK = (
    f"async ([source, state]) => {{ {LOAD}"
    """
    const listeners = {};
    const values = { ...state, _state_names: Object.keys(state) };
    window.model = {
        get: (name) => values[name],
        set(name, value) {
            values[name] = value;
            listeners[`change:${name}`]();
        },
        on: (name, listener) => (listeners[name] = listener),
        save_changes: () => (window.saved = (window.saved ?? 0) + 1),
    };
    const el = document.body.appendChild(document.createElement("div"));
    module.default().render({ model, el });
    document.querySelector("main").remove();
}"""
)


def test_notebook_holds_the_diamonds_until_python_sets_a_state(play: Visit) -> None:
    page = play()
    page.evaluate(NOTEBOOK, [javascript(), asdict(replace(DEFAULT, steps=3))])
    page.get_by_role("button", name="Predict first").click()
    handle(page, "4", "your prediction for").press("End")
    page.wait_for_function("() => window.saved && model.get('prediction')?.[0] === 0.999")
    handle(page, "four", "your prediction for").press("PageUp")
    expect(handle(page, "4", "your prediction for")).to_have_attribute("aria-valuenow", "0.9990")
    page.evaluate(f"() => model.set('prediction', {[0.125] * 8})")
    handle(page, "5", "your prediction for").press("End")
    expect(handle(page, "5", "your prediction for")).to_have_attribute("aria-valuenow", "0.9990")
