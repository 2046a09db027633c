"""The words of a command line -> a command, or one sentence that says what is wrong with them.

tyro answers what it cannot parse with a box, of this form whatever the terminal's encoding. It is read here, so
that a script, a log and a screen reader get a sentence.

    Title / what is wrong / --- / Perhaps you meant: --NAME ... / --- / For full helptext, run pgce COMMAND --help
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import tyro

from pgce_mini.cli.train import Pretrain
from pgce_mini.paths import expanded

T = TypeVar("T")
NARROWEST, WIDEST = 40, 1000  # columns that help is set in: tyro does not come to an end in very few
VALUES = {"INT": "whole number", "FLOAT": "number"}  # as the help names them


def parse(words: Sequence[str], commands: dict[str, Callable[..., Any]], about: str) -> Any:
    """The command, its paths without `~`. The last of several values of an option counts.

    Raises:
        ValueError: what is wrong with the words, and the help that tells more.
        SystemExit: help was asked for, and printed.
    """
    command = _told(
        words, commands,
        lambda: tyro.extras.subcommand_cli_from_dict(commands, args=list(words), prog="pgce", description=about),
    )  # fmt: skip
    if isinstance(command, Pretrain):
        command = _told(words, commands, lambda: command.with_defaults_of_arm(words[1:]))
    _expand(command)
    return command


def _told(words: Sequence[str], commands: Mapping[str, Any], parsed: Callable[[], T]) -> T:
    """The result of tyro's `parsed`, with its box as a ValueError."""
    helps = any(word in ("-h", "--help") for word in words)
    box = io.StringIO()
    try:
        width = shutil.get_terminal_size().columns
        width = min(max(NARROWEST, width), WIDEST) if helps else 100_000
        with _columns(width), contextlib.redirect_stderr(box):
            command = parsed()
    except SystemExit as leaving:
        if leaving.code != 2:
            raise
        raise ValueError(_sentence(box.getvalue(), words, list(commands))) from None
    sys.stderr.write(box.getvalue())
    return command


@contextlib.contextmanager
def _columns(columns: int) -> Any:
    """What tyro takes for the width of the terminal."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _sentence(box: str, words: Sequence[str], commands: Sequence[str]) -> str:
    rows = [row.strip().removeprefix("│").removesuffix("│").strip() for row in box.splitlines()[1:]]
    while rows and not rows[0].strip("─-╰╯ "):  # below the title, where the terminal has no signs for boxes
        del rows[0]
    parts: list[list[str]] = [[]]
    for row in rows:
        if row.strip("─-╰╯ "):
            parts[-1].append(row)
        else:
            parts.append([])
    problem = " ".join(parts[0])
    see = f"see {_helps(words, commands, box)}"
    if problem.startswith("Unrecognized"):
        return _unknown(parts, words, commands, see)
    if problem.startswith("Expected one of"):
        return f"say what to do: {', '.join(commands)}; see pgce --help"
    if found := re.match(r"Missing value for argument '(.*?)'", problem):
        return f"{found[1]} needs a value; {see}"
    if found := re.match(r"invalid choice '(.*)' for argument '(.*?)'\. Expected one of \((.*)\)", problem):
        choices = sorted({choice.strip("' ") for choice in found[3].split(",")} - {"None", ""})
        return f"{found[2]} must be one of {', '.join(choices)}, got '{found[1]}'; {see}"
    if found := re.match(r"Error parsing (\S+): (.*)", problem):
        name, reason = found.groups()
        if not name.startswith("-"):  # a setting that makes no sense, in the library's words
            return reason
        form = next((row for part in parts[1:] for row in part if row.startswith(name)), "")
        kind, value = re.search("INT|FLOAT", form), re.search(r"""(\[.*\]|'.*'|".*")\W*$""", reason)
        if kind and value:
            what = f"{VALUES[kind[0]]}s" if "..." in form else f"a {VALUES[kind[0]]}"
            return f"{name} must be {what}, got {value[1]}; {see}"
        return f"{name}: {reason}; {see}"
    return f"{problem}; {see}"


def _unknown(parts: Sequence[Sequence[str]], words: Sequence[str], commands: Sequence[str], see: str) -> str:
    """The sentence about the first word that tyro does not recognize."""
    first = parts[0][1] if len(parts[0]) > 1 else parts[0][0].partition(": ")[2]
    word = re.split(r",\s| \(applied to", first)[0]
    option = word.partition("=")[0] if word.startswith("-") else ""
    if words[0] not in commands:
        if option:
            return f"{word} stands before the command: say first what to do, {', '.join(commands)}; {see}"
        problem, choices = f"{word!r} is no command", difflib.get_close_matches(word, commands, 1, cutoff=0.5)
        return f"{problem}: did you mean {choices[0]}? {see.capitalize()}" if choices else f"{problem}; {see}"
    owner = see.removeprefix("see ").removesuffix(" --help")
    problem = f"{word} is no option of {owner}" if option else f"{word!r} is no argument of {owner}"
    rows = [row for part in parts[1:] for row in part]
    if option:
        choices = [row.split()[0].rstrip(",") for row in rows if row.startswith("--")]
        if option in choices:
            return f"{_misplaced(word, option, owner, rows)}; {see}"
    else:
        tasks = next((row.partition(": ")[2] for row in rows if row.startswith("Available subcommands")), "")
        choices = difflib.get_close_matches(word, tasks.split(", "), 1, cutoff=0.5)
    return f"{problem}: did you mean {choices[0]}? {see.capitalize()}" if choices else f"{problem}; {see}"


def _misplaced(word: str, option: str, owner: str, rows: Sequence[str]) -> str:
    """About an option that there is, but not where it stands, after the command or task `owner`."""
    homes: list[str] = []
    of = ""
    for row in rows:  # under each option, the helps that list it
        if row.startswith("--"):
            of = row.split()[0].rstrip(",")
        elif of == option and (found := re.match(r"in (pgce[ \w-]*) --help", row)):
            homes.append(found[1])
    if owner in homes:
        return f"{word} stands where it is not read: put it right behind {owner}"
    problem = f"{word} is no option of {owner}"
    for home in homes:
        if owner.startswith(f"{home} "):
            return f"{problem}, but of {home}: put it before {owner.removeprefix(home).strip()}"
    return f"{problem}, but of {', '.join(homes)}" if homes else problem


def _helps(words: Sequence[str], commands: Sequence[str], box: str) -> str:
    """The help about the command, or the task, that is meant."""
    own = f"pgce {words[0]}" if words and words[0] in commands else "pgce"
    named = re.findall(r"(?:run|applied to) (pgce[ \w-]*?)(?= --help|\))", box)
    return f"{max([own, *(name for name in named if name.startswith(own))], key=len)} --help"


def _expand(settings: Any) -> None:
    """Puts the home folder in place of `~` in every path of a command and of the settings in it."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            object.__setattr__(settings, field.name, expanded(value))
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            object.__setattr__(settings, field.name, tuple(map(expanded, value)))
        elif is_dataclass(value):
            _expand(value)
