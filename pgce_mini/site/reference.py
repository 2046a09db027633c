"""The reference: every public name once, with its signature and docstring, under the shortest address it has."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_origin

from pgce_mini.installation import PACKAGE
from pgce_mini.site.markdown import file_address

ORDER = ("reward", "loss", "theory", "gpt", "tasks", "training", "evaluation", "study", "figures", "playground")


class Page(NamedTuple):
    name: str
    text: str
    source: str
    """the file that it is made from"""


@cache
def pages() -> tuple[Page, ...]:
    """The names of `pgce_mini` first, then the rooms'."""
    shown: dict[int, str] = {}
    library = importlib.import_module("pgce_mini")
    made = [_page(library, "index", "The public names", shown)]
    for module in _modules():
        name = module.__name__.removeprefix("pgce_mini.")
        page = _page(module, name.replace(".", "-"), name, shown)
        if page.text.count(".. auto") > 0:
            made.append(page)
    return tuple(made)


def _modules() -> Iterator[ModuleType]:
    """Packages that list their names, and the modules of those that do not."""
    names = [found.name for found in pkgutil.iter_modules([str(PACKAGE)])]
    for name in sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        if name in ("__main__", "cli", "site"):
            continue
        module = importlib.import_module(f"pgce_mini.{name}")
        yield module
        if hasattr(module, "__path__"):
            for found in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
                if found.ispkg or not hasattr(module, "__all__"):
                    inner = importlib.import_module(found.name)
                    if hasattr(inner, "__all__") or not found.ispkg:
                        yield inner


def _public(module: ModuleType) -> Iterable[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed, key=lambda name: _place(getattr(module, name)))
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value)) and value.__doc__
    ]  # fmt: skip


def _place(value: Any) -> int:
    """In the order of reading; within a room as listed."""
    room = str(getattr(value, "__module__", "")).removeprefix("pgce_mini.").partition(".")[0]
    return ORDER.index(room) if room in ORDER else len(ORDER)


def _page(module: ModuleType, name: str, title: str, shown: dict[int, str]) -> Page:
    lines = [title, "=" * len(title), "", f".. currentmodule:: {module.__name__}", ""]
    if doc := inspect.getdoc(module):
        lines += [*_prose(doc), ""]
    again: list[str] = []
    for public in _public(module):
        value = getattr(module, public)
        full = f"{module.__name__}.{public}"
        if isinstance(value, ModuleType):
            continue
        if id(value) in shown and not isinstance(value, (int, float, str, type(None))):
            again.append(f":py:obj:`{public} <{shown[id(value)]}>`")
            continue
        shown[id(value)] = full
        lines += [*_directive(full, value), ""]
    if again:
        lines += ["Also here: " + ", ".join(again) + ".", ""]
    path = module.__name__.replace(".", "/") + ("/__init__.py" if hasattr(module, "__path__") else ".py")
    return Page(name, "\n".join(lines), path)


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


def _directive(full: str, value: Any) -> list[str]:
    if get_origin(value) is not None:  # an alias, whose docstring is that of another
        return [f".. py:type:: {full}", f"   :canonical: {str(value).replace('typing.', '')}"]
    if inspect.isclass(value):
        return [f".. autoclass:: {full}", "   :members:", "   :exclude-members: __new__, __init__"]
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return [f".. autofunction:: {full}"]
    return [f".. autodata:: {full}", *(["   :no-value:"] if len(repr(value)) > 200 else [])]


def _prose(doc: str) -> list[str]:
    from pgce_mini.site.docstrings import as_rst

    return as_rst(doc.splitlines())
