"""What a teacher can ask: prepared questions are sound, and numbers that they call right are the library's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pgce_mini import RewardShaping, stationary_policy
from pgce_mini.playground import preset
from pgce_mini.teaching.classroom import Question

APP = Path(__file__).parents[1] / "app"
ASKED = tomllib.loads((APP / "questions.toml").read_text(encoding="utf-8"))["questions"]
QUIZ = tomllib.loads((APP / "lesson.toml").read_text(encoding="utf-8"))["quiz"]


def test_every_prepared_question_can_be_asked() -> None:
    questions = [Question(**asked | {"choices": tuple(asked.get("choices", ()))}) for asked in ASKED]
    questions += [Question(asked["question"], tuple(asked["answers"]), right=asked["right"]) for asked in QUIZ]
    assert len({question.text for question in questions}) == len(questions)


@pytest.mark.parametrize(("beta", "place"), [(-0.25, 1), (0.5, 2)])
def test_right_numbers_are_where_training_ends(beta: float, place: int) -> None:
    frequencies = preset("peaked", 8)["labels"]
    assert max(frequencies) == pytest.approx(0.735, abs=5e-4)
    assert f"β = {beta:g}" in ASKED[place]["text"]
    end = max(stationary_policy(frequencies, RewardShaping(beta=beta)))
    assert ASKED[place]["right"] == pytest.approx(end, abs=5e-4)
