"""The playground in a real browser: its numbers are the library's, and hands, keys, addresses and files reach it.

Most tests open the page of `pgce playground`; the explorer shows the same module, and what Streamlit adds is
tested at the end.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from playground_pages import DEFAULT, LOAD, SERVED, Visit, python_cell, slider, takeaway
from playwright.sync_api import Browser, Locator, Page, expect

from pgce_mini import RewardShaping, policy_flow, stationary_policy
from pgce_mini.playground import PRESETS, PlaygroundState, javascript, preset
from pgce_mini.playground.modules import join
from pgce_mini.theory import entropy, expected_gradient, expected_reward


def handle(page: Page, token: str, kind: str = "frequency of") -> Locator:
    return page.get_by_role("slider", name=f"{kind} “{token}”")


def readout(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator(".number")


def downloaded(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    assert download.value.suggested_filename == f"one_token.{kind.lower()}"
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


# --- Numbers ---------------------------------------------------------------------------------------------

COMPUTE = (
    f"async ([source, states]) => {{ {LOAD}"
    + """
    return states.map(({ logits, labels, shaping }) => ({
        gradient: module.expectedGradient(logits, labels, shaping),
        reward: module.expectedReward(logits, labels, shaping),
        step: module.softmax(module.descend(logits, labels, shaping, 1, 0.7)),
        far: module.softmax(module.descend(logits, labels, shaping, 60, 0.7)),
        entropy: module.entropy(labels),
        end: module.stationaryPolicy(labels, shaping).policy,
    }));
}"""
)


MODULES = {
    "main": """// What it imports stands below it here and above it in what is joined.
