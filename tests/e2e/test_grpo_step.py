"""Page 7: one GRPO step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pages import Visit, assert_pictures_arrive, download, rows_of
from playwright.sync_api import Page, expect

from pgce_mini import GRPOConfig
from pgce_mini.shipped import priors
from pgce_mini.tasks import Task
from pgce_mini.teaching.grpo_trace import TracedStep, trace_step

CELLS = "() => document.querySelector('.js-plotly-plot')?.data?.find(trace => trace.type === 'heatmap')?.z"
ARE = f"""expected => {{
    const rows = ({CELLS})() ?? [[]];
    const shown = rows[0].flatMap((_, i) => rows.map(row => row[i])).filter(cell => cell !== null);
    return shown.length === expected.length && shown.every((cell, i) => Math.abs(cell - expected[i]) < 1e-5);
}}"""


def open_page(explorer: str, visit: Visit, query: str = "", **options: object) -> Page:
    page = visit(f"{explorer}grpo-step?{query}", **options)
    page.wait_for_function(f"() => ({CELLS})()?.length")
    return page


def traced(**settings: object) -> TracedStep:
    model, task = priors.load("chain-sum", "ce")
    assert isinstance(task, Task)
    config = GRPOConfig(**{"prompts_per_step": 8, "num_iterations": 4, **settings})  # type: ignore[arg-type]
    return trace_step(model, task, config)


def of_group(step: TracedStep, group: int, values: torch.Tensor) -> list[float]:
    """A number a token, completion after completion."""
    rows = zip(step.completions[group], values[group].tolist(), strict=True)
    return [value for ids, row in rows for value in row[: len(ids)]]


def test_picture_and_csv_show_the_step_of_the_library(explorer: str, visit: Visit, tmp_path: Path) -> None:
    page = open_page(explorer, visit, "problem=4&stage=before+3")
    step = traced()
    update = step.updates[2]
    expected = of_group(step, 3, update.push)
    page.wait_for_function(ARE, arg=expected)
    rows = rows_of(download(page, "csv", tmp_path))
    assert [float(row["weight"]) for row in rows] == pytest.approx(expected, abs=1e-5)
    held = [row["held back"] == "True" for row in rows]
    assert sum(held) == int(update.held_back[3].sum()) > 0
    expect(page.get_by_role("status").first).to_contain_text(
        f"the clip holds back {sum(held)} of {len(rows)} tokens"
    )
    assert_pictures_arrive(page, "grpo_step", tmp_path)


def test_loss_reads_0_while_the_gradient_does_not(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, "loss_type=grpo")
    step = traced(loss_type="grpo")
    norm = f"{step.updates[0].grad_norm:.2f}"
    expect(page.get_by_role("status").first).to_contain_text(
        f"the loss reads 0.0000, but the gradient has norm {norm}"
    )
    page.get_by_text("Why is the loss (close to) 0 while the gradient is not?").click()
    expect(page.get_by_text("Watch the reward, not the loss.")).to_be_visible()


def test_controls_change_the_picture_and_the_address_brings_it_back(explorer: str, visit: Visit) -> None:
    step = traced()
    page = open_page(explorer, visit)
    page.get_by_role("slider", name="Which update").press("End")
    expect(page.get_by_role("status").first).to_contain_text("After 4 updates their tokens are")
    page.get_by_text("ratio π / π old").click()
    page.wait_for_function(ARE, arg=of_group(step, 3, step.ratio_after))
    page.get_by_role("slider", name="Problem").press("ArrowLeft")
    page.wait_for_function(ARE, arg=of_group(step, 2, step.ratio_after))
    sentence = page.get_by_role("status").first.inner_text()
    page.wait_for_function(
        "() => ['problem=3', 'stage=', 'colour='].every(part => location.search.includes(part))"
    )
    other = open_page(explorer, visit, page.url.partition("?")[2])
    other.wait_for_function(ARE, arg=of_group(step, 2, step.ratio_after))
    expect(other.get_by_role("status").first).to_have_text(sentence)


def test_fewer_updates_take_the_shown_one_along(explorer: str, visit: Visit) -> None:
    page = open_page(explorer, visit, "stage=before+4")
    page.get_by_role("slider", name="Updates").press("Home")
    expect(page.get_by_role("row")).to_have_count(2)  # head, and the one update
    expect(page.get_by_role("alert")).to_have_count(0)


def test_group_of_equal_rewards_says_that_it_teaches_nothing(explorer: str, visit: Visit) -> None:
    step = traced(num_generations=4)
    silent = next(group for group in range(8) if not step.teaches(group))
    page = open_page(explorer, visit, f"size=4&problem={silent + 1}")
    verdict = "right" if step.rewards[silent, 0] else "wrong"
    expect(page.get_by_role("status").first).to_have_text(
        f"All 4 completions are {verdict}: every advantage is 0, and the group teaches nothing."
    )
    assert {cell for row in page.evaluate(CELLS) for cell in row} <= {0, None}
