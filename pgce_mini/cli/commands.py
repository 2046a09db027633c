"""`pgce`: every step from the command line; options are the fields of the library's own settings.

Whatever goes wrong on the user's side is told on stderr, a wrong value in one sentence, with exit code 2, as are
rows of a study that failed or are missing; 1 is for warnings of `pgce site`, and for a `pgce study --check` whose
numbers differ; Ctrl-C is 130, SIGTERM 143, and a training goes on from the last saved step. PGCE_DEBUG=1 shows
the whole trace.
`pgce --version` prints the version.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pgce_mini.atomic import DISK_FULL
from pgce_mini.cli.doctor import Doctor
from pgce_mini.cli.evaluate import Compare, Evaluate, Sample
from pgce_mini.cli.exchange import Export, Import
from pgce_mini.cli.open import Explore, Lab, Playground
from pgce_mini.cli.parsing import parse
from pgce_mini.cli.shipped import BuildPolicies, BuildPriors
from pgce_mini.cli.site import Site
from pgce_mini.cli.study import Demo, Study
from pgce_mini.cli.train import RL, Pretrain
from pgce_mini.installation import __version__
from pgce_mini.runs import TERMINATED, RunError, exit_at_sigterm
from pgce_mini.training import is_first, join, launched

OUT_OF_MEMORY = ("allocate memory", "out of memory", "verflow")
"""How torch says it: on a CPU, on a GPU, and when the size alone is more than a number may be."""

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo, "study": Study, "pretrain": Pretrain, "build-priors": BuildPriors,
    "build-policies": BuildPolicies, "rl": RL, "evaluate": Evaluate, "sample": Sample, "compare": Compare,
    "export": Export, "import": Import,
    "explore": Explore, "playground": Playground, "lab": Lab, "site": Site, "doctor": Doctor,
}  # fmt: skip
SAVING = (Demo, Study, Pretrain, BuildPriors, BuildPolicies, RL)
"""Commands that go on where they were stopped."""


def run(words: Sequence[str]) -> None:
    """Runs the command that `words` name; exits as `main` says."""
    command: Any = None
    try:
        try:
            with contextlib.nullcontext() if is_first() else _silent_stdout(), exit_at_sigterm():
                if words[:1] == ["--version"]:
                    print(f"pgce_mini {__version__}")
                    return
                if words[:1] in (["pretrain"], ["rl"]):
                    join()  # before anything is refused: the processes have not started at the same moment
                command = parse(words, COMMANDS, (__doc__ or "").strip())
                if launched() and not isinstance(command, (Pretrain, RL)):
                    raise ValueError(
                        f"torchrun starts pgce pretrain and pgce rl: run pgce {words[0]} without it, or, in a "
                        "process of torchrun, without TORCHELASTIC_RUN_ID in the environment"
                    )
                command.run()
        finally:
            sys.stdout.flush()  # here a full disk can still be told
    except KeyboardInterrupt:
        _leave("; ".join(filter(None, ("stopped", _goes_on(command)))), 130)
    except SystemExit as ended:
        if ended.code != TERMINATED:
            raise
        _leave("; ".join(filter(None, ("stopped by SIGTERM", _goes_on(command)))), TERMINATED)
    except (RunError, ValueError, FloatingPointError) as error:
        _leave(str(error), 2)
    except OSError as error:
        if error.errno in DISK_FULL:
            then = _goes_on(command) or "run the same command again"
            _leave(f"the disk is full: free some space, then {then}", 2)
        _leave(f"{error.filename or 'a file'}: {error.strerror or error}", 2)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise  # a fault of ours, whose trace we want
        advice = "ask for a smaller model, smaller batches, fewer samples or fewer prompts"
        _leave(f"the memory of this machine is too small for that: {advice}", 2, of_all=False)


def _goes_on(command: Any) -> str:
    """What the same command will do, where it has saved its steps; else nothing."""
    only_reads = isinstance(command, Study) and (command.check or command.report or command.collect)
    saves = isinstance(command, SAVING) and not only_reads
    return "the same command goes on from the last saved step" if saves else ""


@contextlib.contextmanager
def _silent_stdout() -> Iterator[None]:
    """One of several processes prints the results."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        yield


def _leave(sentence: str, code: int, of_all: bool = True) -> None:
    """`of_all`: every process that torchrun has started leaves with this sentence, so the first says it."""
    if os.environ.get("PGCE_DEBUG"):
        raise
    if is_first() or not of_all:
        print(f"pgce: {sentence}", file=sys.stderr)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, to all when one has left: the first comes
        time.sleep(1)  # first, with its sentence
    raise SystemExit(code)