import {
    count as total,
    Pair,
} from "./lower.js";
import { name } from "./other.js";
const own = "main";
export const values = () => [own, total(), name, new Pair().first];
export async function later() { return total(); }
export default function start() { return ` import { x } from "./y.js";`; }
""",
    "other": 'import { count } from "./lower.js";\nconst own = count();\nexport const name = `other ${own}`;\n',
    "lower": "let own = 0;\nexport function count() { return ++own; }\nexport class Pair { first = 1; }\n",
}


def test_joined_modules_keep_their_own_names(play: Visit) -> None:
    call = f"async (source) => {{ {LOAD} return [module.values(), await module.later(), module.default()]; }}"
    results = play().evaluate(call, join(MODULES, "main"))
    assert results == [["main", 2, "other 1", 1], 3, ' import { x } from "./y.js";']


def random_states(count: int) -> list[dict[str, Any]]:
    """Ordinary and awkward ones: extreme or tied logits, equal or zero labels, k from 1 to V, any lambdas."""
    rng = np.random.default_rng(0)
    states = []
    for i in range(count):
        size = int(rng.integers(2, 51))
        labels = rng.dirichlet(np.full(size, rng.choice([0.1, 0.5, 3.0])))
        if i % 5 == 0:
            labels[rng.integers(size)] = 0
        if i % 7 == 0:
            labels = np.ones(size)
        logits = rng.standard_normal(size) * rng.choice([1, 10, 300])
        if i % 4 == 0:
            logits = np.round(logits)
        head, tail = rng.uniform(-1, 1, 2) if i % 3 else (0.0, 0.0)
        if i % 2:
            head, tail = max(head, tail), min(head, tail)  # where an end is the rule
        shaping = {
            "beta": float(rng.uniform(-1.2, 2)) if i % 6 else 0.0,
            "lambda_head": float(head),
            "lambda_tail": float(tail),
            "top_k": int(rng.choice([1, size, rng.integers(1, size + 1)])),
            "form": ("product", "exponent")[i // 2 % 2],
        }
        labels /= labels.sum()
        states.append({"labels": labels.tolist(), "logits": logits.tolist(), "shaping": shaping})
    return states


def test_mathematics_is_that_of_the_library_for_hundreds_of_states(play: Visit) -> None:
    states = random_states(500)
    results = play().evaluate(COMPUTE, [javascript("dynamics"), states])
    ends = 0
    for state, ours in zip(states, results, strict=True):
        z, q, shaping = state["logits"], state["labels"], RewardShaping(**state["shaping"])
        path = policy_flow(z, q, shaping, 60, 0.7)
        expected = {
            "gradient": expected_gradient(z, q, shaping),
            "reward": expected_reward(z, q, shaping),
            "step": path[1],
            "far": path[60],
            "entropy": entropy(q),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-9, err_msg=f"{name} of {state}")
        try:
            end = stationary_policy(q, shaping)
        except ValueError:
            assert ours["end"] is None, state
        else:
            ends += 1
            np.testing.assert_allclose(ours["end"], end, rtol=0, atol=1e-9, err_msg=f"end of {state}")
    assert 100 < ends < len(states) - 50  # both kinds are there


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Cross-entropy ends at the frequencies themselves, with their entropy of 1.057 nats."),
        ({"top_k": 8, "form": "exponent"}, "Cross-entropy ends at the frequencies themselves"),
        ({"beta": -0.25, "steps": 40}, "sharper than the frequencies: entropy falls from 1.057 to 0.845 nats"),
        ({"beta": 0.5}, "flatter than the frequencies: entropy rises from 1.057 to 1.319 nats"),
        ({"beta": -1.0, "steps": 3}, "No end is marked: below β = −1 a token that leads far enough takes all"),
        ({"beta": -1.5, "steps": 60}, "“4” takes all. Within 10⁻⁶ of 1 the loss lets its weight grow no further"),
        ({"lambda_head": -0.5}, "No end is marked: being in the head drives a token out of it"),
    ],
)
def test_page_shows_and_says_what_the_library_finds(play: Visit, changes: dict[str, Any], sentence: str) -> None:
    page = play(urlencode(changes).replace("top_k", "k"))
    assert_shows(page, replace(DEFAULT, **changes))
    expect(takeaway(page)).to_contain_text(sentence)
    expect(page.get_by_role("status").first).to_have_text(takeaway(page).inner_text())  # what is read out


def test_page_shows_the_numbers_of_other_presets(play: Visit) -> None:
    tie = PlaygroundState(1.5, form="exponent", start="labels", steps=9, **preset("two-way tie"))
    assert_shows(play("labels=two-way+tie&form=exponent&beta=1.5&start=labels&steps=9"), tie)
    flat = PlaygroundState(0.0, 0.3, -0.2, 7, lr=3.0, steps=500, **preset("flat", 50))
    assert_shows(play("labels=flat&tokens=50&k=7&lambda_head=0.3&lambda_tail=-0.2&steps=500&lr=3"), flat)


# --- Hands and keys --------------------------------------------------------------------------------------


def middle(knob: Locator) -> tuple[float, float]:
    box = knob.locator(".hit").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_dragged_label_renormalises_the_rest_and_moves_the_end(play: Visit) -> None:
    page = play()
    x, y = middle(handle(page, "4"))
    page.mouse.move(x + 2, y)
    page.mouse.down()
    page.mouse.move(x - 100, y, steps=5)
    page.mouse.move(x - 198, y, steps=5)  # taken hold of 2 px beside its middle, it stays so
    page.wait_for_function("() => location.hash.includes('q=')")
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


def swipe(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A finger from start to end, in steps of a tenth."""
    touch = page.context.new_cdp_session(page)
    for i in range(12):
        kind = "touchStart" if i == 0 else "touchMove" if i < 11 else "touchEnd"
        points = [a + min(i, 10) / 10 * (b - a) for a, b in zip(start, end, strict=True)]
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [] if i == 11 else [dict(zip("xy", points, strict=True))]},
        )


def test_finger_drags_sideways_and_a_tap_or_a_swipe_down_sets_nothing(play: Visit) -> None:
    page = play(width=390, has_touch=True)
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
        swipe(page, (x, y), (x + lean, y - 300))
        page.wait_for_function("() => scrollY > 100")
    assert page.evaluate("() => changes") == 0
    for control in page.locator("input[type=range]").all():
        control.scroll_into_view_if_needed()
        page.evaluate("() => scrollBy(0, 250)")
        box = control.bounding_box()
        assert box is not None
        swipe(page, (box["x"] + 100, box["y"] + 14), (box["x"] + 105, box["y"] + 150))
    page.wait_for_timeout(400)  # longer than a change takes to reach the address
    assert "#" not in page.url.rstrip("#")
    beta = slider(page, "β")
    beta.scroll_into_view_if_needed()
    box = beta.bounding_box()
    assert box is not None
    swipe(page, (box["x"] + 160, box["y"] + 14), (box["x"] + 250, box["y"] + 20))
    page.wait_for_function("() => location.hash.startsWith('#beta=')")
    slider(page, "λ head").tap(position={"x": 250, "y": 14})
    page.wait_for_function("() => location.hash.includes('lambda_head=')")
    page.evaluate("() => scrollTo(0, 0)")
    x, y = middle(handle(page, "4"))
    swipe(page, (x, y), (x - 60, y + 5))
    page.wait_for_function("() => location.hash.includes('q=')")
    assert shown(page)["frequency q"][0] < 0.6


