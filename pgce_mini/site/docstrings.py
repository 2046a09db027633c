"""Our docstrings, which are plain text with `code`, as reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Sequence

PARTS = re.compile(r"^(\w[\w ]*):$")
KNOWN = {"Raises", "Returns", "Yields", "Args"}  # which napoleon lays out


def as_rst(lines: Sequence[str]) -> list[str]:
    """What is indented is shown as it is written: in a part with a name, such as Shapes, as lines of prose, which
    wrap; elsewhere, a formula or a table, as code. The rest is prose."""
    made: list[str] = []
    part = ""
    within = False  # of an indented block
    for line in lines:
        indented = line.startswith((" ", "\t"))
        if found := PARTS.match(line):
            part, within = found[1], False
            made += [line] if part in KNOWN else ["", f"**{part}**", ""]
        elif not line.strip():
            made.append("")
        elif indented and part in KNOWN:
            made.append(escaped(line))
        elif indented and part:
            made.append(f"| {escaped(line[4:])}")
        elif indented:
            if not within:
                made += ["", ".. code-block:: none", ""]
            within = True
            made.append(f"    {line}")
        else:
            if within or part:
                made.append("")
            part, within = "", False
            made.append(escaped(line))
    return made


def escaped(line: str) -> str:
    """Signs that mean something in reStructuredText, made plain where they are not within `code`."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", line)
    plain = (re.sub(r"([*|]|\\|_\b)", r"\\\1", part) if not i % 2 else part for i, part in enumerate(parts))
    return "".join(plain)
