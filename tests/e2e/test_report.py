"""The report of a study, opened from the disk in a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pages import Visit
from playwright.sync_api import Page, expect
from tiny_study import STEPS, write_study

from pgce_mini.reports.html import Report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of the paper's five arms, the last of which failed."""
    study = tmp_path_factory.mktemp("reports") / "a <tiny> study"
    write_study(study)
    _, page = Report(study).write()
    return page.as_uri()


def test_report_tells_the_result_in_words_and_numbers(report: str, visit: Visit) -> None:
    page = visit(report)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Study a <tiny> study: ce, precision, diversity, tail-penalty"
    )
    expect(page.get_by_text("Avg@4 before -> after RL: ce 0.12 -> 0.38, precision 0.25 -> 0.50")).to_be_visible()
    headers = page.get_by_role("columnheader")
    expect(headers).to_have_text(["arm", "before RL", "after RL"])
    avg = page.locator("tbody").first
    expect(avg.get_by_role("rowheader").or_(avg.locator("[scope=rowgroup]"))).to_have_text(
        ["Avg@4", "ce", "precision", "diversity", "tail-penalty"]
    )
    before, after = avg.locator("tr", has_text="precision").get_by_role("cell").all_inner_texts()
    assert before.startswith("0.250 [")
    assert after.startswith("0.500 [")
    failed = page.get_by_text("head-reward-seed0: loss is nan <b>at step 3</b>")  # as text, not as markup
    expect(failed).to_be_visible()


def test_no_buttons_stay_on_a_title_where_nothing_hovers(report: str, visit: Visit) -> None:
    for options, buttons in (({"has_touch": True, "is_mobile": True}, 0), ({}, 1)):
        page = visit(report, width=360, **options)
        chart = page.locator("figure .js-plotly-plot").first
        expect(chart.locator(".main-svg").first).to_be_visible()
        expect(chart.locator(".modebar-container .modebar")).to_have_count(buttons)


def test_every_picture_is_drawn_with_its_data_and_has_a_name(report: str, visit: Visit) -> None:
    page = visit(report)
    charts = page.locator("figure .js-plotly-plot")
    expect(charts).to_have_count(10)
    for chart in charts.all():
        expect(chart.locator(".main-svg").first).to_be_visible()
        assert chart.locator(".scatterlayer .trace").count() >= 4
        assert chart.get_attribute("aria-label")
        assert chart.get_attribute("role") == "img"
    rewards = page.evaluate(
        "document.getElementById('reward').data.filter(line => line.name).map(line => line.y.at(-1))"
    )
    assert rewards == pytest.approx([1 - 1 / (1 + STEPS)] * 4)


@pytest.mark.parametrize("width", [1280, 360])
def test_report_is_readable_and_follows_a_change_of_theme(
    report: str, visit: Visit, assert_readable: Callable[[Page], None], width: int
) -> None:
    page = visit(report, width=width, color_scheme="light")
    expect(page.locator(".js-plotly-plot .main-svg").last).to_be_attached()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert_readable(page)
    assert page.get_by_role("region", name="Results table").evaluate("e => e.scrollWidth <= e.clientWidth")
    for figure in page.locator("figure").all():
        place, chart = figure.bounding_box(), figure.locator(".main-svg").first.bounding_box()
        assert place is not None
        assert chart is not None
        assert chart["width"] <= place["width"] + 1  # no picture lies over its neighbour
        assert chart["width"] > 0.9 * place["width"]


def test_settings_open_on_demand(report: str, visit: Visit) -> None:
    page = visit(report)
    settings = page.get_by_text('"problems": 8')
    expect(settings).to_be_hidden()
    page.get_by_text("Settings of this study").click()
    expect(settings).to_be_visible()
