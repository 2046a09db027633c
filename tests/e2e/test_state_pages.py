"""The pages about a single state: what each shows, saves and hands on, as its reader meets it."""

from __future__ import annotations

import csv
import io
import math
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from pages import PLOT, Visit, open_page, python_of, settled
from playwright.sync_api import Locator, Page, expect

from pgce_mini import RewardShaping
from pgce_mini.theory import cross_entropy_rewards, ending, optimal_baseline, reinforce_variance, simplex_xy

TRACES = f"""() => {PLOT}._fullData.map(({{ name, x, y }}) =>
    ({{ name, x: Array.from(x), y: Array.from(y) }}))"""


class View(NamedTuple):
    """A page, the controls to use on it (label, key presses) and what its address then holds."""

    path: str
    presses: dict[str, list[str]]
    state: str
    sentence: str
    """of that state"""


VIEWS = [
    View(
        "policy-gradient",
        {"N: samples": ["ArrowRight"], "Seed": ["ArrowUp", "ArrowUp", "Tab"]},
        "n=256&seed=2",
        "of 256 samples drew the true token",
    ),
    View(
        "hidden-rewards",
        {"π:": ["ArrowRight"] * 2, "γ": ["ArrowLeft"] * 4},
        "pi=0.12&gamma=1.8",
        "At π = 0.12, focal gives the true token 1.2",
    ),
    View(
        "simplex",
        {"β": ["ArrowRight"] * 5, "Start: tea": ["ArrowRight"] * 3},
        "beta=0&start=0.13",
        "At β = 0.00 training ends at tea 60.0%",
    ),
    View(
        "where-training-ends",
        {"λ tail": ["ArrowLeft"] * 2, "k:": ["ArrowRight"]},
        "lambda_tail=-0.1&k=3",
        f"→ {ending([0.6, 0.2, 0.1, 0.06, 0.03, 0.01], RewardShaping(-0.25, 0, -0.1, 3)).entropy:.3f} nats)",
    ),
]
views = pytest.mark.parametrize("view", VIEWS, ids=[view.path for view in VIEWS])


def drawn(page: Page) -> list[dict[str, Any]]:
    """The traces of the chart: name, x and y."""
    traces: list[dict[str, Any]] = page.evaluate(TRACES)
    return traces


def same_numbers(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether two figures show the same, missing values alike."""

    def close(first: Any, second: Any) -> bool:
        if any(isinstance(value, str) for value in first):
            return list(first) == list(second)
        one, two = (np.array([math.nan if v is None else v for v in values], float) for values in (first, second))
        return one.shape == two.shape and np.allclose(one, two, rtol=1e-6, atol=1e-9, equal_nan=True)

    return [trace["name"] for trace in ours] == [trace["name"] for trace in theirs] and all(
        close(one[axis], two[axis]) for one, two in zip(ours, theirs, strict=True) for axis in "xy"
    )


def eventually(condition: Callable[[], bool], page: Page) -> None:
    """Waits until the condition holds: a chart is redrawn some time after the words beside it."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("the chart did not come to show this within 60 s")


def control(page: Page, label: str) -> Locator:
    return page.get_by_role("slider", name=label).or_(page.get_by_role("spinbutton", name=label)).first


def press(page: Page, label: str, keys: list[str]) -> None:
    control(page, label).focus()
    for key in keys:
        page.keyboard.press(key)


@views
def test_controls_change_picture_sentence_and_address_which_restores_them(
    explorer: str, visit: Visit, view: View
) -> None:
    page = open_page(visit, explorer + view.path)
    before = drawn(page)
    for label, keys in view.presses.items():
        press(page, label, keys)
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query) == parse_qs(view.state))
    expect(page.locator(".takeaway")).to_contain_text(view.sentence)
    eventually(lambda: not same_numbers(drawn(page), before), page)

    again = open_page(visit, f"{explorer}{view.path}?{view.state}")  # another browser context
    expect(again.locator(".takeaway")).to_have_text(page.locator(".takeaway").inner_text())
    eventually(lambda: same_numbers(drawn(again), drawn(page)), page)


# Counts in `told` what a screen reader is told of the picture.
LISTEN = """() => {
    window.told = 0;
    const spoken = document.querySelector(".unseen");
    new MutationObserver(() => told++).observe(spoken, { childList: true, characterData: true, subtree: true });
}"""


def test_sentence_is_told_when_the_slider_rests(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}where-training-ends")
    spoken, said = page.locator(".unseen"), page.locator(".takeaway")
    expect(spoken).to_have_text(said.inner_text())
    before = said.inner_text()
    page.evaluate(LISTEN)
    press(page, "β", ["ArrowRight"] * 8)
    expect(said).not_to_have_text(before)
    expect(spoken).to_have_text(said.inner_text())
    assert 1 <= page.evaluate("() => told") < 8  # not with every step


