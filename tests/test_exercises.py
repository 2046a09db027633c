import numpy as np
import pytest
import torch

from pgce_mini import check, exercises
from pgce_mini.exercises import NotYet, call, exercise, numbers, require


@pytest.fixture
def judged(monkeypatch):
    """An exercise 99-1 that wants a number above 3."""
    monkeypatch.setattr(exercises, "JUDGES", {})

    @exercise("99-1")
    def judge(answer):
        require(numbers(answer) > 3, "Too low.")
        return "Large enough."


@pytest.mark.usefixtures("judged")
@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (4, True, "99-1: right. Large enough."),
        (2.0, False, "99-1: not yet. Too low."),
        (np.array(4), True, "99-1: right. Large enough."),
        (torch.tensor(4.0, requires_grad=True), True, "99-1: right. Large enough."),
        ([1, 2], False, "99-1: not yet. Expected a single number, got shape (2,)."),
        (None, False, "99-1: not yet. There is no answer yet."),
        (float("nan"), False, "99-1: not yet. Some of it is not finite."),
        ("many", False, "99-1: not yet. A number is asked for, and this is str."),
    ],
)
def test_check_prints_and_returns_the_verdict(answer, verdict, said, capsys):
    assert check("99-1", answer) is verdict
    assert capsys.readouterr().out.strip() == said


@pytest.mark.parametrize("number", ["98-1", "first", 3])
def test_an_unknown_exercise_is_refused_by_name(number):
    with pytest.raises(ValueError, match=str(number)):
        check(number, 1)


def test_a_function_that_fails_or_is_none_gets_a_hint():
    assert call(lambda x: x + 1, 2) == 3
    with pytest.raises(NotYet, match="ZeroDivisionError"):
        call(lambda: 1 / 0)
    with pytest.raises(NotYet, match="this is int"):
        call(3)
    with pytest.raises(NotYet, match="no answer yet"):
        call(None)
