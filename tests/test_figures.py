"""Figures hold the right numbers, say what their axes are and draw an arm alike everywhere."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import pytest
from traces import legend, trace

from pgce_mini.figures import (
    arm_style,
    base_figure,
    before_after,
    entropy_by_position,
    learning_curves,
    number_answers,
    pass_at_k_curves,
    reliability_diagram,
    stationary_bars,
)
from pgce_mini.figures.frames import LEGEND, TITLE_LINE, TITLE_WIDTH
from pgce_mini.figures.style import ARM_COLOURS, ARM_ORDER

NOTHING = {"value": None, "low": None, "high": None}


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.01}


def summary(*arms: str) -> Any:
    """Avg@m .25 -> .5 and Pass@4 .5 -> .75 in every arm."""
    return {
        arm: {
            "before": {"avg_at_m": estimate(0.25), "pass_at_4": estimate(0.5), "entropy": estimate(0.9)},
            "after": {"avg_at_m": estimate(0.5), "pass_at_4": estimate(0.75), "entropy": estimate(0.1)},
        }
        for arm in arms
    }


def axis_titles(figure: go.Figure) -> tuple[str, str]:
    return figure.layout.xaxis.title.text, figure.layout.yaxis.title.text


# --- Style -----------------------------------------------------------------------------------------------


def test_arms_of_the_paper_look_the_same_whoever_else_is_there() -> None:
    for arm in ARM_ORDER:
        assert arm_style(arm, [arm]) == arm_style(arm, ["mine", *reversed(ARM_ORDER)])
    assert [len(set(looks)) for looks in zip(*(arm_style(arm, []) for arm in ARM_ORDER), strict=True)] == [5, 5, 5]


def test_other_arms_follow_the_papers_and_wrap_around() -> None:
    others = [f"arm {i}" for i in range(9)]
    assert arm_style("arm 0", others)[0] == ARM_COLOURS[5]
    assert arm_style("arm 2", others)[0] == ARM_COLOURS[0]
    assert arm_style("arm 2", others)[1] != arm_style("ce", others)[1]  # same colour, another dash
    names = [*ARM_ORDER, *others]
    assert len({arm_style(name, others)[1:] for name in names}) == len(names)  # in grey too
    assert len({arm_style(name, others)[2] for name in names[:9]}) == 9  # and where there are only markers


def test_a_long_title_takes_the_lines_that_a_phone_needs() -> None:
    short, long = (base_figure(title, "", "").layout for title in ("Short", "Word " * 20))
    assert max(map(len, long.title.text.split("<br>"))) <= TITLE_WIDTH
    assert long.title.text.count("<br>") == 2
    assert long.height - short.height == long.margin.t - short.margin.t == 2 * TITLE_LINE


def test_an_arm_keeps_its_colour_dash_and_marker_in_every_figure() -> None:
    colour, dash, marker = arm_style("precision", [])
    bins: Any = [{"low": 0, "high": 1, "confidence": 0.5, "accuracy": 0.5, "count": 2}]
    evaluation: Any = {"samples": {"entropy_by_position": [1.0]}}
    curves = trace(learning_curves({"precision": [[{"step": 1, "y": 1.0}]]}, "y", "", "", ""), "precision")
    positions = trace(entropy_by_position({"precision": [evaluation]}, ""), "precision")
    reliability = trace(reliability_diagram({"precision": bins}, ""), "precision")
    passes = trace(pass_at_k_curves(summary("precision"), ""), "precision, after RL")
    dots = trace(before_after(summary("precision"), "entropy", "", ""), "precision, after RL")
    for line in (curves, positions, reliability, passes):
        assert (line.line.color, line.line.dash) == (colour, dash)
    for marked in (positions, reliability, passes, dots):
        assert marked.marker.symbol == marker
    assert dots.marker.color == colour


def test_a_figure_without_a_legend_is_lower_by_it_and_lets_the_page_shine_through() -> None:
    with_legend, without = (base_figure("A title", "x", "y", legend=legend).layout for legend in (True, False))
    assert with_legend.height - without.height == with_legend.margin.b - without.margin.b == LEGEND
    assert without.paper_bgcolor == without.plot_bgcolor == "rgba(0,0,0,0)"


# --- Learning curves -------------------------------------------------------------------------------------


def test_learning_curve_is_the_mean_over_seeds_and_each_seed_is_a_thin_line() -> None:
    seeds = [[{"step": 1, "reward": 0.2}, {"step": 2, "reward": 0.4}], [{"step": 1, "reward": 0.4}]]
    figure = learning_curves({"ce": seeds}, "reward", "Reward", "RL step", "mean reward (share)")
    mean = trace(figure, "ce")
    assert mean.x == (1, 2)
    assert mean.y == pytest.approx((0.3, 0.4))
    assert [t.y for t in figure.data if t is not mean] == [(0.2, 0.4), (0.4,)]
    assert legend(figure) == ["ce"]


def test_learning_curve_leaves_out_steps_without_the_metric_and_keeps_their_order() -> None:
    first: list[dict[str, Any]] = [{"step": 1, "loss": None}, {"step": 2, "loss": 3.0}, {"step": 3}]
    second = [{"step": 1, "loss": 5.0}, {"step": 2, "loss": 4.0}]
    mean = trace(learning_curves({"ce": [first, second]}, "loss", "", "", ""), "ce")
    assert (mean.x, mean.y) == ((1, 2), (5.0, 3.5))
    one = learning_curves({"ce": [second], "precision": [[]]}, "loss", "", "", "")
    assert [t.name for t in one.data] == ["ce"]  # one seed is drawn once, an arm without rows not at all


# --- Before and after ------------------------------------------------------------------------------------


def test_before_is_hollow_and_after_is_filled() -> None:
    figure = before_after(summary("ce", "precision"), "avg_at_m", "Accuracy", "Avg@4 (share)")
    before, after = trace(figure, "precision, before RL"), trace(figure, "precision, after RL")
    assert (before.x, before.y, before.marker.symbol) == ((0.25,), (0.86,), "square-open")
    assert (after.x, after.marker.symbol) == ((0.5,), "square")
    assert after.y == pytest.approx((1.14,))
    assert figure.layout.yaxis.ticktext == ("ce", "precision")
    assert legend(figure) == ["before RL", "after RL"]


def test_error_bars_reach_from_the_value_to_low_and_high() -> None:
    for bars in (
        trace(before_after(summary("ce"), "avg_at_m", "", ""), "ce, after RL").error_x,
        trace(pass_at_k_curves(summary("ce"), ""), "ce, after RL").error_y,
    ):
        assert bars.symmetric is False
        assert bars.arrayminus[0] == pytest.approx(0.02)
        assert bars.array[0] == pytest.approx(0.01)


def test_missing_estimates_leave_a_gap() -> None:
    unknown = summary("ce")
    unknown["ce"]["before"] = dict.fromkeys(unknown["ce"]["before"], NOTHING)
    dots = [t for t in before_after(unknown, "avg_at_m", "", "").data if t.name == "ce, before RL"]
    assert (dots[0].x, dots[0].error_x.array, dots[0].error_x.arrayminus) == ((None,), (0,), (0,))
    curve = [t for t in pass_at_k_curves(unknown, "").data if t.name == "ce, before RL"]
    assert curve[0].y == (None, None)


def test_pass_at_k_begins_with_avg_at_m_and_says_what_thin_and_thick_are() -> None:
    figure = pass_at_k_curves(summary("ce", "diversity"), "Pass@k")
    before, after = trace(figure, "diversity, before RL"), trace(figure, "diversity, after RL")
    assert before.customdata == after.customdata == (1, 4)
    assert before.x[0] < after.x[0]  # beside each other, so that their intervals can be told apart
    assert (*before.x, *after.x) == pytest.approx((1, 4, 1, 4), rel=0.1)
    assert (before.y, after.y) == ((0.25, 0.5), (0.5, 0.75))
    assert before.line.width < after.line.width
    assert (before.marker.symbol, after.marker.symbol) == ("diamond-open", "diamond")
    assert legend(figure) == ["ce", "diversity", "before RL", "after RL"]
    assert axis_titles(figure) == ("k, samples drawn (log scale)", "Pass@k (share of problems)")


# --- Entropy by position, reliability ---------------------------------------------------------------------


def test_entropy_by_position_is_the_mean_over_seeds_where_all_of_them_reach() -> None:
    seeds: Any = [
        {"samples": {"entropy_by_position": [1.0, 0.5, 0.1]}},
        {"samples": {"entropy_by_position": [0.0, 0.1]}},
    ]
    figure = entropy_by_position({"ce": seeds}, "Entropy")
    line = trace(figure, "ce")
    assert line.x == (1, 2)
    assert line.y == pytest.approx((0.5, 0.3))
    assert axis_titles(figure) == ("position in the completion (token)", "entropy (nats)")


def test_reliability_leaves_out_empty_bins_and_sizes_the_others_by_their_tokens() -> None:
    table: Any = [
        {"low": 0.0, "high": 0.5, "confidence": None, "accuracy": None, "count": 0},
        {"low": 0.5, "high": 0.75, "confidence": 0.6, "accuracy": 1.0, "count": 1},
        {"low": 0.75, "high": 0.9, "confidence": 0.8, "accuracy": 0.7, "count": 30},
        {"low": 0.9, "high": 1.0, "confidence": 0.95, "accuracy": 0.9, "count": 99},
    ]
    figure = reliability_diagram({"ce": table}, "Reliability")
    line, few, diagonal = (trace(figure, name) for name in ("ce", "ce, few tokens", "calibrated"))
    assert (line.x, line.y, tuple(line.customdata)) == ((0.6, 0.8, 0.95), (None, 0.7, 0.9), (1, 30, 99))
    assert few.y == (1.0, None, None)
    assert (few.mode, few.marker.symbol) == ("markers", "circle-open")  # no line leads there
    assert line.marker.size[0] < line.marker.size[1] < line.marker.size[2]
    assert diagonal.x == diagonal.y == (0, 1)
    assert axis_titles(figure) == ("confidence (probability)", "accuracy (share)")


# --- Where training ends ---------------------------------------------------------------------------------


def test_stationary_bars_set_labels_beside_the_policy_token_by_token() -> None:
    figure = stationary_bars([0.75, 0.2, 0.05], [0.875, 0.1, 0.025], ["4", "5", "fish"], top_k=2)
    labels, policy = trace(figure, "cross-entropy (= q)"), trace(figure, "this reward")
    assert (labels.x, policy.x) == ((0.75, 0.2, 0.05), (0.875, 0.1, 0.025))
    assert labels.y == policy.y == ("4", "5", "fish")
    assert labels.marker.pattern.shape == "/"  # told apart without colour
    assert policy.marker.pattern.shape is None
    assert figure.layout.yaxis.type == "category"  # "4" is a token, not a number
    assert figure.layout.xaxis.range[1] > 0.875
    assert axis_titles(figure)[0] == "probability"


def test_a_line_closes_the_head_unless_every_token_is_in_it() -> None:
    def lines(top_k: int) -> list[float]:
        figure = stationary_bars([0.75, 0.2, 0.05], [0.75, 0.2, 0.05], ["a", "b", "c"], top_k)
        return [shape.y0 for shape in figure.layout.shapes]

    assert lines(2) == [1.5]  # between the bars of tokens 1 and 2, counted from 0
    assert lines(3) == lines(100) == []


# --- Answers of a class ----------------------------------------------------------------------------------


def test_answers_are_counted_in_twentieths_of_what_was_asked_whatever_was_answered() -> None:
    figure = number_answers([0.41, 0.44, 0.58], 0.0, 1.0, right=0.5)
    (bars,) = figure.data
    assert {i: count for i, count in enumerate(bars.y) if count} == {8: 2, 11: 1}
    assert (bars.x[8], bars.x[11]) == pytest.approx((0.425, 0.575))
    assert tuple(figure.layout.xaxis.range) == (0.0, 1.0)
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5]
