import importlib
import itertools
import math
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch

from pgce_mini import check
from pgce_mini.teaching import exercises
from pgce_mini.teaching.exercises import NotYet, call, exercise, numbers, require


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
        (float("nan"), False, "99-1: not yet. It is not finite."),
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


EVERY = sorted(
    {name for module in exercises.MODULES.values()
     if importlib.import_module(f"{exercises.__name__}.{module}") for name in exercises.JUDGES}
)  # fmt: skip
ODD = [
    None, 3, -1, 0.5, 10**400, 1e-320, float("inf"), True, "x", b"1", 1j, [], {}, (1, 2), [[1]], object(), exit,
    np.array(["higher", "lower"]), torch.tensor(1j), torch.tensor([1.0, 2.0], requires_grad=True), torch.nan,
    range(6), iter([1, 2]), {"shaping": None}, itertools.cycle(["blue"]), lambda: 1, lambda *given: None,
    lambda *given: 1 / 0, lambda *given: sys.exit(), lambda *given: given[0], lambda *given: np.array(["a", "b"]),
    lambda *given: [torch.ones((), requires_grad=True)], lambda *given: "Undecided", lambda *given: 0.0,
]  # fmt: skip


@pytest.mark.parametrize("number", EVERY)
def test_whatever_is_answered_one_sentence_comes_back(number, capsys):
    for answer in ODD:
        if isinstance(answer, itertools.cycle) and number != "00-3":
            continue  # endless
        assert check(number, answer) in (True, False)
        said = capsys.readouterr().out
        assert said.startswith(f"{number}: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_judge_differentiates_where_the_notebook_does_not(off):
    with off():
        assert check("01-2", lambda z, r: -(z.softmax(-1) * r.detach()).sum())
        assert check("02-2", lambda prob: 2 * (1 - prob))


def objective(z, r):
    return -(z.softmax(-1) * r.detach()).sum()


def spoils_its_rewards(z, r):
    w = r.detach()
    w *= z.softmax(-1).detach()
    return -(w * z.log_softmax(-1)).sum()


def walks_back(z, r):
    loss = objective(z, r)
    loss.backward()
    return loss


def plain(steps, values):
    early, late = (
        [v for s, v in zip(steps, values, strict=True) if s in span] for span in (range(1, 6), range(16, 21))
    )
    return sum(late) / len(late) - sum(early) / len(early)


def filled_in(steps, values):
    at = [np.interp(range(*span), steps, values).mean() for span in ((1, 6), (16, 21))]
    return at[1] - at[0]


def put_back(q, beta, way):
    """The equation of the end, put into itself again and again, a part of the way each time."""
    policy = q
    for _ in range(101):
        raw = q * (1 - policy) ** beta
        policy = (1 - way) * policy + way * raw / raw.sum()
    return policy


def clips_in_numpy(ratio, advantage, epsilon, epsilon_high):
    ratio, advantage = np.asarray(ratio), np.asarray(advantage)
    return -np.minimum(ratio * advantage, ratio.clip(1 - epsilon, 1 + epsilon_high) * advantage)


@pytest.mark.parametrize(
    ("number", "answer", "verdict", "hint"),
    [
        ("01-1", torch.tensor([-0.5, 0.7, -0.2]), True, ""),
        ("01-1", [torch.tensor(-0.5, requires_grad=True), Fraction(7, 10), -0.2], True, ""),
        ("01-2", spoils_its_rewards, True, ""),
        ("01-2", walks_back, False, "do not call backward"),
        ("01-2", lambda z, r: objective(z.detach().clone().requires_grad_(), r), False, "does not reach"),
        ("01-2", lambda z, r: objective(z, r) / len(z), False, "not the right length"),
        ("01-4", np.float32([-5, 0, -5, -5, -5, -5]) * np.float32(0.99999), True, ""),
        ("01-4", [5, 0, 5, 5, 5, 5], False, "opposite"),
        ("02-3", lambda q, beta: put_back(q, beta, 1.0), False, "jumps to and fro"),
        ("02-3", lambda q, beta: put_back(q, beta, 0.5), True, ""),
        ("02-3", lambda q, beta: np.roll(q, 1) * 3 - 2 * q, False, "elsewhere"),
        ("04-2", lambda beta: 1 / (1 + beta) ** 3, False, "far too much"),
        ("04-4", lambda pi, x: 0.0, False, "just the same"),
        ("04-4", lambda pi, x: -np.log(pi[x]) + x, False, "logarithm"),
        ("06-1", lambda p, n: 1 - p**n, False, "all-right"),
        ("06-1", lambda p, n: 1 - math.exp(n * math.log(p)) - math.exp(n * math.log(1 - p)), True, ""),
        ("06-4", lambda lengths, kind, limit: [1.0] * len(lengths), False, "but for a factor"),
        ("07-3", plain, True, ""),
        ("07-3", filled_in, False, "can be missing"),
        ("07-3", lambda steps, values: -plain(steps, values), False, "sign"),
        ("00-1", -0.5, False, "two digits are asked for"),
        ("00-1", -0.51, True, ""),
        ("06-2", clips_in_numpy, True, ""),
        ("06-2", lambda *given: clips_in_numpy(*given).tolist(), True, ""),
        ("06-2", lambda *given: clips_in_numpy(*given)[:3], False, "Expected 10 numbers in a row"),
        ("06-3", lambda z, a, t: [float(logp) for logp in (z / t).log_softmax(-1)[range(6), a]], True, ""),
        ("08-2", lambda gap, p, d: "Higher." if p < 0.05 and gap.low > 0 else "lower" if p < 0.05 and gap.high < 0
         else "Null." if -d < gap.low_90 and gap.high_90 < d else "Undecided.", True, ""),
        ("08-2", lambda gap, p, d: "Higher " if p < 0.05 and gap.low > 0 else "lower" if p < 0.05 and gap.high <= 0
         else "null" if -d < gap.low_90 and gap.high_90 < d else "undecided", False, "contains 0"),
        ("08-2", lambda gap, p, d: "higher" if p < 0.05 and gap.low > 0 else "lower" if p < 0.05 and gap.high < 0
         else "undecided", False, "inside"),
        ("08-2", lambda gap, p, d: "null" if -d < gap.low_90 and gap.high_90 < d else "higher"
         if p < 0.05 and gap.low > 0 else "lower" if p < 0.05 and gap.high < 0 else "undecided", False,
         "however small"),
    ],
)  # fmt: skip
def test_a_right_answer_in_any_form_and_the_mistakes_that_are_made(number, answer, verdict, hint, capsys):
    assert check(number, answer) is verdict
    assert hint in capsys.readouterr().out
