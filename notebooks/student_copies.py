"""Copies of the notebooks for a class: without solutions, without outputs. `make student-copies`

python notebooks/student_copies.py [TO]      a folder, or a file if its name ends in .zip; by default
                                             student-notebooks.zip
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import nbformat

from pgce_mini.paths import expanded
from pgce_mini.runs import write_atomic

HERE = Path(__file__).parent
TO = Path("student-notebooks.zip")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same notebooks give the same bytes


def student_copy(path: Path) -> str:
    """The text of a notebook without outputs; the pictures come back when it is run."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    return nbformat.writes(notebook) + "\n"


def write_copies(to: Path) -> list[str]:
    """Writes a copy of every notebook but the solutions, and the badges in them; returns the names of the files.

    Raises:
        ValueError: the folder is not empty: it could hold somebody's answers; or it is a file.
    """
    to = expanded(to)
    copies = {path.name: student_copy(path) for path in sorted(HERE.glob("[0-9]*.ipynb"))}
    copies |= {
        f"badges/{path.name}": path.read_text(encoding="utf-8") for path in sorted((HERE / "badges").glob("*.svg"))
    }
    if to.suffix == ".zip":
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in copies.items():
                archive.writestr(zipfile.ZipInfo(f"{to.stem}/{name}", EPOCH), text, zipfile.ZIP_DEFLATED)
        write_atomic(to, data.getvalue())
    else:
        if to.exists() and not to.is_dir():
            raise ValueError(f"{to} is no folder: name another, or a file that ends in .zip")
        if to.exists() and any(to.iterdir()):
            raise ValueError(f"{to} is not empty, and may hold somebody's answers: name another folder")
        for name, text in copies.items():
            write_atomic(to / name, text.encode())
    return list(copies)


def main() -> None:
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else TO
    try:
        names = write_copies(to)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    count = sum(name.endswith(".ipynb") for name in names)
    print(f"{to}: {count} notebooks without solutions and outputs")


if __name__ == "__main__":
    main()
