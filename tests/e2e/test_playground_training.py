"""The playground trains, and asks for a prediction before it shows the answer."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from playground_pages import DEFAULT, LOAD, Visit, assert_shows, handle, readout, shown, takeaway
from playwright.sync_api import expect

from pgce_mini import RewardShaping, policy_flow, stationary_policy
from pgce_mini.playground import javascript, preset


def test_play_trains_to_rest_and_step_and_reset_do_what_they_say(play: Visit) -> None:
    page = play("beta=-0.25&lr=4")
    page.get_by_role("button", name="Step").click()
    expect(readout(page, "step")).to_have_text("1")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=60_000)  # at rest by itself
    steps = int(readout(page, "step").inner_text())
    assert 10 < steps < 500
    expect(readout(page, "distance to end")).to_have_text("0.000")
    page.wait_for_function("steps => location.hash.includes(`steps=${steps}`)", arg=steps)
    assert_shows(page, replace(DEFAULT, beta=-0.25, lr=4.0, steps=steps))
    page.get_by_role("button", name="Reset").click()
    expect(readout(page, "step")).to_have_text("0")
    page.wait_for_function("() => location.hash === '#beta=-0.25&lr=4'")


def test_play_pauses_where_it_is(play: Visit) -> None:
    page = play("labels=flat&tokens=50&lr=0.1")
    page.get_by_role("button", name="Play").click()
    expect(readout(page, "step")).to_have_text(re.compile(r"^([4-9]|\d\d+)$"))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.wait_for_function("() => location.hash.includes('steps=')")
    steps = int(re.findall(r"steps=(\d+)", page.url)[0])
    assert steps < 500
    expect(readout(page, "step")).to_have_text(str(steps))


def test_reduced_motion_goes_to_the_end_at_once(play: Visit) -> None:
    page = play("beta=0.5&lr=4", reduced_motion="reduce")
    page.evaluate(
        """() => {
        window.seen = new Set();
        const node = document.querySelector(".pgce-playground").shadowRoot.querySelector(".number");
        new MutationObserver(() => seen.add(node.textContent)).observe(node, { childList: true });
    }"""
    )
    page.get_by_role("button", name="Play").click()
    expect(readout(page, "distance to end")).to_have_text("0.000")
    assert page.evaluate("() => seen.size") == 1
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_prediction_is_asked_before_the_answer_is_shown_and_then_judged(play: Visit) -> None:
    page = play("beta=-0.25&lr=4", reduced_motion="reduce")
    page.get_by_role("button", name="Predict first").click()
    expect(takeaway(page)).to_have_text("Where will each token end? Drag the diamonds there, then press Play.")
    expect(readout(page, "distance to end")).to_have_text("?")
    assert not {"end", "push", "cross-entropy"} & shown(page).keys()
    expect(page.locator("path.end:visible")).to_have_count(1)  # the legend's
    handle(page, "4", "your prediction for").focus()
    page.keyboard.press("End")
    expect(handle(page, "4", "your prediction for")).to_have_attribute("aria-valuenow", "0.9990")
    page.keyboard.press("PageDown")
    handle(page, "four", "your prediction for").focus()
    page.keyboard.press("Home")  # what was set before stays
    guess = shown(page)["prediction"]
    assert guess[:2].tolist() == pytest.approx([guess[0], 0.0])
    assert 0.85 < guess[0] < 0.95
    assert guess.sum() == pytest.approx(1)
    page.get_by_role("button", name="Play").click()
    end = stationary_policy(DEFAULT.labels, RewardShaping(-0.25))
    miss = np.abs(guess - end)
    expect(takeaway(page)).to_contain_text(f"misses where training ends by {miss.sum() / 2:.3f} (total variation)")
    widest = preset("peaked")["tokens"][int(miss.argmax())]
    expect(takeaway(page)).to_contain_text(f"the widest miss is “{widest}”")
    np.testing.assert_allclose(shown(page)["miss"], guess - end, atol=1e-9)
    page.get_by_role("button", name="Predict first").click()
    expect(takeaway(page)).to_contain_text("Training ends sharper")


def test_start_that_leads_to_another_end_is_said_and_judged_by_it(play: Visit) -> None:
    labels = np.array([0.128, 0.191, 0.004, 0.0, 0.103, 0.306, 0.126, 0.142])  # the third likeliest comes last
    shaping = RewardShaping(lambda_head=1.0, top_k=3)
    marked = stationary_policy(labels, shaping)
    reached = policy_flow(np.zeros(8), labels, shaping, 20000, 5.0)[-1]
    apart = np.abs(reached - marked).sum() / 2
    assert apart > 0.1
    digits = ",".join(f"{p:.3f}" for p in labels)
    query = f"q={digits}&lambda_head=1&steps=300"
    page = play(query)
    expect(takeaway(page)).to_contain_text(f"training ends {apart:.3f} from the marked end")
    np.testing.assert_allclose(shown(page)["end"], marked, atol=1e-9)
    guess = ",".join(f"{p:.4f}" for p in reached)
    page = play(f"{query}&predict={guess}")
    expect(takeaway(page)).to_contain_text("misses where training ends by 0.000 (total variation)")


def test_class_is_asked_with_all_that_its_answer_depends_on(play: Visit) -> None:
    states = [
        replace(DEFAULT, beta=-0.25),
        replace(DEFAULT, beta=-0.25, form="exponent"),
        replace(DEFAULT, lambda_head=0.3, top_k=1),
        replace(DEFAULT, lambda_head=0.3, top_k=3),
    ]
    given = [
        [asdict(s), {"end": stationary_policy(s.labels, s.shaping).tolist(), "shaping": asdict(s.shaping)}]
        for s in states
    ]
    ask = f"async ([source, given]) => {{ {LOAD} return given.map((each) => module.classQuestion(...each)); }}"
    asked = play().evaluate(ask, [javascript("words"), given])
    assert len({question["text"] for question in asked}) == len({question["right"] for question in asked}) == 4
    assert asked[0]["text"].endswith("end at β = −0.25?")  # what changes nothing is left out
