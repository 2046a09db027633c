"""The folder of a run: its owner, its metrics and its saved state."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disk import everything_in, flip_byte, started, state
from hypothesis import given, settings, strategies as st
from tiny import TASK, new_model

from pgce_mini.runs import Run, RunError, save_model, state_tensors


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


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / ".notes.tmp").write_text("more of it")
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match="files of something else"):
        started(tmp_path)
    with pytest.raises(RunError, match=r"thesis\.tex is a file"):
        started(tmp_path / "thesis.tex")
    assert everything_in(tmp_path) == before


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


# --- metrics ---


@pytest.mark.parametrize("cut", ["", '{"step": 3, "lo', '{"step": 3}'])
def test_last_line_without_its_end_is_left_out(cut: str, tmp_path: Path) -> None:
    run = started(tmp_path, steps=2)
    with open(run.metrics_path, "a") as file:
        file.write(cut)
    assert run.metrics() == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]


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


def test_state_is_newer_than_its_metrics_only_when_they_are_damaged(tmp_path: Path) -> None:
    run = started(tmp_path, steps=3, saved=3)
    run.metrics_path.write_text('{"step": 1}\n')
    before = everything_in(tmp_path)
    with pytest.raises(RunError, match=r"metrics\.jsonl lacks steps before 3"):
        run.load_state(*state())
    assert everything_in(tmp_path) == before


def swap_for_a_model(path: Path) -> None:
    save_model(path, new_model(), TASK)


def swap_for_another_state(path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    Run(path.parent.parent).save_state(3, state_tensors(model, torch.optim.AdamW(model.parameters())))


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
