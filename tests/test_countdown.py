"""Countdown: its documents and expressions, and its verdicts by hand, by a pattern and by enumeration."""

from __future__ import annotations

import random
import re
from itertools import combinations_with_replacement, permutations, product

import pytest
from hypothesis import given, strategies as st
from tiny import assert_share

from pgce_mini.tasks import Countdown, Problem
from pgce_mini.tasks.base import in_split
from pgce_mini.tasks.countdown import MAX_VALUE, OPERATOR_IDS, Expression, random_expression, solutions

TASK = Countdown()
PROBLEM = Problem(tuple(TASK.encode("2 3 7 -> 13 :")), (2, 3, 7), 13)


def left_to_right(numbers: list[int], operators: str) -> list[int]:
    """The value after each number."""
    values = numbers[:1]
    for operator, number in zip(operators, numbers[1:], strict=True):
        value = values[-1]
        values.append({"+": value + number, "-": value - number, "*": value * number}[operator])
    return values


def read(text: str) -> tuple[list[int], str, list[int]]:
    """Numbers, operators and written values of one attempt."""
    first, *steps = re.split(r" (?=[-+*])", text)
    parsed = [re.fullmatch(r"(?P<operator>[-+*]) (\d+) = (\d+)", step) for step in steps]
    assert all(parsed), text
    operators, numbers, values = zip(*(match.groups() for match in parsed if match), strict=True)
    return [int(first), *map(int, numbers)], "".join(operators), list(map(int, values))


def documents(task: Countdown, count: int) -> list[tuple[list[int], int, list[str]]]:
    """Numbers, target and attempts of the first documents."""
    parsed = []
    for index in range(count):
        numbers, target, completion = re.split(" -> | : ", task.decode(task.document(0, index)))
        parsed.append((list(map(int, numbers.split())), int(target), completion.split(" ; ")))
    return parsed


def test_the_first_draws_are_these_on_every_platform_and_python() -> None:
    assert [TASK.decode(TASK.document(0, index)) for index in range(4)] == [
        "3 8 8 -> 13 : 8 - 3 = 5 * 8 = 40 ; 8 - 3 = 5 + 8 = 13",
        "1 2 9 -> 9 : 2 + 9 = 11 + 1 = 12 ; 2 - 1 = 1 * 9 = 9",
        "1 8 9 -> 18 : 8 * 1 = 8 + 9 = 20 ; 1 + 9 = 10 + 8 = 18",
        "7 9 9 -> 0 : 9 - 9 = 95 + 7 = 100 ; 9 - 9 = 0 * 7 = 0",
    ]
    assert TASK.decode(TASK.problem(0, 0).prompt) == "1 5 6 -> 12 :"
    assert TASK.decode(TASK.problem(0, 0, "heldout").prompt) == "1 3 8 -> 25 :"


@pytest.mark.parametrize("task", [TASK, Countdown(count=6, max_attempts=3), Countdown(count=2, max_attempts=1)])
def test_documents_are_well_formed(task: Countdown) -> None:
    for numbers, target, attempts in documents(task, 500):
        assert numbers == sorted(numbers)
        assert 1 <= numbers[0] <= numbers[-1] <= task.max_number
        assert 0 <= target <= MAX_VALUE
        for attempt in attempts:
            used, operators, _ = read(attempt)
            assert sorted(used) == numbers
            assert all(0 <= value <= MAX_VALUE for value in left_to_right(used, operators))
        reached = [read(attempt)[2][-1] == target for attempt in attempts]
        assert not any(reached[:-1])
        assert reached[-1] or len(attempts) == task.max_attempts


@pytest.mark.parametrize("slip_rate", [0.0, 0.1, 1.0])
def test_written_values_slip_at_their_rate_and_the_error_goes_on(slip_rate: float) -> None:
    written = wrong = 0
    for _, _, attempts in documents(Countdown(slip_rate=slip_rate), 2000):
        for attempt in attempts:
            used, operators, values = read(attempt)
            for before, operator, number, value in zip(
                [used[0], *values], operators, used[1:], values, strict=False
            ):
                written += 1
                wrong += value != min(max(left_to_right([before, number], operator)[1], 0), MAX_VALUE)
    assert written > 4000
    assert_share(wrong, written, slip_rate * 100 / 101)  # a slip to the right value cannot be seen


