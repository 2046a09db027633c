"""One table of metrics: what an evaluation measures, what trainings log, and what columns are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import SHAPE, TASK, new_model

from pgce_mini.evaluation import (
    AREAS,
    CHANGES,
    LOGGED,
    METRICS,
    EvaluationConfig,
    column_label,
    column_title,
    evaluate,
    measured,
    metrics,
    sample_text,
)
from pgce_mini.gpt import GPT
from pgce_mini.runs import Run
from pgce_mini.shipped import RESULTS
from pgce_mini.study import read_curves, read_rows
from pgce_mini.tasks import Text
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo

IDENTITY = {"study", "task", "variant", "arm", "seed", "settings", "temperature", "error"}


def test_every_metric_of_a_task_is_measured_and_only_those_of_text_are_left_out() -> None:
    found = measured(evaluate(new_model(), TASK, EvaluationConfig(problems=2, samples=4, documents=2)), {})
    assert list(found) == [name for name, m in metrics(4, [1, 2, 4]).items() if m.source != "text"]
    assert found["accuracy_if_direct"] is None or 0 <= found["accuracy_if_direct"] <= 1


def test_text_has_the_metrics_of_documents_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("It was the best of times, it was the worst of times.\n" * 400)
    corpus = Text(path=str(tmp_path / "book.txt"), vocab_size=300, context_length=64)
    model = GPT(replace(SHAPE, max_position_embeddings=64).config(corpus))
    written = sample_text(model, corpus, 2, 1.0, 0)
    found = measured(evaluate(model, corpus, EvaluationConfig(documents=2)), written)
    assert list(found) == [name for name, metric in METRICS.items() if metric.source in ("heldout", "text")]
    assert found["distinct_2"] == written["distinct_2"]


def test_what_is_logged_is_what_the_trainers_write(prior: Path, tmp_path: Path) -> None:
    policy, experts = tmp_path / "policy", tmp_path / "experts"
    config = GRPOConfig(run_dir=policy, prior=prior, steps=3, prompts_per_step=4, eval_every=3, eval_problems=4)
    train_grpo(config, progress=False)
    mixture = replace(SHAPE, num_experts=2)
    pretrain(PretrainConfig(run_dir=experts, corpus=TASK, model=mixture, steps=1, batch_size=4), progress=False)
    for training, path in (("pretrain", experts), ("rl", policy)):
        written = {name for line in Run(path).metrics() for name in line}
        assert LOGGED[training].keys() <= written
    assert {*CHANGES.values(), *AREAS.values()} <= LOGGED["rl"].keys()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.parquet")), ids=lambda path: path.stem)
def test_tables_of_the_package_hold_no_metric_without_a_name(path: Path) -> None:
    if path.stem.endswith("-curves"):
        curves = {(curve["stage"], curve["metric"]) for row in read_curves(path).values() for curve in row}
        known = {(training, name) for training, names in LOGGED.items() for name in names}
        assert curves <= known | {("before", "entropy"), ("after", "entropy")}
        return
    row = read_rows(path)[0]
    varied = {name for name in row if "." in name or name == "top_k"}
    for column in row.keys() - IDENTITY - varied:
        assert column_label(column)


def test_accuracy_at_further_temperatures_is_measured_where_it_is_asked_for() -> None:
    config = EvaluationConfig(problems=2, samples=4, documents=2, scored_at=(1, 0.75, 0))
    found = measured(evaluate(new_model(), TASK, config), {})
    assert [name for name in found if name in ("avg_at_m", "avg_at_m_at_0.75", "greedy")] == [
        "avg_at_m", "avg_at_m_at_0.75", "greedy",
    ]  # fmt: skip
    assert column_label("avg_at_m_at_0.75_after", 16) == "Avg@16 at T = 0.75 after RL"
    assert column_title("greedy_before") == "greedy accuracy before RL (share)"


def test_evaluation_of_an_earlier_version_lacks_what_came_later_and_nothing_else() -> None:
    evaluation = evaluate(new_model(), TASK, EvaluationConfig(problems=2, samples=4, documents=2))
    now = measured(evaluation, {})
    for later in ("completion_cross_entropy", "completion_entropy"):
        evaluation["heldout"].pop(later)
        now.pop(later)
    assert "scored_at" not in evaluation["config"]
    assert measured(evaluation, {}) == now


def test_labels_follow_the_settings() -> None:
    assert column_label("avg_at_m_after", 16) == "Avg@16 after RL"
    assert column_label("pass_at_8_before", 16) == "Pass@8 before RL"
    assert column_label("entropy_before") == "held-out entropy of the prior"
    assert column_label("completion_entropy_after") == "held-out completion entropy of the policy"
    assert column_label("rl_length_change") == "change of length early in RL"
    assert column_title("completion_length_after") == "length after RL (tokens)"
    assert (column_title("temperature"), column_title("rl_temperature")) == ("T", "T in RL")
    assert column_title("rl_entropy_change") == "change of entropy early in RL (nats/token)"


@pytest.mark.parametrize(
    "column", ["avg_at_m", "boldness_after", "pass_at_k_after", "avg_at_m_later", "avg_at_m_at_t_after"]
)
def test_unknown_column_is_named(column: str) -> None:
    with pytest.raises(ValueError, match=f"column must be .* got '{column}'"):
        column_label(column)
