"""The explorer's tables: in full as CSV, to four digits and escaped as HTML."""

from __future__ import annotations

import csv
import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from types import ModuleType

import pytest
from app_files import app_on_the_path


@pytest.fixture(scope="module")
def shell() -> Iterator[ModuleType]:
    with app_on_the_path() as imported:
        yield imported("shell")


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


@pytest.mark.parametrize(
    ("low", "step", "value", "shown"),
    [(0.0, 0.01, 0.125, 0.13), (0.0, 0.05, 0.025, 0.05), (-0.75, 0.05, 0.375, 0.4), (-1.0, 0.05, 0.125, 0.15),
     (-1.0, 0.05, -0.02, 0.0), (-0.9, 0.25, -0.4, -0.4)],
)  # fmt: skip
def test_value_between_two_steps_of_a_slider_is_rounded_as_in_the_browser(
    shell: ModuleType, monkeypatch: pytest.MonkeyPatch, low: float, step: float, value: float, shown: float
) -> None:
    monkeypatch.setattr(shell.st, "slider", lambda *_, **__: value)
    assert shell.slider("β", "beta", low, 1.0, 0.0, step) == shown


def test_settings_are_written_in_full_and_by_their_symbols(
    shell: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"seed": 3, "n": 65_536, "beta": -0.25, "tau": 0.5, "held": False, "chart_x": 1}
    monkeypatch.setattr(shell.share.st, "session_state", state)
    assert shell.share.settings() == "N 65,536, β −0.25, τ 0.5, seed 3"
    state = {"arms_chain_before and after RL": ["ce", "precision"], "beside": "nothing", "study": "chain"}
    monkeypatch.setattr(shell.share.st, "session_state", state)
    assert shell.share.settings() == "arms ce and precision, study chain"


def test_columns_of_unequal_length_are_refused(shell: ModuleType) -> None:
    with pytest.raises(ValueError, match="shorter"):
        shell.as_csv({"a": [1, 2], "b": [1]})
