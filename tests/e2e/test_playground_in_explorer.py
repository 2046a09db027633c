"""What Streamlit adds to the playground, or could take from it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pages import AT_REST
from playground_pages import DEFAULT, LOAD, SERVED, Visit, assert_shows, readout, slider, takeaway
from playwright.sync_api import expect

from pgce_mini.playground import javascript


def test_explorer_keeps_the_state_in_the_address_and_asks_nothing_of_the_server(
    explorer: str, visit: Visit
) -> None:
    page = visit(f"{explorer}?steps=5&beta=&beta=&k=0&labels=%00&q=1&embed_options=light_theme")
    expect(takeaway(page)).to_be_visible(timeout=SERVED)
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.reload()
    expect(readout(page, "step")).to_have_text("5", timeout=SERVED)
    page.wait_for_function(AT_REST)
    expect(page.get_by_role("alert")).to_have_count(0)  # what is malformed is as if it were not there
    assert sent  # the script has run
    asked = len(sent)
    for _ in range(5):
        slider(page, "β").press("ArrowLeft")
    page.wait_for_function("() => location.search.includes('beta=-0.25')")
    expect(page).to_have_url(f"{explorer}?embed_options=light_theme&beta=-0.25&steps=5")
    assert_shows(page, replace(DEFAULT, beta=-0.25, steps=5))
    assert len(sent) == asked
    page.reload()
    expect(readout(page, "step")).to_have_text("5", timeout=SERVED)
    assert float(slider(page, "β").input_value()) == -0.25


def test_state_survives_a_rerun_and_a_visit_to_another_page(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}?beta=0.5")
    expect(takeaway(page)).to_contain_text("flatter", timeout=SERVED)
    slider(page, "β").press("ArrowRight")
    page.wait_for_function("() => location.search.includes('beta=0.55')")
    page.keyboard.press("r")  # Streamlit's own key to run the script again
    page.get_by_role("link", name="Hidden rewards").click()
    expect(page.get_by_role("heading", name="Which reward does your loss hide?")).to_be_visible(timeout=SERVED)
    expect(page).to_have_url(f"{explorer}hidden-rewards")
    page.get_by_role("link", name="One token").click()
    expect(page).to_have_url(f"{explorer}?beta=0.55")
    assert_shows(page, replace(DEFAULT, beta=0.55))
    page.get_by_role("button", name="All defaults").click()
    expect(page).to_have_url(explorer)
    page.go_back()
    expect(page.get_by_role("heading", name="Which reward does your loss hide?")).to_be_visible(timeout=SERVED)
    page.wait_for_function("() => window.pgceHistory")  # comes with the page, perhaps after its heading
    page.go_back()
    expect(page).to_have_url(f"{explorer}?beta=0.55")  # as it was left the first time
    expect(takeaway(page)).to_contain_text("flatter", timeout=SERVED)
    assert_shows(page, replace(DEFAULT, beta=0.55))


def test_link_of_another_page_brings_its_own_state(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}?beta=0.5&steps=7")
    expect(takeaway(page)).to_contain_text("flatter", timeout=SERVED)
    page.get_by_role("link", name="Teach").click()
    page.get_by_role("link", name="A tour in six stops").click()
    expect(takeaway(page)).to_contain_text("sharper", timeout=SERVED)
    assert_shows(page, replace(DEFAULT, beta=-0.25))
    expect(page).to_have_url(re.compile(r"\?story=tour&step=1&.*beta=-0\.25$"))


def test_explorers_picture_follows_a_change_to_dark(explorer: str, visit: Visit) -> None:
    page = visit(explorer, color_scheme="light")
    expect(page.locator("rect.policy").first).to_have_css("fill", "rgb(0, 114, 178)", timeout=SERVED)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("rect.policy").first).to_have_css("fill", "rgb(86, 180, 233)")


# A host that has left its page, and how often it is then asked for its controls while the page's class changes.
LEFT = (
    f"async (source) => {{ {LOAD}"
    """
    const host = document.body.appendChild(document.createElement("div"));
    host.attachShadow({ mode: "open" }).innerHTML = "<div class='side'></div>";
    module.followPresenter(host);
    host.remove();
    let asked = 0;
    host.shadowRoot.querySelectorAll = () => (asked++, []);
    for (let i = 0; i < 3; i++) {
        document.documentElement.classList.toggle("pgce-presenting");
        await new Promise((done) => setTimeout(done));
    }
    return asked;
}"""
)


def test_playground_that_was_left_follows_no_presenter(play: Visit) -> None:
    assert play().evaluate(LEFT, javascript("presenting")) == 0
