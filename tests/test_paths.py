"""A path that a user gives may begin with a home folder, wherever it is given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import SHAPE, TASK

from pgce_mini import cli
from pgce_mini.evaluation import EvaluationConfig, evaluate_run, load_evaluation
from pgce_mini.gpt import GPT
from pgce_mini.paths import expanded
from pgce_mini.reports.html import Report
from pgce_mini.reports.study_document import build
from pgce_mini.reward import RewardShaping
from pgce_mini.runs import Run, load_model, load_tensors, read_json, save_tensors, write_atomic, write_json
from pgce_mini.shipped import RESULTS, policies, priors
from pgce_mini.study import StudyConfig, load_curves, load_results, load_spec, run_study
from pgce_mini.study.analysis import Evidence
from pgce_mini.tasks import Text
from pgce_mini.teaching.duel import duel
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo

PRETRAIN = PretrainConfig(corpus=TASK, model=SHAPE, steps=2, batch_size=2, eval_documents=2)
RL = GRPOConfig(steps=1, prompts_per_step=2, num_generations=2)
EVALUATION = EvaluationConfig(problems=2, samples=2, ks=(1,), documents=2)
TINY_OPTIONS = ["--steps", "2", "--batch-size", "2", "--eval-documents", "2", "--quiet"]
SPEC = """
arms = ["ce"]
seeds = 1
[task]
name = "text"
path = "~/book.txt"
vocab_size = 300
context_length = 8
[pretrain]
steps = 2
batch_size = 2
[evaluation]
documents = 2
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prior: Path) -> Path:
    """The home folder, with a run in it; the working directory is elsewhere."""
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(prior, folder / "run")
    (folder / "book.txt").write_text("It was the best of times, it was the worst of times.\n" * 200)
    (folder / "study.toml").write_text(SPEC)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(elsewhere)
    return folder


def study_of_demo() -> Any:
    return StudyConfig(
        Path("~/new"), ("ce",), seeds=(0,), pretrain=PRETRAIN, rl=RL, evaluation=EVALUATION, workers=1
    )


USES: dict[str, Callable[[], Any]] = {
    "pretrain": lambda: pretrain(replace(PRETRAIN, run_dir=Path("~/new")), progress=False),
    "init_from": lambda: pretrain(
        replace(PRETRAIN, run_dir=Path("~/new"), init_from=Path("~/run")), progress=False
    ),
    "rl": lambda: train_grpo(replace(RL, run_dir=Path("~/new"), prior=Path("~/run")), progress=False),
    "Run": lambda: Run("~/run").config(),
    "Run.start": lambda: Run.start("~/new", "pretrain", {}).__enter__(),
    "load_model": lambda: load_model("~/run/model.safetensors"),
    "evaluate_run": lambda: (evaluate_run(Path("~/run"), EVALUATION), load_evaluation(Path("~/run"))),
    "tensors": lambda: (save_tensors(Path("~/new/t"), {}, {}), load_tensors(Path("~/new/t"))),
    "json": lambda: (write_json(Path("~/new/j"), {}), read_json(Path("~/new/j"))),
    "bytes": lambda: write_atomic(Path("~/new/b"), b""),
    "Text": lambda: Text(path="~/book.txt", vocab_size=300, context_length=8).document(0, 0),
    "qwen3": lambda: (load_model("~/run")[0].to_qwen3("~/new"), GPT.from_qwen3("~/new")),
    "study": lambda: load_spec(Path("~/study.toml"), Path("~/new")).rows[0].folder.mkdir(),
    "demo": lambda: (run_study(study_of_demo(), progress=False), load_results(Path("~/new")),
                     load_curves(Path("~/new"), "after"), Report(Path("~/new")).write()),
    "duel": lambda: duel("mine", RewardShaping(0.1), Path("~/new")).rows[0].folder.mkdir(),
    "priors": lambda: priors.build(Path("~/new"), Path("~/new/runs"), (), ()),
    "policies": lambda: policies.build(Path("~/new"), Path("~/new/runs"), (), ()),
    "Evidence": lambda: Evidence(Path("~/../home/results")).rows("chain")[0],
    "study document": lambda: build(Path("~/results"), Path("~")),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_library_reads_and_writes_in_the_home_folder(use: str, home: Path) -> None:
    if use in ("priors", "policies"):
        (home / "new").mkdir()
        write_json(home / "new" / "manifest.json", {use: {}})
    if use in ("Evidence", "study document"):
        pytest.importorskip("pyarrow")
        shutil.copytree(RESULTS, home / "results")
    USES[use]()
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["pretrain", *TINY_OPTIONS, "--run-dir=~/new"],
        ["pretrain", *TINY_OPTIONS, "--run-dir=~/new", "text", "--path=~/book.txt", "--context-length=8"],
        ["rl", "--prior=~/run", "--run-dir=~/new", "--steps=1", "--prompts-per-step=2", "--quiet"],
        ["sample", "~/run", "--prompts=1", "--samples=1"],
        [
            "evaluate",
            "~/run",
            "~/run/model.safetensors",
            "--problems=2",
            "--samples=2",
            "--documents=2",
            "--quiet",
        ],
        ["playground", "--html=~/new/page.html"],
        ["build-priors", "--folder=~/new", "--runs-dir=~/new/runs", "--tasks", "--arms"],
        ["explore", "--runs-dir=~/new"],
        ["study", "--report=~/new"],
    ],
    ids=lambda words: words[0],
)
def test_command_line_reads_and_writes_in_the_home_folder(
    words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "new").mkdir()
    write_json(home / "new" / "manifest.json", {"priors": {}})
    if words[0] in ("pretrain", "rl"):
        shutil.rmtree(home / "new")
    monkeypatch.setattr("pgce_mini.cli.open._hand_over", lambda command, cwd: None)
    monkeypatch.setattr("pgce_mini.cli.study.build", lambda results, specs: {"study.md": "text"})
    cli.main(words)
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("words", [["sample", "~nobody-here/x"], ["pretrain", "--run-dir=~nobody-here"]])
def test_home_of_nobody_is_one_sentence(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pgce: '~nobody-here")
    assert "begins with the home of a user who is not on this machine" in line
    with pytest.raises(ValueError, match="not on this machine"):
        Run("~nobody-here/run")
    with pytest.raises(ValueError, match="not on this machine"):
        Text(path="~nobody-here/book.txt").document(0, 0)
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("path", ["a", "a/~", "", ".", "/~x", "a~"])
def test_other_paths_are_as_they_are(path: str) -> None:
    assert expanded(path) == Path(path)


def test_setting_is_recorded_as_it_was_given(home: Path) -> None:
    corpus = Text(path="~/book.txt", vocab_size=300, context_length=8)
    run = pretrain(replace(PRETRAIN, run_dir=Path("~/new"), corpus=corpus), progress=False)
    assert run.path == home / "new"
    assert json.loads((home / "new" / "config.json").read_text())["config"]["corpus"]["path"] == "~/book.txt"
