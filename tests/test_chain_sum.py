"""Chain sum: its documents, and what its verifier says of completions by hand and by a pattern."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from math import erf, sqrt

import pytest
from hypothesis import given, strategies as st
from tiny import assert_share

from pgce_mini.tasks import ChainSum, Problem
from pgce_mini.tasks.base import Split, in_split

TASK = ChainSum()
SMALL = ChainSum(num_operands=3, max_operand=9)  # totals 0..27
PROBLEM = Problem(tuple(SMALL.encode("3 + 1 + 4 =")), (3, 1, 4), 8)


def documents(task: ChainSum, count: int, split: Split = "train") -> list[tuple[list[int], str, list[str]]]:
    """Operands, equals sign and completion of the first documents."""
    parsed = []
    for index in range(count):
        prompt, sign, completion = re.split("([=≡])", task.decode(task.document(0, index, split)))
        parsed.append((list(map(int, prompt.split("+"))), sign, completion.split()))
    return parsed


def test_the_first_draws_are_these_on_every_platform_and_python() -> None:
    assert [TASK.decode(TASK.document(0, index)) for index in range(4)] == [
        "4 + 1 + 2 + 4 + 3 + 3 + 2 + 0 = # 21",
        "1 + 0 + 1 + 1 + 3 + 1 + 2 + 0 = # 8",
        "2 + 3 + 1 + 3 + 3 + 1 + 3 + 3 = # 19",
        "4 + 3 + 2 + 3 + 2 + 3 + 1 + 1 ≡ 4 7 9 24 26 29 30 31 # 31",
    ]
    assert TASK.problem(0, 0).operands == (4, 3, 4, 1, 1, 0, 3, 3)
    assert TASK.problem(0, 0, "heldout").operands == (1, 0, 4, 2, 2, 0, 1, 0)


def test_reference_by_hand() -> None:
    assert SMALL.decode(SMALL.reference(PROBLEM)) == "3 4 8 # 8"


def test_documents_are_well_formed() -> None:
    for operands, sign, (*totals, mark, answer) in documents(TASK, 1000):
        assert mark == "#"
        assert len(operands) == 8
        assert max(operands) <= 4
        if totals:
            assert len(totals) == 8
            assert answer == totals[-1]
        else:
            assert sign == "="


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_half_of_the_documents_must_reason_and_the_others_do_by_their_share(share: float) -> None:
    parsed = documents(ChainSum(reasoned_share=share), 4000)
    signs = Counter((sign, len(completion) > 2) for _, sign, completion in parsed)
    assert signs["≡", False] == 0
    assert_share(signs["≡", True], 4000, 0.5)
    assert_share(signs["=", True], signs["=", True] + signs["=", False], share)


@pytest.mark.parametrize("slip_rate", [0.0, 0.1, 1.0])
def test_written_totals_slip_at_their_rate_and_the_error_goes_on(slip_rate: float) -> None:
    written = wrong = 0
    for operands, _, (*totals, _, _) in documents(ChainSum(slip_rate=slip_rate), 2000):
        before = 0
        for operand, total in zip(operands, map(int, totals), strict=bool(totals)):
            written += 1
            wrong += total != min(before + operand, 32)
            before = total
    assert written > 8000
    assert_share(wrong, written, slip_rate * 32 / 33)  # a slip to the right total cannot be seen


def test_direct_answers_are_rounded_normal_guesses() -> None:
    parsed = documents(TASK, 8000)
    errors = [int(answer[1]) - sum(operands) for operands, _, answer in parsed if len(answer) == 2]
    assert len(errors) > 3000
    for error in range(-4, 5):
        expected = (erf((error + 0.5) / 1.5 / sqrt(2)) - erf((error - 0.5) / 1.5 / sqrt(2))) / 2
        assert_share(errors.count(error), len(errors), expected)  # 0.261 of them are right


def test_without_noise_direct_answers_are_right_and_with_much_they_are_clipped() -> None:
    for noise in (0.0, 1e6):
        task = ChainSum(direct_noise=noise)
        guesses = [(sum(ops), int(c[1])) for ops, _, c in documents(task, 500) if len(c) == 2]
        assert all(guess == target if noise == 0 else guess in (0, 32) for target, guess in guesses)


@pytest.mark.parametrize(
    ("completion", "right", "reasoned"),
    [
        ("# 8 <eos>", 1, False),
        ("3 4 8 # 8 <eos>", 1, True),
        ("3 9 27 # 8 <eos>", 1, True),  # the answer is judged, not the working
        ("# 7 <eos>", 0, False),
        ("3 4 8 # 7 <eos>", 0, True),
        ("8 <eos>", 0, True),  # no '#', no answer
        ("3 4 8 # <eos>", 0, True),
        ("<eos>", 0, False),
        ("", 0, False),
        ("# 8", 0, False),
        ("# 8 8 <eos>", 0, False),
        ("3 4 # 8 # 8 <eos>", 0, True),
        ("# 8 # 8 <eos>", 0, False),
        ("≡ 3 4 8 # 8 <eos>", 0, False),
        ("<pad> # 8 <eos>", 0, False),
        ("<eos> # 8 <eos>", 0, False),
        ("# 8 <eos> # 7 <eos>", 1, False),
        ("# 7 <eos> # 8 <eos>", 0, False),
    ],
)
def test_verdicts_by_hand(completion: str, right: int, reasoned: bool) -> None:
    ids = SMALL.encode(completion)
    assert (SMALL.reward(PROBLEM, ids), SMALL.reasoned(PROBLEM, ids)) == (right, reasoned)


@given(st.lists(st.integers(-2, len(SMALL.vocab) + 1), max_size=8) | st.lists(st.sampled_from([1, 5, 13, 14])))
def test_verdicts_agree_with_a_pattern_on_the_text(completion: list[int]) -> None:
    text = " ".join(SMALL.vocab[i] if 0 <= i < len(SMALL.vocab) else "?" for i in completion)
    match = re.match(r"(\d+ )*# (?P<answer>\d+) <eos>", text)
    assert SMALL.answer(PROBLEM, completion) == (match["answer"] if match else None)
    assert SMALL.reward(PROBLEM, completion) == (match is not None and match["answer"] == "8")


def test_a_tenth_of_all_problems_is_held_out() -> None:
    problems = list(product(range(5), repeat=6))
    assert_share(sum(in_split(problem, "heldout") for problem in problems), len(problems), 0.1)
    assert all(in_split(problem, "heldout") != in_split(problem, "train") for problem in problems)


@pytest.mark.parametrize(("num_operands", "max_operand"), [(1, 999), (2, 31), (3, 9), (5, 3), (10, 1)])
def test_the_smallest_settings_have_problems_in_both_splits(num_operands: int, max_operand: int) -> None:
    every = product(range(max_operand + 1), repeat=num_operands)
    assert sum(in_split(problem, "heldout") for problem in every) > 50
    ChainSum(num_operands=num_operands, max_operand=max_operand)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_operands": 0}, "num_operands must be a whole number of at least 1, got 0"),
        ({"max_operand": -1}, "max_operand must be a whole number of at least 1, got -1"),
        ({"reasoned_share": 1.1}, "reasoned_share must be a number between 0 and 1, got 1.1"),
        ({"slip_rate": -0.1}, "slip_rate must be a number between 0 and 1, got -0.1"),
        ({"direct_noise": float("inf")}, "direct_noise must be a number of at least 0, got inf"),
        ({"num_operands": 2}, "num_operands=2 and max_operand=4 give only 25 problems, too few to hold some out"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChainSum(**settings)
