"""What the benchmarks that need a card, or a checkout of another project, do without one, and at tiny sizes."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tiny import SHAPE, TASK, new_model

from pgce_mini.training import GRPOConfig

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def benchmark(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(name)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return benchmark(monkeypatch, "gpu")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--engines", "store"], "give --units, too"), (["--units", "5"], "--units must be at least 10")],
)
def test_study_engines_refuses_what_it_cannot_measure(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["study_engines.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        benchmark(monkeypatch, "study_engines").main()
    assert said in capsys.readouterr().err


def test_without_a_card_gpu_says_so_in_one_sentence(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: this benchmark needs a CUDA device, and torch sees none\n")


def test_gradients_are_those_of_float64(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    kept = gpu.check_gradients("cpu", gpu.Budget(), gpu.Size(40, 300, 16, 15), larger=None)
    assert len(kept) == 24
    assert all(kept), capsys.readouterr().out


def test_a_wrong_gradient_is_seen(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = gpu.shaped_cross_entropy

    def wrong(logits: torch.Tensor, *rest: object) -> torch.Tensor:
        return right(logits, *rest) * (1.0 if logits.dtype == torch.float64 else 1.05)

    monkeypatch.setattr(gpu, "shaped_cross_entropy", wrong)
    kept = gpu.check_gradients("cpu", gpu.Budget(), gpu.Size(40, 300, 16, 15), larger=None)
    assert kept == [False] * 12 + [True] * 12


def test_tables_have_a_row_for_each_loss(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    setting = gpu.Setting("cpu", torch.bfloat16, 16, 8, 300)
    [(_, cells)] = gpu.tables([setting], gpu.Budget(), repeats=1)
    gpu.judge(setting, cells, with_memory=True)
    out = capsys.readouterr().out
    assert "| bf16, 16 positions | memory | ratio | time | ratio |" in out
    for name, found in cells.items():
        assert isinstance(found, gpu.Cell) or found.absent, (name, found)
        assert (f"| {name} | " in out) == isinstance(found, gpu.Cell)
    assert f"{gpu.SHAPED_BETA}: time; " in out


def test_nothing_is_begun_after_the_budget(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    budget = gpu.Budget(0)
    assert gpu.check_gradients("cpu", budget) == []
    gpu.print_speeds("cpu", budget)
    gpu.tables([gpu.Setting("cpu", torch.float32, 16, 8, 300)], budget)
    assert len(budget.missing) == 25 + 3 + 10
    assert capsys.readouterr().out.count("no time left") == 10


def test_a_table_says_what_would_not_fit(gpu: ModuleType) -> None:
    found = gpu.cell("F.cross_entropy", gpu.Setting("cpu", torch.float32, 10**9, 8, 10**6), 1)
    assert found.why == "would need about 16000001 GB"


def test_speeds_of_training_and_rollout(gpu: ModuleType) -> None:
    assert gpu.training_tokens_per_second(SHAPE.config(TASK), torch.ones(2, 8, dtype=torch.long), "cpu", 1) > 0
    rollout = GRPOConfig(prompts_per_step=2, num_generations=2, dynamic_sampling=False)
    assert gpu.completions_per_second(new_model(), TASK, rollout, 1) > 0


@pytest.mark.usefixtures("gpu")
def test_a_busy_neighbour_ends_with_its_block() -> None:
    with sys.modules["common"].busy_neighbour() as neighbour:
        assert neighbour.poll() is None
    assert neighbour.returncode is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: checkout"),
        (["no-such-folder"], "error: no-such-folder is no checkout of nanoGPT: it has no train.py"),
    ],
)
def test_without_a_checkout_nanogpt_says_so(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nanogpt.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        benchmark(monkeypatch, "nanogpt").main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_nanogpt_reads_our_text_in_a_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nanogpt = benchmark(monkeypatch, "nanogpt")
    checkout, copy = tmp_path / "checkout", tmp_path / "copy"
    for name in nanogpt.FILES:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(name)
    copy.mkdir()
    nanogpt.their_copy(checkout, copy)
    assert [(copy / name).read_text() for name in nanogpt.FILES] == list(nanogpt.FILES)
    assert sum(path.is_file() for path in checkout.rglob("*")) == len(nanogpt.FILES)
    heldout = np.fromfile(copy / "data/manual/val.bin", np.uint16)
    window = np.array(nanogpt.heldout()[0], np.uint16)
    assert (np.lib.stride_tricks.sliding_window_view(heldout, len(window)) == window).all(1).any()
    assert pickle.loads((copy / "data/manual/meta.pkl").read_bytes()) == {"vocab_size": len(nanogpt.CORPUS.vocab)}
