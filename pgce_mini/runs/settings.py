"""Settings as plain JSON values, and how two of them differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgce_mini.checks import plain_number
from pgce_mini.tasks import task_to_dict
from pgce_mini.tasks.base import Corpus

NOT_RECORDED = ("run_dir", "study_dir", "workers")  # where and how it runs: a run may be moved


def config_to_dict(config: Any) -> dict[str, Any]:
    """A dataclass of settings as plain JSON values, a corpus with its name; without the settings NOT_RECORDED."""

    def plain(value: Any) -> Any:
        if isinstance(value, Corpus):
            return task_to_dict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Path):
            return str(value)
        return [plain(item) for item in value] if isinstance(value, tuple) else plain_number(value)

    settings: dict[str, Any] = plain(config)
    return {name: value for name, value in settings.items() if name not in NOT_RECORDED}


def settings_difference(found: Mapping[str, Any], wanted: Mapping[str, Any], name: str = "") -> str:
    """The first setting in which two configurations differ, in words."""
    for key in {**found, **wanted}:
        old, new = found.get(key), wanted.get(key)
        if old != new:
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                return settings_difference(old, new, f"{name}{key}.")
            return f"{name.removeprefix('config.')}{key} is {old!r} there and {new!r} now"
    return "the same settings"
