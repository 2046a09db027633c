"""Figures of trained models: tokens, a GRPO step, a training that goes on, arms against cross-entropy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, strategies as st
from traces import legend, trace as named

from pgce_mini.figures import (
    advantages_over_right,
    arm_differences,
    attention_map,
    clipped_objectives,
    coloured_tokens,
    completion_group,
    entropy_along,
    next_tokens,
    paper_dots,
    rl_curves,
    training_curves,
    visible,
)
from pgce_mini.figures.style import BLUES, DIVERGING, INK
from pgce_mini.shipped.paper import paper_differences

# --- tokens ---


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("the", "the"),
        (" the", "␣the"),
        ("\n\n  ", "↵↵␣␣"),
        ("\t", "⇥"),
        ("<eos>", "end"),
        ("<b>", "&lt;b&gt;"),
        ("&lt;", "&amp;lt;"),
        (" " * 20, "␣" * 13 + "…"),
        ("a\x00b", "a�b"),
    ],
)
def test_token_is_shown_as_it_is_and_never_as_markup(token: str, shown: str) -> None:
    assert visible(token) == shown


@given(st.text())
def test_no_token_brings_markup_or_a_line_of_its_own(token: str) -> None:
    shown = visible(token)
    assert not set(shown) & set("<>\n\r\t ")
    assert shown.isprintable()


def test_next_tokens_show_every_arm_at_every_token() -> None:
    probs = {"ce": [0.5, 0.2], "precision": [0.7, 0.1], "diversity": [0.4, 0.3]}
    figure = next_tokens([" a", "<i>"], probs, "Next token")
    assert {trace.name: list(trace.x) for trace in figure.data} == probs
    assert list(figure.layout.yaxis.ticktext) == ["␣a", "&lt;i&gt;"]
    places = [trace.y[1] for trace in figure.data]
    assert len(set(places)) == 3  # arms that agree don't hide one another
    assert all(abs(place - 1) < 0.5 for place in places)
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    assert figure.layout.xaxis.title.text == "probability"
    logarithmic = next_tokens(["a"], {"ce": [1e-5]}, "Next token", log=True).layout.xaxis
    assert (logarithmic.type, logarithmic.title.text) == ("log", "probability (log scale)")


def test_coloured_tokens_read_as_a_page_with_a_number_where_something_was_predicted() -> None:
    figure = coloured_tokens(["<b>", " a", "continue", *"defghi"], [None, 0.25, *[1.0] * 7], "Text", rows=3)
    (heatmap,) = figure.data
    assert [list(row)[:3] for row in heatmap.text] == [
        ["&lt;b&gt;", "␣a<br>0.25", "contin…<br>1.00"],
        ["i<br>1.00", "", ""],
        [""] * 3,
    ]
    assert [list(row)[:3] for row in heatmap.z] == [[0.0, 0.25, 1.0], [1.0, None, None], [None] * 3]
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)  # a colour means the same in every text
    assert figure.layout.yaxis.range == (2.5, -0.5)


def test_attention_names_who_reads_whom_downwards() -> None:
    figure = attention_map([[1.0, 0.0], [0.3, 0.7]], ["<b>", "<eos>"], "Head 1")
    (heatmap,) = figure.data
    assert [list(row) for row in heatmap.z] == [[1.0, None], [0.3, 0.7]]  # what comes later cannot be read
    assert heatmap.text[1][0] == "end reads &lt;b&gt;"
    assert figure.layout.yaxis.range == (1.5, -0.5)
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == ["&lt;b&gt;", "end"]


def test_entropy_begins_at_the_second_token_and_the_prompt_has_an_end() -> None:
    figure = entropy_along({"ce": [1.0, 2.0, 0.5], "diversity": [1.5, 2.5]}, 2, "Entropy")
    assert list(named(figure, "ce").x) == [2, 3, 4]
    assert list(named(figure, "diversity").y) == [1.5, 2.5]
    assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 2.5
    assert named(figure, "ce").line.dash != named(figure, "diversity").line.dash


# --- one GRPO step ---

TOKENS = [["#", "7", "<eos>"], ["3", "4", "7", "#", "<eos>"]]


def group(measure: Any, values: list[list[float]], held: list[list[bool]] | None = None) -> go.Figure:
    held = held or [[False] * len(row) for row in TOKENS]
    return completion_group(TOKENS, [0.0, 1.0], [-0.7, 0.7], values, held, measure, "A group")


def test_completions_stand_as_columns_under_their_advantage() -> None:
    figure = group("push", [[-0.7] * 3, [0.7] * 5])
    right, wrong = named(figure, "right, reward 1"), named(figure, "wrong, reward 0")
    assert [(*bars.x, *bars.y) for bars in (right, wrong)] == [(2, 0.7), (1, -0.7)]
    (heatmap,) = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [list(row) for row in heatmap.text] == [["#", "3"], ["7", "4"], ["end", "7"], ["", "#"], ["", "end"]]
    assert [list(row) for row in heatmap.z] == [[-0.7, 0.7]] * 3 + [[None, 0.7]] * 2
    assert right.marker.pattern.shape != wrong.marker.pattern.shape
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range


@pytest.mark.parametrize(
    ("measure", "values", "scale", "low", "middle", "high"),
    [
        ("push", [[-0.5] * 3, [2.0] * 5], DIVERGING, -2, 0, 2),
        ("ratio", [[0.9] * 3, [1.4] * 5], DIVERGING, 0.6, 1, 1.4),
        ("probability", [[0.2] * 3, [0.9] * 5], BLUES, 0, 0.5, 1),
        ("push", [[0.0] * 3, [0.0] * 5], DIVERGING, -1, 0, 1),  # a group that teaches nothing has no colour
    ],
)
def test_colour_means_the_same_on_both_sides(
    measure: str, values: list[list[float]], scale: Any, low: float, middle: float, high: float
) -> None:
    (heatmap,) = [trace for trace in group(measure, values).data if trace.type == "heatmap"]
    assert [list(stop) for stop in heatmap.colorscale] == scale
    assert (heatmap.zmin, heatmap.zmax) == pytest.approx((low, high))
    assert (heatmap.zmin + heatmap.zmax) / 2 == pytest.approx(middle)


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", [colour for _, colour in [*BLUES, *DIVERGING]])
def test_ink_reads_on_every_cell(colour: str) -> None:
    assert (luminance(str(colour)) + 0.05) / (luminance(INK) + 0.05) > 7


def test_tokens_that_the_clip_holds_back_are_framed() -> None:
    figure = group("ratio", [[1.0] * 3, [1.0] * 5], [[False, True, False], [False] * 4 + [True]])
    frames = named(figure, "held back by the clip")
    assert list(zip(frames.x, frames.y, strict=True)) == [(1, 2), (2, 5)]
    assert "held back by the clip" not in legend(group("ratio", [[1.0] * 3, [1.0] * 5]))


def test_group_is_small_enough_to_send() -> None:
    tokens = [[str(i)] * 21 for i in range(16)]
    values = [[0.123456789] * 21] * 16
    figure = completion_group(tokens, [1.0] * 16, [0.0] * 16, values, [[True] * 21] * 16, "push", "A group")
    assert len(figure.to_json()) < 50_000


def test_the_step_is_marked_on_curves_that_are_told_apart_without_colour() -> None:
    clip = clipped_objectives([0.5, 1.0], {"A = +1": [0.5, 1.0], "A = -1": [-0.8, -1.0]}, 0.8, 1.28, "Clip")
    assert [shape.x0 for shape in clip.layout.shapes] == [0.8, 1.28]
    assert len({trace.line.dash for trace in clip.data}) == 2
    advantages = advantages_over_right({"std": [1.5, 0.9], "none": [0.8, 0.5]}, 2, "Advantages")
    assert [shape.x0 for shape in advantages.layout.shapes] == [2]
    assert list(named(advantages, "std").x) == [1, 2]  # from one right completion on
    assert len({trace.marker.symbol for trace in advantages.data}) == 2


def test_rl_curves_leave_a_gap_where_a_step_trained_on_nothing() -> None:
    row = {"step": 1, "reward": 0.2, "reasoned_share": 0.1, "completions/mean_length": 4.5}
    figure = rl_curves([row | {"loss": -0.1, "grad_norm": 0.5}, row | {"step": 2}], "RL")
    assert legend(figure) == ["reward", "reasoned answers", "mean length", "loss", "gradient norm"]
    assert list(named(figure, "loss").y) == [-0.1, None]
    assert [trace.yaxis for trace in figure.data] == ["y", "y", "y2", "y3", "y3"]
    assert len({trace.line.dash for trace in figure.data}) == 5


# --- a training ---


def pretraining(steps: int) -> list[dict[str, float]]:
    return [{"step": i, "cross_entropy": 2 / i, "entropy": 3 / i} for i in range(1, steps + 1)]


def test_training_shows_how_far_it_is() -> None:
    rl = [{"step": 1, "reward": 0.25, "reasoned_share": 0.5}]
    figure = training_curves(pretraining(10), rl, 600, 80, "A training")
    assert list(named(figure, "cross-entropy").x) == list(range(1, 11))
    assert list(named(figure, "reward").y) == [0.25]
    assert list(figure.layout.xaxis.range) == [0, 600]
    assert list(figure.layout.xaxis2.range) == [0, 80]
    assert named(figure, "cross-entropy").line.dash != named(figure, "entropy").line.dash


def test_training_without_rl_has_one_panel_and_one_that_has_not_begun_is_empty() -> None:
    assert {trace.name for trace in training_curves([], [], 600, 0, "Text").data} == {"cross-entropy", "entropy"}
    assert len(training_curves([], [], 600, 80, "New").data) == 4


def test_long_training_is_thinned_and_keeps_its_end() -> None:
    figure = training_curves(pretraining(5000), [], 5000, 80, "Long")
    places = list(named(figure, "entropy").x)
    assert places[0] <= 25
    assert 150 < len(places) <= 201
    assert places[-1] == 5000
    assert len(json.dumps(figure.to_plotly_json(), default=list)) < 100_000


# --- arms against cross-entropy ---


def test_differences_show_mean_interval_and_seeds() -> None:
    estimates: Any = {
        "precision": {"value": 0.1, "low": 0.04, "high": 0.2},
        "mine": {"value": -0.1, "low": -0.3, "high": 0.1},
    }
    figure = arm_differences(estimates, {"precision": [0.08, 0.12], "mine": []}, "ce", "Differences")
    mean = named(figure, "precision")
    assert list(mean.x) == [0.1]
    assert (mean.error_x.array[0], mean.error_x.arrayminus[0]) == pytest.approx((0.1, 0.06))
    assert [list(trace.x) for trace in figure.data if trace.name is None and len(trace.x)] == [[0.08, 0.12]]
    assert legend(figure) == ["mean, 95 % interval", "a seed"]
    assert [trace.marker.symbol for trace in figure.data[-2:]] == ["square", "square-open"]  # as in the picture
    assert figure.layout.xaxis.title.text == "arm minus ce (share)"


def test_numbers_of_the_paper_are_drawn_as_it_gives_them() -> None:
    found = paper_differences("Avg@128")
    figure = paper_dots(found, "The paper's Avg@128")
    assert {trace.name for trace in figure.data} == {"precision", "diversity", "tail-penalty"}
    assert list(named(figure, "tail-penalty").x) == [2.13, 1.23]  # none at 4B
    assert list(named(figure, "tail-penalty").customdata) == ["10B-A0.5B", "20B-A1B"]
    assert list(figure.layout.yaxis.ticktext) == list(found)
    assert not any(trace.error_x.array for trace in figure.data)  # it gives no error bars
