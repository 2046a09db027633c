"""A saved model is the same when it is loaded, and any other file is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from disk import started
from safetensors.torch import save_file
from tiny import SHAPE, TASK, new_model

from pgce_mini.gpt import GPT
from pgce_mini.runs import RunError, load_model, save_model, save_tensors
from pgce_mini.tasks import Text


def test_model_comes_back_with_its_corpus(tmp_path: Path) -> None:
    model = new_model()
    save_model(tmp_path / "run" / "model.safetensors", model, TASK)
    for path in (tmp_path / "run", str(tmp_path / "run"), tmp_path / "run" / "model.safetensors"):
        again, corpus = load_model(path)
        assert corpus == TASK
        assert again.config == model.config
        for name, weight in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], weight)


def test_foreign_safetensors_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(RunError, match=r"model\.safetensors was not written by this version"):
        load_model(tmp_path)


def test_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        load_model(tmp_path)


def test_missing_and_unfinished_models_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        load_model(tmp_path / "nowhere")
    started(tmp_path / "run")
    with pytest.raises(RunError, match="is not finished"):
        load_model(tmp_path / "run")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"step": 3}, "lacks the settings of a model or corpus"),
        ({"model": {"vocab_size": 5, "wings": 2}, "corpus": {"name": "chain-sum"}}, "wings"),
        ({"model": {"vocab_size": 5}, "corpus": {"name": "chain-sum"}}, "does not fit"),
    ],
)
def test_tensors_that_are_no_model_are_refused(header: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(2)}, header)
    with pytest.raises(RunError, match=message):
        load_model(tmp_path)


def test_model_of_a_text_that_has_changed_keeps_its_tokens_but_has_no_windows(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("the cat sat on the mat. " * 500)
    corpus = Text(path=str(book), tokenizer="char", context_length=16)
    save_model(tmp_path / "model.safetensors", GPT(SHAPE.config(corpus)), corpus)
    assert load_model(tmp_path / "model.safetensors")[1].document(0, 0) == corpus.document(0, 0)
    book.write_text("quick zebras jump. " * 500)
    with pytest.raises(ValueError, match=r"the text of .*book\.txt has changed since the model was trained"):
        load_model(tmp_path / "model.safetensors")[1].document(0, 0, "heldout")
    book.unlink()
    assert load_model(tmp_path / "model.safetensors")[1].encode("the cat") == corpus.encode("the cat")


def test_model_whose_vocabulary_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model.safetensors", new_model(), TASK)
    monkeypatch.setattr(type(TASK), "vocab", ("<pad>", "<eos>", "?"))
    with pytest.raises(RunError, match=r"model\.safetensors has another vocabulary than .* has now"):
        load_model(tmp_path / "model.safetensors")
