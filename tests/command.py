"""The command line in this process."""

from __future__ import annotations

from pathlib import Path

from pgce_mini import cli


def pgce(*words: str | Path, code: int = 0) -> None:
    """Runs a command and checks how it ends."""
    ending = 0
    try:
        cli.main([str(word) for word in words])
    except SystemExit as leaving:
        ending = int(leaving.code or 0)
    assert ending == code
