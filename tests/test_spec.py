"""Specifications: what they mean, and what is said when they are wrong, before anything is run."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path

import pytest

from pgce_mini.reward import RewardShaping
from pgce_mini.study import Spec, SpecError, load_spec
from pgce_mini.study.engines.locks import unit_locks
from pgce_mini.tasks import ChainSum

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted([*(ROOT / "studies").glob("*.toml"), ROOT / "pgce_mini" / "study" / "quick.toml"])

GOOD = """\
question = "?"
arms = ["ce", "precision", "temperature-0.75", "matched-precision", "steps-2"]
seeds = 2
top_k = 6

[task]
name = "chain-sum"
slip_rate = 0.2

[model]
hidden_size = 32

[pretrain]
steps = 100

[rl]
steps = 7

[evaluation]
samples = 8
ks = [1, 8]
"""


def load(tmp_path: Path, text: str) -> Spec:
    (tmp_path / "mine.toml").write_text(text)
    return load_spec(tmp_path / "mine.toml", tmp_path / "runs")


def test_rows_are_every_arm_with_every_seed(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD)
    assert (spec.name, spec.question, spec.seeds) == ("mine", "?", (0, 1))
    assert [row.name for row in spec.rows][4:6] == ["steps-2/seed0", "ce/seed1"]
    assert len(spec.rows) == 10
    assert not (tmp_path / "runs").exists()


def test_settings_reach_the_trainings(tmp_path: Path) -> None:
    ce, precision, tempered, matched, longer = load(tmp_path, GOOD).rows[:5]
    assert ce.pretrain.corpus == ChainSum(slip_rate=0.2)
    assert ce.pretrain.model.hidden_size == 32
    assert ce.pretrain.shaping == RewardShaping()
    assert precision.pretrain.shaping == RewardShaping(beta=-0.25, top_k=6)
    assert (ce.pretrain.steps, longer.pretrain.steps) == (100, 200)
    assert tempered.rl is not None
    assert ce.rl is not None
    assert (ce.rl.steps, ce.rl.temperature, tempered.rl.temperature) == (7, 1.0, 0.75)
    assert (ce.evaluation.ks, tempered.evaluation.temperature) == ((1, 8), 0.75)
    assert matched.reference is not None
    assert matched.reference.pretrain == precision.pretrain


def test_arms_share_what_is_the_same_and_nothing_else(tmp_path: Path) -> None:
    ce, precision, tempered, matched, longer = load(tmp_path, GOOD).rows[:5]
    assert ce.pretrain == tempered.pretrain == matched.pretrain
    assert len({row.pretrain.run_dir for row in (ce, precision, longer)}) == 3
    assert len({row.rl.run_dir for row in (ce, precision, tempered, matched, longer) if row.rl}) == 5
    assert {path for path, _ in matched.trainings()} >= {ce.pretrain.run_dir, precision.pretrain.run_dir}


def test_grid_is_every_combination_and_its_settings_are_columns(tmp_path: Path) -> None:
    sizes = '"model.hidden_size, model.intermediate_size" = [[16, 32], [32, 64]]'
    grid = f'[grid]\n"task.slip_rate" = [0.1, 0.3]\n{sizes}\n'
    rows = load(tmp_path, GOOD + grid).rows
    assert len(rows) == 40
    assert rows[10].variant == "slip_rate=0.1,hidden_size=32,intermediate_size=64"
    assert rows[10].identity["model.intermediate_size"] == rows[10].pretrain.model.intermediate_size == 64
    assert rows[-1].pretrain.corpus == ChainSum(slip_rate=0.3)
    assert len({row.pretrain.run_dir for row in rows}) == 4 * 2 * 3


def test_midtraining_goes_on_with_the_arm_or_with_cross_entropy(tmp_path: Path) -> None:
    midtrain = "[midtrain]\nsteps = 50\n[midtrain.task]\nreasoned_share = 0.5\n"
    rows = load(tmp_path, GOOD + midtrain + '[grid]\n"midtrain.loss" = ["arm", "ce"]\n').rows
    with_arm, with_ce, longer = rows[1].midtrain, rows[11].midtrain, rows[4].midtrain
    assert with_arm is not None
    assert with_ce is not None
    assert longer is not None
    assert with_arm.shaping == rows[1].pretrain.shaping
    assert with_ce.shaping == RewardShaping()
    assert with_ce.corpus == ChainSum(slip_rate=0.2, reasoned_share=0.5)
    assert longer.steps == 50  # twice the steps are pre-training's
    assert rows[12].midtrain == rows[10].midtrain  # temperature-0.75 samples from ce's


def test_text_has_no_rl(tmp_path: Path) -> None:
    spec = load(tmp_path, 'arms = ["ce"]\nseeds = [4]\n[task]\nname = "text"\nvocab_size = 300\n[evaluation]\n')
    assert [row.name for row in spec.rows] == ["ce/seed4"]
    assert spec.rows[0].rl is None


WRONG = [
    ("arms = [", "amrs = [", 2, "'amrs' is no setting of a study; did you mean arms?"),
    ('"precision", ', '"presicion", ', 2, "there is no arm 'presicion'; did you mean precision?"),
    ('"precision", ', '"label-smoothing-2", ', 2, "arms: label-smoothing-2: label_smoothing must be a number"),
    ('"precision", ', '"steps-0.001", ', 2, "arms: steps-0.001: steps must be a whole number of at least 1"),
    ('"precision", ', '"temperature-5000", ', 2, "arms: temperature-5000: temperature must be between"),
    ("arms = [", 'arms = "ce" #', 2, "arms must be a list of names, got 'ce'"),
    ('question = "?"', "question = 1", 1, "question must be a text, got 1"),
    ("seeds = 2", "seeds = []", 3, "seeds must name at least one"),
    ("seeds = 2", "seeds = 0", 3, "seeds must be a whole number between 1 and 10000, got 0"),
    ("seeds = 2", 'seeds = "2"', 3, "seeds must be a whole number or a list of them, got '2'"),
    ("seeds = 2", "seeds = [2147483648]", 3, "seeds must be a whole number between 0 and 2147483647"),
    ("seeds = 2", "seeds = [1, 1]", 3, "none twice"),
    ("seeds = 2", "seeds = [-1]", 3, "seeds must be a whole number"),
    ("seeds = 2", "seeds = 20250101", 3, "seeds must be a whole number between 1 and 10000"),
    ("top_k = 6", "top_k = 0", 4, "top_k must be a whole number"),
    ('"chain-sum"', '"chainsum"', 6, "task.name must be one of chain-sum, countdown, text, got 'chainsum'"),
    ('"chain-sum"', '["chain-sum"]', 6, "task.name must be one of chain-sum, countdown, text, got ['chain-sum']"),
    ("slip_rate", "sliprate", 8, "'sliprate' is no setting of [task] chain-sum; did you mean slip_rate?"),
    ("slip_rate = 0.2", "slip_rate = 2", 8, "task: slip_rate must be a number between 0 and 1, got 2"),
    ("hidden_size = 32", "hidden_size = 33", 11, "hidden_size must"),
    ("steps = 100", "stepps = 100", 14, "'stepps' is no setting of [pretrain]; did you mean steps?"),
    ("steps = 100", "seed = 1", 14, "'seed' is no setting of [pretrain]"),
    ("steps = 100", "gradient_accumulation_steps = 2", 14, "'gradient_accumulation_steps' is no setting of [pre"),
    ("steps = 7", "fsdp = true", 17, "'fsdp' is no setting of [rl]"),
    ("steps = 7", "temperature = 0.8", 17, "'temperature' is no setting of [rl]: an arm, such as temperature-0"),
    ("steps = 7", "beta = 0.1", 17, "'beta' is no setting of [rl]: an arm, such as temperature-0.75 or beta-0.5,"),
    ("steps = 7", "steps = 0", 17, "rl: steps must be a whole number"),
    ("ks = [1, 8]", "ks = [1, 9]", 21, "evaluation: ks must be whole numbers between 1 and samples=8"),
    ("ks = [1, 8]", "scored_at = [0.0, 1.0]", 21, "evaluation: scored_at must list temperatures between"),
    ("ks = [1, 8]", "scored_at = 1", 21, "evaluation: scored_at must list temperatures between"),
    ("ks = [1, 8]", 'scored_at = ["1"]', 21, "evaluation: scored_at must list temperatures between"),
    ("ks = [1, 8]", "fresh_problems = 1", 21, "evaluation: fresh_problems must be true or false, got 1"),
    ("ks = [1, 8]", "fresh_problems = true\nseed = 1", 22, "evaluation: seed must be left out with fresh_"),
    ("steps = 7", "eval_every = 0", 17, "rl: eval_every must be a whole number of at least 1"),
    ("ks = [1, 8]", '[grid]\n"task.sliprate" = [1]', 22, "that a grid can set; did you mean task.slip_rate?"),
    ("ks = [1, 8]", '[grid]\n"task.slip_rate" = []', 22, "must be a list of values"),
    ("ks = [1, 8]", '[grid]\n"top_k, task.slip_rate" = [1, 2]', 22, "must be a list of 2"),
    ("ks = [1, 8]", '[grid]\n"task.slip_rate" = [[1]]', 22, "must hold words and numbers only"),
    ("ks = [1, 8]", '[grid]\n"rl.temperature" = [1]', 22, "that a grid can set: an arm, such as temperature-0.75"),
    ("ks = [1, 8]", "[grid]\npretrain.lr = [1]", 22, 'names in [grid] must be in quotes, as in "pretrain.lr" = ['),
    ("ks = [1, 8]", '[grid]\n"pretrain.lr" = [0.001, 1e-3]', 22, "grid.pretrain.lr must name no value twice"),
    ("ks = [1, 8]", '[grid]\n"rl.lr" = [1]\n"pretrain.lr, rl.lr" = [[1, 2]]', 23, "sets what the grid has set be"),
    ("ks = [1, 8]", "[midtrain]\ntask = 5", 22, "midtrain.task must be a table, [midtrain.task]"),
    ("ks = [1, 8]", '[midtrain]\nloss = "mse"', 22, "midtrain.loss must be arm or ce, got 'mse'"),
    ("ks = [1, 8]", "[midtrain.task]\nnum_operands = 9", None, "task must keep the vocabulary"),
    ("ks = [1, 8]", "[midtrain.task]\nnum_operand = 9", 22, "did you mean num_operands?"),
    ("[rl]", "[rl", 16, "is no TOML file"),
    ("[evaluation]\nsamples = 8\nks = [1, 8]\n", "", None, "lacks 'evaluation'"),
    ("[task]", "[[task]]", 6, "task must be a table"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), WRONG, ids=[new[:30] for _, new, _, _ in WRONG])
def test_wrong_specification_is_answered_with_file_line_and_remedy(
    old: str, new: str, line: int | None, message: str, tmp_path: Path
) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    sentence = str(caught.value)
    assert message in sentence
    assert str(tmp_path / "mine.toml") in sentence
    assert "\n" not in sentence
    if line is not None:
        assert re.search(rf"line {line}\b", sentence), sentence


SAME_SCORING = GOOD.replace("ks = [1, 8]", "scored_at = [1, 0.75, 0]\nfresh_problems = true")


def test_every_arm_is_scored_at_the_same_temperatures_on_problems_of_its_seed(tmp_path: Path) -> None:
    rows = load(tmp_path, SAME_SCORING).rows
    assert {row.evaluation.scored_at for row in rows} == {(1.0, 0.75, 0.0)}
    assert {row.evaluation.temperature for row in rows} == {1.0}
    assert [row.rl.temperature for row in rows[:3] if row.rl] == [1.0, 1.0, 0.75]
    assert [row.evaluation.seed for row in rows] == [0] * 5 + [1] * 5
    assert rows[1].settings == rows[6].settings  # the seed is no setting
    assert rows[1].settings["evaluation"]["fresh_problems"] is True


def test_keys_that_came_later_change_no_settings_where_they_are_left_out(tmp_path: Path) -> None:
    later = {"scored_at", "fresh_problems", "eval_problems"}
    for row in load(tmp_path, GOOD).rows:
        told = json.dumps(row.settings)
        assert not [name for name in later if name in told]
        assert "eval_every" in row.settings["pretrain"]
        assert "eval_every" not in row.settings["rl"]


@pytest.mark.parametrize(
    ("arm", "change"),
    [("evaluation-temperature-0.75", ""), ("temperature-0.75", "[rl]"), ("matched-precision", "[rl]")],
)
def test_arm_that_would_differ_in_its_scoring_alone_is_refused(arm: str, change: str, tmp_path: Path) -> None:
    text = re.sub("arms = .*", f'arms = ["ce", "{arm}"]', SAME_SCORING)
    text = text.replace("[rl]\nsteps = 7\n", "") if change else text
    with pytest.raises(SpecError, match=f"line 2: arms: arms must differ from ce in more .*: leave out {arm}"):
        load(tmp_path, text)


def test_task_without_rl_has_priors_alone(tmp_path: Path) -> None:
    rows = load(tmp_path, GOOD.replace("[rl]\nsteps = 7\n", "")).rows
    assert {row.rl for row in rows} == {None}
    assert {tuple(row.models) for row in rows} == {("before",)}


def test_text_has_no_problems_to_score(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"line 7: .*scored_at must be .* text"):
        load(tmp_path, OF_TEXT + "scored_at = [1.0]\n")


OF_TEXT = 'arms = ["ce"]\nseeds = 1\n[task]\nname = "text"\nvocab_size = 300\n[evaluation]\n'


def test_what_could_not_be_measured_after_its_training_is_refused_before(tmp_path: Path) -> None:
    countdown = GOOD.replace("chain-sum", "countdown").replace("slip_rate = 0.2\n", "")
    longer = "[midtrain.task]\nmax_attempts = 100\n"  # which leaves the vocabulary as it is
    with pytest.raises(SpecError, match=r"midtrain: max_position_embeddings must be at least \d+ for the doc"):
        load(tmp_path, countdown + longer)
    short = "context_length = 32\n[model]\nmax_position_embeddings = {}\n[evaluation]"
    with pytest.raises(SpecError, match=r"line 8: model: max_position_embeddings must be at least 64 for the s"):
        load(tmp_path, OF_TEXT.replace("[evaluation]", short.format(63)))
    load(tmp_path, OF_TEXT.replace("[evaluation]", short.format(64)))


def test_values_of_a_grid_that_are_paths_stay_within_the_folder_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "50%2F50").mkdir()
    books = [tmp_path / "a.txt", tmp_path / "50%2F50" / ".." / "a.txt", tmp_path / "50%2F50" / "a.txt"]
    for book in books:
        book.write_text("It was the best of times, it was the worst of times.\n" * 400)
    rows = load(tmp_path, f'{OF_TEXT}[grid]\n"task.path" = {json.dumps(list(map(str, books)))}\n').rows
    assert [row.name for row in rows] == [f"path={book}/ce/seed0" for book in books]
    for row in rows:
        for path in (row.result_path, row.error_path):
            assert path.parent.parent.parent == tmp_path / "runs" / "rows"
        [(run_dir, _)] = row.trainings()
        assert run_dir.parent.parent.parent == tmp_path / "runs"
        assert [path.resolve().parent for path, _ in unit_locks(row, fcntl.LOCK_EX)][1].parent == (
            tmp_path / "runs" / "units"
        )
    assert len({row.result_path for row in rows}) == 3


def test_text_with_rl_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"line 5: the task text has no verifier: leave out \[rl\]"):
        load(tmp_path, 'arms = ["ce"]\nseeds = 1\n[task]\nname = "text"\n[rl]\n[evaluation]\n')


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.toml cannot be read: No such file"):
        load_spec(tmp_path / "nowhere.toml", tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_shipped_specifications_can_be_run(path: Path, tmp_path: Path) -> None:
    spec = load_spec(path, tmp_path)
    assert spec.question
    assert spec.arms[0] == "ce"
    assert len({row.name for row in spec.rows}) == len(spec.rows)
