"""What a model learns: two tasks with a verifier, and plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pgce_mini.checks import check_choice
from pgce_mini.tasks.base import EOS_ID, PAD_ID, Corpus, Problem, Split, Task
from pgce_mini.tasks.chain_sum import ChainSum
from pgce_mini.tasks.countdown import Countdown
from pgce_mini.tasks.text import Text

__all__ = [
    "EOS_ID", "PAD_ID", "TASKS", "ChainSum", "Corpus", "Countdown", "Problem", "Split", "Task", "Text",
    "task_from_dict", "task_to_dict",
]  # fmt: skip

TASKS: dict[str, type[Corpus]] = {task.name: task for task in (ChainSum, Countdown, Text)}


def task_to_dict(task: Corpus) -> dict[str, Any]:
    """The name and settings of a corpus, ready for JSON."""
    return {"name": task.name, **asdict(task)}


def task_from_dict(settings: Mapping[str, Any]) -> Corpus:
    """The corpus that `task_to_dict` described; settings that are left out take their defaults.

    Raises:
        ValueError: naming the unknown task or setting, or the value that makes no sense.
    """
    values = dict(settings)
    name = values.pop("name", None)
    check_choice("name", name, TASKS)
    task = TASKS[name]
    known = [field.name for field in fields(task)]
    for setting in values:
        if setting not in known:
            raise ValueError(f"{setting} is not a setting of {name}, which has {', '.join(known)}")
    return task(**values)
