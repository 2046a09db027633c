"""`import pgce_mini`, and the import of all its names, against `import torch`: each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

from common import exit_unless, paired_median, parse_args, seconds, within

LIMIT = 1.2
STATEMENTS = ("import pgce_mini", "from pgce_mini import *")  # names are loaded when they are first used


def import_seconds(statement: str) -> float:
    """Of a whole interpreter that starts, runs `statement` and ends."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", statement], check=True))


def main() -> None:
    args = parse_args(__doc__, threads=False)
    reached = []
    for statement in STATEMENTS:
        result = paired_median(
            lambda ours=statement: import_seconds(ours), lambda: import_seconds("import torch"), args.repeats
        )
        times = f"{statement}: {result.ours:.2f} s, import torch {result.theirs:.2f} s"
        reached.append(within(times, 1 / result.ratio, LIMIT, "its time"))
    exit_unless(reached)


if __name__ == "__main__":
    main()
