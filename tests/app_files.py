"""The files of the explorer, which are no package: they find one another by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

APP = Path(__file__).parents[1] / "app"


@contextmanager
def app_on_the_path() -> Iterator[Callable[[str], ModuleType]]:
    """Meanwhile they can be imported; gives what imports one by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(APP)
        yield importlib.import_module
