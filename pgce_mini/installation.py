"""The version, and how it came here: in a clone or from a wheel. So where its folders are, and what to type; and
which packages of its extras are there."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path

__version__ = "0.1.0"  # pyproject.toml reads it here
SOURCE = "git+https://github.com/pgce-mini/pgce_mini"  # it is on no package index
PACKAGE = Path(__file__).resolve().parent
HOME = PACKAGE if (PACKAGE / "app").is_dir() else PACKAGE.parent
"""What holds app, notebooks and studies: in a wheel the package itself, in a clone the folder around it."""


def in_clone() -> bool:
    return HOME != PACKAGE


def bundled(name: str) -> Path:
    """A folder or file that comes with the package, such as "studies" or "app/explorer.py".

    Raises:
        ValueError: it is not there, as the folder of the package alone has been copied.
    """
    path = HOME / name
    if not path.exists():
        raise ValueError(
            f"{path} is not there: it comes with a clone or a wheel of pgce_mini, so install one of them"
        )
    return path


def install_hint(extra: str) -> str:
    """The command that installs an extra of this package; in a clone, to be typed in its folder."""
    if in_clone():
        return f'pip install -c constraints.txt -e ".[{extra}]"'
    return f'pip install "pgce_mini[{extra}] @ {SOURCE}"'


def is_installed(package: str) -> bool:
    """Whether it can be imported, which this does not try."""
    with contextlib.suppress(ImportError):  # of a finder
        return importlib.util.find_spec(package) is not None
    return False


def check_installed(package: str, extra: str = "study") -> None:
    """
    Raises:
        ValueError: the package, of the extra, is missing.
    """
    if not is_installed(package):
        raise ValueError(f"{package} is not installed: {install_hint(extra)}")


def command_hint(command: str) -> str:
    """How to run `pgce COMMAND`, where a clone has a make target of that name."""
    return f"make {command}" if in_clone() else f"pgce {command}"
