"""Sizes that no machine has room for are refused before anything is allocated, and what fits is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny import SHAPE, TASK

from pgce_mini import cli
from pgce_mini.evaluation import EvaluationConfig, evaluate
from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.gpt.memory import TRAINED, check_memory, machine_bytes, model_bytes, parameter_count
from pgce_mini.shipped import priors
from pgce_mini.study import load_spec
from pgce_mini.tasks import ChainSum, Text
from pgce_mini.training import GRPOConfig, PretrainConfig, check_pretraining_memory, pretrain, train_grpo
from pgce_mini.training.config import check_rl_memory

SIZES = [10**8, 10**30]


@pytest.mark.parametrize(
    "config",
    [
        GPTConfig(17), GPTConfig(300, tie_word_embeddings=False, num_hidden_layers=3),
        GPTConfig(50, hidden_size=48, num_attention_heads=6, num_key_value_heads=2, head_dim=10),
        GPTConfig(17, num_experts=3, moe_intermediate_size=24),
    ],
)  # fmt: skip
def test_parameters_are_counted_as_the_model_has_them(config: GPTConfig) -> None:
    assert parameter_count(config) == sum(p.numel() for p in GPT(config).parameters())


def test_what_the_machine_has_is_not_refused() -> None:
    check_memory(machine_bytes(), "model")
    with pytest.raises(
        ValueError, match=r"needs at least \d+ GB of memory, and this machine has \d+ GB: choose a"
    ):
        check_memory(machine_bytes() + 10**9, "model")


def test_a_container_has_what_its_limits_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine_bytes()
    monkeypatch.setattr("pgce_mini.gpt.memory.CGROUP", tmp_path)
    for limits, expected in (({"memory.max": "max"}, whole), ({"memory.max": 10**6, "memory.swap.max": 0}, 10**6)):
        for name, limit in limits.items():
            (tmp_path / name).write_text(f"{limit}\n")
        assert machine_bytes() == expected


def test_swap_space_is_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"memory.max": 10, "memory.swap.max": 4}
    monkeypatch.setattr("pgce_mini.gpt.memory._limited", lambda size, name: limits[name])
    assert machine_bytes() == 14


def needed_bytes(check: Callable[..., None], *arguments: Any, monkeypatch: pytest.MonkeyPatch, **more: int) -> int:
    needed: list[int] = []
    monkeypatch.setattr("pgce_mini.training.config.check_memory", lambda size, smaller: needed.append(size))
    check(*arguments, **more)
    return needed[0]


def test_processes_share_a_batch_and_each_has_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SHAPE.config(TASK)
    config, rl = PretrainConfig(corpus=TASK, batch_size=800, eval_documents=1), GRPOConfig(prompts_per_step=800)
    bytes_of = partial(needed_bytes, monkeypatch=monkeypatch)
    for check, settings, limit in ((check_pretraining_memory, config, []), (check_rl_memory, rl, [9])):
        alone = bytes_of(check, settings, model, *limit)
        apart = bytes_of(check, settings, model, *limit, processes=8, on_machine=1)
        here = bytes_of(check, settings, model, *limit, processes=8, on_machine=8)
        assert model_bytes(model, TRAINED) < apart < alone < here
        assert here == 8 * apart
        assert here - alone == pytest.approx(7 * model_bytes(model, TRAINED), rel=0.01)
        divided = bytes_of(check, replace(settings, fsdp=True), model, *limit, processes=8, on_machine=8)
        copies = 4 * 4 - (4 if limit == [] else 8)  # bytes of a parameter that are not there
        assert here - divided == 8 * copies * parameter_count(model)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "field",
    [
        "hidden_size",
        "num_hidden_layers",
        "intermediate_size",
        "max_position_embeddings",
        "vocab_size",
        "num_experts",
    ],
)
def test_model_that_is_too_large_is_refused(field: str, size: int) -> None:
    if (field, size) in (("max_position_embeddings", 10**8), ("vocab_size", 10**8)):
        size = 10**10  # 25 GB may be there
    settings: dict[str, Any] = {"vocab_size": 10, "num_attention_heads": 1, "num_key_value_heads": 1, field: size}
    with pytest.raises(ValueError, match="choose a smaller hidden_size"):
        GPT(GPTConfig(**settings))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["pretrain"], "batch-size"), (["pretrain"], "eval-documents"), (["pretrain"], "hidden-size"),
        (["pretrain", "text"], "vocab-size"), (["pretrain", "text"], "context-length"),
        (["pretrain", "chain-sum"], "num-operands"), (["pretrain", "chain-sum"], "max-operand"),
        (["pretrain", "countdown"], "max-attempts"),
        (["rl", "--prior", "{prior}"], "prompts-per-step"), (["rl", "--prior", "{prior}"], "num-generations"),
        (["rl", "--prior", "{prior}"], "max-completion-length"),
        (["sample", "{prior}"], "prompts"), (["sample", "{prior}"], "samples"),
        (["sample", "{prior}"], "max-completion-length"),
        (["evaluate", "{prior}"], "problems"), (["evaluate", "{prior}"], "samples"),
        (["evaluate", "{prior}"], "documents"),
        (["pretrain"], "threads"), (["rl"], "threads"), (["sample"], "threads"), (["evaluate"], "threads"),
        (["demo"], "workers"), (["study", "--quick"], "workers"), (["explore"], "port"),
    ],
)  # fmt: skip
def test_absurd_option_is_one_sentence_and_nothing_is_written(
    options: list[str], field: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pgce_mini.gpt.memory.machine_bytes", lambda: 4 * 10**9)
    prior = str(priors.path("chain-sum", "ce"))
    with pytest.raises(SystemExit) as leaving:
        cli.main([*(word.replace("{prior}", prior) for word in options), f"--{field}", str(size)])
    assert leaving.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]  # after an evaluation's bar
    assert re.match(r"pgce: .*( GB of memory| must (be|fit) )", said), said
    assert not list(tmp_path.iterdir())


def test_absurd_specification_is_refused_with_its_line(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "pgce_mini" / "study" / "quick.toml").read_text(encoding="utf-8")
    spec = tmp_path / "study.toml"
    spec.write_text(text.replace("[pretrain]\n", "[pretrain]\nbatch_size = 100_000_000_000\n"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"study\.toml, line \d+: pretrain: that needs at least .* GB of memory"):
        load_spec(spec, tmp_path / "runs")


def test_library_refuses_as_the_command_line(prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgce_mini.gpt.memory.machine_bytes", lambda: 10**9)
    config = PretrainConfig(run_dir=tmp_path / "run", corpus=TASK, model=SHAPE)
    for settings in (replace(config, batch_size=10**8), replace(config, init_from=prior, batch_size=10**8)):
        with pytest.raises(ValueError, match="GB of memory"):
            pretrain(settings)
    with pytest.raises(ValueError, match="GB of memory"):
        train_grpo(GRPOConfig(run_dir=tmp_path / "run", prior=prior, prompts_per_step=10**8))
    with pytest.raises(ValueError, match="GB of memory"):
        evaluate(*priors.load("text", "ce"), EvaluationConfig(documents=10**10))
    with pytest.raises(ValueError, match="at most 1,000,000, as each total is a token, got 1000 x 1001"):
        ChainSum(num_operands=1000, max_operand=1001)
    with pytest.raises(ValueError, match="context_length must be a whole number between 1 and 1000000000"):
        Text(context_length=10**10)
    assert not list(tmp_path.iterdir())
