"""The reference: every public name once, on the page of its room, under the shortest address it has."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_origin

from pgce_mini.installation import PACKAGE
from pgce_mini.site.docstrings import as_rst, escaped
from pgce_mini.site.markdown import file_address

ROOMS = (
    "reward", "loss", "theory", "gpt", "tasks", "training", "evaluation", "study", "study.analysis", "figures",
    "playground", "runs", "shipped.priors", "shipped.policies", "shipped.paper", "integrations.export",
    "integrations.hf", "integrations.tokenizer", "integrations.trl", "teaching.exercises", "teaching.classroom",
    "teaching.duel", "teaching.grpo_trace", "teaching.notebook", "teaching.reading", "teaching.side_by_side",
)  # fmt: skip
"""What is meant for use, in the order of reading."""


class Page(NamedTuple):
    name: str
    text: str
    source: str
    """the file that it is made from"""


@cache
def pages() -> tuple[Page, ...]:
    """A table of the names of `pgce_mini`, then the rooms."""
    library = importlib.import_module("pgce_mini")
    shortest = {id(getattr(library, name)): name for name in library.__all__}
    places: dict[int, tuple[str, str]] = {}
    """id of a value -> (its full name, the page that has it)"""
    rooms = [_room(importlib.import_module(f"pgce_mini.{room}"), shortest, places) for room in ROOMS]
    return _index(library, places), *rooms


def _index(library: ModuleType, places: Mapping[int, tuple[str, str]]) -> Page:
    lines = [*_title("The public names", library), "", ".. list-table::", "   :widths: auto", ""]
    left = []
    for name in library.__all__:
        value = getattr(library, name)
        if id(value) not in places:
            left += [f".. py:data:: {name}", "   :module: pgce_mini", ""]
            continue
        full, page = places[id(value)]
        about = escaped(_first_sentence(value, page.replace("-", "."), name))
        lines += [f"   * - :py:obj:`{name} <{full}>`", f"     - {about}", f"     - :doc:`{page}`"]
    return Page("index", "\n".join([*lines, "", *left]), "pgce_mini/__init__.py")


def _room(module: ModuleType, shortest: Mapping[int, str], places: dict[int, tuple[str, str]]) -> Page:
    room = module.__name__.removeprefix("pgce_mini.")
    page = room.replace(".", "-")
    lines, again = [*_title(room, module), ""], []
    for name in sorted(_public(module), key=lambda name: id(getattr(module, name)) not in shortest):
        value = getattr(module, name)
        if id(value) in places:
            again.append(f":py:obj:`{name} <{places[id(value)][0]}>`")
            continue
        full = "pgce_mini." + shortest.get(id(value), f"{room}.{name}")
        places[id(value)] = full, page
        lines += [*_directive(full, value, _note(module, name)), ""]
    if again:
        lines += ["Also here: " + ", ".join(again) + ".", ""]
    path = module.__name__.replace(".", "/") + ("/__init__.py" if hasattr(module, "__path__") else ".py")
    return Page(page, "\n".join(lines), path)


def _title(title: str, module: ModuleType) -> list[str]:
    return [title, "=" * len(title), "", *as_rst((inspect.getdoc(module) or "").splitlines())]


def _public(module: ModuleType) -> Iterable[str]:
    """What the module lists; or else what it makes and explains."""
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
    constants = (name for name in vars(module) if _note(module, name))
    return getattr(module, "__all__", [name for name in (*constants, *own) if not name.startswith("_")])


def _first_sentence(value: Any, room: str, name: str) -> str:
    if not inspect.isclass(value) and not inspect.isroutine(value):
        text = _note(importlib.import_module(f"pgce_mini.{room}"), name)
    else:
        text = inspect.getdoc(value) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.sub(":$", ".", re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0])


def _note(room: ModuleType, name: str) -> str:
    """What stands under a constant in the files of its room; its own docstring is that of its type."""
    files = [Path(path) for folder in getattr(room, "__path__", ()) for path in sorted(Path(folder).glob("*.py"))]
    found = (_notes(file) for file in files or [Path(room.__file__ or "")])
    return next((notes[name] for notes in found if name in notes), "")


@cache
def _notes(file: Path) -> Mapping[str, str]:
    """name of a constant of the file -> what stands under it"""
    found: dict[str, str] = {}
    for made, note in pairwise(ast.parse(file.read_text(encoding="utf-8")).body):
        if isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant):
            targets = made.targets if isinstance(made, ast.Assign) else [getattr(made, "target", None)]
            for target in targets:
                found.setdefault(getattr(target, "id", ""), inspect.cleandoc(str(note.value.value)))
    return found


def source_of(domain: str, info: Mapping[str, str]) -> str | None:
    """Where the code of a documented name is read, for Sphinx's linkcode."""
    value: Any = importlib.import_module(info["module"])
    for part in info["fullname"].split("."):
        value = getattr(value, part, None)
    try:
        file = inspect.getsourcefile(inspect.unwrap(value))
        lines, first = inspect.getsourcelines(inspect.unwrap(value))
    except (TypeError, OSError):  # no class and no function
        return None
    path = Path(file or "")
    if not path.is_relative_to(PACKAGE):
        return None
    return f"{file_address(str(path.relative_to(PACKAGE.parent)))}#L{first}-L{first + len(lines) - 1}"


def _directive(full: str, value: Any, note: str) -> list[str]:
    module, _, name = full.rpartition(".")
    about = [f"   :module: {module}", *(f"   {line}" for line in ("", *as_rst(note.splitlines())))]
    if get_origin(value) is not None:
        return [f".. py:type:: {name}", f"   :canonical: {str(value).replace('typing.', '')}", *about]
    if inspect.isclass(value):
        return [f".. autoclass:: {full}", "   :members:", "   :exclude-members: __new__, __init__"]
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return [f".. autofunction:: {full}"]
    shown = repr(value)
    return [f".. py:data:: {name}", *([f"   :value: {shown}"] if len(shown) < 80 else []), *about]
