"""The teacher's guide names notebooks, sections, exercises and pages: they are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import nbformat
import pytest

from pgce_mini.teaching import exercises

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def sections(number: str) -> set[str]:
    """The headings of a notebook, without the numbers that some have."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    headings = re.findall(r"^##+ (.+)$", "\n\n".join(cells), re.MULTILINE)
    return {re.sub(r"^\d+\. ", "", heading) for heading in headings}


def cited() -> list[tuple[str, str]]:
    """(notebook, section) wherever the guide quotes a section, which belongs to the notebook named before it."""
    found = []
    for line in GUIDE.splitlines():
        number = ""
        for token in re.finditer(r'(?<![\w-])(0\d)(?!\w|-\d)|(?<!\()"([^"`]+)"', line):
            if token[1]:
                number = token[1]
            elif number:
                found.append((number, token[2]))
    return found


def test_the_guide_cites_enough_to_be_of_use() -> None:
    assert len(cited()) > 25
    assert {number for number, _ in cited()} >= {"00", "01", "03", "04", "06", "07", "08"}


@pytest.mark.parametrize(("number", "section"), cited())
def test_a_section_that_is_cited_is_there(number: str, section: str) -> None:
    assert section in sections(number)


@pytest.mark.parametrize("number", sorted(set(re.findall(r"\b(0\d-\d)\b", GUIDE))))
def test_an_exercise_that_is_cited_has_a_judge(number: str) -> None:
    importlib.import_module(f"{exercises.__name__}.{exercises.MODULES[number[:2]]}")
    assert number in exercises.JUDGES


def test_a_page_that_is_cited_is_one_of_the_explorer() -> None:
    steps = (ROOT / "app" / "steps.py").read_text(encoding="utf-8")
    titles = set(re.findall(r'Page\(\s*"\w+",\s*"([^"]+)"', steps))
    pages = set(re.findall(r"[Pp]age \*([^*]+)\*", GUIDE))
    assert len(pages) >= 6
    assert pages <= titles


def test_files_and_make_targets_that_are_named_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / target).is_file(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", GUIDE, re.MULTILINE)):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
