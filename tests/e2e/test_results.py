"""Page 9: a study of ours beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from pages import TITLED, Visit, assert_pictures_arrive, download, python_of, rows_of
from playwright.sync_api import Page, expect
from tiny_study import STEPS, write_tables

from pgce_mini.shipped.paper import paper_differences
from pgce_mini.study.analysis import Evidence, precision_answer

SPECS = sorted((Path(__file__).resolve().parents[2] / "studies").glob("*.toml"))

TITLES = "() => [...document.querySelectorAll('.js-plotly-plot')].map(chart => chart.layout?.title?.text)"
PAPER = """() => Object.fromEntries([...document.querySelectorAll('.js-plotly-plot')].at(-1).data
    .map(line => [line.name, line.x]))"""


def open_page(explorer: str, visit: Visit, query: str = "study=demo", **options: object) -> Page:
    page = visit(f"{explorer}results?{query}", **options)
    page.wait_for_function(f"() => ({TITLES})().length === 2")
    return page


def test_demo_stands_beside_the_paper_and_says_so(explorer: str, visit: Visit, tmp_path: Path) -> None:
    page = open_page(explorer, visit)
    expect(page.get_by_text("This is what pgce demo left, a first look")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text(
        "RL took Avg@4 of ce from 0.12 to 0.38, of precision from 0.25 to 0.50, of diversity from 0.12 to 0.38, "
        "of tail-penalty from 0.12 to 0.38."
    )
    expect(page.get_by_role("alert")).to_contain_text("head-reward-seed0: loss is nan <b>at step 3</b>")
    found = paper_differences("Avg@128")
    assert page.evaluate(PAPER)["diversity"] == [row["diversity"] for row in found.values()]
    rows = rows_of(download(page, "csv", tmp_path))
    assert [(row["arm"], row["when"], row["Avg@4"]) for row in rows][:2] == [
        ("ce", "before RL", "0.125"),
        ("ce", "after RL", "0.375"),
    ]
    assert_pictures_arrive(page, "study", tmp_path)


PICTURES = {
    "minus the baseline": ("Avg@4 after RL, by arm", "precision +0.125 [+0.031, +0.219]"),
    "Pass@k": ("Pass@k before and after RL", "At k 4"),
    "reward through RL": ("Reward through RL", f"At RL step {STEPS}, mean reward (share right): ce 0.95"),
    "entropy through RL": ("Entropy through RL", f"At RL step {STEPS}, entropy (nats/token): ce 0.01"),
    "length through RL": ("Response length through RL", f"At RL step {STEPS}, length (tokens): ce 8.00"),
    "entropy of the priors": ("Pre-training: held-out entropy", f"At pre-training step {STEPS}, entropy"),
}


def test_each_picture_has_its_sentence_and_table_and_address(explorer: str, visit: Visit, tmp_path: Path) -> None:
    page = open_page(explorer, visit)
    for picture, (title, sentence) in PICTURES.items():
        page.get_by_text(picture, exact=True).click()
        page.wait_for_function(TITLED, arg=title)
        expect(page.get_by_role("status").first).to_contain_text(sentence)
        assert len(rows_of(download(page, "csv", tmp_path))) >= 9
    page.wait_for_function("() => location.search.includes('picture=')")
    other = open_page(explorer, visit, page.url.partition("?")[2])
    other.wait_for_function(TITLED, arg=title)


def test_numbers_of_the_paper_can_be_chosen(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, f"study=demo&paper={quote('Pass@64')}")
    expect(page.get_by_text("The paper's best arm, Pass@64: tail-penalty +0.19 at 4B")).to_be_visible()
    page.get_by_text("The paper's numbers").last.click()
    expect(page.get_by_role("cell", name="68.03")).to_be_visible()


TABLE_PICTURES = {
    "before and after RL": ("Accuracy before and after RL", "RL took Avg@64 of ce from 0.33 to 0.63"),
    "minus the baseline": (
        "Each arm minus ce",
        "precision +0.130 [+0.100, +0.160] (not finished",
    ),
    "Pass@k": ("Pass@k before and after RL", "RL took Pass@64 of ce from 0.53 to 0.83"),
    "reward through RL": ("Reward through RL", "mean reward (share right): ce 0.63, precision 0.76"),
    "entropy through RL": ("Entropy through RL", "entropy (nats/token): ce 0.63"),
    "length through RL": ("Response length through RL", "length (tokens): ce 0.63"),
    "entropy of the priors": ("Pre-training: held-out entropy", "At the last pre-training step"),
}
DRAWN = "() => [...document.querySelectorAll('.js-plotly-plot')][0].data.map(trace => [trace.name, trace.x])"


@pytest.mark.parametrize("picture", TABLE_PICTURES)
def test_table_of_a_study_is_shown_as_its_copied_python_shows_it(
    explorer: str, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: str
) -> None:
    title, sentence = TABLE_PICTURES[picture]
    page = open_page(explorer, visit, f"study={quote('studies/chain', safe='')}&picture={quote(picture)}")
    page.wait_for_function(TITLED, arg=title)
    expect(page.get_by_role("status").first).to_contain_text(sentence)
    expect(page.get_by_role("alert")).to_contain_text("tail-penalty, seed 0: loss is nan <b>at step 3</b>")
    rows = rows_of(download(page, "csv", tmp_path))
    assert {row["arm"] for row in rows} >= {"precision", "diversity"}

    write_tables(tmp_path / "runs" / "studies")
    monkeypatch.chdir(tmp_path)
    made = [trace.name for trace in python_of(page)["figure"].data if trace.name]
    assert made
    assert [name for name, _ in page.evaluate(DRAWN) if name] == made


def test_page_answers_its_question_and_calls_nothing_higher_without_the_plan(
    explorer: str, visit: Visit, assert_accessible: Callable[..., None]
) -> None:
    page = open_page(explorer, visit, "study=trap&picture=minus+the+baseline", width=360)
    expect(page.get_by_text("Does a precision prior help RL?")).to_have_text(precision_answer(Evidence()))
    headline = page.get_by_role("status").first
    expect(headline).to_contain_text("precision +0.180 [+0.029, +0.313] (undecided: 562 seeds would find ±0.03)")
    expect(headline).to_contain_text("furthest from 0 of 5 not planned and not a verdict: temperature-0.75 +0.311")
    assert_accessible(page)
    for expander, inside in (
        ("More questions, and what the tables answer", "Is it more than a lower temperature?"),
        ("In your own run", "Five seeds are too few"),
    ):
        expect(page.get_by_text(inside)).not_to_be_visible()
        page.get_by_text(expander).click()
        expect(page.get_by_text(inside)).to_be_visible()
    assert_accessible(page)


def test_held_out_rewards_are_offered_where_a_part_has_them(explorer: str, visit: Visit) -> None:
    picture = "held-out reward through RL"
    trap = "reasoned_share=0.1,slip_rate=0.2"
    page = open_page(explorer, visit, f"study=long&variant={quote(trap)}&picture={quote(picture)}")
    page.wait_for_function(TITLED, arg="Held-out reward through RL, the rates of<br>trap")
    expect(page.get_by_role("status").first).to_contain_text(
        "At the last RL step, mean held-out reward (share right): ce 0.92, precision 0.98; means over 10 seeds."
    )
    page = open_page(explorer, visit, "study=chain")
    expect(page.get_by_text("reward through RL", exact=True)).to_be_visible()
    expect(page.get_by_text(picture, exact=True)).to_have_count(0)


PLACES = "() => [...document.querySelectorAll('.js-plotly-plot')].map(e => e.getBoundingClientRect().toJSON())"


def test_two_parts_stand_beside_each_other_and_back_finds_them_again(
    explorer: str, visit: Visit, assert_accessible: Callable[..., None]
) -> None:
    page = open_page(explorer, visit, "study=chain&beside=trap&picture=minus+the+baseline")
    assert page.evaluate(TITLES) == ["Each arm minus ce"] * 2
    lines = page.locator(".part")
    expect(lines.first).to_contain_text("Study I, chain. Precision and tail-penalty")
    expect(lines.last).to_contain_text("Study I, trap. Precision and tail-penalty")
    left, right = page.evaluate(PLACES)
    assert left["right"] < right["left"]
    page.get_by_text("Its planned comparisons").last.click()
    expect(page.get_by_role("region", name="Its planned comparisons").get_by_role("row")).to_have_count(11)
    assert_accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(f"() => (([a, b]) => a.bottom < b.top)(({PLACES})())")
    page.set_viewport_size({"width": 1280, "height": 900})

    page.get_by_role("link", name="The trap").first.click()
    expect(page.get_by_role("heading", name="The trap")).to_be_visible()
    page.go_back()
    expect(lines).to_have_count(2)
    expect(lines.last).to_contain_text("Study I, trap")


def test_damaged_table_is_named_in_one_sentence(explorer: str, visit: Visit) -> None:
    page = visit(f"{explorer}results?study={quote('studies/damaged', safe='')}")
    expect(page.get_by_role("alert")).to_contain_text("Nothing to show: damaged.parquet")


def test_phase_diagram_leaves_out_what_has_not_been_run(
    explorer: str, visit: Visit, assert_accessible: Callable[..., None]
) -> None:
    query = f"study={quote('studies/phase', safe='')}&picture=phase+diagram"
    page = open_page(explorer, visit, query, width=360, color_scheme="dark")
    page.wait_for_function(TITLED, arg="precision minus ce")
    cells = page.evaluate("() => document.querySelector('.js-plotly-plot').data[0].z")
    assert cells == [pytest.approx([0.11, 0.22]), [pytest.approx(0.11), None]]
    expect(page.get_by_role("status").first).to_contain_text("from +0.11 to +0.22")
    ink = page.evaluate("() => getComputedStyle(document.querySelector('.heatmap-label text')).fill")
    assert ink == "rgb(26, 26, 26)"  # the cells are light in the dark, too
    assert_accessible(page)


def test_claims_and_inventory_say_what_is_missing(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, f"study={quote('studies/chain', safe='')}")
    claims = page.get_by_role("table").first
    expect(claims).to_contain_text("4. A higher Pass@k before RL does not need higher entropy")
    expect(claims).to_contain_text("not run yet in countdown, text")
    expect(claims).to_contain_text("cannot be tested at this scale")
    page.get_by_text("Every planned comparison").click()
    seen = page.get_by_role("row").filter(has_text="Avg@64 after RL: precision - ce").first
    expect(seen).to_contain_text("0.13")
    expect(page.get_by_role("row").filter(has_text="not run yet")).not_to_have_count(0)
    said = page.get_by_text(f"{len(SPECS)} studies are planned.")
    for path in SPECS:
        expect(said).to_contain_text(path.stem)


def test_no_arm_picked_is_said(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, f"study={quote('studies/chain', safe='')}")
    for arm in ("ce", "precision", "diversity"):
        page.get_by_role("checkbox", name=arm).or_(page.get_by_role("button", name=arm, exact=True)).first.click()
    expect(page.get_by_text("Nothing to show: no arm is picked.")).to_be_visible()
