"""Paths that a user gives."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a home folder in place of a leading `~` or `~user`, as a shell does it.

    Raises:
        ValueError: there is no such user.
    """
    found = Path(os.path.expanduser(path))
    if found.parts[:1] and found.parts[0].startswith("~"):
        raise ValueError(
            f"{os.fspath(path)!r} begins with the home of a user who is not on this machine: check the name, or "
            "give the full path of a folder that is really called so"
        )
    return found
