"""The priors that come with the package score what the manifest says, and the builder makes such ones."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TASK

from pgce_mini import PAPER_ARMS, EvaluationConfig, Text
from pgce_mini.evaluation import evaluate_documents
from pgce_mini.runs import RunError, load_model, load_tensors
from pgce_mini.shipped import priors
from pgce_mini.tasks import Task
from pgce_mini.training import ModelShape, PretrainConfig


def entry(task: str, arm: str) -> dict[str, Any]:
    found: dict[str, Any] = priors.manifest()["priors"][f"{task}-{arm}"]
    return found


@pytest.mark.parametrize(
    ("task", "arm"), [(task, arm) for task in priors.SETTINGS for arm in priors.arms_of(task)]
)
def test_loading_and_evaluating_gives_the_numbers_of_the_manifest(task: str, arm: str) -> None:
    model, corpus = priors.load(task, arm)
    assert next(model.parameters()).dtype == torch.float32
    assert sum(parameter.numel() for parameter in model.parameters()) == entry(task, arm)["parameters"]
    documents = priors.heldout(task)
    numbers = evaluate_documents(model, documents, batch_size=64)
    recorded = entry(task, arm)["heldout"]
    assert numbers["documents"] == recorded["documents"] == priors.HELDOUT_DOCUMENTS
    for name in ("cross_entropy", "entropy", "ece"):
        assert numbers[name] == pytest.approx(recorded[name], abs=1e-4)  # type: ignore[literal-required]
    if isinstance(corpus, Task):
        assert documents[0] == corpus.document(priors.HELDOUT_SEED, 0, "heldout")


@pytest.mark.parametrize("task", priors.SETTINGS)
def test_entropy_is_ordered_as_the_arms_promise(task: str) -> None:
    entropy = {arm: entry(task, arm)["heldout"]["entropy"] for arm in PAPER_ARMS}
    assert entropy["precision"] < entropy["ce"] < entropy["diversity"]


def test_text_prior_reads_and_writes_without_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(text: Text) -> str:
        raise AssertionError("the manual was read: it is another one in another Python")

    monkeypatch.setattr(Text, "_text", property(missing))
    model, corpus = priors.load("text", "precision")
    prompt = corpus.encode("See also: 😀")
    assert corpus.decode(prompt) == "See also: 😀"
    generator = torch.Generator().manual_seed(0)
    generation = model.generate([prompt], 20, generator=generator)
    assert len(corpus.decode(generation.completions[0].tolist())) > 10
    assert corpus.decode(priors.heldout("text")[0]).isprintable() is False  # it has lines
    assert len(corpus.decode(priors.training("text")[0])) > 100


@pytest.mark.parametrize("task", priors.SETTINGS)
def test_a_prior_fits_what_it_was_trained_on_at_least_as_well(task: str) -> None:
    model, _ = priors.load(task, "ce")
    read, new = (
        evaluate_documents(model, documents[:32], 32)
        for documents in (priors.training(task), priors.heldout(task))
    )
    assert read["cross_entropy"] < new["cross_entropy"] + (-0.5 if task == "text" else 0.05)


def test_text_prior_spells_english_words() -> None:
    model, corpus = priors.load("text", "ce")
    assert isinstance(corpus, Text)
    known = {word for document in priors.heldout("text") for word in corpus.decode(document).lower().split()}
    generation = model.generate(
        [corpus.encode("The")], 60, generator=torch.Generator().manual_seed(0), num_generations=32, eos_id=0,
        temperature=0.7,
    )  # fmt: skip
    words = [word for row in generation.completions for word in corpus.decode(row.tolist()).lower().split()[1:-1]]
    assert sum(word in known for word in words) > len(words) / 2


# --- building ---


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that train in a moment."""
    shape = ModelShape(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
    common = PretrainConfig(model=shape, steps=4, batch_size=4, eval_documents=4, save_every=1)
    text = replace(common, corpus=Text(vocab_size=300, context_length=8))
    chain = replace(common, corpus=TASK)
    monkeypatch.setattr(priors, "SETTINGS", {"chain-sum": (chain, 6), "text": (text, 20)})
    monkeypatch.setattr(priors, "HELDOUT_DOCUMENTS", 5)
    monkeypatch.setattr(priors, "EVALUATION", EvaluationConfig(problems=2, samples=2, ks=(1,)))


@pytest.mark.usefixtures("small")
def test_building_twice_gives_the_same_bytes_and_an_interrupted_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ("ce", "tail-penalty")

    def build(name: str) -> dict[str, Any]:
        tasks = ("chain-sum", "text")
        return priors.build(tmp_path / name, tmp_path / f"{name}-runs", tasks, arms, progress=False)

    first = build("a")
    once = priors.pretrain

    def interrupted(config: PretrainConfig, *, progress: bool) -> object:
        if config.run_dir.name == "text-ce":
            raise KeyboardInterrupt
        return once(config, progress=progress)

    monkeypatch.setattr(priors, "pretrain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build("b")
    monkeypatch.setattr(priors, "pretrain", once)
    assert build("b") == first
    files = {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()}
    built = {f"{task}-{arm}.safetensors" for task in ("chain-sum", "text") for arm in arms}
    assert set(files) == built | {"manifest.json", "text-windows.safetensors"}
    tensors, _ = load_tensors(tmp_path / "a" / "text-ce.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert "W" in first["characters"]
    assert priors.manifest(tmp_path / "a")["priors"] == first["priors"]
    assert len(priors.heldout("text", tmp_path / "a")) == 5
    text = load_model(tmp_path / "a-runs" / "text-ce")[1]
    assert priors.training("text", tmp_path / "a") == [text.document(0, i) for i in range(64)]


@pytest.mark.usefixtures("small")
def test_building_one_arm_keeps_the_others_and_refuses_runs_of_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(arm: str) -> dict[str, Any]:
        return priors.build(tmp_path / "files", tmp_path / "runs", ("chain-sum",), (arm,), progress=False)

    build("ce")
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    found = build("precision")
    built_with = {name: prior["built_with"]["python"] for name, prior in found["priors"].items()}
    assert (built_with.pop("chain-sum-precision"), "3.99.0" in built_with.values()) == ("3.99.0", False)
    assert set(found["priors"]) == {"chain-sum-ce", "chain-sum-precision"}
    assert found["characters"] == ""
    config, top_k = priors.SETTINGS["chain-sum"]
    monkeypatch.setitem(priors.SETTINGS, "chain-sum", (replace(config, steps=5), top_k))
    with pytest.raises(RunError, match="steps is 4 there and 5 now"):
        build("ce")
