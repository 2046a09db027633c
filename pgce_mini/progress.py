"""The progress bar of everything that takes long."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


class ProgressBar(tqdm):  # type: ignore[misc]
    """tqdm's bar, which falls silent where stderr is closed or its reader has left: the work matters more."""

    def __init__(self, *, silent: bool, **options: Any) -> None:
        super().__init__(disable=silent or sys.stderr is None or sys.stderr.closed, **options)

    def display(self, *arguments: Any, **options: Any) -> None:
        try:
            super().display(*arguments, **options)
        except OSError:
            self.disable = True

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            self.disable = True
