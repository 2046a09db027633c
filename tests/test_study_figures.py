"""Static pictures for documents: what they show is what they were given."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from pgce_mini.figures.style import row_style
from pgce_mini.reports.svg import Interval, forest, lines, nice_ticks

SVG = "{http://www.w3.org/2000/svg}"
ARMS = ["precision", "diversity", "tail-penalty", "head-reward", "focal-2", "steps-2", "temperature-0.75"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.03, 0.11, [-0.05, 0, 0.05, 0.1, 0.15]),
        (1, 80, [0, 20, 40, 60, 80]),
        (3, 3, [2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6]),
    ],
)
def test_ticks_are_round_and_hold_the_range(low: float, high: float, ticks: list[float]) -> None:
    found = nice_ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    if low < high:
        assert found == ticks


def test_forest_places_means_by_their_value() -> None:
    rows = [Interval(f"{arm} <&>", arm, i / 10, i / 10 - 0.05, i / 10 + 0.05) for i, arm in enumerate(ARMS)]
    root = ET.fromstring(forest("title", "difference", rows, "what it shows"))
    assert root.findtext(f"{SVG}title") == "what it shows"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "precision <&>" in texts
    assert "0" in texts
    bars = [line for line in root.iter(f"{SVG}line") if line.get("stroke-width") == "3"]
    middles = [(float(bar.get("x1", 0)) + float(bar.get("x2", 0))) / 2 for bar in bars]
    steps = [b - a for a, b in pairwise(middles)]
    assert steps == pytest.approx([steps[0]] * 6, abs=0.2)
    assert steps[0] > 0
    assert [bar.get("stroke") for bar in bars] == [row_style(arm)[0] for arm in ARMS]


def test_lines_differ_in_dash_and_colour_and_stay_inside() -> None:
    series = {arm: [(step, step * (i + 1) / 100) for step in range(1, 81)] for i, arm in enumerate(ARMS[:5])}
    root = ET.fromstring(lines("title", "RL step", "reward", series, "alt"))
    curves = list(root.iter(f"{SVG}polyline"))
    assert len({(curve.get("stroke"), curve.get("stroke-dasharray")) for curve in curves}) == 5
    assert len({curve.get("stroke-dasharray") for curve in curves}) == 5
    points = [tuple(map(float, point.split(","))) for curve in curves for point in curve.get("points", "").split()]
    assert all(60 <= x <= 720 and 40 <= y <= 331 for x, y in points)
