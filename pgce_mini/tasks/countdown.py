"""Countdown: reach a target with given numbers, at the first attempt or a later one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pgce_mini.checks import check_number, check_whole
from pgce_mini.tasks.base import EOS_ID, SPECIAL_TOKENS, Problem, Split, Task, before_eos, below, in_split

SYMBOLS = (*SPECIAL_TOKENS, "+", "-", "*", "=", "->", ":", ";")
PLUS_ID, MINUS_ID, TIMES_ID, EQUALS_ID, TARGET_ID, ANSWER_ID, AGAIN_ID = range(2, 9)
OPERATOR_IDS = (PLUS_ID, MINUS_ID, TIMES_ID)
ZERO_ID = len(SYMBOLS)  # the id of the value 0; value v is ZERO_ID + v

MAX_VALUE = 100  # numbers, intermediate values and targets are whole numbers in 0..MAX_VALUE
VOCAB = (*SYMBOLS, *map(str, range(MAX_VALUE + 1)))


def operate(operator_id: int, a: int, b: int) -> int:
    if operator_id == PLUS_ID:
        return a + b
    return a - b if operator_id == MINUS_ID else a * b


class Expression(NamedTuple):
    """numbers[0] operators[0] numbers[1] operators[1] ..., read from left to right."""

    numbers: tuple[int, ...]
    operators: tuple[int, ...]  # token ids, one fewer

    def value(self) -> int:
        value = self.numbers[0]
        for operator_id, number in zip(self.operators, self.numbers[1:], strict=True):
            value = operate(operator_id, value, number)
        return value


def random_expression(numbers: Sequence[int], rng: random.Random) -> Expression:
    """`numbers` in random order; each operator is uniform among those that keep the value in 0..MAX_VALUE."""
    order = sorted(numbers, key=lambda _: rng.random())
    value = order[0]
    operators = []
    for number in order[1:]:
        results = [operate(operator_id, value, number) for operator_id in OPERATOR_IDS]
        allowed = [i for i, result in enumerate(results) if 0 <= result <= MAX_VALUE]
        choice = allowed[below(rng, len(allowed))]
        operators.append(OPERATOR_IDS[choice])
        value = results[choice]
    return Expression(tuple(order), tuple(operators))


def solutions(numbers: tuple[int, ...], target: int) -> Iterator[Expression]:
    """Every expression with each of `numbers` once that keeps to 0..MAX_VALUE and reaches `target`."""

    def extend(done: Expression, value: int, rest: tuple[int, ...]) -> Iterator[Expression]:
        if not rest and value == target:
            yield done
        for i, number in enumerate(rest):
            for operator_id in OPERATOR_IDS:
                result = operate(operator_id, value, number)
                if 0 <= result <= MAX_VALUE:
                    longer = Expression((*done.numbers, number), (*done.operators, operator_id))
                    yield from extend(longer, result, rest[:i] + rest[i + 1 :])

    for i, number in enumerate(numbers):
        yield from extend(Expression((number,), ()), number, numbers[:i] + numbers[i + 1 :])


def parse(ids: Sequence[int]) -> Expression | None:
    """The expression of one attempt, whatever values were written; None when it is not well formed."""
    operator_ids, number_ids, equals_ids, value_ids = (ids[start::4] for start in (1, 2, 3, 4))
    number_ids = [*ids[:1], *number_ids]
    well_formed = (
        len(ids) % 4 == 1
        and all(i in OPERATOR_IDS for i in operator_ids)
        and all(i == EQUALS_ID for i in equals_ids)
        and all(ZERO_ID <= i <= ZERO_ID + MAX_VALUE for i in (*number_ids, *value_ids))
    )
    return Expression(tuple(i - ZERO_ID for i in number_ids), tuple(operator_ids)) if well_formed else None


@dataclass(frozen=True)
class Countdown(Task):
    """Use each of `count` numbers once, with + - * from left to right, to reach a target.

        2 3 7 -> 13 : 2 + 7 = 9 - 3 = 6 ; 3 * 2 = 6 + 7 = 13 <eos>

    The value after every operator is written; it slips with probability `slip_rate` to a uniform value, and
    the attempt goes on from there. An attempt is, with probability `hit_rate`, the expression that set the
    target, else a random one. The document ends when the value written last is the target, or after
    `max_attempts`. Values are whole numbers in 0..100, each a single token: expressions are made of the
    operators that stay in there, and only the value after a slip is clipped.

    A completion is well formed if it is any number of attempts with ';' between them, each with `count`
    numbers and a value after every operator. The verifier evaluates the expression of the last attempt (the
    values that the policy wrote don't count): it must use each number once. Its value is the answer, so a
    majority vote is on the value reached, and the many solutions of a problem vote together. A completion is
    reasoned if it has more than one attempt.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    name: ClassVar[str] = "countdown"

    count: int = 3
    """numbers in a problem"""
    max_number: int = 9
    """the largest of them"""
    max_attempts: int = 2
    """attempts in a document, at most"""
    hit_rate: float = 0.4
    """how often an attempt is the expression that set the target"""
    slip_rate: float = 0.1
    """how often a written value is wrong"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("count", self.count, 2, 6)
        # Below 5 there are too few problems to hold some out; above MAX_VALUE / 2, + and - may both leave it.
        check_whole("max_number", self.max_number, 5, MAX_VALUE // 2)
        check_whole("max_attempts", self.max_attempts, 1)
        check_number("hit_rate", self.hit_rate, 1)
        check_number("slip_rate", self.slip_rate, 1)

    @property
    def vocab(self) -> tuple[str, ...]:
        return VOCAB

    @property
    def max_completion_length(self) -> int:
        return self.max_attempts * (self._attempt_length + 1)  # each with its ';' or EOS

    @property
    def max_document_length(self) -> int:
        return self.count + 3 + self.max_completion_length

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        rng = self._stream("document", seed, index, split)
        problem, solution = self._draw(rng, split)
        ids = list(problem.prompt)
        for attempt in range(self.max_attempts):
            if attempt > 0:
                ids.append(AGAIN_ID)
            hit = rng.random() < self.hit_rate
            ids += self._write(solution if hit else random_expression(problem.operands, rng), rng)
            if ids[-1] == ZERO_ID + problem.target:
                break
        return [*ids, EOS_ID]

    def problem(self, seed: int, index: int, split: Split = "train") -> Problem:
        return self._draw(self._stream("problem", seed, index, split), split)[0]

    def reference(self, problem: Problem) -> list[int]:
        solution = next(solutions(problem.operands, problem.target), None)
        if solution is None:
            raise ValueError(f"problem has no solution: {self.decode(problem.prompt)}")
        return [*self._write(solution), EOS_ID]

    def reasoned(self, problem: Problem, completion: Sequence[int]) -> bool:
        return AGAIN_ID in before_eos(completion)

    def _answer(self, problem: Problem, ids: list[int]) -> str | None:
        length = self._attempt_length
        attempts = [parse(ids[start : start + length]) for start in range(0, len(ids), length + 1)]
        separators = ids[length :: length + 1]
        if len(ids) % (length + 1) != length or any(i != AGAIN_ID for i in separators):
            return None
        *earlier, last = attempts
        if None in earlier or last is None or sorted(last.numbers) != sorted(problem.operands):
            return None
        return str(last.value())

    @property
    def _attempt_length(self) -> int:
        return 4 * self.count - 3  # a number, then count - 1 times: operator, number, '=', value

    def _draw(self, rng: random.Random, split: Split) -> tuple[Problem, Expression]:
        """A problem of `split` and the expression that set its target."""
        while True:
            numbers = tuple(sorted([1 + below(rng, self.max_number) for _ in range(self.count)]))
            solution = random_expression(numbers, rng)
            target = solution.value()
            if in_split((*numbers, target), split):  # sorted: their order makes no new problem
                prompt = (*(ZERO_ID + n for n in numbers), TARGET_ID, ZERO_ID + target, ANSWER_ID)
                return Problem(prompt, numbers, target), solution

    def _write(self, expression: Expression, rng: random.Random | None = None) -> list[int]:
        """The tokens of an attempt, with slips if drawn from `rng`."""
        value = expression.numbers[0]
        ids = [ZERO_ID + value]
        for operator_id, number in zip(expression.operators, expression.numbers[1:], strict=True):
            value = min(max(operate(operator_id, value, number), 0), MAX_VALUE)
            if rng is not None and rng.random() < self.slip_rate:
                value = below(rng, MAX_VALUE + 1)
            ids += (operator_id, ZERO_ID + number, EQUALS_ID, ZERO_ID + value)
        return ids
