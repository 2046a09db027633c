"""The picture of the playground: on any screen, to a screen reader, and in a file."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from conftest import SCROLLS
from playground_pages import SERVED, Visit, downloaded, handle, middle, readout, takeaway
from playwright.sync_api import expect

from pgce_mini.playground import preset


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
    page.wait_for_function(f"() => !({SCROLLS})()")
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
