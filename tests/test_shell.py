"""The explorer's tables: in full as CSV, to four digits and escaped as HTML."""

from __future__ import annotations

import csv
import importlib
import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

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
