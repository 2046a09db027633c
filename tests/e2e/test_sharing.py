"""What is shared is what is seen: the address, its QR code, a frame, a card, a picture kept beside another."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import segno
from conftest import SCROLLS
from pages import Visit, open_page
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pgce_mini.playground import javascript, to_html

SQUARE = re.compile(r"M(\d+) (\d+)h")
CODES = (
    "async ([code, texts]) => {{ const {{ qrCode }} = await import({url}); return texts.map(qrCode); }}".format(
        url="URL.createObjectURL(new Blob([code], { type: 'text/javascript' }))"
    )
)


def same_code(text: str, dark: set[tuple[int, int]]) -> bool:
    """Whether these squares, (x, y), are the text's code by another library, under one of its eight masks."""

    def drawn(mask: int) -> set[tuple[int, int]]:
        code = segno.make(text.encode(), error="l", boost_error=False, micro=False, mode="byte", mask=mask)
        return {(x, y) for y, row in enumerate(code.matrix) for x, is_dark in enumerate(row) if is_dark}

    return any(drawn(mask) == dark for mask in range(8))


def test_codes_are_those_of_another_library(browser: Browser) -> None:
    # Texts that fill their code: segno 1.6 pads others with one zero byte too many, which readers ignore.
    texts = ["http://a.b/?c=-1d", "x" * 53, "β=½ " * 21 + "abcdefgh", "y" * 154, "z" * 271, "w" * 929]
    page = browser.new_page()
    codes = page.evaluate(CODES, [javascript("qr"), [*texts, "x" * 3000]])
    page.close()
    assert codes.pop() is None  # longer than any code
    assert [(len(rows) - 17) // 4 for rows in codes] == [1, 3, 6, 7, 10, 21]
    for text, rows in zip(texts, codes, strict=True):
        dark = {(x, y) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark}
        assert same_code(text, dark), text


CARD = (
    "async ([code, takeaway]) => { const { card } = await import(URL.createObjectURL("
    "new Blob([code], { type: 'text/javascript' })));"
    """
    const [settings, href] = ["beta -0.25, ".repeat(30), "http://a.b/" + "c".repeat(200)];
    const words = { title: "T", takeaway, settings, href };
    const picture = { source: "", width: 100, height: 100 };
    const { source } = card(words, picture, { ink: "black", soft: "gray", paper: "white" });
    const svg = new DOMParser().parseFromString(source, "image/svg+xml");
    return [...svg.querySelectorAll("text")].map((text) => [text.textContent, Number(text.getAttribute("y"))]);
}"""
)


def test_a_card_has_the_whole_sentence_or_says_that_it_is_cut(browser: Browser) -> None:
    page = browser.new_page()
    for length, is_whole in ((20, True), (60, True), (75, True), (200, False)):
        takeaway = " ".join(f"w{i:03}" for i in range(length))
        lines = page.evaluate(CARD, [javascript("card"), takeaway])[1:-1]
        foot = next(i for i, (text, _) in enumerate(lines) if text.startswith("beta"))
        said = " ".join(text for text, _ in lines[:foot])
        assert said == takeaway if is_whole else takeaway.startswith(said.removesuffix(" …")) and "…" in said
        assert all(low - high > 16 for (_, high), (_, low) in pairwise(lines))  # apart
    page.close()


def shown_address(page: Page) -> str:
    page.get_by_role("button", name="QR code").click()
    address = page.get_by_role("dialog").locator(".address").inner_text()
    squares = SQUARE.findall(page.locator("dialog .qr path").get_attribute("d") or "")
    assert len(squares) > 200
    page.get_by_role("button", name="Close").click()
    return address


def pasted(page: Page) -> str:
    page.evaluate(
        "() => { const f = document.createElement('textarea'); f.id = 'paste'; document.body.append(f) }"
    )
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    text = page.locator("#paste").input_value()
    page.evaluate("() => document.querySelector('#paste').remove()")
    return text


# A chart's place that comes later than what is under it.
LATE = """() => {
    const find = Document.prototype.querySelector;
    let asked = 0;
    Document.prototype.querySelector = function (selector) {
        return selector.endsWith(".pgce-chart") && asked++ < 3 ? null : find.call(this, selector);
    };
}"""


# How many timers are begun within a second, once the page is at rest.
TIMERS = """async () => {
    const rest = (ms) => new Promise((done) => setTimeout(done, ms));
    await rest(1000);
    const begin = setTimeout;
    let asked = 0;
    window.setTimeout = (...all) => (asked++, begin(...all));
    await new Promise((done) => begin(done, 1000));
    window.setTimeout = begin;
    return asked;
}"""


def test_a_chart_is_shared_as_it_is_and_kept_beside_the_next(
    visit: Visit, explorer: str, assert_accessible: Callable[..., None], tmp_path: Path
) -> None:
    page = open_page(visit, f"{explorer}where-training-ends?beta=-0.5")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    # Without https there is no clipboard to ask: the old way must do.
    page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("It opens on this computer alone.")).to_be_visible()
    assert pasted(page) == f"{explorer}where-training-ends?beta=-0.5"

    page.get_by_role("button", name="Pin").click()
    kept = page.get_by_role("figure", name="A, a kept picture")
    expect(kept.get_by_role("img")).to_be_visible()
    expect(kept).to_contain_text("A: β −0.5")
    a, b = kept.get_by_role("img").bounding_box(), page.locator(".js-plotly-plot").bounding_box()
    assert a is not None
    assert b is not None
    assert a["x"] + a["width"] <= b["x"]  # side by side
    assert abs(a["width"] - b["width"]) < 2
    page.get_by_role("slider", name="β:").first.press("ArrowRight")
    expect(page.locator(".pgce-live")).to_contain_text("B: β −0.45")
    expect(kept).to_contain_text("A: β −0.5")
    assert shown_address(page) == f"{explorer}where-training-ends?beta=-0.45"
    page.add_init_script(f"({LATE})()")
    page.reload()
    expect(kept).to_contain_text("A: β −0.5")

    page.get_by_role("button", name="Embed").click()
    frame = f'<iframe src="{explorer}where-training-ends?beta=-0.45&amp;embed=true" title="Where training ends"'
    expect(page.get_by_role("dialog")).to_contain_text(frame)
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()  # a card is of a picture that is there
    page.get_by_role("button", name="Card").click()
    expect(page.get_by_role("dialog")).to_contain_text("β −0.45")
    assert_accessible(page)
    with page.expect_download() as arriving:
        page.get_by_role("button", name="Download PNG").click()
    arriving.value.save_as(tmp_path / "card.png")
    with Image.open(tmp_path / "card.png") as card:
        assert card.size == (1200, 630)
    page.get_by_role("button", name="Close").click()

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="Hidden rewards").first.evaluate("link => link.click()")
    expect(page.get_by_role("heading", name="Which reward does your loss hide?")).to_be_visible()
    expect(kept).to_contain_text("Where training ends: ")  # on another page, too
    assert not page.evaluate(SCROLLS)
    page.get_by_role("button", name="Remove A").click()
    expect(kept).to_have_count(0)
    expect(page.locator(".pgce-live")).to_have_count(0)


