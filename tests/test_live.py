"""The trainer behind the explorer's live page, with real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from app_files import APP, app_on_the_path

from pgce_mini.cli import main
from pgce_mini.runs import Run

with app_on_the_path():
    import live
    from live import Recipe, Refused, Size, Trainer

SECONDS = 120.0  # for what takes a few


def wait(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be reaped, by whoever runs the tests, does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no Linux
        return True


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(live.SIZES, "tiny", Size(8, 20, 4, 2, 2))
    monkeypatch.setitem(live.SIZES, "full", Size(8, 100_000, 4, 2, 2))  # until it is stopped


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Trainer]:
    trainer = Trainer(tmp_path / "live")
    yield trainer
    trainer.close()


def state(trainer: Trainer, recipe: Recipe) -> str:
    return trainer.status(recipe).state


def metrics(trainer: Trainer, recipe: Recipe, stage: str) -> list[Any]:
    return Run(trainer.folder / recipe.name / stage).metrics()


def child_of(trainer: Trainer) -> subprocess.Popen[bytes]:
    wait(lambda: trainer._child is not None)
    assert trainer._child is not None
    return trainer._child.process


LONG = Recipe("chain-sum", "ce", "full", 0)
SHORT = Recipe("chain-sum", "precision", "tiny", 0)


def test_a_server_that_starts_none_refuses_whatever_the_page_sends(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "live", starts=False)
    with pytest.raises(Refused, match="this server starts no trainings"):
        trainer.submit(SHORT, "me")
    assert not trainer.busy
    assert trainer.status(SHORT).state == "new"


def test_training_runs_through_both_stages_and_leaves_nothing_behind(trainer: Trainer) -> None:
    assert trainer.status(SHORT) == live.Status("new", 0, SHORT.work)
    trainer.submit(SHORT, "me")
    assert trainer.busy
    first = child_of(trainer)
    assert os.getpgid(first.pid) == first.pid  # a group of its own: a terminal's Ctrl-C is the explorer's
    wait(lambda: not trainer.busy)
    assert state(trainer, SHORT) == "finished"
    assert [len(metrics(trainer, SHORT, stage)) for stage in ("prior", "policy")] == [20, 2]
    assert not alive(first.pid)  # reaped
    wait(lambda: trainer._thread is None)
    with pytest.raises(Refused, match="this training is finished already"):
        trainer.submit(SHORT, "me")


def test_stopped_training_is_saved_and_goes_on_from_there(trainer: Trainer) -> None:
    trainer.submit(LONG, "me")
    process = child_of(trainer)
    wait(lambda: trainer.status(LONG).done > 5)
    wait(lambda: trainer.status(LONG).seconds is not None)
    trainer.stop(LONG, "me")
    assert state(trainer, LONG) in ("stopping", "stopped")
    wait(lambda: not trainer.busy)
    assert process.returncode == 130  # as after Ctrl-C
    assert state(trainer, LONG) == "stopped"
    run = Run(trainer.folder / LONG.name / "prior")
    done = len(run.metrics())
    assert run.state_path.exists()
    trainer.submit(LONG, "me")
    wait(lambda: trainer.status(LONG).done > done + 5)
    assert [row["step"] for row in run.metrics()] == list(range(1, len(run.metrics()) + 1))


def test_one_runs_at_a_time_and_the_next_begins_when_it_ends(trainer: Trainer) -> None:
    trainer.submit(LONG, "one")
    child_of(trainer)
    trainer.submit(SHORT, "two")
    third = Recipe("text", "ce", "tiny", 0)
    trainer.submit(third, "three")
    assert trainer.running == LONG
    assert trainer.status(SHORT)[0] == trainer.status(third)[0] == "waiting"
    assert [trainer.status(recipe).ahead for recipe in (SHORT, third)] == [1, 2]
    trainer.stop(third, "three")  # out of the line
    assert state(trainer, third) == "new"
    trainer.stop(LONG, "one")
    wait(lambda: trainer.running == SHORT)
    wait(lambda: not trainer.busy)
    assert state(trainer, SHORT) == "finished"


def test_each_has_one_and_the_line_has_an_end(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_WAITING", 2)
    trainer.submit(LONG, "one")
    child_of(trainer)
    with pytest.raises(Refused, match="you have one training waiting or running"):
        trainer.submit(SHORT, "one")
    with pytest.raises(Refused, match="this training is running already"):
        trainer.submit(LONG, "two")
    for seed in (1, 2):
        trainer.submit(Recipe("chain-sum", "ce", "tiny", seed), f"viewer {seed}")
    with pytest.raises(Refused, match="2 trainings are waiting"):
        trainer.submit(SHORT, "late")


def test_nobody_stops_what_is_anothers_until_they_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ABSENCE_SECONDS", 3.0)
    here = {"one", "two", "three"}
    trainer = Trainer(tmp_path, present=here.__contains__)
    try:
        trainer.submit(LONG, "one")
        child_of(trainer)
        began = trainer._last_seen["one"]
        trainer.submit(SHORT, "two")
        with pytest.raises(Refused, match="somebody else has started this training"):
            trainer.stop(LONG, "three")
        here.discard("two")
        wait(lambda: state(trainer, SHORT) == "new")  # gone from the line
        wait(lambda: trainer._last_seen["one"] > began + 3.0)
        here.discard("one")
        assert not trainer.may_stop(LONG, "three")  # they were there until now
        wait(lambda: trainer.may_stop(LONG, "three"))
        assert state(trainer, LONG) == "running"  # it goes on, whoever has left
        trainer.stop(LONG, "three")
        wait(lambda: not trainer.busy)
    finally:
        trainer.close()


def test_failure_is_told_in_the_words_of_the_command(trainer: Trainer) -> None:
    folder = trainer.folder / SHORT.name / "prior"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    trainer.submit(SHORT, "me")
    wait(lambda: not trainer.busy)
    status = trainer.status(SHORT)
    assert status.state == "failed"
    assert "config.json" in status.reason
    assert "it is damaged" in status.reason
    assert str(trainer.folder) not in status.reason  # no place on this machine


def test_killed_training_has_failed_and_can_go_on_or_leave_its_place(trainer: Trainer) -> None:
    trainer.submit(LONG, "me")
    process = child_of(trainer)
    wait(lambda: trainer.status(LONG).done > 0)
    os.killpg(process.pid, signal.SIGKILL)
    wait(lambda: state(trainer, LONG) == "failed")
    assert trainer.status(LONG).reason == "its process ended with exit code -9"
    trainer.submit(LONG, "me")
    process = child_of(trainer)
    wait(lambda: state(trainer, LONG) == "running")
    os.killpg(process.pid, signal.SIGKILL)
    shutil.rmtree(trainer.folder / LONG.name)
    wait(lambda: not trainer.busy)
    trainer.submit(SHORT, "me")
    wait(lambda: state(trainer, SHORT) == "running")


def test_child_that_does_not_stop_is_killed(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GRACE_SECONDS", 0.2)
    trainer.submit(LONG, "me")
    process = child_of(trainer)
    wait(lambda: trainer.status(LONG).done > 0)
    os.kill(process.pid, signal.SIGSTOP)  # deaf
    trainer.stop(LONG, "me")
    wait(lambda: not trainer.busy)
    assert process.returncode == -signal.SIGKILL
    assert state(trainer, LONG) == "stopped"


def test_the_end_of_the_explorer_ends_its_training(tmp_path: Path) -> None:
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import live; from pathlib import Path\n"
        "live.SIZES['full'] = live.Size(8, 100_000, 4, 2, 2)\n"
        "trainer = live.Trainer(Path(sys.argv[2])); recipe = live.Recipe('chain-sum', 'ce', 'full', 0)\n"
        "trainer.submit(recipe, 'me')\n"
        "while trainer.status(recipe).done < 3: time.sleep(0.05)\n"
        "print(trainer._child.process.pid, flush=True); time.sleep(600)"
    )
    explorer = subprocess.Popen(
        [sys.executable, "-c", script, str(APP), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with explorer:
        assert explorer.stdout is not None
        pid = int(explorer.stdout.readline())
        assert alive(pid)
        explorer.kill()  # no chance to say good-bye
    wait(lambda: not alive(pid))
    assert Run(tmp_path / LONG.name / "prior").state_path.exists()  # it was saved


def test_oldest_trainings_make_room_and_text_has_no_rl(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_FOLDERS", 2)
    for age, name in enumerate(("newest", "older", "oldest")):
        folder = trainer.folder / name
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    recipe = Recipe("text", "tail-penalty", "tiny", 0)
    trainer.submit(recipe, "me")
    wait(lambda: not trainer.busy)
    assert trainer.status(recipe)[:3] == ("finished", 20, 20)
    assert metrics(trainer, recipe, "policy") == []
    assert {path.name for path in trainer.folder.iterdir()} == {"newest", recipe.name}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (("../../etc", "ce", "tiny", 0), "task"),
        (("text", "x/y", "tiny", 0), "arm"),
        (("text", "ce", "huge", 0), "size"),
        (("text", "ce", "tiny", -1), "seed"),
        (("text", "ce", "tiny", "0"), "seed"),
    ],
)
def test_recipe_is_made_of_what_is_listed(values: tuple[str, str, str, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Recipe(*values)


@pytest.mark.parametrize("task", ["chain-sum", "countdown", "text"])
def test_commands_are_those_of_the_command_line(task: str, tmp_path: Path) -> None:
    recipe = Recipe(task, "head-reward", "tiny", 3)
    for stage in recipe.steps:
        words = [word for word in recipe.command(stage, tmp_path) if word != "--stop-with-stdin"]
        main(words)
        assert Run(tmp_path / stage).finished


def test_what_was_trained_is_found_by_the_name_of_its_folder(trainer: Trainer) -> None:
    recipe = Recipe("chain-sum", "tail-penalty", "tiny", 7)
    metrics = trainer.folder / recipe.name / "prior" / "metrics.jsonl"
    metrics.parent.mkdir(parents=True)
    for name in (
        "chain-sum-ce-tiny-seed07",
        "chain-sum-ce-huge-seed0",
        "notes",
        Recipe("text", "ce", "tiny", 0).name,
    ):
        (trainer.folder / name).mkdir()
    assert trainer.trained() == []
    metrics.write_text('{"step": 1}\n')
    assert trainer.trained() == [recipe]
    assert recipe.label == "tail-penalty, tiny, seed 7"
