"""The trap: the setting nearest to one that is asked for, and the picture of a bet."""

from __future__ import annotations

import pytest

from pgce_mini import RewardShaping
from pgce_mini.figures import Prior, Seeds, Trained, priors_over_beta, trainings_overlaid, trap_dots
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis import Evidence, Recorded, beside, nearest, recorded_settings
from pgce_mini.tasks import ChainSum
from pgce_mini.theory import predict_chain
from pgce_mini.theory.chain_prediction import guesses


@pytest.fixture(scope="module")
def settings() -> list[Recorded]:
    return recorded_settings(Evidence(RESULTS))


@pytest.mark.parametrize(
    ("asked", "study", "found"),
    [
        ((0.1, 0.2, -0.25), "trap", (0.1, 0.2, -0.25)),  # with ten seeds, before phase, which has five
        ((0.2, 0.1, 1.0), "grids", (0.2, 0.1, 1.0)),
        ((0.06, 0.0, 0.0), "phase", (0.05, 0.05, 0.0)),
        ((0.4, 0.1, 0.45), "chain", (0.2, 0.1, 0.5)),
        ((0.1, 0.2, -0.05), "trap", (0.1, 0.2, -0.25)),  # cross-entropy is nearer, but no prior with beta
        ((0.1, 0.2, 0.05), "grids", (0.2, 0.1, 0.25)),
    ],
)
def test_the_nearest_setting_is_one_of_beta_alone(
    settings: list[Recorded],
    asked: tuple[float, float, float],
    study: str,
    found: tuple[float, float, float],
) -> None:
    setting = nearest(settings, *asked)
    assert (setting.study, setting.reasoned_share, setting.slip_rate, setting.beta) == (study, *found)
    plain = beside(settings, setting)
    assert (plain.study, plain.beta, plain.seeds) == (study, 0.0, setting.seeds)


def test_the_seeds_of_the_trap_are_counted(settings: list[Recorded]) -> None:
    precision = nearest(settings, 0.1, 0.2, -0.25)
    plain = beside(settings, precision)
    assert (precision.came_to_reason, plain.came_to_reason) == (7, 2)
    assert precision.higher_than(plain) == 9
    assert precision.accuracy == pytest.approx(0.59, abs=0.005)


@pytest.mark.parametrize(("share", "slip", "beta", "pays"), [(0.2, 0.1, 0.0, True), (0.1, 0.2, 0.0, False)])
def test_reasoning_pays_where_it_is_right_more_often(share: float, slip: float, beta: float, pays: bool) -> None:
    prediction = predict_chain(ChainSum(reasoned_share=share, slip_rate=slip), RewardShaping(beta=beta))
    assert prediction.reasoning_pays is pays is (prediction.accuracy_if_reasoned > prediction.accuracy_if_direct)


def test_guesses_count_every_problem_once() -> None:
    found = guesses(ChainSum(), 96)
    assert sum(count for count, _ in found.values()) == 96
    assert all(q.sum() == pytest.approx(1) and q.argmax() == total for total, (_, q) in found.items())


def test_the_picture_has_the_bet_alone_until_there_is_more() -> None:
    (bet,) = trap_dots({"ce": "ce"}, {}, {}, (0.9, 0.4), "t").data
    assert (bet.name, bet.x) == ("your bet", (0.9, 0.4))
    seeds = Seeds(([0.1, 0.2], [0.3, None], [0.2, 0.2], [0.2, 0.3]), ([1.0, 0.0], [0.9, 0.3]))
    before, after, theory, _ = trap_dots(
        {"ce": "ce"}, {"ce": (0.1, 0.4, 0.3, 0.3)}, {"ce": seeds}, (0, 1), "t"
    ).data
    assert [before.name, after.name, theory.name] == ["ce, a seed", "ce, a seed", "ce, theory"]
    assert before.x == (0.1, 0.2, 0.3, None, 0.2, 0.2, 0.2, 0.3)
    assert before.y == (0, 0, 1, 1, 2, 2, 3, 3)
    assert (after.x, after.xaxis) == ((1.0, 0.0, 0.9, 0.3), "x2")
    assert (theory.x, theory.marker.symbol) == ((0.1, 0.4, 0.3, 0.3), "circle-open")


def test_the_prior_shown_has_its_bars_answers_and_ring() -> None:
    priors = {
        0.0: Prior((0.7, 0.2), 0.8, [[("#", 0.7), ("4", 0.5), ("<eos>", 1.0)]], 0.2),
        1.0: Prior((0.5, 0.4), 1.1, [[("3", 0.4), ("<eos>", 0.9)]], 0.4),
    }
    figure = priors_over_beta(priors, ["#", "3"], 1.0, [0.2, 0.35], {0.0: [(0.21, 0.9)], 1.0: [(0.36, 0.4)]})
    bars, answers, ring, plain, theory, measured, before, after = figure.data
    assert (bars.x, plain.x) == ((0.5, 0.4), (0.7, 0.2))
    assert [list(row) for row in answers.text] == [["3", "end", ""]]
    assert (ring.x, ring.y) == ((1.0,), (0.4,))
    assert (theory.y, measured.y) == ((0.2, 0.35), (0.2, 0.4))
    assert (before.y, after.y) == ((0.21, 0.36), (0.9, 0.4))
    assert figure.layout.title.text == "β = 1: 1.10 nats, reasons in 40%"


def test_trainings_lie_over_one_another_and_seeds_of_an_arm_share_its_line() -> None:
    rows = [{"step": i, "entropy": 2.0 / i, "reward": 0.1 * i, "reasoned_share": 0.2} for i in (1, 2, 3)]
    runs = {
        "ce, 0": Trained("ce", rows, rows),
        "ce, 1": Trained("ce", rows, []),
        "p": Trained("precision", rows, []),
    }
    figure = trainings_overlaid(runs, "t")
    one, same, other = figure.data[:3]
    assert (
        (one.line.dash, one.line.color) == (same.line.dash, same.line.color) != (other.line.dash, other.line.color)
    )
    assert one.marker.symbol != same.marker.symbol
    assert [trace.name for trace in figure.data if trace.showlegend] == list(runs)
    assert {trace.yaxis for trace in figure.data} == {"y", "y2", "y3"}
    assert len(trainings_overlaid({"p": runs["p"]}, "t").data) == 1  # no RL, no panels of it