def test_a_second_finger_sets_nothing(play: Visit) -> None:
    page = play(width=390, has_touch=True)
    (x, y), (_, other) = middle(handle(page, "4")), middle(handle(page, "5"))
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (x, y))
    for i in range(1, 6):
        fingers("touchMove", (x - 10 * i, y))
    expect(handle(page, "4")).not_to_have_attribute("aria-valuenow", "0.7347")
    page.wait_for_timeout(100)  # some frames
    before = [handle(page, token).get_attribute("aria-valuenow") for token in ("4", "5")]
    fingers("touchStart", (x - 50, y), (x - 50, other))
    for i in range(1, 6):
        fingers("touchMove", (x - 50, y), (x - 50 - 10 * i, other + 10 * i))
    fingers("touchEnd")
    page.wait_for_timeout(100)
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


# --- Training --------------------------------------------------------------------------------------------


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


# --- Addresses and files ---------------------------------------------------------------------------------


def test_address_brings_the_state_back_in_another_browser(play: Visit, browser: Browser) -> None:
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
    context = browser.new_context()
    again = context.new_page()
    again.goto(page.url)
    expect(readout(again, "step")).to_have_text("3")
    expect(again.get_by_role("radio", name="log")).to_be_checked()
    ours, theirs = shown(page), shown(again)
    assert ours["token"] == theirs["token"]
    for name in ("frequency q", "policy π", "end", "push"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
    again.get_by_role("button", name="All defaults").click()
    again.wait_for_function("() => location.hash === ''")
    context.close()


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
    page.wait_for_timeout(200)  # many frames
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(readout(page, "step")).to_have_text("0")


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


def test_pictures_are_whole_and_carry_their_settings(play: Visit) -> None:
    page = play("beta=-0.25&steps=20", color_scheme="dark")
    expect(readout(page, "step")).to_have_text("20")
    picture = ET.fromstring(downloaded(page, "SVG"))
    svg = "{http://www.w3.org/2000/svg}"
    assert picture.tag == f"{svg}svg"
    text = " ".join("".join(node.itertext()) for node in picture.iter(f"{svg}text"))
    assert all(token in text for token in preset("peaked")["tokens"])
    assert "β −0.25" in text
    assert "20 steps" in text
    assert "Training ends sharper" in text
    bars = [node for node in picture.iter(f"{svg}rect") if node.get("class") == "policy"]
    assert "rgb(86, 180, 233)" in str(bars[-1].get("style"))  # as seen in the dark, without a style sheet
    png = downloaded(page, "PNG")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (2 * int(picture.get("width", 0)), 2 * int(picture.get("height", 0)))


@pytest.mark.parametrize(
    "query", ["beta=-0.25&steps=33&lambda_tail=-0.1", "lambda_head=-0.5&start=labels&steps=5"]
)
def test_copied_python_runs_and_gives_the_numbers_that_are_shown(play: Visit, query: str) -> None:
    page = play(query)
    cell, printed = python_cell(page)
    columns = shown(page)
    assert cell["tokens"] == columns["token"]
    names = {"labels": "frequency q", "policy": "policy π", "cross_entropy": "cross-entropy"}
    for variable in (*names, "push", "end"):
        column = names.get(variable, variable)
        if cell[variable] is not None:
            np.testing.assert_allclose(cell[variable], columns[column], atol=1e-9)
    says = dict(re.findall(r"^(.*?) (\d\S*)$", printed, re.MULTILINE)[:3])
    for line, tile in (("entropy (nats)", "entropy"), ("mean reward",) * 2, ("mass of the head",) * 2):
        expect(readout(page, tile)).to_have_text(f"{float(says[line]):.3f}")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()


def test_copied_python_holds_any_token_and_any_label(play: Visit) -> None:
    tokens = ('"', "\\n", "🙂", "</script>", "a\nb", "a\ud800b")
    labels = (0.5, 0.2, 0.1, 0.1, 0.0, 0.1)
    state = PlaygroundState(tokens=tokens, labels=labels, start="labels", steps=4, prompt="“x”")
    page = play(state=state)
    cell, _ = python_cell(page)
    assert tuple(cell["tokens"]) == (*tokens[:-1], "a\ufffdb")
    np.testing.assert_allclose(cell["policy"], state.policy(), atol=1e-12)
    expect(page.get_by_role("radio", name="given")).to_be_checked()
    assert shown(page)["token"] == cell["tokens"]


# --- Looks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(  # every pair of two once
    ("home", "width", "scheme"),
    [("page", 1280, "light"), ("page", 360, "dark"), ("explorer", 1280, "dark"), ("explorer", 360, "light")],
)
def test_page_is_accessible_and_fits(
    home: str, width: int, scheme: str, visit: Visit, assert_accessible: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    query = "tokens=12&beta=-0.25&steps=9&predict=" + ",".join(["0.1"] * 8 + ["0.05"] * 4)
    options = {"width": width, "color_scheme": scheme}
    if home == "page":
        page = request.getfixturevalue("play")(query, **options)
    else:
        page = visit(f"{request.getfixturevalue('explorer')}?{query}", **options)
    expect(takeaway(page)).to_contain_text("misses", timeout=SERVED)
    for fold in ("Data", "Copy as Python"):
        page.get_by_text(fold, exact=True).click()
    expect(page.get_by_role("rowheader", name="fish")).to_be_visible()
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
    assert_accessible(page, "body" if home == "page" else ".pgce-playground")


# Texts of the picture that are cut off or lie on one another, in pairs.
TEXTS_THAT_CLASH = """() => {
    const picture = document.querySelector(".pgce-playground").shadowRoot.querySelector(".picture");
    const frame = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text:not(.tip)")]
        .map((text) => [text.textContent, text.getBoundingClientRect()]).filter(([text]) => text);
    const inside = (a) => a.left >= frame.left - 1 && a.right <= frame.right + 1 && a.bottom <= frame.bottom;
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3;
    const cut = texts.filter(([, box]) => !inside(box)).map(([text]) => [text, "(cut off)"]);
    return cut.concat(texts.flatMap(([a, box], i) =>
        texts.slice(i + 1).filter(([, other]) => meet(box, other)).map(([b]) => [a, b])));
}"""


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("query", ["", "tokens=50&labels=two-way+tie", "axis=log&labels=flat&tokens=20"])
def test_texts_of_the_picture_are_whole_and_apart(play: Visit, width: int, query: str) -> None:
    page = play(query, width=width)
    expect(page.locator(".token").first).to_be_visible()
    assert page.evaluate(TEXTS_THAT_CLASH) == []


def test_dragging_makes_no_element_anew(play: Visit) -> None:
    page = play("tokens=50")
    picture = page.locator(".picture")
    picture.evaluate(
        """svg => {
        window.made = 0;
        const count = (changes) => changes.forEach(({ addedNodes }) => (made += addedNodes.length));
        for (const node of [svg, ...svg.querySelectorAll(":scope > g:not(.grid)")])
            new MutationObserver(count).observe(node, { childList: true });
    }"""
    )
    before = handle(page, "4").get_attribute("transform")
    x, y = middle(handle(page, "4"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 150, y, steps=30)
    expect(handle(page, "4")).not_to_have_attribute("transform", before or "")
    assert page.evaluate("() => made") == 0
    page.mouse.up()


# --- In the explorer -------------------------------------------------------------------------------------


def test_explorer_keeps_the_state_in_the_address_and_asks_nothing_of_the_server(
    explorer: str, visit: Visit
) -> None:
    page = visit(f"{explorer}?steps=5&beta=&beta=&k=0&labels=%00&q=1&embed_options=light_theme")
    expect(takeaway(page)).to_be_visible(timeout=SERVED)
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.reload()
    expect(readout(page, "step")).to_have_text("5", timeout=SERVED)
    page.wait_for_load_state("networkidle")
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
