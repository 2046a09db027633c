"""What "Copy as Python" shows: the function that the page has called, what it needs of its file, and the call.

The text is cut out of the view's file, so it is always the code that the page runs. A view's function uses nothing
of app/. Decorators are left out: they cache results for the page.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LINE = 90  # characters of a call that stands in one line


def cell(view: Callable[..., object], settings: Mapping[str, Any], runs: Path, note: str = "") -> str:
    """A cell that makes `numbers, figure = view(**settings)`.

    settings: values whose repr is Python, by way of what the view's file imports.
    runs: the folder of runs here; a path in it is shown as one in `runs/`, where a reader has it.
    note: a comment above the call.
    """
    values = [f"{name}={_written(value, runs)}" for name, value in settings.items()]
    call = f"numbers, figure = {view.__name__}({', '.join(values)})"
    if len(call) > LINE:
        call = "\n".join([f"numbers, figure = {view.__name__}(", *(f"    {value}," for value in values), ")"])
    text = Path(view.__code__.co_filename).read_text(encoding="utf-8")
    return "\n".join([*_needed(text, call), "", "", *(f"# {line}" for line in note.splitlines()), call, "figure"])


def _written(value: Any, runs: Path) -> str:
    if isinstance(value, Path):
        return f"Path({str('runs' / value.relative_to(runs))!r})"
    return repr(value)


def _needed(text: str, call: str) -> list[str]:
    """The lines of a file that `call` needs: imports, then definitions, in the file's order."""
    file = ast.parse(text).body
    defined = {name: node for node in file for name in _bound(node)}
    names: set[str] = set()
    news = _used(ast.parse(call))
    while news := (news & defined.keys()) - names:
        names |= news
        news = set().union(*(_used(defined[name]) for name in news))
    lines, imports, rest = text.splitlines(), [], []
    for node in file:
        if not names & set(_bound(node)):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name) in names]
            imports.append(ast.unparse(node))
        else:
            apart = isinstance(node, ast.FunctionDef | ast.ClassDef)
            rest += [*["", ""] * apart, *lines[node.lineno - 1 : node.end_lineno]]  # decorators stand above lineno
    return [*imports, "", *rest]


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement of a file defines."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return []


def _used(node: ast.AST) -> set[str]:
    """The names in a piece of code, without those of a function's decorators."""
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
