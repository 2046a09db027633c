"""A tiny study through real worker processes, interrupted, failing, continued."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgce_mini.evaluation import WHEN
from pgce_mini.reports.html import Report
from pgce_mini.reward import RewardShaping
from pgce_mini.runs import RunError, write_json
from pgce_mini.study import RL_STEP_WORK, StudyConfig, load_curves, load_results, run_study
from pgce_mini.study.rows import work_done
from pgce_mini.tasks import Text
from pgce_mini.training import PretrainConfig

TINY = """
from pathlib import Path
from pgce_mini.evaluation import EvaluationConfig
from pgce_mini.training import GRPOConfig
from pgce_mini.training import ModelShape, PretrainConfig
from pgce_mini.study import StudyConfig, run_study
from pgce_mini.tasks import ChainSum

def config(study_dir, **changes):
    return StudyConfig(
        Path(study_dir), ("ce", "precision"), None, (3,),
        PretrainConfig(
            corpus=ChainSum(num_operands=5, max_operand=3), model=ModelShape(hidden_size=16, intermediate_size=16),
            steps=150, batch_size=8, eval_every=10, eval_documents=8, save_every=3,
        ),
        GRPOConfig(steps=4, prompts_per_step=2, num_generations=4, save_every=1),
        EvaluationConfig(problems=4, samples=4, ks=(1, 2, 4), documents=8),
        **changes,
    )
"""
namespace: dict[str, Any] = {}
exec(TINY, namespace)  # the same text runs in the subprocesses below
config = namespace["config"]


def results_on_disk(study_dir: Path) -> dict[str, bytes]:
    """The bytes of every model and evaluation."""
    files = [*study_dir.rglob("evaluation.json"), *study_dir.rglob("model.safetensors")]
    return {str(file.relative_to(study_dir)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study_dir = tmp_path_factory.mktemp("study") / "finished"
    run_study(config(study_dir), progress=False)
    return study_dir


def test_study_leaves_an_evaluation_of_every_arm_before_and_after_rl(finished: Path) -> None:
    results = load_results(finished)
    assert results.failed == {}
    assert list(results.evaluations) == ["ce", "precision"]
    for models in results.evaluations.values():
        assert [len(models[when]) for when in WHEN] == [1, 1]
    assert len(results_on_disk(finished)) == 8


def test_curves_have_a_row_a_step(finished: Path) -> None:
    assert [len(rows) for rows in load_curves(finished, "before")["precision"]] == [150]
    assert [row["step"] for row in load_curves(finished, "after")["ce"][0]] == [1, 2, 3, 4]


def test_progress_counts_every_step_of_a_finished_row(finished: Path) -> None:
    row = config(finished).spec().rows[0]
    assert row.finished
    assert dict(row.trainings()) == {path: work_done(path) for path in row.models.values()}
    assert [work_done(path) for path in row.models.values()] == [150, RL_STEP_WORK * 4]


def test_finished_study_is_not_trained_again_and_at_most_measured(finished: Path) -> None:
    results = results_on_disk(finished)
    models = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    for lost in (finished / "nothing", finished / "rows"):  # which a study of an older version did not have
        shutil.rmtree(lost, ignore_errors=True)
        run_study(config(finished), progress=False)
        assert results_on_disk(finished) == results
        assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")} == models


def test_core_dependencies_are_enough(tmp_path: Path) -> None:
    absent = """
import sys
from importlib.machinery import PathFinder

class WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ("pyarrow", "scipy") else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras
"""
    study = f"""
if __name__ == '__main__':
    from dataclasses import replace
    from pgce_mini.reports.html import Report
    short = config({str(tmp_path / "study")!r})
    short = replace(short, arms=("ce",), pretrain=replace(short.pretrain, steps=2))
    assert run_study(short, progress=False).failed == {{}}
    Report(Path({str(tmp_path / "study")!r})).write()
"""
    (tmp_path / "script.py").write_text(absent + TINY + study)
    done = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_row_evaluated_with_other_settings_is_evaluated_again(finished: Path) -> None:
    path = finished / "ce-seed3" / "policy" / "evaluation.json"
    before = path.read_bytes()
    write_json(path, {"config": {}})
    run_study(config(finished), progress=False)
    assert path.read_bytes() == before


def lines_of_metrics(study_dir: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in study_dir.rglob("metrics.jsonl"))


def test_study_interrupted_and_continued_ends_with_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    study_dir = tmp_path / "interrupted"
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"  # ignored in the background
    script = f"{heard}\n{TINY}\nif __name__ == '__main__':\n    run_study(config({str(study_dir)!r}))\n"
    (tmp_path / "script.py").write_text(script)
    for number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        seen, deadline = lines_of_metrics(study_dir), time.monotonic() + 120
        while lines_of_metrics(study_dir) <= seen:
            assert time.monotonic() < deadline, "waited in vain for a step of training"
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=120)  # until the pipe is closed: the workers, who share it, are gone too
        assert process.returncode != 0
    run_study(config(study_dir), progress=False)
    assert results_on_disk(study_dir) == results_on_disk(finished)


def test_row_that_fails_is_named_with_its_reason_and_the_rest_goes_on(finished: Path, tmp_path: Path) -> None:
    study_dir = tmp_path / "failing"
    (study_dir / "precision-seed3" / "prior").mkdir(parents=True)
    (study_dir / "precision-seed3" / "prior" / "thesis.txt").write_text("do not touch")
    write_json(study_dir / "config.json", {"kind": "study", "config": config(study_dir).settings()})
    results = run_study(config(study_dir), progress=False)
    assert list(results.failed) == ["precision-seed3"]
    assert "holds files of something else" in results.failed["precision-seed3"]
    assert len(results.evaluations["ce"]["after"]) == 1
    assert (study_dir / "precision-seed3" / "prior" / "thesis.txt").read_text() == "do not touch"
    report = Report(study_dir)
    assert list(report.summary) == ["ce"]
    assert "precision-seed3" in report.as_html()


def test_other_settings_in_the_same_folder_are_refused(finished: Path) -> None:
    with pytest.raises(RunError, match=r"rl\.lr is 0\.0003 there and 0\.5 now"):
        run_study(replace(config(finished), rl=replace(config(finished).rl, lr=0.5)), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("ce", "boldness")}, "arms must be among .* got 'boldness'"),
        ({"seeds": (1, 1)}, "seeds must name at least one, none twice"),
        ({"seeds": (-1,)}, "seeds must be a whole number"),
        ({"workers": 0}, "workers must be"),
        ({"pretrain": PretrainConfig(corpus=Text())}, "a task with a verifier, got text"),
        ({"pretrain": PretrainConfig(shaping=RewardShaping(beta=1))}, "the arms set it"),
        ({"arms": ("tail-penalty",)}, "top_k=100 leaves no tail in the 39 tokens of chain-sum"),
    ],
)
def test_settings_that_make_no_sense_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StudyConfig(**changes)


def test_folder_of_a_run_is_not_a_study(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a rl run, not a study"):
        load_results(finished / "ce-seed3" / "policy")
    with pytest.raises(RunError, match="does not exist"):
        load_results(tmp_path / "nowhere")