def test_the_playground_shares_the_state_of_this_moment_and_a_file_says_that_it_is_one(
    visit: Visit, assert_accessible: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "lesson.html"
    path.write_text(to_html(), encoding="utf-8")
    page = visit(path.as_uri(), color_scheme="dark")
    page.get_by_role("button", name="Pin").click()
    kept = page.get_by_role("figure", name="A, a kept picture")
    expect(kept).to_contain_text("A: β 0.00")
    expect(kept.get_by_role("img")).to_be_visible()
    page.get_by_role("slider", name="β", exact=True).fill("-0.5")
    assert shown_address(page) == f"{path.as_uri()}#beta=-0.5"  # at once, before the address has it
    expect(page.locator(".pgce-live")).to_contain_text("B: β −0.50")
    page.get_by_role("button", name="Embed").click()
    expect(page.get_by_role("dialog")).to_contain_text('src="lesson.html#beta=-0.5"')
    expect(page.get_by_role("dialog")).to_contain_text("send the file")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    expect(kept).to_contain_text("A: β 0.00")
    page.get_by_role("radio", name="Then RL").check()
    expect(page.get_by_role("button", name="To the end")).to_be_visible()
    page.get_by_role("button", name="Remove A").click()
    page.get_by_role("radio", name="Pre-train").check()
    expect(page.get_by_role("button", name="Predict first")).to_be_visible()
    expect(kept).to_have_count(0)  # what was removed in one mode is removed in the other
    page.get_by_role("button", name="Pin").click()
    page.get_by_role("radio", name="Then RL").check()  # before the picture is kept
    assert page.evaluate(TIMERS) == 0


def test_a_class_predicts_without_seeing_and_then_sees_all(
    visit: Visit, explorer: str, assert_accessible: Callable[..., None]
) -> None:
    teacher = visit(f"{explorer}class")
    teacher.get_by_role("button", name="Start a class").click()
    code = teacher.locator(".code").inner_text()
    expect(teacher.locator(".address")).to_have_text(f"{explorer}class")
    teacher.get_by_text("A question of your own").click()
    teacher.get_by_label("Question", exact=True).last.fill("Which <b>token</b>?")
    teacher.get_by_label("Choices").fill("tea\ncoffee <i> $5 or $6 _x_")
    teacher.get_by_role("button", name="Ask it").click()
    expect(teacher.get_by_text("0 of 0 people answered.")).to_be_visible()

    student = visit(f"{explorer}class?code=nope", width=390, has_touch=True)
    expect(student.get_by_role("alert")).to_contain_text("There is no class nope here")
    student.get_by_label("Code").fill(f" {code.lower()}")
    student.get_by_role("button", name="Join", exact=True).click()
    expect(student.get_by_text("Which <b>token</b>?")).to_be_visible()
    student.get_by_text("coffee <i> $5 or $6 _x_").click()
    student.get_by_role("button", name="Send").click()
    expect(student.get_by_text("Sent: coffee <i> $5 or $6 _x_.")).to_be_visible()
    expect(teacher.get_by_text("1 of 1 person answered.")).to_be_visible()  # by itself
    late = visit(f"{explorer}class?code={code}")
    late.get_by_text("tea", exact=True).click()
    late.get_by_role("button", name="Send").click()
    expect(late.get_by_text("Sent: tea.")).to_be_visible()
    late.reload()  # the same person
    late.get_by_text("coffee <i> $5 or $6 _x_").click()
    late.get_by_role("button", name="Change").click()
    expect(late.get_by_text("Sent: coffee <i> $5 or $6 _x_.")).to_be_visible()
    expect(teacher.get_by_text("2 of 2 people answered.")).to_be_visible()
    assert_accessible(student)
    assert student.get_by_text("2 (100%)").count() == 0
    teacher.get_by_role("button", name="Reveal").click()
    for page in (teacher, student, late):
        expect(page.get_by_text("2 (100%)")).to_be_visible()
    assert_accessible(teacher)
    assert not student.evaluate(SCROLLS)

    teacher.get_by_role("link", name="One token").click()
    teacher.get_by_role("slider", name="β", exact=True).fill("-0.25")
    teacher.get_by_role("button", name="Ask the class").click()
    expect(teacher.get_by_text("Asked: all phones show it now.")).to_be_visible()
    expect(student.get_by_text("Where does its probability end at β = −0.25?")).to_be_visible()
    student.get_by_role("slider").press("ArrowRight")
    student.get_by_role("button", name="Send").click()
    expect(student.get_by_text("Sent: 0.51.")).to_be_visible()
    teacher.get_by_role("link", name="Class", exact=True).click()  # the class is still there
    teacher.get_by_role("button", name="Reveal").click()
    expect(student.get_by_text("Right: 0.805. You said 0.51.")).to_be_visible()
    expect(student.locator(".js-plotly-plot .gtitle")).to_be_visible()
    teacher.keyboard.press("p")
    expect(teacher.locator(".js-plotly-plot")).to_be_visible()  # on a projector, too
    teacher.keyboard.press("Escape")
    teacher.get_by_role("button", name="End the class").click()
    expect(student.get_by_role("alert")).to_contain_text(f"There is no class {code} here")
