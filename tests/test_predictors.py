"""Predictors of a prior from what cross-entropy learnt: on invented tables worked by hand, and on the shipped."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import fmean, stdev

import pytest

from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.study import Columns, Curve, write_curves, write_rows
from pgce_mini.study.analysis import Evidence, Prediction, check_predictors
from pgce_mini.study.analysis.predictors import ACCURACY, ENTROPY, REGISTERED, SHARE
from pgce_mini.tasks import ChainSum, task_to_dict
from pgce_mini.theory import policy_flow, predict_chain, stationary_policy

TASK = ChainSum(reasoned_share=0.3, slip_rate=0.1)
SEEDS = (3, 5, 8)


def of_arm(
    arm: str, shaping: RewardShaping, numbers: dict[int, tuple[float, ...]]
) -> list[tuple[Columns, list[Curve]]]:
    """numbers: seed -> share, accuracy if reasoned, accuracy if direct, entropy at positions 1 to 11"""
    settings = {"pretrain": {"corpus": task_to_dict(TASK), "shaping": asdict(shaping)}}
    found = []
    for seed, (share, reasoned, direct, *entropy) in numbers.items():
        row = {
            "study": "s",
            "task": "chain-sum",
            "variant": "v",
            "arm": arm,
            "seed": seed,
            "settings": json.dumps(settings),
        }
        row |= {
            "reasoned_share_before": share,
            "accuracy_if_reasoned_before": reasoned,
            "accuracy_if_direct_before": direct,
        }
        steps = list(range(1, len(entropy) + 1))
        found.append((row, [Curve(stage="before", metric="entropy", steps=steps, values=entropy)]))
    return found


def learnt(share: float, slip: float, shaping: RewardShaping) -> tuple[float, ...]:
    """What a prior does that has learnt these rates to the end."""
    found = predict_chain(ChainSum(reasoned_share=share, slip_rate=slip), shaping)
    rates = found.reasoned_share, found.accuracy_if_reasoned, found.accuracy_if_direct
    return (*rates, *found.entropy_by_position)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Prediction]:
    """Priors that learnt other rates than the corpus', which has 0.3 and 0.1: the same rates in all seeds."""
    folder, sharp = tmp_path_factory.mktemp("tables"), PAPER_ARMS["precision"]
    plain, mapped = learnt(0.34, 0.15, RewardShaping()), learnt(0.34, 0.15, sharp)
    shift = {3: 0.0, 5: 0.01, 8: 0.05}  # of precision's share, by seed
    rows = of_arm("ce", RewardShaping(), dict.fromkeys(SEEDS, plain))
    rows += of_arm(
        "precision", sharp, {s: (mapped[0] + shift[s], *mapped[1:10], 0.1, 0.2, 0.3, 0.4) for s in SEEDS}
    )
    rows += of_arm(
        "predicted-precision", RewardShaping(), dict.fromkeys((5, 8), (0.5, *mapped[1:10], 0.1, 0.2, 0.3, 0.3))
    )
    write_rows(folder / "s.parquet", [{**row, "error": None} for row, _ in rows])
    write_curves(folder / "s-curves.parquet", rows)
    return {(p.predictor, p.measure): p for p in check_predictors(Evidence(folder), "s")}


def test_each_predictor_starts_from_what_its_name_says(found: dict[tuple[str, str], Prediction]) -> None:
    plain, mapped = (learnt(0.34, 0.15, shaping) for shaping in (RewardShaping(), PAPER_ARMS["precision"]))
    corpus = learnt(0.3, 0.1, PAPER_ARMS["precision"])
    for predictor, numbers in (("no map", plain), ("A", corpus), ("C", mapped)):
        assert found[predictor, SHARE].predicted == pytest.approx(numbers[0], abs=1e-6)
        assert found[predictor, ACCURACY].predicted == pytest.approx(numbers[1], abs=1e-6)
        assert found[predictor, SHARE].measured == pytest.approx(mapped[0] + 0.02)
    assert found["C", ACCURACY].error == pytest.approx(0, abs=1e-6)
    b = found["B", SHARE]
    assert (b.seeds, b.predicted) == (2, 0.5)  # the seeds that both arms have
    assert b.measured == pytest.approx(mapped[0] + 0.03)
    assert (found["B", ENTROPY].predicted, found["B", ENTROPY].measured) == pytest.approx((0.3, 0.4))


def test_error_is_judged_by_its_tolerance_and_is_sure_two_standard_errors_away(
    found: dict[tuple[str, str], Prediction],
) -> None:
    share = found["C", SHARE]
    assert share.standard_error == pytest.approx(stdev((0, 0.01, 0.05)) / 3**0.5)  # ce is the same in all seeds
    assert (share.tolerance, share.right, share.sure) == (0.01, False, False)  # 0.02 off, 0.015 standard error
    assert (found["C", ACCURACY].right, found["C", ACCURACY].sure) == (True, True)
    assert (found["B", ENTROPY].right, found["B", ENTROPY].sure) == (False, True)  # 0.1 off, always
    assert found["A", SHARE].tolerance is None
    assert not found["A", ACCURACY].right  # nothing was registered


def test_predictions_of_the_first_study_are_nearer_from_what_cross_entropy_learnt() -> None:
    errors: dict[tuple[str, str], list[float]] = {}
    found = [p for study in ("chain", "trap") for p in check_predictors(Evidence(), study)]
    for p in found:
        errors.setdefault((p.predictor, p.measure), []).append(abs(p.error))
    assert {len(of) for of in errors.values()} == {10}
    for measure, mean, largest, without in ((SHARE, 0.002, 0.004, 0.031), (ACCURACY, 0.010, 0.030, 0.122)):
        assert fmean(errors["C", measure]) == pytest.approx(mean, abs=6e-4)
        assert max(errors["C", measure]) == pytest.approx(largest, abs=6e-4)
        assert max(errors["A", measure]) == pytest.approx(without, abs=6e-4)
    assert all(p.right for p in found if (p.predictor, p.measure) in REGISTERED)


def test_study_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="study must be one of chain sums, got countdown"):
        check_predictors(Evidence(), "countdown")


def test_last_approach_to_certainty_takes_as_long_as_the_document_says() -> None:
    # d(1 - pi)/dt ~ -(1 - pi)^(2 + beta): the way from 0.9 to 0.99 takes an integral of (1 - pi)^-(2 + beta).
    shapings = [PAPER_ARMS[arm] for arm in ("ce", "precision", "diversity")]
    label = [1.0] + [0.0] * 32
    path = policy_flow([0.0] * 33, label, shapings, 3000, 0.5)  # (steps + 1, 3, 33)
    steps = [int((path[:, i, 0] > 0.99).argmax() - (path[:, i, 0] > 0.9).argmax()) for i in range(3)]
    by_hand = [(100 ** (1 + s.beta) - 10 ** (1 + s.beta)) / (1 + s.beta) for s in shapings]
    for i, times in ((1, 0.38), (2, 7.2)):
        assert steps[i] / steps[0] == pytest.approx(times, abs=0.05)
        assert by_hand[i] / by_hand[0] == pytest.approx(times, abs=0.05)
    # After equal time the arms lack the power 1 / (1 + beta) of what ce lacks, but for a factor (1 + beta)^(that):
    then = path[int((path[:, 0, 0] > 0.97).argmax())]
    for probs, shaping in zip(then[1:], shapings[1:], strict=True):
        power = 1 / (1 + shaping.beta)
        mapped = stationary_policy(then[0], shaping)
        assert (1 - probs[0]) / (1 - mapped[0]) == pytest.approx((1 + shaping.beta) ** -power, rel=0.15)