def test_copied_python_is_the_cell_that_makes_the_figure(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}hidden-rewards?pi=0.12&gamma=1.8")
    made = [{"name": t.name, "x": t.x, "y": t.y} for t in python_of(page)["figure"].data]
    eventually(lambda: same_numbers(drawn(page), made), page)


@views
def test_page_opens_with_a_described_picture_and_its_files(
    explorer: str, visit: Visit, view: View, tmp_path: Path
) -> None:
    page = open_page(visit, explorer + view.path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("figure")).to_have_attribute("aria-label", page.locator(".takeaway").inner_text())
    assert page.locator(".gtitle").text_content()
    files = {}
    for kind in ("CSV", "PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        assert download.value.suggested_filename.endswith(f".{kind.lower()}")
        download.value.save_as(tmp_path / kind)
        files[kind] = (tmp_path / kind).read_bytes()

    page.get_by_text("Data", exact=True).click()
    header, *rows = csv.reader(io.StringIO(files["CSV"].decode("utf-8-sig")))
    table = page.get_by_role("table").last
    expect(table.get_by_role("columnheader")).to_have_text(header)
    expect(table.get_by_role("row")).to_have_count(1 + len(rows))
    shown = table.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts()
    for text, value in zip(shown, rows[0], strict=True):
        assert text == value or float(text) == pytest.approx(float(value), rel=1e-3)

    assert files["PNG"].startswith(b"\x89PNG")
    width, height = struct.unpack(">II", files["PNG"][16:24])
    box = page.locator(".js-plotly-plot").bounding_box()
    assert box is not None
    assert (width, height) == pytest.approx((2 * box["width"], 2 * box["height"]), abs=2)
    picture = ElementTree.fromstring(files["SVG"])
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = "".join(picture.itertext())
    assert page.locator(".gtitle").text_content() in texts
    assert "drag β" not in texts  # a slider is of no use in a file


# --- What one page alone has -----------------------------------------------------------------------------


def test_reinforce_learns_nothing_when_no_sample_sees_the_true_token(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}policy-gradient?x=the&n=4")
    expect(page.locator(".takeaway")).to_contain_text("0 of 4 samples drew the true token")
    assert {trace["name"]: trace["x"] for trace in drawn(page)}["REINFORCE"] == [0] * 6


def test_number_of_samples_stands_in_the_address_without_a_comma(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}policy-gradient?n=4096")
    expect(page.locator(".takeaway")).to_contain_text("of 4,096 samples drew")
    expect(page).to_have_url(f"{explorer}policy-gradient?n=4096")
    with_comma = open_page(visit, f"{explorer}policy-gradient?n=4,096")  # as it once was
    expect(with_comma.locator(".takeaway")).to_contain_text("of 4,096 samples drew")


def test_reward_that_follows_the_policy_has_no_gradient(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}policy-gradient?x=22")
    page.get_by_text("Why the reward is held constant").click()
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length === 2")
    held, follows, log_prob = page.evaluate(
        "() => document.querySelector('.st-key-chart_held .js-plotly-plot').data.slice(0, 3).map(({ y }) => y)"
    )
    assert set(follows) == {1}
    at, step = 9, 0.01  # π(x) = 0.1
    for curve in (held, log_prob):
        assert curve[at] == pytest.approx(1)
        assert (curve[at + 1] - curve[at - 1]) / (2 * step) == pytest.approx(1 / 0.1, rel=0.01)


def test_baseline_is_said_to_help_or_to_hurt(explorer: str, visit: Visit) -> None:
    policy = [0.6, 0.2, 0.1, 0.06, 0.03, 0.01]
    rewards = cross_entropy_rewards(policy, 0)
    plain, mean, best = (reinforce_variance(policy, rewards, b) for b in (0, 1, optimal_baseline(policy, rewards)))
    page = open_page(visit, explorer + "policy-gradient?baseline=mean+reward")
    expect(page.get_by_text(f"adds {mean / plain - 1:.1%} of the variance")).to_be_visible()
    page.get_by_text("least variance", exact=True).click()
    expect(page.get_by_text(f"takes away {1 - best / plain:.1%} of the variance")).to_be_visible()


def test_no_loss_picked_is_said_and_mended(explorer: str, visit: Visit) -> None:
    page = open_page(visit, explorer + "hidden-rewards?losses=focal")
    focal = page.get_by_test_id("stButtonGroup").get_by_role("button", name="focal")
    focal.click()
    expect(page.get_by_text("Pick a loss to see what it pays.")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    focal.click()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)


def test_click_on_the_triangle_moves_the_start(explorer: str, visit: Visit) -> None:
    page = open_page(visit, explorer + "simplex")
    page.locator(".scatterlayer .trace:nth-child(2) .point").nth(30).click(force=True)
    expect(control(page, "Start: tea")).to_have_value("0.33")
    expect(page).to_have_url(f"{explorer}simplex?start=0.33&start_rest=0.5")
    at = simplex_xy([0.33, 0.335, 0.335])
    shown = [{"name": "start", "x": at[:1], "y": at[1:]}]
    eventually(lambda: same_numbers([t for t in drawn(page) if t["name"] == "start"], shown), page)


@pytest.mark.parametrize("outside", [False, True], ids=["over-it", "outside"])
def test_slider_in_the_picture_draws_while_dragged_and_tells_when_let_go(
    explorer: str, visit: Visit, outside: bool
) -> None:
    page = open_page(visit, explorer + "simplex")
    line = page.locator(".scatterlayer .trace:nth-child(4) .js-line")
    before = line.get_attribute("d")
    box = page.locator(".slider-grip-rect").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 8, steps=4)
    expect(line).not_to_have_attribute("d", before or "")
    expect(page).to_have_url(explorer + "simplex")  # the server knows nothing yet
    if outside:
        page.mouse.move(box["x"] + 90, 5)
    page.mouse.up()
    expect(page).not_to_have_url(explorer + "simplex")
    beta = parse_qs(urlsplit(page.url).query)["beta"][0]
    expect(page.locator(".takeaway")).to_contain_text(f"At β = {float(beta):.2f}")
    expect(control(page, "β")).to_have_value(beta)
    box = page.locator(".slider-grip-rect").bounding_box()
    assert box is not None
    before = line.get_attribute("d")
    page.mouse.move(box["x"] - 150, box["y"] + 8)  # over the slider: it was let go and does not follow
    settled(page)
    assert line.get_attribute("d") == before


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("beta=-1.25&labels=0.45&labels_rest=0.8&start=0.3&start_rest=0.8", "After 60 steps coffee has 100.0%."),
        ("beta=-1.25&labels=0.45&labels_rest=0.8&start=0.5&start_rest=0.8", "The leader, tea with 50.0%, earns"),
        ("labels=0.45&labels_rest=0.8&lambda_head=-0.5", "nothing is at rest"),
        (
            "beta=-1&labels=0.4&labels_rest=0.6&start=0.33&start_rest=0.5",
            "coffee with 33.5%, earns 1.62; tea earns 1.81. After 60 steps tea has 47.6%.",
        ),
    ],
)
def test_triangle_without_an_end_says_so(explorer: str, visit: Visit, query: str, sentence: str) -> None:
    page = open_page(visit, f"{explorer}simplex?{query}")
    expect(page.locator(".takeaway")).to_contain_text(sentence)
    assert next(trace for trace in drawn(page) if trace["name"] == "end")["x"] in ([None], [])


