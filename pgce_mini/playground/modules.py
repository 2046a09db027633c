"""ES modules joined into one text, so that a page, a notebook and the explorer need no other file.

`join` gives one ES module, `join_as_function` a function for a script that is no module. Each module keeps its own
scope: it becomes a function that returns its exports. Only these forms are understood; any other `import` or
`export` is an error. At the head of a file, with nothing but comments before them:

    import { name, other as alias } from "./module.js";

and below, at the beginning of a line:

    export const NAME = ...    export class NAME    export function NAME()    export async function NAME()
    export default function NAME()
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

SPACE_OR_COMMENT = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
ITEM = r"\s*\w+(?: as \w+)?\s*"
IMPORT = re.compile(rf'import \{{({ITEM}(?:,{ITEM})*,?\s*)\}} from "\./(\w+)\.js";')
EXPORT = re.compile(r"^export (default )?((?:const|class|function|async function) (\w+)(?=[ (]))", re.MULTILINE)
ANY = re.compile(r"(?:^|[;{}]|\*/)[ \t]*(?:import|export)\b|\bimport\s*[(.]", re.MULTILINE)


class Import(NamedTuple):
    place: str
    """file and line"""
    module: str
    names: list[tuple[str, str]]
    """exported name, name in the importing module"""


class Module(NamedTuple):
    imports: list[Import]
    exports: dict[str, str]
    """exported name, perhaps "default" -> name in the module"""
    body: str
    """what follows the imports, without the word `export`"""


def join(sources: Mapping[str, str], entry: str) -> str:
    """`entry` and the modules that it needs as one, which exports what `entry` does.

    sources: name -> text, of the modules NAME.js.

    Raises:
        ValueError: naming file and line, when an import or export is not understood or what is imported does not
            exist; naming the modules, when they import one another.
    """
    modules = _modules(sources)
    exports = [
        f"export {'default' if name == 'default' else f'const {name} ='} {entry}_js.{name};\n"
        for name in modules[entry].exports
    ]
    return "".join([*_scopes(modules, entry), *exports])


def join_as_function(sources: Mapping[str, str], entry: str) -> str:
    """As `join`, but an expression: a function that returns what `entry` exports; a worker can have its text."""
    return "".join(["() => {\n", *_scopes(_modules(sources), entry), f"return {entry}_js;\n}}"])


def _modules(sources: Mapping[str, str]) -> dict[str, Module]:
    modules = {name: _parse(name, source) for name, source in sources.items()}
    for place, other, names in (each for module in modules.values() for each in module.imports):
        if other not in modules:
            raise ValueError(f"{place}: there is no module {other}.js")
        if missing := [outer for outer, _ in names if outer not in modules[other].exports]:
            raise ValueError(f"{place}: {other}.js does not export {', '.join(missing)}")
    return modules


def _scopes(modules: Mapping[str, Module], entry: str) -> list[str]:
    """`entry` and what it needs, each below what it needs itself."""
    needs: dict[str, list[str]] = {}
    found = [entry]
    while found:
        name = found.pop()
        needs[name] = [other for _, other, _ in modules[name].imports]
        found += [other for other in needs[name] if other not in needs]
    return [_scope(name, modules[name]) for name in TopologicalSorter(needs).static_order()]


def _parse(name: str, source: str) -> Module:
    def place(index: int) -> str:
        line = source.count("\n", 0, index) + 1
        return f"{name}.js, line {line}"

    imports: list[Import] = []
    start = 0  # of what follows the imports
    while found := SPACE_OR_COMMENT.match(source, start) or IMPORT.match(source, start):
        if found.re is IMPORT:
            words = [word.split() for word in found[1].split(",") if word.strip()]
            imports.append(Import(place(start), found[2], [(word[0], word[-1]) for word in words]))
        start = found.end()
    rest = source[start:]
    for found in ANY.finditer(rest):
        if not EXPORT.match(rest, found.start()):
            raise ValueError(f"{place(start + found.start())}: an import or export that is not understood")
    exports: dict[str, str] = {}
    for found in EXPORT.finditer(rest):
        exported = "default" if found[1] else found[3]
        if exported in exports:
            raise ValueError(f"{place(start + found.start())}: {exported} is exported twice")
        exports[exported] = found[3]
    return Module(imports, exports, EXPORT.sub(r"\2", rest))


def _scope(name: str, module: Module) -> str:
    def pairs(names: Iterable[tuple[str, str]]) -> str:
        return ", ".join(f"{outer}: {inner}" for outer, inner in names)

    imports = "".join(f"const {{ {pairs(names)} }} = {other}_js;\n" for _, other, names in module.imports)
    exports = pairs(module.exports.items())
    return f"const {name}_js = (() => {{\n{imports}{module.body}return {{ {exports} }};\n}})();\n"
