"""A run goes on only from the prior and the text that it was begun with."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disk import everything_in
from tiny import SHAPE, TASK, new_model
from trainings import Training, press_ctrl_c

from pgce_mini.runs import RunError, config_to_dict, save_model
from pgce_mini.tasks import Text
from pgce_mini.training import PretrainConfig, pretrain


def test_run_moves_with_its_prior_but_not_to_another(training: Training, prior: Path, tmp_path: Path) -> None:
    where = "init_from" if isinstance(training.config, PretrainConfig) else "prior"

    def train_in(folder: Path) -> None:
        paths: dict[str, Any] = {"run_dir": folder / "run", where: folder / "prior"}
        training.run(replace(training.config, **paths), progress=False)

    (tmp_path / "here" / "prior").mkdir(parents=True)
    shutil.copy(prior / "model.safetensors", tmp_path / "here" / "prior")
    train_in(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    train_in(tmp_path / "there")
    save_model(tmp_path / "there" / "prior" / "model.safetensors", new_model(seed=1), TASK)
    with pytest.raises(RunError, match=r"(init_from|prior) is 'sha256:.* there and 'sha256:.* now"):
        train_in(tmp_path / "there")


def book_and_training(folder: Path) -> tuple[Path, PretrainConfig]:
    book = folder / "book.txt"
    book.write_text("the cat sat on the mat. " * 500)
    corpus = Text(path=str(book), tokenizer="char", context_length=16)
    config = PretrainConfig(
        run_dir=folder / "run", corpus=corpus, model=SHAPE, steps=4, batch_size=2, eval_documents=2, save_every=2,
    )  # fmt: skip
    return book, config


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
    again = replace(config, corpus=replace(config.corpus))  # which has not read the text yet
    book.write_text(begun[::-1])  # the same characters, and so the same tokens
    with pytest.raises(RunError, match=r"the text of .*book\.txt has changed since .*run was begun"):
        pretrain(again, progress=False)
    assert everything_in(config.run_dir) == before
    book.write_text(begun)
    again = replace(config, corpus=replace(config.corpus))
    assert pretrain(again, progress=False).model_path.read_bytes() == undisturbed.model_path.read_bytes()


def test_text_is_noted(tmp_path: Path) -> None:
    book, config = book_and_training(tmp_path)
    recorded = config_to_dict(config)
    text = f"sha256:{hashlib.sha256(book.read_bytes()).hexdigest()}"
    assert pretrain(config, progress=False).config()["config"] == recorded | {"text": text}