def test_triangle_says_when_the_start_leads_to_another_end(explorer: str, visit: Visit) -> None:
    query = "beta=0&labels=0.45&labels_rest=0.8&start=0.1&start_rest=0.9&lambda_head=0.5"
    page = open_page(visit, f"{explorer}simplex?{query}")
    expect(page.locator(".takeaway")).to_contain_text(
        "training from q ends at tea 51.9%, coffee 38.5%, water 9.6%; from this start other tokens hold "
        "the head, with tea 39.4%, coffee 51.0%"
    )


def test_address_between_the_steps_of_a_slider_means_the_next_step(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}simplex?beta=-0.33")
    expect(page.locator(".takeaway")).to_contain_text("At β = -0.35 training ends")


def test_two_tokens_end_at_a_temperature_and_six_do_not(explorer: str, visit: Visit) -> None:
    page = open_page(visit, explorer + "where-training-ends?labels=two+tokens")
    expect(page.locator(".takeaway")).to_contain_text("temperature 0.75 gives the same policy")
    page.get_by_text("six tokens", exact=True).click()
    expect(page.locator(".takeaway")).to_contain_text("gives the same entropy, but another policy")


def test_settings_of_one_page_do_not_leak_into_another(explorer: str, visit: Visit) -> None:
    page = open_page(visit, explorer + "simplex?beta=-1.25&k=3")
    expect(page.locator(".takeaway")).to_contain_text("At β = -1.25")
    page.get_by_role("link", name="Hidden rewards").click()
    expect(page.get_by_role("heading", name="Which reward")).to_be_visible()
    expect(page.locator(".takeaway")).to_contain_text("focal gives the true token 1.22 times the weight")
    expect(page.get_by_role("slider", name="β")).to_have_value("-0.25")  # there -1.25 is out of range
    page.get_by_role("link", name="Three tokens").click()
    expect(page.locator(".takeaway")).to_contain_text("At β = -0.25")
    expect(page).to_have_url(explorer + "simplex")
    expect(page.get_by_role("alert")).to_have_count(0)
