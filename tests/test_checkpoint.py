import contextlib
import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pgce_mini.gpt import GPT
from pgce_mini.runs import (
    Run,
    RunError,
    config_to_dict,
    deferred_interrupt,
    load_model,
    load_tensors,
    read_json,
    save_model,
    save_tensors,
    write_atomic,
    write_json,
)
from pgce_mini.tasks import ChainSum, Text
from pgce_mini.training import GRPOConfig, ModelShape, PretrainConfig, pretrain, train_grpo

TASK = ChainSum(num_operands=5, max_operand=3)
SHAPE = ModelShape(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
    intermediate_size=16,
    max_position_embeddings=32,
)
TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7), "c": torch.zeros(0, 4)}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def flip_byte(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def tiny_model() -> GPT:
    return GPT(SHAPE.config(TASK))


def state(weight: float = 1.0) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    """A model of one weight, and its optimizer after a step."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    return model, optimizer


def started(path: Path, steps: int = 0, saved: int = 0) -> Run:
    """A run that has logged `steps` steps and saved its state after `saved` of them."""
    with Run.start(path, "pretrain", {"lr": 0.1}) as run:
        for step in range(1, steps + 1):
            run.append_metrics({"step": step, "loss": 1 / step})
            if step == saved:
                run.save_state(step, *state())
    return run


# --- a file is written whole or not at all ---


def test_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert everything_in(tmp_path) == {"new/folder/file": b"new"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError("broken disk"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_file_and_no_temporary(
    call: str, failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise failure

    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(failure)):
        write_atomic(path, b"new")
    assert everything_in(tmp_path) == {"file": b"old"}


# --- JSON ---


def test_json_comes_back_with_its_schema_version_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"lr": 0.1, "names": ["x", "≡"], "none": None, "nested": {"n": 2**60}}
    write_json(path, content)
    assert json.loads(path.read_text())["schema_version"] == 1
    assert read_json(path) == content


def test_number_that_json_has_no_word_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"schema_version": 2}', b'{"schema_version": "1"}'],
)
def test_unreadable_json_is_named_and_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"config\.json"):
        read_json(path)
    with pytest.raises(RunError, match=r"config\.json"), Run.start(tmp_path, "pretrain", {}):
        pass
    assert everything_in(tmp_path) == {"config.json": data}


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"config\.json does not exist"):
        Run(tmp_path).config()


# --- tensors ---


def test_tensors_come_back_bit_for_bit_with_their_header(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    odd = {"bf16": torch.tensor([1.5, float("nan")]).bfloat16(), "view": torch.arange(6.0).view(2, 3).T}
    save_tensors(path, TENSORS | odd, {"step": 3})
    tensors, header = load_tensors(path)
    assert header == {"step": 3}
    assert tensors.keys() == (TENSORS | odd).keys()
    for name, tensor in (TENSORS | odd).items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert tensors[name].float().numpy().tobytes() == tensor.float().contiguous().numpy().tobytes()


def test_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "1", TENSORS, {"x": 1, "y": 2})
    save_tensors(tmp_path / "2", dict(reversed(TENSORS.items())), {"y": 2, "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    """Each byte in turn: the file is refused by name and left alone, or the flip changed nothing that is read."""
    path = tmp_path / "t.safetensors"
    save_tensors(path, TENSORS, {"step": 3})
    size, harmless = path.stat().st_size, 0
    for offset in range(size):
        flip_byte(path, offset)
        damaged = path.read_bytes()
        try:
            tensors, header = load_tensors(path)
        except RunError as error:
            assert "t.safetensors" in str(error)  # noqa: PT017 - either outcome is good
        else:
            harmless += 1
            assert header == {"step": 3}
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
        assert path.read_bytes() == damaged
        flip_byte(path, offset)
    assert harmless < 0.1 * size


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_model_is_named_and_left_alone(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, tiny_model(), TASK)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(RunError, match=r"model\.safetensors is no model of pgce_mini, or damaged"):
        load_model(tmp_path)
    assert path.read_bytes() == data[: int(share * len(data))]


def test_foreign_safetensors_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(RunError, match=r"model\.safetensors was not written by this version"):
        load_model(tmp_path)


def test_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        load_model(tmp_path)


# --- models ---


def test_model_comes_back_with_its_corpus(tmp_path: Path) -> None:
    model = tiny_model()
    save_model(tmp_path / "run" / "model.safetensors", model, TASK)
    for path in (tmp_path / "run", str(tmp_path / "run"), tmp_path / "run" / "model.safetensors"):
        again, corpus = load_model(path)
        assert corpus == TASK
        assert again.config == model.config
        for name, weight in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], weight)


def test_missing_and_unfinished_models_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        load_model(tmp_path / "nowhere")
    started(tmp_path / "run")
    with pytest.raises(RunError, match="is not finished"):
        load_model(tmp_path / "run")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"step": 3}, "neither model nor corpus"),
        ({"model": {"vocab_size": 5, "wings": 2}, "corpus": {"name": "chain-sum"}}, "wings"),
        ({"model": {"vocab_size": 5}, "corpus": {"name": "chain-sum"}}, "does not fit"),
    ],
)
def test_tensors_that_are_no_model_are_refused(header: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_tensors(tmp_path / "model.safetensors", TENSORS, header)
    with pytest.raises(RunError, match=message):
        load_model(tmp_path)


# --- the folder of a run ---


def test_start_continues_the_same_run_and_only_that(tmp_path: Path) -> None:
    config = {"lr": 0.1, "model": {"hidden_size": 16}}
    for _ in range(2):
        with Run.start(tmp_path, "pretrain", config) as run:
            assert run.config() == {"kind": "pretrain", "config": config}
    before = everything_in(tmp_path)
    for kind, other, difference in (
        ("rl", config, "kind is 'pretrain' there and 'rl' now"),
        ("pretrain", config | {"lr": 0.2}, r"lr is 0\.1 there and 0\.2 now"),
        ("pretrain", config | {"model": {"hidden_size": 32}}, r"model\.hidden_size is 16 there and 32 now"),
        ("pretrain", config | {"new": 1}, "new is None there and 1 now"),
    ):
        with pytest.raises(RunError, match=difference), Run.start(tmp_path, kind, other):  # type: ignore[arg-type]
            pass
    assert everything_in(tmp_path) == before


def test_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / ".notes.tmp").write_text("more of it")
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match="files of something else"), Run.start(tmp_path, "pretrain", {}):
        pass
    assert everything_in(tmp_path) == before


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="run is a file"), Run.start(tmp_path / "run", "pretrain", {}):
        pass


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    run = started(tmp_path, steps=2, saved=2)
    before = everything_in(tmp_path)
    for path in (run.config_path, run.metrics_path, run.model_path, run.state_path):
        path.with_name(f".{path.name}.12345.tmp").write_bytes(b"half")
    started(tmp_path)
    assert everything_in(tmp_path) == before


def test_run_killed_while_it_was_made_can_be_made(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json.12345.tmp").write_bytes(b"half")
    run = started(tmp_path)
    assert everything_in(tmp_path).keys() == {".lock", "config.json"}
    assert run.config()["kind"] == "pretrain"


def test_run_has_one_owner_until_it_ends(tmp_path: Path) -> None:
    with Run.start(tmp_path, "pretrain", {"lr": 0.1}):
        (tmp_path / ".metrics.jsonl.12345.tmp").write_bytes(b"the owner is writing it")
        before = everything_in(tmp_path)
        with pytest.raises(RunError, match="is being run by another process: wait for it or stop it"):
            started(tmp_path)
        assert everything_in(tmp_path) == before
    started(tmp_path)


def test_finished_run_needs_no_owner(tmp_path: Path) -> None:
    run = started(tmp_path)
    with Run.start(tmp_path, "pretrain", {"lr": 0.1}):
        run.model_path.touch()
        started(tmp_path)  # as rows of a study do with a prior that they share
    (tmp_path / ".lock").unlink()
    started(tmp_path)
    assert not (tmp_path / ".lock").exists()  # the folder may be one that nobody can write to


def test_file_system_without_locks_is_no_reason_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert started(tmp_path, steps=2).metrics()


def test_configuration_in_json_says_everything_but_where_it_runs() -> None:
    config = PretrainConfig(run_dir=Path("a"), corpus=TASK, model=SHAPE)
    plain = config_to_dict(config)
    assert json.loads(json.dumps(plain)) == plain
    assert plain.keys() == set(PretrainConfig.__dataclass_fields__) - {"run_dir"}
    assert plain["corpus"]["name"] == "chain-sum"
    assert plain["shaping"]["beta"] == 0
    assert plain == config_to_dict(replace(config, run_dir=Path("b")))


# --- metrics ---


def test_metrics_are_a_dict_a_step(tmp_path: Path) -> None:
    run = started(tmp_path)
    assert run.metrics() == []
    started(tmp_path, steps=2)
    assert run.metrics() == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]


@pytest.mark.parametrize("cut", ["", '{"step": 3, "lo', '{"step": 3}'])
def test_last_line_without_its_end_is_left_out(cut: str, tmp_path: Path) -> None:
    run = started(tmp_path, steps=2)
    with open(run.metrics_path, "a") as file:
        file.write(cut)
    assert [row["step"] for row in run.metrics()] == [1, 2]


@pytest.mark.parametrize("line", ["", "{", "\0\0", "7", "null", "{}", '{"step": 3}', '{"step": 1}'])
def test_damage_in_the_middle_is_named_and_left_alone(line: str, tmp_path: Path) -> None:
    run = started(tmp_path, steps=3, saved=3)
    lines = run.metrics_path.read_text().splitlines(keepends=True)
    run.metrics_path.write_text("".join([lines[0], f"{line}\n", lines[2]]))
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged in line 2"):
        run.metrics()
    with pytest.raises(RunError, match=r"metrics\.jsonl is damaged in line 2"):
        run.load_state(*state())
    assert everything_in(tmp_path) == before


# --- the state ---


def test_state_comes_back_and_metrics_are_cut_to_it(tmp_path: Path) -> None:
    run = started(tmp_path, steps=5, saved=3)
    first_three = run.metrics()[:3]
    with open(run.metrics_path, "ab") as file:
        file.write(b"\0\0\0\n")  # what a power failure leaves of lines that were not synced yet
    model, optimizer = state(weight=9.0)
    assert run.load_state(model, optimizer) == 3
    assert run.metrics() == first_three
    wanted_model, wanted_optimizer = state()
    assert torch.equal(model.weight, wanted_model.weight)
    assert optimizer.state_dict() == wanted_optimizer.state_dict()


def test_without_a_state_the_run_begins_anew(tmp_path: Path) -> None:
    run = started(tmp_path, steps=2)
    model, optimizer = state(weight=9.0)
    weight = model.weight.clone()
    assert run.load_state(model, optimizer) == 0
    assert run.metrics() == []
    assert torch.equal(model.weight, weight)


def test_state_is_newer_than_its_metrics_only_when_they_are_damaged(tmp_path: Path) -> None:
    run = started(tmp_path, steps=3, saved=3)
    run.metrics_path.write_text('{"step": 1}\n')
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match=r"metrics\.jsonl lacks steps before 3"):
        run.load_state(*state())
    assert everything_in(tmp_path) == before


def swap_for_a_model(path: Path) -> None:
    save_model(path, tiny_model(), TASK)


def swap_for_another_state(path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    Run(path.parent.parent).save_state(3, model, torch.optim.AdamW(model.parameters()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: flip_byte(path, -1),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        swap_for_a_model,
        swap_for_another_state,
    ],
    ids=["flipped", "truncated", "empty", "a model", "another model's"],
)
def test_damaged_state_is_named_and_left_alone(damage: Callable[[Path], None], tmp_path: Path) -> None:
    run = started(tmp_path, steps=5, saved=3)
    damage(run.state_path)
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match=r"latest\.safetensors"):
        run.load_state(*state())
    assert everything_in(tmp_path) == before


@settings(max_examples=20)
@given(st.integers(0, 6), st.integers(0, 6), st.binary(max_size=8))
def test_whatever_follows_the_state_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory, saved: int, later: int, cut: bytes
) -> None:
    run = started(tmp_path_factory.mktemp("run"), steps=saved + later, saved=saved)
    with open(run.metrics_path, "ab") as file:
        file.write(cut)
    assert run.load_state(*state()) == saved
    assert [row["step"] for row in run.metrics()] == list(range(1, saved + 1))


# --- trainings, killed for real ---

Config = PretrainConfig | GRPOConfig
TIMES = ("tokens_per_second", "rollout_tokens_per_second")


@dataclass
class Training:
    """A tiny training, and what it leaves behind when nothing disturbs it."""

    run: Callable[..., Run]
    config: Config
    model: bytes
    metrics: list[dict[str, Any]]

    def at(self, path: Path) -> Config:
        return replace(self.config, run_dir=path)

    def assert_finished_as_undisturbed(self, path: Path) -> None:
        assert Run(path).model_path.read_bytes() == self.model
        assert without_times(Run(path)) == self.metrics
        assert not list(path.rglob(".*.tmp"))


def without_times(run: Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in run.metrics()]


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Able enough for RL to have something to learn from."""
    config = PretrainConfig(
        run_dir=tmp_path_factory.mktemp("prior"), corpus=TASK, model=SHAPE, steps=120, batch_size=16, lr=2e-2,
        warmup_steps=10, decay_steps=10, eval_documents=1,
    )  # fmt: skip
    return pretrain(config, progress=False).path


@pytest.fixture(scope="module", params=["pretrain", "grpo"])
def training(request: pytest.FixtureRequest, prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    path = tmp_path_factory.mktemp("undisturbed")
    config: Config
    if request.param == "pretrain":
        config = PretrainConfig(
            run_dir=path, corpus=TASK, model=SHAPE, steps=8, batch_size=4, warmup_steps=2, decay_steps=2,
            eval_every=5, eval_documents=4, save_every=3,
        )  # fmt: skip
        run = pretrain(config, progress=False)
        return Training(pretrain, config, run.model_path.read_bytes(), without_times(run))
    config = GRPOConfig(
        run_dir=path, prior=prior, steps=8, prompts_per_step=3, num_generations=4, dynamic_sampling=False,
        mask_truncated_completions=False, max_completion_length=5, weight_decay=0.1, save_every=3,
    )  # fmt: skip
    run = train_grpo(config, progress=False)
    assert sum(row["grad_norm"] > 0 for row in run.metrics()) > 4
    return Training(train_grpo, config, run.model_path.read_bytes(), without_times(run))


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Real processes that have torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        forkserver.ensure_running()
    return context


def train_unless_killed(run: Callable[..., Run], config: Config, dies_at: int = 0) -> None:
    """The body of a process. With `dies_at` it kills itself at that call of fsync or replace: as bytes have been
    written and may or may not be on the disk."""
    calls = 0

    def deadly(function: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            function(*args)

        return call

    torch.set_num_threads(1)
    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)  # it ends with us
    run(config, progress=False)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(training: Training, tmp_path: Path) -> None:
    training.run(training.at(tmp_path / "again"), progress=False)
    training.assert_finished_as_undisturbed(tmp_path / "again")
    other = training.run(replace(training.at(tmp_path / "other"), seed=1), progress=False)
    assert other.model_path.read_bytes() != training.model


def test_finished_run_is_not_run_again(training: Training, tmp_path: Path) -> None:
    config = training.at(tmp_path)
    training.run(config, progress=False)
    before = everything_in(tmp_path)
    training.run(config, progress=False)
    assert everything_in(tmp_path) == before


def test_changed_setting_is_refused_by_name(training: Training, tmp_path: Path) -> None:
    training.run(training.at(tmp_path), progress=False)
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match=r"lr is .* there and 0\.5 now"):
        training.run(replace(training.at(tmp_path), lr=0.5), progress=False)
    assert everything_in(tmp_path) == before


def test_run_killed_at_random_moments_ends_as_if_undisturbed(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    moments, kills = random.Random(0), 0
    for target in (1, 4, 6, 7):
        process = processes.Process(target=train_unless_killed, args=(training.run, training.at(tmp_path)))
        process.start()
        wait_for_step(process, tmp_path, target)
        time.sleep(0.02 * moments.random())
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills >= 3  # a fast machine may finish before the last
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


def test_second_process_on_a_running_training_is_refused_and_harmless_until_the_first_is_gone(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    config = replace(training.at(tmp_path), steps=100_000)
    process = processes.Process(target=train_unless_killed, args=(training.run, config))
    process.start()
    wait_for_step(process, tmp_path, 2)
    with pytest.raises(RunError, match="is being run by another process"):
        training.run(config, progress=False)
    steps = len(Run(tmp_path).metrics())
    wait_for_step(process, tmp_path, steps + 2)
    assert process.is_alive()
    process.kill()
    process.join()
    found = Run(tmp_path).config()
    with Run.start(tmp_path, found["kind"], found["config"]) as run:
        assert len(run.metrics()) >= steps + 2


def wait_for_step(process: BaseProcess, path: Path, step: int) -> None:
    run = Run(path)
    while process.is_alive() and (not run.metrics_path.exists() or len(run.metrics()) < step):
        time.sleep(0.002)


@pytest.mark.parametrize("training", ["pretrain"], indirect=True)
def test_run_killed_at_any_disk_operation_ends_as_if_undisturbed(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    """Before each sync and each rename of an undisturbed run in turn; each continues to its end."""
    for dies_at in range(1, 100):
        path = tmp_path / str(dies_at)
        arguments = (training.run, training.at(path), dies_at)
        process = processes.Process(target=train_unless_killed, args=arguments)
        process.start()
        process.join()
        if process.exitcode == 0:  # lived: it has fewer disk operations
            break
        assert process.exitcode == -signal.SIGKILL
        training.run(training.at(path), progress=False)
        training.assert_finished_as_undisturbed(path)
    states = training.config.steps // training.config.save_every
    assert dies_at - 1 == 3 + 4 * states + 3  # config, states with the metrics synced first, model


@pytest.mark.parametrize("room", [0, 30], ids=["nothing", "half a line"])
def test_full_disk_is_an_error_and_the_run_goes_on_once_there_is_room(
    room: int, training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    arguments = (training.run, training.at(tmp_path), 4, room)
    process = processes.Process(target=train_until_the_disk_is_full, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == FULL_DISK
    assert not list(tmp_path.rglob(".*.tmp"))
    assert Run(tmp_path).metrics_path.read_bytes().endswith(b"\n") == (room == 0)
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


def test_state_that_does_not_fit_on_the_disk_leaves_the_one_before(
    training: Training, processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    arguments = (training.run, training.at(tmp_path), 4, 2000)  # room for the lines up to the next state
    process = processes.Process(target=train_until_the_disk_is_full, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == FULL_DISK
    assert len(Run(tmp_path).metrics()) == 6
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": 3}
    assert not list(tmp_path.rglob(".*.tmp"))
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


FULL_DISK = 28  # the exit code of the process below


def train_until_the_disk_is_full(run: Callable[..., Run], config: Config, full_after: int, room: int) -> None:
    """The body of a process. After `full_after` steps no file may grow beyond metrics.jsonl's size plus `room`."""
    append = Run.append_metrics

    def fill(self: Run, row: dict[str, Any]) -> None:
        append(self, row)
        if row["step"] == full_after:
            limit = self.metrics_path.stat().st_size + room
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    Run.append_metrics = fill  # type: ignore[assignment,method-assign]  # it ends with us
    torch.set_num_threads(1)
    try:
        run(config, progress=False)
    except OSError:
        sys.exit(FULL_DISK)


@pytest.mark.parametrize("step", [1, 3, 4, -1], ids=["first", "saved anyway", "between states", "last"])
def test_ctrl_c_saves_after_the_step_and_the_run_resumes_exactly(
    step: int, training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step %= training.config.steps + 1
    append = Run.append_metrics

    def press(self: Run, row: dict[str, Any]) -> None:
        if row["step"] == step:
            signal.raise_signal(signal.SIGINT)
        append(self, row)

    monkeypatch.setattr(Run, "append_metrics", press)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        training.run(training.at(tmp_path), progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": step}
    assert len(Run(tmp_path).metrics()) == step
    monkeypatch.undo()
    training.run(training.at(tmp_path), progress=False)
    training.assert_finished_as_undisturbed(tmp_path)


SCRIPT = """
import pickle, sys, torch
torch.set_num_threads(1)
run, config = pickle.load(sys.stdin.buffer)
run(config, progress=False)
"""


def test_ctrl_c_in_a_real_process_saves_and_ends_it(training: Training, tmp_path: Path) -> None:
    config = replace(training.config, run_dir=tmp_path, steps=100_000, save_every=100_000)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((training.run, config)))
    process.stdin.close()
    run = Run(tmp_path)
    while process.poll() is None and (not run.metrics_path.exists() or len(run.metrics()) < 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait() == -signal.SIGINT
    assert process.stderr is not None
    assert process.stderr.read().endswith(b"KeyboardInterrupt\n")
    process.stderr.close()
    assert load_tensors(run.state_path)[1] == {"step": len(run.metrics())}
    assert without_times(run)[:3] == training.metrics[:3]


def test_ctrl_c_that_comes_after_the_check_waits_for_the_next_step(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True])
    module = sys.modules[training.run.__module__]
    monkeypatch.setattr(module, "deferred_interrupt", lambda: contextlib.nullcontext(lambda: next(answers)))
    with pytest.raises(KeyboardInterrupt):
        training.run(training.at(tmp_path), progress=False)
    assert load_tensors(Run(tmp_path).state_path)[1] == {"step": 2}


def test_second_ctrl_c_interrupts_at_once() -> None:
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_training_outside_the_main_thread_leaves_signals_alone(training: Training, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=training.run, args=(training.at(tmp_path),), kwargs={"progress": False})
    thread.start()
    thread.join()
    training.assert_finished_as_undisturbed(tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler


# --- where a run started from ---


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
    other = GPT(SHAPE.config(TASK), torch.Generator().manual_seed(1))
    save_model(tmp_path / "prior" / "model.safetensors", other, TASK)
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
    append = Run.append_metrics

    def press(self: Run, row: dict[str, Any]) -> None:
        append(self, row)
        if row["step"] == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "append_metrics", press)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, progress=False)
    monkeypatch.undo()
    begun, before = book.read_text(), everything_in(config.run_dir)
    book.write_text(begun[::-1])  # the same characters, and so the same tokens
    with pytest.raises(RunError, match=r"the text of .*book\.txt is another than when .*run was begun"):
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


def test_model_of_a_text_that_has_changed_keeps_its_tokens_but_has_no_windows(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("the cat sat on the mat. " * 500)
    corpus = Text(path=str(book), tokenizer="char", context_length=16)
    save_model(tmp_path / "model.safetensors", GPT(SHAPE.config(corpus)), corpus)
    assert load_model(tmp_path / "model.safetensors")[1].document(0, 0) == corpus.document(0, 0)
    book.write_text("quick zebras jump. " * 500)
    _, kept = load_model(tmp_path / "model.safetensors")
    assert kept.vocab == corpus.vocab
    with pytest.raises(ValueError, match=r"the text of .*book\.txt has changed since the model was trained"):
        kept.document(0, 0, "heldout")
    book.unlink()
    assert load_model(tmp_path / "model.safetensors")[1].encode("the cat") == corpus.encode("the cat")


def test_model_whose_vocabulary_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model.safetensors", GPT(SHAPE.config(TASK)), TASK)
    monkeypatch.setattr(type(TASK), "vocab", ("<pad>", "<eos>", "?"))
    with pytest.raises(RunError, match=r"model\.safetensors knows other tokens than .* has now"):
        load_model(tmp_path / "model.safetensors")
