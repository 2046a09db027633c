"""The small study of the last notebook, and the tables of a study read back as notebooks read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgce_mini import EvaluationConfig, GRPOConfig, PretrainConfig, RewardShaping
from pgce_mini.runs import RunError
from pgce_mini.study import StudyTable, run_spec
from pgce_mini.study.analysis import curves_of, predicted, rows_of
from pgce_mini.teaching.duel import TASK, duel
from pgce_mini.theory import predict_chain
from pgce_mini.training import ModelShape

SHARP = RewardShaping(beta=-0.4, lambda_tail=-0.1, top_k=6)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> StudyTable:
    """A duel of two seeds, in no time, and its tables in a folder `duel`."""
    folder = tmp_path_factory.mktemp("study") / "duel"
    spec = duel(
        "sharp", SHARP, folder, (0, 3),
        pretrain=PretrainConfig(
            corpus=TASK, model=ModelShape(hidden_size=16, num_attention_heads=2, num_key_value_heads=2), steps=4,
            batch_size=4, eval_every=2, eval_documents=4,
        ),
        rl=GRPOConfig(steps=2, prompts_per_step=2, num_generations=4),
        evaluation=EvaluationConfig(problems=4, samples=4, ks=(1, 2), documents=4),
    )  # fmt: skip
    return run_spec(spec, folder, progress=False)


def test_a_duel_runs_both_arms_on_the_same_seeds(table: StudyTable) -> None:
    assert table.failed == {}
    rows = [(row["arm"], row["seed"]) for row in table.rows]
    assert rows == [("ce", 0), ("sharp", 0), ("ce", 3), ("sharp", 3)]


def test_rows_and_curves_come_back_by_arm_and_seed(table: StudyTable) -> None:
    folder = table.path.parent
    rows = rows_of("duel", folder)
    assert [row["avg_at_m_after"] for row in rows] == [row["avg_at_m_after"] for row in table.rows]
    curves = curves_of("duel", "rl", ["sharp", "ce"], folder)
    assert list(curves) == ["sharp", "ce"]
    assert [[row["step"] for row in seed] for seed in curves["ce"]] == [[1, 2], [1, 2]]
    assert {"reward", "completions/mean_length", "reasoned_share"} <= curves["ce"][0][0].keys()


def test_a_row_is_predicted_by_its_own_task_and_shaping(table: StudyTable) -> None:
    ce, sharp = table.rows[:2]
    assert predicted(ce) == predict_chain(TASK, RewardShaping())
    assert predicted(sharp) == predict_chain(TASK, SHARP)


def test_a_missing_table_or_arm_is_named_with_the_command_that_makes_it(table: StudyTable) -> None:
    folder = table.path.parent
    with pytest.raises(RunError, match=r"^the study's table chain\.parquet is missing.*`pgce study chain "):
        rows_of("chain", folder)
    with pytest.raises(RunError, match=r"chain-curves\.parquet is missing"):
        curves_of("chain", "rl", ["ce"], folder)
    with pytest.raises(RunError, match=r"duel-curves\.parquet of focal-2 is missing"):
        curves_of("duel", "rl", ["ce", "focal-2"], folder)


@pytest.mark.parametrize(
    ("name", "shaping", "said"),
    [
        ("ce", RewardShaping(), "name must be one of your own"),
        ("", RewardShaping(), "name must be one of your own"),
        ("head", RewardShaping(lambda_head=0.1), "top_k=100 leaves no tail"),
    ],
)
def test_a_duel_that_makes_no_sense_is_refused(
    name: str, shaping: RewardShaping, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        duel(name, shaping, tmp_path / "duel")