@pytest.mark.parametrize("rate", [0.4, 1.0])
def test_attempts_hit_at_their_rate(rate: float) -> None:
    """Without slips an attempt misses when it is random, and the random expression is none that reaches."""
    hits = chance = 0
    rng = random.Random(0)
    parsed = documents(Countdown(hit_rate=rate, slip_rate=0, max_attempts=1), 4000)
    for numbers, target, (attempt,) in parsed:
        hits += read(attempt)[2][-1] == target
        chance += random_expression(numbers, rng).value() == target
    assert_share(hits, 4000, rate + (1 - rate) * chance / 4000)


def test_random_expressions_draw_every_order_and_operator() -> None:
    rng = random.Random(0)
    drawn = {random_expression((2, 3, 7), rng) for _ in range(3000)}
    everything = {
        Expression(order, pair) for order in permutations((2, 3, 7)) for pair in product(OPERATOR_IDS, repeat=2)
    }
    inside = {e for e in everything if e.value() >= 0 and Expression(e.numbers[:2], e.operators[:1]).value() >= 0}
    assert drawn == inside


def test_solutions_are_all_there_are() -> None:
    symbols = dict(zip(OPERATOR_IDS, "+-*", strict=True))
    for numbers in [(2, 3, 7), (1, 9, 9), (2, 2, 2)]:
        for target in range(30):
            found = {(e.numbers, "".join(symbols[i] for i in e.operators)) for e in solutions(numbers, target)}
            expected = {
                (order, "".join(operators))
                for order in permutations(numbers)
                for operators in product("+-*", repeat=2)
                if (values := left_to_right(list(order), "".join(operators)))[-1] == target and min(values) >= 0
            }
            assert found == expected


def test_a_problem_without_solution_has_no_reference() -> None:
    with pytest.raises(ValueError, match="problem has no solution: 1 1 1 -> 99 :"):
        TASK.reference(Problem(tuple(TASK.encode("1 1 1 -> 99 :")), (1, 1, 1), 99))


@pytest.mark.parametrize(
    ("completion", "answer", "reasoned"),
    [
        ("2 * 3 = 6 + 7 = 13 <eos>", "13", False),
        ("3 * 2 = 99 + 7 = 0 <eos>", "13", False),  # the expression is judged, not the written values
        ("2 + 3 = 5 + 7 = 12 ; 3 * 2 = 6 + 7 = 13 <eos>", "13", True),
        ("9 + 9 = 5 + 9 = 12 ; 3 * 2 = 6 + 7 = 13 <eos>", "13", True),  # only the last attempt is judged
        ("3 * 2 = 6 + 7 = 13 ; 2 + 3 = 5 + 7 = 12 <eos>", "12", True),
        ("2 + 3 = 13 + 7 = 13 <eos>", "12", False),  # claimed, not reached
        ("2 - 3 = 0 - 7 = 13 <eos>", "-8", False),
        ("13 <eos>", None, False),
        ("6 + 7 = 13 <eos>", None, False),
        ("3 + 3 = 6 + 7 = 13 <eos>", None, False),  # a number twice
        ("2 * 3 = 6 + 7 = 13 + 0 = 13 <eos>", None, False),  # a number of one's own
        ("2 * 3 + 7 = 13 <eos>", None, False),  # values must be written
        ("2 * 3 = 6 + 7 <eos>", None, False),
        ("2 * 3 = 6 + 7 = 13 ; <eos>", None, True),
        ("; 2 * 3 = 6 + 7 = 13 <eos>", None, True),
        ("2 + 3 = 5 + = 12 ; 2 * 3 = 6 + 7 = 13 <eos>", None, True),
        ("2 + 3 = 5 + 7 = 12 2 * 3 = 6 + 7 = 13 <eos>", None, False),
        ("2 * 3 = 6 + 7 = 13 13 <eos>", None, False),
        ("2 * 3 = 6 <pad> + 7 = 13 <eos>", None, False),
        ("2 * 3 = 6 + 7 = 13", None, False),
        ("2 * 3 = 6 + 7 = 13 <eos> ; 2 + 3 = 5 + 7 = 12", "13", False),
        ("2 + 3 = 5 + 7 = 12 <eos> ; 2 * 3 = 6 + 7 = 13 <eos>", "12", False),
        ("<eos>", None, False),
        ("", None, False),
    ],
)
def test_verdicts_by_hand(completion: str, answer: str | None, reasoned: bool) -> None:
    ids = TASK.encode(completion)
    assert TASK.answer(PROBLEM, ids) == answer
    assert TASK.reward(PROBLEM, ids) == (answer == "13")
    assert TASK.reasoned(PROBLEM, ids) == reasoned


