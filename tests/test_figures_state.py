"""Figures of a single state: the right numbers in the right panel, told apart without colour, quickly sent."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
from traces import trace

from pgce_mini import RewardShaping, policy_flow, simplex_field
from pgce_mini.figures import (
    Earnings,
    SimplexFrame,
    arms_by_panel,
    both_pushes,
    endings_over,
    entropy_predicted,
    gradient_by_rank,
    gradient_estimates,
    held_reward,
    hidden_rewards,
    policies_over_labels,
    probability_paths,
    score_valleys,
    simplex_flow,
    stacked_figure,
)
from pgce_mini.theory import HIDDEN_REWARDS, ending, simplex_xy


def looks(figure: go.Figure) -> list[tuple[str, str]]:
    """(colour, dash) of the lines of the legend."""
    return [(t.line.color, t.line.dash) for t in figure.data if t.mode == "lines" and t.showlegend is not False]


# --- Panels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legend_rows", [0, 3])
def test_panels_are_as_high_as_asked_for_and_do_not_overlap(legend_rows: int) -> None:
    figure = stacked_figure("T", [("", "a", 200), ("x", "b", 100), ("y", "c", 150)], legend_rows)
    layout = figure.layout
    inner = layout.height - layout.margin.t - layout.margin.b
    domains = [layout[f"yaxis{i}"].domain for i in (1, 2, 3)]
    assert [(high - low) * inner for low, high in domains] == pytest.approx([200, 100, 150])
    assert domains[0][1] == pytest.approx(1)
    assert domains[2][0] == pytest.approx(0)
    assert domains[0][0] > domains[1][1]
    assert domains[1][0] > domains[2][1]
    assert layout.xaxis.matches == "x2"  # the first panel has no x title of its own
    assert [layout[f"xaxis{i}"].title.text for i in (1, 2, 3)] == ["", "x", "y"]
    if legend_rows:  # each panel has its own above it
        legends = [layout[name] for name in ("legend", "legend2", "legend3")]
        assert [legend.y for legend in legends] == pytest.approx([high for _, high in domains])
        assert legends[1].yanchor == "bottom"


# --- Three gradients ---------------------------------------------------------------------------------------


def test_gradients_lie_side_by_side_and_the_error_is_on_logarithmic_axes() -> None:
    gradients = {"cross-entropy": [0.5, -0.5], "policy gradient": [0.5, -0.5], "REINFORCE": [0.6, -0.6]}
    figure = gradient_estimates(["a", "b"], gradients, [1, 4], [0.9, 0.4], [1.0, 0.5], (4, 0.2))
    assert trace(figure, "REINFORCE").x == (0.6, -0.6)
    assert {t.yaxis for t in figure.data if t.type == "bar"} == {"y"}
    assert len({t.marker.pattern.shape for t in figure.data if t.type == "bar"}) == 3
    assert (trace(figure, "measured").x, trace(figure, "measured").y) == ((1, 4), (0.9, 0.4))
    assert trace(figure, "expected, falls as 1/√N").y == (1.0, 0.5)
    assert (trace(figure, "the estimate above").x, trace(figure, "the estimate above").y) == ((4,), (0.2,))
    assert figure.layout.xaxis2.type == figure.layout.yaxis2.type == "log"
    assert figure.layout.yaxis.type == "category"
    exact = gradient_estimates(["a", "b"], gradients, [1], [1.0], [1.0], (1, 0.0))
    assert [t.y for t in exact.data if t.name == "the estimate above"] == [(None,)]  # 0 has no logarithm


def test_held_reward_and_minus_cross_entropy_touch_with_one_slope() -> None:
    held, follows, log = held_reward(0.25).data[:3]
    assert set(follows.y) == {1.0}
    assert held.x[24] == 0.25
    assert held.y[24] == pytest.approx(log.y[24]) == pytest.approx(1)
    assert [(line.y[25] - line.y[23]) / 0.02 for line in (held, log)] == pytest.approx([4, 4], rel=1e-3)


# --- Gradient by rank -------------------------------------------------------------------------------------


def test_push_its_change_and_its_rate_have_a_panel_each_and_the_true_token_no_rate() -> None:
    pushes = {"ce": [0.5, -0.3, -0.2], "head-reward": [0.4, -0.1, -0.3]}
    figure = gradient_by_rank([0.5, 0.3, 0.2], pushes, target=0, top_k=2)
    push, change, rate = (t for t in figure.data if t.name == "head-reward")
    assert (push.yaxis, change.yaxis, rate.yaxis) == ("y", "y2", "y3")
    assert push.x == (1, 2, 3)
    assert push.y == (0.4, -0.1, -0.3)
    assert change.y == pytest.approx((-0.1, 0.2, -0.1))
    assert rate.y[0] is None
    assert rate.y[1:] == pytest.approx((-0.1 / 0.3, -0.3 / 0.2))
    assert [shape.x0 for shape in figure.layout.shapes] == [2.5] * 3
    assert not gradient_by_rank([0.5, 0.3, 0.2], pushes, target=0, top_k=3).layout.shapes  # all are in the head
    assert len({(t.line.dash, t.marker.symbol) for t in figure.data}) == 2


# --- Hidden rewards ----------------------------------------------------------------------------------------


def test_reward_push_and_wrong_reward_have_a_panel_each_and_a_loss_one_look() -> None:
    earnings = {"focal": Earnings([4.0, 1.0], [1.0, 0.5], [0.0, 0.0])}
    figure = hidden_rewards([0.25, 0.5], earnings, list(HIDDEN_REWARDS), 0.3)
    assert [(t.yaxis, t.y, t.showlegend) for t in figure.data] == [
        ("y", (4.0, 1.0), True),
        ("y2", (1.0, 0.5), False),
        ("y3", (0.0, 0.0), False),
    ]
    assert len({(t.line.color, t.line.dash) for t in figure.data}) == 1
    assert [shape.x0 for shape in figure.layout.shapes] == [0.3] * 3
    assert figure.layout.yaxis.type == "log"


def test_a_loss_looks_the_same_whichever_others_are_there_and_unlike_them() -> None:
    nothing = Earnings([1.0], [1.0], [0.0])
    names = list(HIDDEN_REWARDS)
    together = looks(hidden_rewards([0.5], dict.fromkeys(names, nothing), names, 0.5))
    alone = [looks(hidden_rewards([0.5], {name: nothing}, names, 0.5))[0] for name in names]
    assert together == alone
    assert len(set(together)) == len(names)


def test_push_on_a_logit_is_that_on_its_token_times_what_is_missing_and_the_axes_stay_whatever_the_push() -> None:
    figure = both_pushes([0.5, 0.9], {"cross-entropy": [1.0, 1.0], "shaped": [2.0, 4.0]}, "β = -1")
    assert [(t.name, t.yaxis) for t in figure.data] == [
        ("cross-entropy", "y"), ("cross-entropy", "y2"), ("shaped", "y"), ("shaped", "y2"),
    ]  # fmt: skip
    assert figure.data[2].y == (2.0, 4.0)
    assert figure.data[3].y == pytest.approx((1.0, 0.4))
    assert len(set(looks(figure))) == 2
    weaker = both_pushes([0.5, 0.9], {"cross-entropy": [1.0, 1.0], "shaped": [0.2, 0.1]}, "β = 1")
    assert weaker.layout.yaxis.range == figure.layout.yaxis.range
    assert weaker.layout.yaxis2.range == figure.layout.yaxis2.range


# --- One state in training ---------------------------------------------------------------------------------


def test_each_quantity_has_a_panel_and_an_arm_one_look_and_one_name_in_the_legend() -> None:
    panels = {
        "loss": {"tail-penalty": [-2.0, -1.0]},
        "cross-entropy": {"ce": [0.7, 0.5], "tail-penalty": [0.7, 0.4]},
    }
    figure = arms_by_panel("T", "step", [0, 1], panels)
    assert [(t.name, t.yaxis, t.y, t.showlegend) for t in figure.data] == [
        ("tail-penalty", "y", (-2.0, -1.0), True),
        ("ce", "y2", (0.7, 0.5), True),
        ("tail-penalty", "y2", (0.7, 0.4), False),
    ]
    assert len({(t.line.color, t.line.dash) for t in figure.data}) == 2
    assert [figure.layout[axis].title.text for axis in ("yaxis", "yaxis2", "xaxis", "xaxis2")] == [
        "loss", "cross-entropy", "", "step",
    ]  # fmt: skip


def test_predicted_entropy_stands_at_the_end_of_its_arm_in_its_colour() -> None:
    figure = entropy_predicted(
        [0, 5, 9], {"ce": [1.8, 1.5, 1.4], "precision": [1.8, 1.2, 1.1]}, {"ce": 1.39, "precision": 1.05}, "H"
    )
    there = trace(figure, "precision, predicted")
    assert (there.x, there.y) == ((9,), (1.05,))
    assert there.marker.color == trace(figure, "precision").line.color
    assert there.marker.symbol != trace(figure, "ce, predicted").marker.symbol


# --- Simplex ------------------------------------------------------------------------------------------------


def frame(beta: float, end: list[float] | None) -> SimplexFrame:
    labels, shaping = [0.6, 0.3, 0.1], RewardShaping(beta)
    path = policy_flow(np.log([0.2, 0.3, 0.5]), labels, shaping, 20, 0.5)
    return SimplexFrame(beta, *simplex_field(shaping, labels, 10), path, end)


def test_simplex_shows_one_beta_and_holds_the_others_as_frames() -> None:
    frames = [frame(0.0, [0.6, 0.3, 0.1]), frame(-0.5, [0.72, 0.21, 0.07])]
    figure = simplex_flow(["a", "b", "c"], [0.6, 0.3, 0.1], frames, 1)
    end = trace(figure, "end")
    assert (end.x[0], end.y[0]) == pytest.approx(tuple(simplex_xy([0.72, 0.21, 0.07])))
    start = trace(figure, "start")
    assert (start.x[0], start.y[0]) == pytest.approx(tuple(simplex_xy([0.2, 0.3, 0.5])))
    assert [f.name for f in figure.frames] == ["0.00", "-0.50"]
    slider = figure.layout.sliders[0]
    assert slider.active == 1
    assert [step.args[0][0] for step in slider.steps] == [f.name for f in figure.frames]
    for moved, kept in zip(figure.frames[1].data, figure.data[2:5], strict=True):  # the one that is shown
        np.testing.assert_array_equal(np.array(moved.x, float), np.array(kept.x, float))
    assert tuple(figure.frames[0].traces) == (2, 3, 4)
    assert [a.text for a in figure.layout.annotations] == ["only<br>a", "only<br>b", "only<br>c"]


def test_arrows_begin_at_the_points_and_go_with_the_flow() -> None:
    shown = frame(0.0, None)
    figure = simplex_flow(["a", "b", "c"], [0.6, 0.3, 0.1], [shown], 0)
    arrows = np.stack([trace(figure, "flow").x, trace(figure, "flow").y], -1).reshape(-1, 6, 2)
    np.testing.assert_allclose(arrows[:, 0], simplex_xy(shown.points), atol=1e-6)
    shafts, flow = arrows[:, 1] - arrows[:, 0], simplex_xy(shown.velocities)
    cosines = (shafts * flow).sum(-1) / np.linalg.norm(shafts, axis=-1) / np.linalg.norm(flow, axis=-1)
    assert cosines == pytest.approx(1, abs=1e-4)
    assert np.isnan(arrows[:, 5]).all()  # the gap before the next arrow


def test_one_beta_without_an_end_has_no_star_and_no_slider_and_points_say_where_they_are() -> None:
    figure = simplex_flow(["a", "b", "c"], [0.6, 0.3, 0.1], [frame(-1.5, None)], 0)
    assert not figure.frames
    assert not figure.layout.sliders  # of one beta alone
    assert [t.x for t in figure.data if t.name == "end"] == [(None,)]
    np.testing.assert_allclose(trace(figure, "start here").customdata, frame(0.0, None).points, atol=1e-4)


def test_all_frames_of_the_page_weigh_less_than_a_megabyte() -> None:
    frames = [frame(-1.5 + 0.05 * i, [0.6, 0.3, 0.1]) for i in range(41)]
    assert len(simplex_flow(["a", "b", "c"], [0.6, 0.3, 0.1], frames, 0).to_json()) < 1e6


# --- Endings ------------------------------------------------------------------------------------------------


def test_endings_leave_a_gap_where_training_does_not_end() -> None:
    labels = [0.6, 0.3, 0.1]
    plain, sharp = ending(labels, RewardShaping()), ending(labels, RewardShaping(-0.5))
    figure = endings_over(
        "β", [-0.5, 0.0, 0.5], [sharp, plain, None], ["a", "b", "c"], plain, -0.5, [0.5, 0.9, 1.0]
    )
    assert trace(figure, "a").y == (sharp.policy[0], plain.policy[0], None)
    assert trace(figure, "entropy of the end").y == (sharp.entropy, plain.entropy, None)
    assert trace(figure, "q at temperature 1 + β").y == (0.5, 0.9, 1.0)
    over = trace(figure, "overconfidence").y
    assert over[0] == pytest.approx(sharp.confidence - 0.6)
    assert over[1] == pytest.approx(0, abs=1e-9)
    assert over[2] is None
    assert trace(figure, "missed by temperature").y[0] == sharp.residual
    assert {t.legend for t in figure.data if t.yaxis == "y2"} == {"legend2"}
    assert figure.layout.xaxis3.title.text == "β"
    head = endings_over("λ head", [0.0], [plain], ["a", "b", "c"], plain, 0.0)
    assert "q at temperature 1 + β" not in [t.name for t in head.data]


def test_policies_lie_over_the_labels_in_their_order_on_logarithmic_axes() -> None:
    figure = policies_over_labels([0.6, 0.1, 0.3], {"sharper": [0.7, 0.05, 0.25]})
    assert trace(figure, "sharper").x == (0.1, 0.3, 0.6)
    assert trace(figure, "sharper").y == (0.05, 0.25, 0.7)
    assert trace(figure, "π = q").y == (0.1, 0.3, 0.6)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


def test_each_valley_has_its_bottom_at_zero_under_a_star_and_the_truth_a_line() -> None:
    figure = score_valleys([0.2, 0.5, 0.8], {"ce": [2.0, 1.0, 3.0], "precision": [3.0, 2.5, 2.0]}, 0.5)
    assert trace(figure, "precision").y == (1.0, 0.5, 0.0)
    assert [trace(figure, f"{arm}, least").x for arm in ("ce", "precision")] == [(0.5,), (0.8,)]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5]


# --- Paths --------------------------------------------------------------------------------------------------


def test_paths_begin_at_step_0_and_differ_without_colour() -> None:
    figure = probability_paths({"one": [0.2, 0.3, 0.4], "two": [0.2, 0.1, 0.0]}, "T", "p")
    assert [(t.name, t.x, t.y) for t in figure.data] == [
        ("one", (0, 1, 2), (0.2, 0.3, 0.4)),
        ("two", (0, 1, 2), (0.2, 0.1, 0.0)),
    ]
    assert len({(t.line.dash, t.marker.symbol) for t in figure.data}) == 2


def test_slider_of_a_page_that_draws_has_steps_and_no_frames() -> None:
    figure = simplex_flow(["a", "b", "c"], [0.6, 0.3, 0.1], [frame(0.0, None)], 0, [-0.5, 0.0])
    (slider,) = figure.layout.sliders
    assert [(step.label, step.method) for step in slider.steps] == [("-0.50", "skip"), ("0.00", "skip")]
    assert not figure.frames
