"""What a report says: every number comes from the evaluations on the disk."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgce_mini.evaluation import EvaluationConfig
from pgce_mini.reports.html import Report
from pgce_mini.runs import Run, RunError, write_json
from pgce_mini.study import StudyConfig
from pgce_mini.study.rows import error_path

SETTINGS = StudyConfig(
    arms=("ce", "precision"), seeds=(0, 1), evaluation=EvaluationConfig(problems=3, samples=4, ks=(1, 4))
)


def evaluation(correct: list[int]) -> dict[str, Any]:
    return {
        "corpus": {"name": "chain-sum"},
        "config": {"problems": 3, "samples": 4, "ks": [1, 4]},
        "heldout": {
            "cross_entropy": 0.5, "entropy": 0.4, "ece": 0.1,
            "reliability": [{"low": 0, "high": 1, "confidence": 0.5, "accuracy": 0.6, "count": 9}],
        },
        "samples": {"entropy_by_position": [0.5, 0.25]},
        "per_problem": {
            "correct": correct,
            "consensus": [1.0] * 3,
            "completion_length": [3.0] * 3,
            "entropy": [0.5] * 3,
            "reasoned_share": [0.25] * 3,
        },
    }  # fmt: skip


def write_cell(path: Path, before: list[int], after: list[int]) -> None:
    for folder, correct in (("prior", before), ("policy", after)):
        write_json(path / folder / "evaluation.json", evaluation(correct))
        Run(path / folder).append_metrics(
            {
                "step": 1, "reward": 0.5, "entropy": 0.5, "completions/mean_length": 3.0,
                "heldout_cross_entropy": 0.5, "heldout_entropy": 0.4,
            }
        )  # fmt: skip


def fail(study_dir: Path, reason: str) -> None:
    """ce with seed 0 has failed."""
    error = error_path(study_dir, "ce/seed0")
    error.parent.mkdir(parents=True)
    error.write_text(reason)


@pytest.fixture
def study_dir(tmp_path: Path) -> Path:
    write_json(tmp_path / "config.json", {"kind": "study", "config": SETTINGS.settings()})
    for seed in (0, 1):
        write_cell(tmp_path / f"ce-seed{seed}", [1, 1, 1], [2, 2, 2])
        write_cell(tmp_path / f"precision-seed{seed}", [1, 1, 1], [3, 3, 3])
    return tmp_path


def test_table_holds_each_metric_of_each_arm_before_and_after(study_dir: Path) -> None:
    lines = Report(study_dir).as_text().split("\n")
    assert " ".join(lines[0].split()) == "before RL after RL"
    assert lines[1].split() == ["Avg@4", "ce", "0.250", "[0.250,", "0.250]", "0.500", "[0.500,", "0.500]"]
    assert lines[2].split() == ["precision", "0.250", "[0.250,", "0.250]", "0.750", "[0.750,", "0.750]"]
    assert len(lines) == 1 + 2 * 6
    assert max(map(len, lines)) <= 100


def test_takeaway_tells_gain_and_difference_from_the_numbers(study_dir: Path) -> None:
    report = Report(study_dir)
    assert "Means over 2 seeds; 95 % bootstrap intervals over 3 held-out problems" in report.caveat()
    assert report.takeaway() == (
        "Avg@4 before -> after RL: ce 0.25 -> 0.50, precision 0.25 -> 0.75. "
        "After RL precision minus ce on these problems: +0.250, 95 % interval [+0.250, +0.250] "
        "(seed by seed +0.250, +0.250)."
    )


def test_estimate_stands_with_its_seeds_and_is_no_verdict(study_dir: Path) -> None:
    write_json(study_dir / "precision-seed0" / "policy" / "evaluation.json", evaluation([1, 1, 1]))
    write_json(study_dir / "precision-seed1" / "policy" / "evaluation.json", evaluation([4, 4, 4]))
    report = Report(study_dir)
    assert report.differences["precision"]["avg_at_m"] == {"value": 0.125, "low": 0.125, "high": 0.125}
    assert "precision minus ce on these problems: +0.125" in report.takeaway()
    assert "seed by seed -0.250, +0.500" in report.takeaway()
    assert "an estimate, no verdict" in report.caveat()


def test_arms_are_compared_on_the_seeds_that_both_finished(study_dir: Path) -> None:
    write_json(study_dir / "precision-seed1" / "policy" / "evaluation.json", evaluation([4, 4, 4]))
    (study_dir / "ce-seed0" / "policy" / "evaluation.json").unlink()
    fail(study_dir, "it diverged")
    report = Report(study_dir)
    assert report.seed_gaps == {"precision": [0.5]}
    assert "the finished seeds (ce 1, precision 2)" in report.caveat()
    assert report.as_json()["failed"] == {"ce-seed0": "it diverged"}


def test_takeaway_says_which_arm_stands_in_for_a_first_arm_that_failed(study_dir: Path) -> None:
    for seed in (0, 1):
        (study_dir / f"ce-seed{seed}" / "policy" / "evaluation.json").unlink()
    assert Report(study_dir).takeaway().endswith("No seed of ce is finished.")
    arms = ("ce", "precision", "diversity")
    write_json(study_dir / "config.json", {"kind": "study", "config": replace(SETTINGS, arms=arms).settings()})
    for seed in (0, 1):
        write_cell(study_dir / f"diversity-seed{seed}", [1, 1, 1], [2, 2, 2])
    takeaway = Report(study_dir).takeaway()
    assert "No seed of ce is finished, so precision is what the others are compared with. " in takeaway
    assert "diversity minus precision" in takeaway


def test_arms_without_a_seed_in_common_are_not_compared(study_dir: Path) -> None:
    (study_dir / "ce-seed0" / "policy" / "evaluation.json").unlink()
    (study_dir / "precision-seed1" / "policy" / "evaluation.json").unlink()
    report = Report(study_dir)
    assert list(report.summary) == ["ce", "precision"]
    assert report.differences == {}


def test_report_writes_summary_and_page(study_dir: Path) -> None:
    summary, page = Report(study_dir).write()
    content = json.loads(summary.read_text())
    assert content["schema_version"] == 1
    assert content["arms"]["precision"]["after"]["samples"]["avg_at_m"]["value"] == 0.75
    assert content["arms"]["ce"]["before"]["heldout"] == {"cross_entropy": 0.5, "entropy": 0.4, "ece": 0.1}
    assert content["differences_after_rl"]["baseline"] == "ce"
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "0.750 [0.750, 0.750]" in " ".join(re.sub("<[^>]*>|&nbsp;", " ", text).split())


def test_study_without_a_finished_row_says_so(study_dir: Path) -> None:
    for path in study_dir.rglob("evaluation.json"):
        path.unlink()
    fail(study_dir, "the training diverged at step 3")
    with pytest.raises(ValueError, match=r"no finished row yet \(ce-seed0: the training diverged at step 3\)"):
        Report(study_dir)


def test_damaged_evaluation_is_named(study_dir: Path) -> None:
    (study_dir / "ce-seed0" / "policy" / "evaluation.json").write_text("{")
    with pytest.raises(RunError, match=r"ce-seed0/policy/evaluation\.json cannot be read"):
        Report(study_dir)
