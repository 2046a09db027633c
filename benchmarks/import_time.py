"""`import pgce_mini` against `import torch`, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

from common import exit_unless, paired_median, parse_args, seconds, within

LIMIT = 1.2


def import_seconds(module: str) -> float:
    """Of a whole interpreter that starts, imports `module` and ends."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))


def main() -> None:
    args = parse_args(__doc__)
    result = paired_median(lambda: import_seconds("pgce_mini"), lambda: import_seconds("torch"), args.repeats)
    times = f"import pgce_mini: {result.ours:.2f} s, import torch {result.theirs:.2f} s"
    exit_unless([within(times, 1 / result.ratio, LIMIT, "its time")])


if __name__ == "__main__":
    main()
