"""Pictures of a study, of RL and of predictions: what they show is what they were given."""

from __future__ import annotations

import pytest

from pgce_mini import PAPER_ARMS, ChainSum
from pgce_mini.figures import paired_forest, phase_map, predicted_measured, prediction_dots, through_rl
from pgce_mini.figures.rl import PANELS
from pgce_mini.study.analysis import PairedDifference
from pgce_mini.theory import predict_chain


def rows(*rewards: float) -> list[dict[str, float]]:
    return [
        {"step": i, "reward": r, "reasoned_share": r / 2, "completions/mean_length": 3 + r}
        | ({"entropy": 1 - r} if i > 1 else {})
        for i, r in enumerate(rewards, 1)
    ]


def test_a_line_is_the_mean_over_seeds_and_each_of_them_has_a_thin_one() -> None:
    figure = through_rl({"ce": [rows(0.2, 0.4), rows(0.4, 0.8)]}, "t")
    first, second, mean = figure.data[:3]
    assert list(mean.x) == list(first.x) == [1, 2]
    assert list(mean.y) == pytest.approx([0.3, 0.6])
    assert (list(first.y), list(second.y)) == ([0.2, 0.4], [0.4, 0.8])
    assert first.line.width < mean.line.width


def test_one_seed_has_no_thin_line_and_every_measure_its_panel() -> None:
    figure = through_rl({"ce": [rows(0.2, 0.4)], "precision": [rows(0.3, 0.5)]}, "t")
    assert len(figure.data) == 2 * len(PANELS)
    assert {trace.yaxis for trace in figure.data} == {"y", "y2", "y3", "y4"}
    assert [trace.name for trace in figure.data if trace.showlegend] == ["ce", "precision"]
    assert figure.data[0].line.dash != figure.data[4].line.dash
    entropy = next(trace for trace in figure.data if trace.yaxis == "y4")
    assert list(entropy.x) == [2]  # the first step trained on no group


def test_the_line_of_a_seed_is_thinned_but_reaches_the_end() -> None:
    first, _, mean = through_rl({"ce": [rows(*(i / 200 for i in range(101)))] * 2}, "t", ("reward",)).data
    assert len(mean.x) == 101
    assert len(first.x) <= 26
    assert (first.x[0], first.x[-1]) == (1, 101)


def test_the_measures_can_be_chosen() -> None:
    figure = through_rl({"ce": [rows(0.2, 0.4)]}, "t", ("entropy", "reward"))
    assert [figure.layout[f"yaxis{i}"].title.text for i in ("", 2)] == ["entropy<br>(nats)", "reward<br>(share)"]


def test_a_prediction_that_came_true_lies_on_the_line() -> None:
    figure = predicted_measured({"ce": [(0.2, 0.2)], "precision": [(0.1, 0.14)]}, 0.05, "t", "share")
    band, line, ce, precision = figure.data
    assert (ce.x, ce.y, precision.y) == ((0.2,), (0.2,), (0.14,))
    assert list(line.x) == list(line.y)
    assert band.y[2] - line.y[1] == pytest.approx(0.05)
    assert figure.layout.xaxis.title.text == "share, predicted"
    assert ce.marker.symbol != precision.marker.symbol


def test_predictions_are_dots_that_can_be_told_apart() -> None:
    task = ChainSum()
    predictions = {arm: predict_chain(task, PAPER_ARMS[arm]) for arm in ("ce", "precision")}
    ce, precision = prediction_dots(predictions, "t").data
    assert ce.x == pytest.approx(
        (0.2, predictions["ce"].accuracy_if_reasoned, predictions["ce"].accuracy_if_direct)
    )
    assert ce.marker.symbol != precision.marker.symbol
    assert ce.y[0] < precision.y[0] < ce.y[1]


def difference(mean: float) -> PairedDifference:
    return PairedDifference(10, mean, mean - 0.02, mean + 0.03, 0.01, 0.03, mean - 0.01, mean + 0.02)


def test_paired_forest_shows_means_and_intervals() -> None:
    figure = paired_forest(
        {"precision": difference(0.1), "diversity": difference(-0.05)}, "t", "difference (share)"
    )
    first, second = figure.data
    assert (first.x, first.y, second.x) == ((0.1,), ("precision",), (-0.05,))
    assert first.error_x.array == pytest.approx((0.03,))
    assert first.error_x.arrayminus == pytest.approx((0.02,))
    assert first.marker.symbol != second.marker.symbol
    assert figure.layout.xaxis.title.text == "difference (share)"


def test_an_arm_looks_the_same_in_every_study() -> None:
    rows = {label: difference(0.1) for label in ("chain: precision", "trap: diversity", "trap: precision")}
    first, other, again = paired_forest(rows, "t", "difference (share)").data
    assert (first.marker.color, first.marker.symbol) == (again.marker.color, again.marker.symbol)
    assert other.marker.color != first.marker.color
    assert again.y == ("trap: precision",)


def test_phase_map_is_symmetric_around_zero_and_leaves_gaps() -> None:
    figure = phase_map([0.1, 0.2], [0.05], [[0.3, None]], "t", "x", "y", "difference")
    (heatmap,) = figure.data
    assert (heatmap.zmin, heatmap.zmax) == (-0.3, 0.3)
    assert list(heatmap.text[0]) == ["+0.30", ""]
    assert list(heatmap.x) == ["0.1", "0.2"]
