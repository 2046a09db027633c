"""Tables from evaluations with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tiny import TASK, new_model

from pgce_mini.evaluation import EvaluationConfig, evaluate
from pgce_mini.study.analysis import as_text, by_metric, differences, heldout_means, labels, summarize


def evaluation(correct: list[int], *, samples: int = 4, cross_entropy: float | None = 0.5, **config: Any) -> Any:
    problems = len(correct)
    return {
        "corpus": {"name": "chain-sum"},
        "config": {"samples": samples, "ks": [1, 2, 4], "seed": 0, **config},
        "heldout": {"cross_entropy": cross_entropy, "entropy": 0.25, "ece": 0.1},
        "samples": {},
        "per_problem": {
            "correct": correct,
            "consensus": [float(c > samples / 2) for c in correct],
            "completion_length": [3.0] * problems,
            "entropy": [0.5] * problems,
            "reasoned_share": [1.0] * problems,
        },
    }


def uneven(entropy: Sequence[float], length: Sequence[float]) -> Any:
    found = evaluation([1] * len(entropy))
    found["per_problem"] |= {"completion_length": [*length], "entropy": [*entropy]}
    return found


def test_metrics_of_one_run_are_means_over_problems() -> None:
    summary = summarize([evaluation([4, 0, 2, 2])])
    assert summary["avg_at_m"]["value"] == pytest.approx(0.5)
    assert summary["cons_at_m"]["value"] == pytest.approx(0.25)
    assert summary["pass_at_2"]["value"] == pytest.approx((1 + 0 + 2 * (1 - 1 / 6)) / 4)  # 1 - C(2, 2) / C(4, 2)
    assert summary["pass_at_4"]["value"] == pytest.approx(0.75)
    assert summary["completion_length"] == {"value": 3, "low": 3, "high": 3}
    estimate: Any = summary["avg_at_m"]
    assert estimate["low"] < 0.5 < estimate["high"]


def test_seeds_are_averaged_for_each_problem_before_the_interval() -> None:
    # Two seeds that are right on opposite problems: no problem differs from another, so the interval has no width.
    summary = summarize([evaluation([4, 0]), evaluation([0, 4])])
    assert summary["avg_at_m"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_differences_are_paired_over_problems() -> None:
    gap = differences([evaluation([3, 1, 4])], [evaluation([2, 0, 3])])["avg_at_m"]
    assert gap == {"value": 0.25, "low": 0.25, "high": 0.25}


def test_heldout_means_are_over_seeds_and_unknown_when_one_is() -> None:
    both = [evaluation([1], cross_entropy=0.5), evaluation([1], cross_entropy=1.5)]
    assert heldout_means(both) == {"cross_entropy": 1.0, "entropy": 0.25, "ece": pytest.approx(0.1)}
    assert heldout_means([*both, evaluation([1], cross_entropy=None)])["cross_entropy"] is None


def test_evaluations_with_other_settings_are_refused_by_the_setting() -> None:
    with pytest.raises(ValueError, match=r"temperature is 1\.0 in one and 0\.5 in another"):
        summarize([evaluation([1], temperature=1.0), evaluation([1], temperature=0.5)])
    scored = evaluation([1], scored_at=[1.0, 0.75])  # recorded only where it is set
    for pair, said in (([scored, evaluation([1])], r"\[1\.0, 0\.75\] in one and None"),
                       ([evaluation([1]), scored], r"None in one and \[1\.0, 0\.75\]")):  # fmt: skip
        with pytest.raises(ValueError, match=f"scored_at is {said} in another"):
            summarize(pair)
    with pytest.raises(ValueError, match="at least one evaluation"):
        summarize([])


def test_evaluations_of_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one is on .*chain-sum.*, another on .*countdown"):
        differences([evaluation([1])], [{**evaluation([1]), "corpus": {"name": "countdown"}}])


def test_entropy_is_a_mean_over_tokens() -> None:
    assert summarize([uneven([1, 0], [1, 3])])["entropy"]["value"] == pytest.approx(1 / 4)


def test_interval_of_the_entropy_does_not_hold_the_noise_of_the_lengths() -> None:
    lengths = [3.0, 11.0] * 20
    same, higher = uneven([0.5] * 40, lengths), uneven([0.75] * 40, lengths[::-1])
    assert summarize([same])["entropy"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert differences([higher], [same])["entropy"] == {"value": 0.25, "low": 0.25, "high": 0.25}


def test_interval_of_the_entropy_is_that_of_the_evaluation() -> None:
    found = evaluate(new_model(), TASK, EvaluationConfig(problems=9, samples=4, ks=(1,), documents=1))
    assert found["samples"] is not None
    assert summarize([found])["entropy"] == pytest.approx(found["samples"]["entropy"], rel=1e-12)


def test_difference_of_entropies_is_resampled_once_for_both_and_averaged_over_seeds() -> None:
    rng = np.random.default_rng(1)
    arms = [[uneven(rng.random(12), rng.integers(1, 9, 12)) for _ in range(2)] for _ in range(2)]
    rows = np.random.default_rng(0).integers(12, size=(2000, 12))

    def entropy(run: Any, problems: Any) -> Any:
        length, nats = (np.array(run["per_problem"][name])[problems] for name in ("completion_length", "entropy"))
        return (nats * length).sum(-1) / length.sum(-1)

    def gap(problems: Any) -> Any:
        arm, baseline = (np.mean([entropy(run, problems) for run in runs], axis=0) for runs in arms)
        return arm - baseline

    low, high = np.quantile(gap(rows), (0.025, 0.975))
    found = differences(*arms)["entropy"]
    assert found == pytest.approx({"value": gap(np.arange(12)), "low": low, "high": high}, rel=1e-12)
    alone = summarize(arms[0])["entropy"]["value"]
    assert alone == pytest.approx(np.mean([entropy(run, np.arange(12)) for run in arms[0]]))


def test_plain_text_has_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="plain text"):
        summarize([{**evaluation([1]), "samples": None, "per_problem": None}])


def test_table_has_a_line_a_metric_and_a_column_a_run() -> None:
    columns = {"runs/a": summarize([evaluation([4, 4])]), "runs/b": summarize([evaluation([0, 0])])}
    lines = as_text(by_metric(columns, labels(4, [1, 2, 4]))).split("\n")
    assert lines[0].split() == ["runs/a", "runs/b"]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "Avg@4", "Cons@4", "Pass@2", "Pass@4", "entropy (nats/token)", "length (tokens)", "reasoned",
    ]  # fmt: skip
    assert lines[1].split("  ")[-1] == "0.000 [0.000, 0.000]"
    assert max(map(len, lines)) <= 100


def test_repeated_first_key_is_written_once() -> None:
    point = {"value": 0.5, "low": 0.25, "high": 0.75}
    rows: Any = {("Avg@4", "ce"): {"before": point}, ("Avg@4", "precision"): {"before": point}}
    assert as_text(rows).split("\n")[1:] == [
        "Avg@4  ce         0.500 [0.250, 0.750]",
        "       precision  0.500 [0.250, 0.750]",
    ]
