"""The explorer's tables, as file and as shown: exact there, short here, and never read as anything but text."""

from __future__ import annotations

import csv
import importlib
import io
import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import plotly.graph_objects as go
import pytest

APP = Path(__file__).parents[1] / "app"


@pytest.fixture(scope="module")
def shell() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(APP)
        yield importlib.import_module("shell")


def test_csv_gives_back_every_number_and_text(shell: ModuleType) -> None:
    table = {"token": ["a", 'say "hi", now', "<i>\n", "🎉"], "p": [0.1 + 0.2, 1e-300, None, -math.pi]}
    header, *rows = csv.reader(io.StringIO(shell.as_csv(table), newline=""))
    assert header == ["token", "p"]
    assert [row[0] for row in rows] == table["token"]
    assert [float(row[1]) if row[1] else None for row in rows] == table["p"]


def test_html_shows_four_digits_and_escapes_everything(shell: ModuleType) -> None:
    table = {"<b>": ["<script>alert(1)</script>", None], "p": [1 / 3, 12]}
    html = shell.as_html(table)
    cells = [cell.text for cell in ElementTree.fromstring(html).iter("td")]
    assert cells == ["<script>alert(1)</script>", "0.3333", None, "12"]
    assert "<script>" not in html
    assert [cell.text for cell in ElementTree.fromstring(html).iter("th")] == ["<b>", "p"]


def test_columns_of_unequal_length_are_refused(shell: ModuleType) -> None:
    with pytest.raises(ValueError, match="shorter"):
        shell.as_csv({"a": [1, 2], "b": [1]})


def test_drawn_is_made_once_for_the_same_settings_and_is_the_figure(shell: ModuleType) -> None:
    made: list[str] = []

    def draw(title: str) -> go.Figure:
        made.append(title)
        return go.Figure(layout_title_text=title).add_scatter(x=[1, 2], y=[math.nan, 0.1])

    pictures = [shell.drawn("a page", (title, [0.1]), lambda title=title: draw(title)) for title in "xyx"]
    assert made == ["x", "y"]
    assert pictures[0] == pictures[2]
    figure = json.loads(pictures[1])
    assert figure["layout"]["title"]["text"] == "y"
    assert figure["data"][0]["y"] == [None, 0.1]
