"""The notebooks as they lie in the repository: what a reader sees who runs nothing, and what every one has."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from pgce_mini.teaching import exercises

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
PLOTLY, PNG = "application/vnd.plotly.v1+json", "image/png"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ABSOLUTE = re.compile(r"(?<![\w:./])/(?:home|root|tmp|usr|opt|work|Users|private|var|mnt|content)/\w|[A-Z]:\\\\\w")
WIDGET = "application/vnd.jupyter.widget-view+json"  # its id differs from run to run
LIMIT = 2**20  # bytes
NOT_COMPARED = {  # cells of text about the machine, or about what was trained on it: they have asserts instead
    "00": ("examine()",),
    "05": ("def judge(",),
    "06": ("def mean_of(", "sample_rollout(load_model(settings.prior)", "judged = EvaluationConfig("),
    "07": ("for step, samples in written.items()", "our one seed lies"),
    "09": ("as predicted", "minus ce: {difference.mean"),
}

BUILD = runpy.run_path(str(NOTEBOOKS / "build.py"))  # the functions that write badges and the first cell
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
every_notebook = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs(notebook: Any) -> list[tuple[Any, Any]]:
    return [(cell, output) for cell in code(notebook) for output in cell.outputs]


def strings(value: Any) -> str:
    """All text in an output but its pictures, which are long."""
    if isinstance(value, dict):
        return "\n".join(strings(part) for name, part in value.items() if name != PNG)
    if isinstance(value, list):
        return "\n".join(map(strings, value))
    return value if isinstance(value, str) else ""


def checked(notebook: Any) -> set[str]:
    """The numbers of the exercises that a notebook checks."""
    return set(re.findall(r"""\bcheck\(\s*["'](\d\d-\d)["']""", "\n".join(cell.source for cell in code(notebook))))


def test_notebooks_solutions_and_judges_are_of_the_same_numbers() -> None:
    numbers = sorted(exercises.MODULES)
    assert [path.stem[:2] for path in LESSONS] == numbers
    assert [path.stem for path in SOLUTIONS] == [f"{number}_solutions" for number in numbers]
    folder = Path(exercises.__file__).parent
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(exercises.MODULES.values())


@every_lesson
def test_every_exercise_is_asked_judged_and_solved(path: Path) -> None:
    number = path.stem[:2]
    importlib.import_module(f"{exercises.__name__}.{exercises.MODULES[number]}")
    judged = {name for name in exercises.JUDGES if name.startswith(number)}
    asked = checked(read(path))
    assert asked == judged == checked(read(NOTEBOOKS / "solutions" / f"{number}_solutions.ipynb"))
    assert 2 <= len(asked) <= 4
    text = prose(read(path))
    for name in asked:
        assert name in text
        assert re.search(rf"{name}[^\n]{{0,12}}\((easy|medium|hard)\)", text), f"{name} has no difficulty"


@every_lesson
def test_under_the_exercises_stands_nothing_but_them(path: Path) -> None:
    cells = read(path).cells
    first = next((i for i, cell in enumerate(cells) if cell.source.startswith("## Exercises")), len(cells))
    assert all("check(" in cell.source for cell in cells[first:] if cell.cell_type == "code")


@every_lesson
def test_a_solution_is_accepted_and_at_least_two_naive_answers_are_not(path: Path) -> None:
    solved = read(NOTEBOOKS / "solutions" / f"{path.stem[:2]}_solutions.ipynb")
    said = "".join(output.get("text", "") for _, output in outputs(solved))
    for name in checked(solved):
        assert said.count(f"{name}: right.") >= 1, name
        assert said.count(f"{name}: not yet.") >= 2, name


@every_lesson
def test_a_notebook_opens_with_what_it_takes_and_closes_with_a_recap(path: Path) -> None:
    text = prose(read(path))
    assert text.startswith(f"# {path.stem[:2]} ")
    opening = " ".join(text.partition("\n## ")[0].split())
    for word in ("You will", "Minutes:", "Prerequisites:", "Seed", "CPU time:"):
        assert word in opening, word
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert any(section.startswith("Recap") for section in sections)
    assert re.search(r"\bExercise", text)


@every_notebook
def test_badges_lead_to_the_notebook_itself_and_the_first_code_cell_installs(path: Path) -> None:
    notebook = read(path)
    assert BUILD["badges"](path.relative_to(ROOT).as_posix()) in notebook.cells[0].source
    assert code(notebook)[0].source == BUILD["INSTALL"]
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", prose(notebook)):
        assert (path.parent / picture).is_file(), f"{picture} is not beside the notebook"


@every_notebook
def test_it_was_run_from_top_to_bottom_and_saved_small(path: Path) -> None:
    notebook = read(path)
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert path.stat().st_size < LIMIT
    assert "widgets" not in notebook.metadata
    assert WIDGET_STATE not in path.read_text(encoding="utf-8")


@every_notebook
def test_no_output_is_an_error_a_warning_or_names_a_place_on_the_machine(path: Path) -> None:
    for _, output in outputs(read(path)):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.get("text")
        text = strings(output.get("text", "")) + strings(dict(output.get("data", {})))
        assert "Warning" not in text
        assert not ABSOLUTE.search(text), ABSOLUTE.search(text)


@every_notebook
def test_every_picture_can_be_seen_where_nothing_runs(path: Path) -> None:
    for cell, output in outputs(read(path)):
        data = output.get("data", {})
        if PLOTLY in data:
            assert PNG in data
            assert output.metadata[PNG]["alt"]  # for readers who cannot see it
        if WIDGET in data:
            assert "nbval-ignore-output" in cell.metadata.get("tags", [])
            assert PNG in data or "Playground" in data["text/plain"]  # which the text around it shows in pictures


@every_notebook
def test_an_output_is_compared_unless_another_machine_would_print_another(path: Path) -> None:
    text_alone = [
        cell.source
        for cell in code(read(path))
        if "nbval-ignore-output" in cell.metadata.get("tags", [])
        and not any(PNG in output.get("data", {}) or WIDGET in output.get("data", {}) for output in cell.outputs)
    ]
    known = NOT_COMPARED.get(path.stem[:2], ()) if path in LESSONS else ()
    assert len(text_alone) == len(known)
    assert all(start in source for start, source in zip(known, text_alone, strict=True))


@every_lesson
def test_a_notebook_shows_something_and_claims_something(path: Path) -> None:
    notebook = read(path)
    assert any(PLOTLY in output.get("data", {}) for _, output in outputs(notebook))
    assert any(re.search(r"^\s*assert ", cell.source, re.MULTILINE) for cell in code(notebook))
