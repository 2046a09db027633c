"""Runs notebooks from top to bottom and saves them with their outputs: `make notebooks`.

    python notebooks/build.py [NOTEBOOK ...]        by default all, the solutions too

Each Plotly picture also gets a PNG, for viewers without JavaScript (GitHub). The badges and the install cell are
the same in every notebook and are written by this script. Widget state is not saved: it would be megabytes.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from pathlib import Path

import nbformat
import plotly.io as pio
from nbclient import NotebookClient
from PIL import Image

from pgce_mini.installation import SOURCE
from pgce_mini.paths import expanded

HERE = Path(__file__).parent
REPOSITORY = SOURCE.removeprefix("git+https://github.com/")  # where Binder and Colab fetch from
PLOTLY = "application/vnd.plotly.v1+json"
CHROMIUM = Path("/usr/bin/chromium")  # of Debian, where kaleido does not look
PNG_WIDTH, PNG_SCALE = 640, 1.25  # 800 px fit a cell of Lab in a window of 1280
PNG_COLOURS = 128  # a quarter of the bytes, without a visible difference
LIMIT = 2**20  # bytes of a notebook

INSTALL = f"""\
import importlib.util

if importlib.util.find_spec("pgce_mini") is None:  # on Colab
    %pip install --quiet "pgce_mini[notebooks] @ {SOURCE}"

import pgce_mini.teaching.notebook

pgce_mini.teaching.notebook.prepare()"""


def badges(path: str) -> str:
    """Badges that open the notebook at `path` in the repository. Their pictures are files beside it, so that
    opening a notebook contacts no other host."""
    pictures = "../" * (path.count("/") - 1) + "badges"
    return (
        f"[![Open in Colab]({pictures}/colab.svg)]"
        f"(https://colab.research.google.com/github/{REPOSITORY}/blob/main/{path}) "
        f"[![Open in Binder]({pictures}/binder.svg)]"
        f"(https://mybinder.org/v2/gh/{REPOSITORY}/main?labpath={path})"
    )


def furnish(notebook: nbformat.NotebookNode, path: str) -> None:
    """Writes the badges under the title, and the install cell as the first code cell; numbers the cells."""
    title = notebook.cells[0]
    heading, _, text = title.source.partition("\n")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("[![Open in")).strip()
    title.source = f"{heading}\n\n{badges(path)}\n\n{text}".strip()
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if "find_spec" not in first.source:
        first = nbformat.v4.new_code_cell()
        notebook.cells.insert(1, first)
    first.source = INSTALL
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def add_pictures(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY in data:
                figure = pio.from_json(json.dumps(data[PLOTLY]), skip_invalid=True)
                figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", font_color="#444444")
                png = figure.to_image("png", width=PNG_WIDTH, height=figure.layout.height, scale=PNG_SCALE)
                small = io.BytesIO()
                Image.open(io.BytesIO(png)).convert("RGB").quantize(PNG_COLOURS).save(small, "png", optimize=True)
                data["image/png"] = base64.b64encode(small.getvalue()).decode()
                title = str(figure.layout.title.text or "Figure").replace("<br>", " ")
                output.metadata["image/png"] = {"alt": title}


def build(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    furnish(notebook, path.resolve().relative_to(HERE.resolve().parent).as_posix())
    started = time.monotonic()
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, coalesce_streams=True, resources=resources).execute()
    seconds = time.monotonic() - started
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    add_pictures(notebook)
    text = nbformat.writes(notebook)
    if len(text.encode()) > LIMIT:
        raise SystemExit(f"{path} would take {len(text.encode()):,} bytes, more than {LIMIT:,}: draw less")
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {seconds:.0f} s, {len(text.encode()) / 1024:.0f} KB", flush=True)


def main() -> None:
    if CHROMIUM.exists():
        os.environ.setdefault("BROWSER_PATH", str(CHROMIUM))
    chosen = [expanded(name) for name in sys.argv[1:]]
    for path in chosen or sorted(path for path in HERE.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts):
        build(path)


if __name__ == "__main__":
    main()