def test_a_number_given_twice_must_be_used_twice() -> None:
    problem = Problem(tuple(TASK.encode("3 3 5 -> 14 :")), (3, 3, 5), 14)
    assert TASK.reward(problem, TASK.encode("3 * 3 = 9 + 5 = 14 <eos>")) == 1
    assert TASK.reward(problem, TASK.encode("3 * 5 = 15 - 3 = 12 <eos>")) == 0
    assert TASK.reward(problem, TASK.encode("5 + 5 = 10 + 3 = 14 <eos>")) == 0


def test_exactly_the_solutions_are_rewarded() -> None:
    """Every expression over a few numbers, the given ones among them."""
    for numbers in product((1, 2, 3, 7), repeat=3):
        for a, b in product("+-*", repeat=2):
            x, y, z = numbers
            right = sorted(numbers) == [2, 3, 7] and left_to_right(list(numbers), a + b)[-1] == 13
            assert TASK.reward(PROBLEM, TASK.encode(f"{x} {a} {y} = 0 {b} {z} = 13 <eos>")) == right


def one_of(text: str) -> st.SearchStrategy[int]:
    return st.sampled_from(TASK.encode(text))


step = st.tuples(one_of("+ - *"), one_of("2 3 7"), one_of("="), one_of("0 6 13"))
attempt = st.tuples(one_of("2 3 7"), step, step).map(lambda parts: [parts[0], *parts[1], *parts[2]])
token = st.integers(-1, len(TASK.vocab)) | one_of("2 3 7 + * = ;")


@given(st.lists(attempt, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 30), token), max_size=2))
def test_verdicts_agree_with_a_pattern_on_the_text(
    attempts: list[list[int]], changes: list[tuple[int, int]]
) -> None:
    [again, eos] = TASK.encode("; <eos>")
    ids = [i for attempt in attempts for i in (again, *attempt)][1:]
    for place, changed in changes:
        ids[place : place + 1] = [changed]
    ids.append(eos)
    text = " ".join(TASK.vocab[i] if 0 <= i < len(TASK.vocab) else "?" for i in ids).partition(" <eos>")[0]
    pattern = r"(\d+) ([-+*]) (\d+) = \d+ ([-+*]) (\d+) = \d+"
    *earlier, last = [re.fullmatch(pattern, piece) for piece in text.split(" ; ")]
    answer = None
    if last and all(earlier):
        x, a, y, b, z = last.groups()
        if sorted([x, y, z]) == ["2", "3", "7"]:
            answer = str(left_to_right([int(x), int(y), int(z)], a + b)[-1])
    assert TASK.answer(PROBLEM, ids) == answer


@pytest.mark.parametrize("max_number", range(5, 10))
def test_the_smallest_settings_have_problems_in_both_splits(max_number: int) -> None:
    Countdown(count=2, max_number=max_number)
    problems = [
        (a, b, target)
        for a, b in combinations_with_replacement(range(1, max_number + 1), 2)
        for target in {a + b, b - a, a * b}
    ]
    assert {in_split(problem, "heldout") for problem in problems} == {True, False}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 1}, "count must be a whole number between 2 and 6, got 1"),
        ({"count": 7}, "count must be a whole number between 2 and 6, got 7"),
        ({"max_number": 4}, "max_number must be a whole number between 5 and 50, got 4"),
        ({"max_number": 51}, "max_number must be a whole number between 5 and 50, got 51"),
        ({"max_attempts": 0}, "max_attempts must be a whole number of at least 1, got 0"),
        ({"hit_rate": 2}, "hit_rate must be a number between 0 and 1, got 2"),
        ({"slip_rate": float("nan")}, "slip_rate must be a number between 0 and 1, got nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Countdown(**settings)
