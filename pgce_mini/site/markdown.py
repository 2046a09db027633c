"""Markdown of the repository as pages: sections of README, and links that lead where there is a page."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pgce_mini.installation import SOURCE

REPOSITORY = SOURCE.removeprefix("git+")
FENCED = re.compile(r"(^```.*?^```[^\n]*\n|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
PICTURES = (".svg", ".png")
NOBODY: Mapping[str, str] = MappingProxyType({})


def file_address(path: str) -> str:
    """Where a file or folder of the repository is read."""
    return f"{REPOSITORY}/{'blob' if posixpath.splitext(path)[1] else 'tree'}/main/{path}"


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


class Sections:
    """README as a page a section."""

    def __init__(self, text: str) -> None:
        title, *found = _split(text, "## ")
        self.introduction = title
        self.pages: dict[str, str] = {}
        """name -> text with its own title"""
        self.owner: dict[str, str] = {}
        """anchor of README -> the page, or page#anchor, where it is now"""
        for section in found:
            heading = section.partition("\n")[0]
            name = slug(heading.removeprefix("## "))
            self.pages[name] = raised(section)
            self.owner[name] = f"{name}.md"
            for inner in re.findall(r"^### (.+)$", section, re.MULTILINE):
                self.owner[slug(inner)] = f"{name}.md#{slug(inner)}"


def _split(text: str, mark: str) -> list[str]:
    """At each line outside of code that begins with `mark`, which stays with what follows it."""
    parts = [[""]]
    inside = False
    for line in text.splitlines(keepends=True):
        inside ^= line.startswith("```")
        if line.startswith(mark) and not inside:
            parts.append([])
        parts[-1].append(line)
    return ["".join(part) for part in parts]


def outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = FENCED.split(text)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def raised(text: str) -> str:
    """With each heading one level higher."""
    return outside_code(text, lambda part: re.sub(r"^#(?=#+ )", "", part, flags=re.MULTILINE))


def lowered(text: str) -> str:
    """With each heading one level lower."""
    return outside_code(text, lambda part: re.sub(r"^(?=#+ )", "#", part, flags=re.MULTILINE))


def with_links(text: str, home: Path, file: str, owner: Mapping[str, str] = NOBODY) -> str:
    """`text`, of that file of the repository, with links that lead to pages, or else to the repository.

    owner: where the anchors of README are.
    """
    folder = posixpath.dirname(file)

    def follow(found: re.Match[str]) -> str:
        target = found[2]
        if re.match(r"[a-z]+:", target):
            return found[0]
        path, _, anchor = target.partition("#")
        full = posixpath.normpath(posixpath.join(folder, path)) if path else file
        if not (home / full).exists():
            return found[0]  # Sphinx warns of it
        if full == "notebooks/solutions":
            return f"{found[1]}{posixpath.relpath(full, folder or '.')}/index.md{found[3]}"
        if full == "README.md":
            return f"{found[1]}{posixpath.relpath(owner.get(anchor, 'index.md'), folder or '.')}{found[3]}"
        if not path or full.endswith((".md", ".ipynb", *PICTURES)):
            return found[0]
        return found[1] + file_address(full) + found[3]

    return outside_code(text, lambda part: LINK.sub(follow, part))
