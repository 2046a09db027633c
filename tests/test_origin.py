"""A run goes on only from the prior and the text that it was begun with."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from disk import everything_in
from tiny import SHAPE, TASK, new_model
from trainings import Config, Training, press_ctrl_c

from pgce_mini.runs import Run, RunError, config_to_dict, save_model
from pgce_mini.tasks import Text
from pgce_mini.training import PretrainConfig, pretrain


def starting_from(path: Path, run_dir: Path, training: Training) -> Config:
    where = "init_from" if isinstance(training.config, PretrainConfig) else "prior"
    return replace(training.config, run_dir=run_dir, **{where: path})  # type: ignore[arg-type]  # both are paths


def test_run_that_was_moved_with_its_prior_continues(training: Training, prior: Path, tmp_path: Path) -> None:
    (tmp_path / "here" / "prior").mkdir(parents=True)
    shutil.copy(prior / "model.safetensors", tmp_path / "here" / "prior")
    training.run(starting_from(tmp_path / "here" / "prior", tmp_path / "here" / "run", training), progress=False)
    (tmp_path / "here").rename(tmp_path / "there")
    training.run(starting_from(tmp_path / "there" / "prior", tmp_path / "there" / "run", training), progress=False)


def test_run_whose_prior_was_changed_is_refused(training: Training, prior: Path, tmp_path: Path) -> None:
    (tmp_path / "prior").mkdir()
    shutil.copy(prior / "model.safetensors", tmp_path / "prior")
    config = starting_from(tmp_path / "prior", tmp_path / "run", training)
    training.run(config, progress=False)
    save_model(tmp_path / "prior" / "model.safetensors", new_model(seed=1), TASK)
    with pytest.raises(RunError, match=r"(init_from|prior) is 'sha256:.* there and 'sha256:.* now"):
        training.run(config, progress=False)


def book_and_training(folder: Path) -> tuple[Path, PretrainConfig]:
    book = folder / "book.txt"
    book.write_text("the cat sat on the mat. " * 500)
    corpus = Text(path=str(book), tokenizer="char", context_length=16)
    config = PretrainConfig(
        run_dir=folder / "run", corpus=corpus, model=SHAPE, steps=4, batch_size=2, eval_documents=2, save_every=2,
    )  # fmt: skip
    return book, config


def again(config: PretrainConfig) -> PretrainConfig:
    """The same settings, from a process that has not read the text yet."""
    return replace(config, corpus=replace(config.corpus))


def test_run_whose_text_has_changed_is_refused_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, config = book_and_training(tmp_path)
    undisturbed = pretrain(replace(config, run_dir=tmp_path / "undisturbed"), progress=False)
    press_ctrl_c(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, progress=False)
    monkeypatch.undo()
    begun, before = book.read_text(), everything_in(config.run_dir)
    book.write_text(begun[::-1])  # the same characters, and so the same tokens
    with pytest.raises(RunError, match=r"the text of .*book\.txt has changed since .*run was begun"):
        pretrain(again(config), progress=False)
    assert everything_in(config.run_dir) == before
    book.write_text(begun)
    assert pretrain(again(config), progress=False).model_path.read_bytes() == undisturbed.model_path.read_bytes()


def test_run_of_a_text_that_nothing_was_noted_of_goes_on(tmp_path: Path) -> None:
    _, config = book_and_training(tmp_path)
    with Run.start(config.run_dir, "pretrain", config_to_dict(config)):  # as earlier versions began one
        pass
    assert pretrain(config, progress=False).finished
    assert Run(config.run_dir).config()["config"] == config_to_dict(config)


def test_only_a_text_is_noted(training: Training, tmp_path: Path) -> None:
    training.run(training.at(tmp_path / "task"), progress=False)
    assert Run(tmp_path / "task").config()["config"].keys() == config_to_dict(training.config).keys()
    _, config = book_and_training(tmp_path)
    pretrain(config, progress=False)
    assert Run(config.run_dir).config()["config"] == config_to_dict(config) | {
        "text": f"sha256:{hashlib.sha256(b'the cat sat on the mat. ' * 500).hexdigest()}"
    }
