"""Presenter mode, Reset, what stays in view on a phone, and paper: as a teacher or a student meets them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from conftest import SCROLLS
from pages import PLOT, Visit, open_page, settled
from playwright.sync_api import Locator, Page, TimeoutError, expect

PAGES = [  # with a picture: path, panels, the text of the control in play
    ("policy-gradient", 2, "N: samples"),
    ("hidden-rewards", 3, "β of shaped"),
    ("simplex", 1, "β: below 0"),
    ("where-training-ends", 3, "β: below 0"),
    ("trained-beta", 4, "β"),
    ("trap-game", 1, "β of the prior"),
    ("grpo-step", 2, "Which update"),
    ("tiny-gpts", 1, "Or one of these"),
    ("train-live", 2, "Start training"),
    ("results", 1, "Picture"),
]

# Every visible text: its size on the screen in px, its words, and whether it is cut off by the window.
TEXTS = """() => {
    const found = [];
    const look = root => {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode, parent = node.parentElement;
            if (!node.textContent.trim() || !parent || parent.closest("style, script, .unseen")) continue;
            if (!parent.checkVisibility({ visibilityProperty: true })) continue;
            const range = document.createRange();
            range.selectNodeContents(node);
            const box = range.getBoundingClientRect();
            if (!box.width) continue;
            const matrix = parent.getScreenCTM?.();
            const scale = matrix ? Math.hypot(matrix.a, matrix.b) : 1;
            const out = Math.min(box.top, box.left, innerHeight - box.bottom, innerWidth - box.right) < -1;
            found.push([parseFloat(getComputedStyle(parent).fontSize) * scale, node.textContent.trim(), out]);
        }
        for (const host of root.querySelectorAll("*")) if (host.shadowRoot) look(host.shadowRoot);
    };
    look(document.body);
    return found;
}"""

# Width and height in px of each panel of the chart.
PANELS = f"""() => Object.values({PLOT}._fullLayout._plots)
    .map(({{ xaxis, yaxis }}) => [xaxis._length, yaxis._length])"""
SHOWN = f"() => {PLOT}._fullLayout.width"


def assert_fits_a_wall(page: Page) -> None:
    """Nothing is below the fold, and the last row can read every word."""
    page.wait_for_function("() => document.documentElement.classList.contains('pgce-presenting')")
    with suppress(TimeoutError):
        page.wait_for_function(
            f"() => ({TEXTS})().every(([size, , outside]) => size > 19.9 && !outside)", timeout=20_000
        )
    assert [text for text in page.evaluate(TEXTS) if text[0] < 19.9 or text[2]] == []
    assert page.evaluate("() => document.querySelector('.stMain').scrollHeight <= innerHeight")


def in_view(control: Locator) -> bool:
    """Whether it is seen and nothing lies on it."""
    look = """node => {
        const { x, y, width, height } = node.getBoundingClientRect();
        if (y < 0 || y + height > innerHeight) return false;
        let top = document.elementFromPoint(x + width / 2, y + height / 2);
        while (top?.shadowRoot) top = top.shadowRoot.elementFromPoint(x + width / 2, y + height / 2);
        return (node.closest(".stElementContainer, .control") ?? node).contains(top);
    }"""
    return bool(control.evaluate(look))


@pytest.mark.parametrize(("path", "panels", "control"), PAGES, ids=[path for path, _, _ in PAGES])
def test_presented_page_fills_a_small_projector_with_its_picture_and_one_control(
    explorer: str,
    visit: Visit,
    assert_readable: Callable[[Page], None],
    assert_accessible: Callable[..., None],
    path: str,
    panels: int,
    control: str,
) -> None:
    scheme = "dark" if panels == 1 else "light"
    page = open_page(visit, f"{explorer}{path}?present=1", color_scheme=scheme)
    page.set_viewport_size({"width": 1280, "height": 720})
    assert_fits_a_wall(page)
    assert_readable(page)
    assert_accessible(page)
    boxes = page.evaluate(PANELS)
    assert len(boxes) == panels
    assert min(min(box) for box in boxes) > 60
    expect(page.locator(".st-key-place_controls").get_by_text(control).first).to_be_visible()
    for hidden in (page.get_by_role("heading", level=1), page.get_by_text("Copy as Python")):
        expect(hidden).to_be_hidden()
    assert (
        path in ("train-live", "trap-game")
        or page.locator(".st-key-place_controls [class*=st-key-]:visible").count() == 1
    )


def test_presented_names_of_arms_are_whole(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}results?present=1&study=trap&picture=minus+the+baseline")
    page.set_viewport_size({"width": 1280, "height": 720})
    assert_fits_a_wall(page)


def test_two_parts_are_presented_beside_each_other(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}results?present=1&study=chain&beside=confirm&picture=minus+the+baseline")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .gtitle').length === 2")
    page.keyboard.press("r")
    boxes = [page.locator(f".st-key-place_{side} .js-plotly-plot").bounding_box() for side in ("left", "right")]
    left, right = (box for box in boxes if box)
    assert left["x"] + left["width"] < right["x"]
    for box in (left, right):
        assert box["height"] > 100
    for side, name in (("left", "chain"), ("right", "confirm")):
        place = page.locator(f".st-key-place_{side}")
        expect(place.get_by_role("heading", name=name, exact=True)).to_be_visible()
        expect(place.locator(".takeaway")).to_be_in_viewport(ratio=1)
    expect(page.get_by_text("minus the baseline", exact=True)).to_be_in_viewport(ratio=1)
    expect(page.get_by_text("Copy as Python").first).to_be_hidden()


def test_keys_present_reveal_and_leave_but_not_while_somebody_types(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}where-training-ends?beta=0.5")
    said = page.locator(".takeaway")
    page.keyboard.press("p")
    expect(page).to_have_url(f"{explorer}where-training-ends?beta=0.5&present=1")
    expect(said).to_be_hidden()
    expect(page.get_by_text("Picture over")).to_be_hidden()
    page.keyboard.press("r")
    expect(said).to_be_visible()
    small = page.evaluate(SHOWN)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.wait_for_function(f"small => ({SHOWN})() > small", arg=small)
    assert_fits_a_wall(page)
    page.get_by_role("slider", name="β").press("ArrowRight")
    expect(said).to_contain_text("Entropy rises")
    expect(page).to_have_url(f"{explorer}where-training-ends?beta=0.55&present=1")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{explorer}where-training-ends?beta=0.55")
    expect(page.get_by_text("Picture over")).to_be_visible()
    expect(said).to_be_visible()

    page.get_by_role("button", name="Reset").click()
    expect(page).to_have_url(f"{explorer}where-training-ends")
    expect(page.get_by_role("slider", name="β")).to_have_value("-0.25")

    page.get_by_role("link", name="Tiny GPTs").click()
    page.get_by_role("textbox", name="Prompt").press_sequentially(" pr")
    expect(page).to_have_url(f"{explorer}tiny-gpts")


def test_an_address_names_the_controls_in_play_and_one_that_is_unknown_is_as_if_not_there(
    explorer: str, visit: Visit
) -> None:
    shown = ".st-key-place_controls [class*=st-key-]:visible"
    page = open_page(visit, f"{explorer}where-training-ends?present=1&control=labels,k")
    expect(page.locator(shown)).to_have_count(2)
    assert_fits_a_wall(page)
    page = open_page(visit, f"{explorer}where-training-ends?present=1&control=%3C/style%3E,nothing")
    expect(page.locator(shown)).to_have_count(1)
    expect(page.get_by_role("slider", name="β")).to_be_visible()


def test_presented_playground_is_large_and_its_handles_follow_the_pointer(
    explorer: str, visit: Visit, assert_accessible: Callable[..., None]
) -> None:
    page = visit(f"{explorer}?present=1", color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 720})
    handle = page.get_by_role("slider", name="“4”")
    expect(handle).to_be_visible()
    assert_fits_a_wall(page)
    assert_accessible(page)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.get_by_role("slider", name="λ head")).to_be_hidden()
    said = page.locator(".pgce-playground .takeaway")
    expect(said).to_be_hidden()
    page.get_by_role("button", name="Reveal").click()
    expect(said).to_be_visible()
    picture = page.locator(".pgce-playground .picture").bounding_box()
    assert picture is not None
    assert picture["width"] > 1200

    settled(page)
    knob = handle.locator("circle").bounding_box()
    assert knob is not None
    x, y = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 200, y, steps=4)
    page.mouse.up()
    settled(page)
    after = handle.locator("circle").bounding_box()
    assert after is not None
    assert after["x"] - knob["x"] == pytest.approx(-200, abs=3)

    page.goto(f"{explorer}?present=1&control=lambda_head")
    expect(page.get_by_role("slider", name="λ head")).to_be_visible()
    expect(page.get_by_role("slider", name="β")).to_be_hidden()


def test_presented_rl_has_room_for_rows_and_curves_under_a_story(explorer: str, visit: Visit) -> None:
    query = "story=lecture&step=11&rl=1&tokens=10&right=9&rl_lr=1.5&control=train&present=1&rl_steps=200"
    page = visit(f"{explorer}?{query}", width=1280)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.get_by_role("navigation", name="Story").get_by_role("button", name="Reveal").click()
    assert_fits_a_wall(page)
    expect(page.get_by_role("radio")).to_have_count(0)  # only buttons: the picture has the height
    expect(page.locator(".panel-title")).to_have_text(["probability of being right", "entropy, nats"])
    boxes = [box.bounding_box() for box in page.locator(".square").all()]
    tops = [box["y"] for box in boxes if box]
    assert all(box["height"] < tops[1] - tops[0] for box in boxes if box)


@pytest.mark.parametrize("width", [390, 640], ids=["phone", "zoom-of-200-percent"])
def test_picture_and_control_are_seen_together_on_a_narrow_screen(explorer: str, visit: Visit, width: int) -> None:
    """The control in play, then the one last used."""
    size = {"width": width, "height": 844 if width == 390 else 400}
    page = open_page(visit, f"{explorer}where-training-ends", width=width, has_touch=True)
    page.set_viewport_size(size)
    top = "() => document.querySelector('.pgce-chart').scrollIntoView()"
    for name in ("β: below 0", "λ tail"):
        slider = page.get_by_role("slider", name=name)
        page.evaluate(top)
        if name == "λ tail":
            slider.press("ArrowRight")
            page.evaluate(top)
        page.wait_for_function("() => document.querySelector('.pgce-chart').getBoundingClientRect().top < 100")
        assert in_view(slider)
    for _ in range(7):  # what has the focus is not covered by it
        page.keyboard.press("Shift+Tab")
        assert in_view(page.locator(":focus"))
    assert not page.evaluate(SCROLLS)

    page.goto(explorer)
    beta = page.get_by_role("slider", name="β")
    expect(beta).to_be_visible()
    page.evaluate(
        "() => document.querySelector('.pgce-playground').shadowRoot.querySelector('.stage').scrollIntoView()"
    )
    assert in_view(beta)
    assert not page.evaluate(SCROLLS)


def test_tokens_stay_in_their_cells_on_a_phone(explorer: str, visit: Visit) -> None:
    page = open_page(visit, f"{explorer}grpo-step", width=390)
    texts = page.locator(".heatmap-label text")
    column = page.evaluate(f"() => {PLOT}._fullLayout.xaxis2._length") / 16
    widths = texts.evaluate_all("all => all.map(text => text.getBoundingClientRect().width)")
    assert widths
    assert max(widths) < column
    assert min(texts.evaluate_all("all => all.map(text => parseFloat(getComputedStyle(text).fontSize))")) >= 12


@pytest.mark.parametrize("path", ["where-training-ends", ""], ids=["page", "playground"])
def test_paper_has_picture_takeaway_settings_and_table_and_nothing_to_press(
    explorer: str, visit: Visit, path: str
) -> None:
    page = visit(f"{explorer}{path}?beta=0.5", color_scheme="dark")
    root = page.locator(".pgce-playground") if path == "" else page.locator(".stMain")
    expect(root.locator(".takeaway")).to_be_visible()
    page.get_by_text("Data", exact=True).click()
    expect(page.get_by_role("table")).to_be_visible()
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    for hidden in ("button:visible", "input:visible", ".stSidebar:visible", ".stSlider:visible"):
        expect(page.locator(hidden)).to_have_count(0)
    expect(root.locator(".takeaway")).to_be_visible()
    expect(root.get_by_text("β +0.50" if path == "" else "β 0.5, λ head 0")).to_be_visible()
    expect(page.get_by_role("table")).to_be_visible()
    expect(page.locator(".pgce-chart, .picture").first).to_be_visible()
