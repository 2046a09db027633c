"""`pgce`: every step from the command line; options are the fields of the library's own settings.

Whatever goes wrong on the user's side is told on stderr, a wrong value in one sentence, with exit code 2; Ctrl-C
is 130, and a training goes on from the last saved step. PGCE_DEBUG=1 shows the whole trace.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from pgce_mini.cli.doctor import Doctor
from pgce_mini.cli.evaluate import Compare, Evaluate, Sample
from pgce_mini.cli.open import Explore, Lab, Playground
from pgce_mini.cli.shipped import BuildPolicies, BuildPriors
from pgce_mini.cli.study import Demo, Study
from pgce_mini.cli.train import RL, Pretrain
from pgce_mini.runs import RunError

__all__ = ["COMMANDS", "main"]

OUT_OF_MEMORY = ("allocate memory", "out of memory", "verflow")
"""How torch says it: on a CPU, on a GPU, and when the size alone is more than a number may be."""

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo, "study": Study, "pretrain": Pretrain, "build-priors": BuildPriors,
    "build-policies": BuildPolicies, "rl": RL, "evaluate": Evaluate, "sample": Sample, "compare": Compare,
    "explore": Explore, "playground": Playground, "lab": Lab, "doctor": Doctor,
}  # fmt: skip
SAVING = (Demo, Study, Pretrain, BuildPriors, BuildPolicies, RL)
"""Commands that go on where they were stopped."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 0, with 2 after a user's error, or with 130 after Ctrl-C."""
    command: Any = None
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        about = (__doc__ or "").strip()
        command = tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words, prog="pgce", description=about)
        if isinstance(command, Pretrain):
            command = command.with_defaults_of_arm(words[1:])
        command.run()
    except KeyboardInterrupt:
        only_reads = isinstance(command, Study) and (command.check or command.report)
        saves = isinstance(command, SAVING) and not only_reads
        _leave("stopped; the same command goes on from the last saved step" if saves else "stopped", 130)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (RunError, ValueError, FloatingPointError) as error:
        _leave(str(error), 2)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _leave("the disk is full: free some space, then the same command goes on from the last saved step", 2)
        _leave(f"{error.filename or 'a file'}: {error.strerror}", 2)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise  # a fault of ours, whose trace we want
        advice = "ask for a smaller model, smaller batches, fewer samples or fewer prompts"
        _leave(f"the memory of this machine is too small for that: {advice}", 2)


def _leave(sentence: str, code: int) -> None:
    if os.environ.get("PGCE_DEBUG"):
        raise
    print(f"pgce: {sentence}", file=sys.stderr)
    raise SystemExit(code)
