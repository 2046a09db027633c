"""What a class gets: every notebook, none of the solutions, no outputs."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SCRIPT = NOTEBOOKS / "student_copies.py"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
BADGES = ["badges/binder.svg", "badges/colab.svg"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


def test_a_folder_gets_the_cells_of_every_notebook_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "class"
    said = run(str(target))
    assert (said.returncode, said.stderr) == (0, "")
    files = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
    assert sorted(files) == [*NAMES, *BADGES]
    for name in NAMES:
        ours, theirs = (nbformat.read(folder / name, as_version=4) for folder in (NOTEBOOKS, target))
        assert [cell.source for cell in theirs.cells] == [cell.source for cell in ours.cells]
        code = [cell for cell in theirs.cells if cell.cell_type == "code"]
        assert code
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_a_zip_holds_the_same_and_its_bytes_repeat(tmp_path: Path) -> None:
    write_copies = runpy.run_path(str(SCRIPT))["write_copies"]
    first, again = tmp_path / "one" / "class.zip", tmp_path / "two" / "class.zip"
    assert write_copies(first) == write_copies(again) == [*NAMES, *BADGES]
    assert first.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert sorted(archive.namelist()) == [f"class/{name}" for name in (*NAMES, *BADGES)]
        assert "solution" not in "".join(archive.namelist())


def test_copies_go_where_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_copies = runpy.run_path(str(SCRIPT))["write_copies"]
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link.zip").symlink_to("real.zip")
    write_copies(tmp_path / "link.zip")
    write_copies(Path("~/home.zip"))
    assert (tmp_path / "link.zip").is_symlink()
    assert zipfile.is_zipfile(tmp_path / "real.zip")
    assert zipfile.is_zipfile(tmp_path / "home.zip")
    (tmp_path / "real").write_text("mine")
    with pytest.raises(ValueError, match="real is no folder"):
        write_copies(tmp_path / "real")
    assert (tmp_path / "real").read_text() == "mine"


def test_answers_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    answers = tmp_path / NAMES[0]
    answers.write_text("mine")
    said = run(str(tmp_path))
    refusal = f"{tmp_path} is not empty, and may hold somebody's answers: name another folder"
    assert (said.returncode, said.stderr.strip()) == (2, refusal)
    assert answers.read_text() == "mine"
