"""What was made from another model is made again; a finished run that is damaged is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disk import FOUND, everything_in, flip_byte
from tiny import SHAPE, TASK, new_model
from trainings import Training

from pgce_mini.evaluation import EvaluationConfig, evaluate_run, load_evaluation
from pgce_mini.evaluation.saved import EVALUATION, SAMPLES
from pgce_mini.gpt import GPT
from pgce_mini.runs import Run, RunError, fingerprint, load_model, read_json, save_model, write_json
from pgce_mini.study import Arm, Templates
from pgce_mini.tasks import Text
from pgce_mini.training import PretrainConfig, pretrain

CONFIG = EvaluationConfig(problems=2, samples=2, ks=(1,), documents=4)


@pytest.fixture
def run(prior: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    shutil.copytree(prior, tmp_path / "run")
    return tmp_path / "run"


def evaluated(path: Path, config: EvaluationConfig = CONFIG) -> dict[str, bytes]:
    """The files of its evaluation."""
    evaluate_run(path, config, progress=False)
    return {name: (path / name).read_bytes() for name in (EVALUATION, SAMPLES)}


def exchange(path: Path) -> None:
    save_model(path / "model.safetensors", new_model(seed=9), TASK)


def forget(path: Path, *names: str) -> None:
    content = read_json(path / EVALUATION)
    write_json(path / EVALUATION, {name: value for name, value in content.items() if name not in names})


STALE: dict[str, Callable[[Path], Any]] = {
    "samples lost": lambda path: (path / SAMPLES).unlink(),
    "samples cut": lambda path: (path / SAMPLES).write_bytes((path / SAMPLES).read_bytes()[:-20]),
    "samples of other settings": lambda path: (path / SAMPLES).write_text('{"problem": 0}\n'),
    "evaluation lost": lambda path: (path / EVALUATION).unlink(),
    "nothing said of its weights and samples": lambda path: forget(path, "weights", "samples_file"),
}


@pytest.mark.parametrize("change", STALE)
def test_what_is_missing_or_does_not_fit_is_made_again(change: str, run: Path) -> None:
    files = evaluated(run)
    times = [(run / name).stat().st_mtime_ns for name in files]
    assert evaluated(run) == files
    assert [(run / name).stat().st_mtime_ns for name in files] == times  # nothing was missing
    STALE[change](run)
    assert evaluated(run) == files


def test_evaluation_is_of_the_weights_that_are_there(run: Path) -> None:
    files = evaluated(run)
    exchange(run)
    with pytest.raises(RunError, match=r"evaluation\.json is of another model than .*: pgce evaluate"):
        load_evaluation(run)
    other = evaluated(run)
    assert not other.items() & files.items()
    assert read_json(run / EVALUATION)["weights"] == fingerprint(load_model(run)[0])
    assert evaluate_run(run / "model.safetensors", CONFIG, progress=False) == load_evaluation(run)
    (run / "model.safetensors").unlink()  # to save space: nothing speaks against the numbers
    assert load_evaluation(run)


def test_samples_of_a_model_that_has_none_are_not_kept(run: Path, tmp_path: Path) -> None:
    evaluated(run)
    (tmp_path / "book.txt").write_text("the cat sat on the mat. " * 500)
    corpus = Text(path=str(tmp_path / "book.txt"), tokenizer="char", context_length=16)
    save_model(run / "model.safetensors", GPT(SHAPE.config(corpus)), corpus)
    evaluation = evaluate_run(run, CONFIG, progress=False)
    assert not (run / SAMPLES).exists()
    assert evaluation == evaluate_run(run, CONFIG, progress=False)


@pytest.mark.parametrize("keep", [True, False])
def test_row_of_a_study_is_of_the_models_that_are_there(keep: bool, tmp_path: Path) -> None:
    pretraining = PretrainConfig(corpus=TASK, model=SHAPE, steps=10, batch_size=4, eval_documents=2)
    templates = Templates("tiny", tmp_path, tmp_path, pretraining, None, CONFIG, keep_evaluations=keep)
    (row,) = templates.spec("?", [Arm("ce")], [0]).rows
    row.execute()
    assert row.finished
    first = row.result_path.read_bytes()
    folder = row.models["before"]
    save_model(folder / "model.safetensors", new_model(seed=9), TASK)
    assert not row.finished
    row.execute()
    assert row.finished
    assert row.result_path.read_bytes() != first
    (folder / "model.safetensors").write_bytes(b"")
    assert not row.finished
    with pytest.raises(RunError, match=r"model\.safetensors .*it is empty"):
        row.execute()


# --- a finished run that is damaged ---


def cut_metrics(path: Path) -> None:
    lines = (path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (path / "metrics.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:-3])


def other_shape(path: Path) -> None:
    save_model(path / "model.safetensors", GPT(replace(new_model().config, num_hidden_layers=2)), TASK)


OF_WEIGHTS = ("git-lfs pointer", "cut in a tensor")  # that each kind is seen is tested in test_weights.py
DAMAGE: dict[str, Callable[[Path], Any]] = {
    **{
        f"model: {name}": lambda path, to=FOUND[name][0]: (path / "model.safetensors").write_bytes(  # type: ignore[misc]
            to((path / "model.safetensors").read_bytes())
        )
        for name in OF_WEIGHTS
    },
    "model: a byte of its last weight": lambda path: flip_byte(path / "model.safetensors", -1),
    "model: a byte in its middle": lambda path: flip_byte(path / "model.safetensors", 2000),
    "model: a byte of its header": lambda path: flip_byte(path / "model.safetensors", 100),
    "model: of another shape": other_shape,
    "metrics: cut": cut_metrics,
    "metrics: lost": lambda path: (path / "metrics.jsonl").unlink(),
    "metrics: empty": lambda path: (path / "metrics.jsonl").write_bytes(b""),
    "metrics: a line": lambda path: (path / "metrics.jsonl").write_bytes(b"{}\n"),
    "config: empty": lambda path: (path / "config.json").write_bytes(b""),
    "config: other JSON": lambda path: (path / "config.json").write_text("[]"),
    "config: lost": lambda path: (path / "config.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_finished_training_that_is_damaged_is_named_and_left_alone(
    damage: str, training: Training, tmp_path: Path
) -> None:
    shutil.copytree(training.config.run_dir, tmp_path / "run")
    training.run(training.at(tmp_path / "run"), progress=False)
    DAMAGE[damage](tmp_path / "run")
    before = everything_in(tmp_path)
    part = {"model": r"model\.safetensors", "metrics": r"metrics\.jsonl", "config": "run"}[
        damage.partition(":")[0]
    ]
    with pytest.raises(RunError, match=part):
        training.run(training.at(tmp_path / "run"), progress=False)
    assert everything_in(tmp_path) == before


def test_model_of_a_finished_run_that_is_lost_is_made_again(training: Training, tmp_path: Path) -> None:
    shutil.copytree(training.config.run_dir, tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").unlink()
    training.run(training.at(tmp_path / "run"), progress=False)
    training.assert_finished_as_undisturbed(tmp_path / "run")


@pytest.mark.parametrize("found", OF_WEIGHTS)
def test_prior_and_evaluated_model_that_are_damaged_are_named(found: str, run: Path, tmp_path: Path) -> None:
    evaluated(run)
    (run / "model.safetensors").write_bytes(FOUND[found][0]((run / "model.safetensors").read_bytes()))
    before = everything_in(tmp_path)
    for use in (
        lambda: pretrain(PretrainConfig(run_dir=tmp_path / "new", corpus=TASK, init_from=run), progress=False),
        lambda: evaluate_run(run, CONFIG, progress=False),
        lambda: load_evaluation(run),
    ):
        with pytest.raises(RunError, match=r"run/model\.safetensors is no model"):
            use()
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("content", [{}, {"kind": "rl"}, {"kind": 3, "config": {}}, {"kind": "rl", "config": []}])
def test_settings_of_a_run_that_lack_something_are_named(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", content)
    with pytest.raises(RunError, match=r"config\.json lacks the kind or the settings"):
        Run(tmp_path).config()


def test_evaluation_that_lacks_something_is_named(run: Path) -> None:
    evaluated(run)
    forget(run, "heldout", "samples")
    with pytest.raises(RunError, match=r"evaluation\.json lacks heldout, samples: delete it"):
        load_evaluation(run)
