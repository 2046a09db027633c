"""What a teacher takes out of the lecture, made by app/handouts.py, and the story of the first page."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pgce_mini.study.analysis import Evidence, decide_claims, precision_answer

HERE = {"tiny-gpts": "tiny-gpts.html"}
"""page of the explorer -> the page of the site that has it"""


@contextmanager
def _app_on_the_path(home: Path) -> Iterator[None]:
    sys.path.insert(0, str(home / "app"))
    try:
        yield
    finally:
        sys.path.remove(str(home / "app"))


@cache
def story(home: Path, name: str) -> Any:
    """A `steps.Story`."""
    with _app_on_the_path(home):
        return importlib.import_module("steps").stories()[name]


@cache
def evidence() -> Evidence:
    """The tables of the study as they stand."""
    return Evidence()


@cache
def answer() -> str:
    """To the paper's question."""
    return precision_answer(evidence())


def handouts(home: Path) -> tuple[dict[str, str], str]:
    """(name of a file -> its text, the page that hands them out)."""
    with _app_on_the_path(home):
        maker = importlib.import_module("handouts")
    lecture = story(home, "lecture")
    claims = {claim: found.verdict for claim, found in decide_claims(evidence()).items()}
    files = {
        "lecture-slides.html": maker.slides(
            lecture, [HERE.get(step.page, "") for step in lecture.steps], answer(), claims
        ),
        "prediction-sheet.html": maker.sheet(lecture),
    }
    text = (
        "# Slides and prediction sheet\n\n"
        f"For the lecture *{lecture.title}*, {lecture.minutes} minutes, whose plan stands in "
        "[Teaching](docs/teaching.md). Each is one file, which needs nothing but a browser.\n\n"
        '- <a href="lecture-slides.html">Slides</a>: a question a slide, the playground live among them.\n'
        '- <a href="prediction-sheet.html">Prediction sheet</a>: every question with room to write, to print.\n'
    )
    return files, text
