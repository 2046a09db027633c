"""Chain sum: adding a row of small numbers, with the working written out or without."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pgce_mini.checks import check_number, check_whole
from pgce_mini.tasks.base import EOS_ID, SPECIAL_TOKENS, Problem, Split, Task, below, in_split

SYMBOLS = (*SPECIAL_TOKENS, "+", "=", "≡", "#")
PLUS_ID, EQUALS_ID, REASON_ID, ANSWER_ID = range(2, 6)
ZERO_ID = len(SYMBOLS)  # the id of the total 0; total t is ZERO_ID + t

MIN_PROBLEMS = 1000  # fewer leave too little to hold out
MOST_TOTAL = 1_000_000


@dataclass(frozen=True)
class ChainSum(Task):
    """The sum of `num_operands` numbers in 0..max_operand; every total is a single token.

        3 + 1 + 4 = 3 4 8 # 8 <eos>    reasoned: a running total for each operand, '#', the last total
        3 + 1 + 4 = # 7 <eos>          direct: '#', a noisy guess

    Every written running total slips with probability `slip_rate` to a uniform total, and the error goes on.
    A guess is the sum plus rounded N(0, direct_noise), clipped to the totals (at 1.5 about 26 % are right).
    Half of the documents have '≡' instead of '=': it always calls for reasoning, so that the skill is learnt
    apart from the habit. '=' calls for it with probability `reasoned_share`, and problems have only '='.

    A completion is well formed if it is any number of totals (or none), '#', one total, EOS. The verifier
    judges the last total, not the working. A completion is reasoned if its first token is a total: to reason
    or to guess is decided in one token, so that the stationary policy of a shaped loss predicts how often.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    name: ClassVar[str] = "chain-sum"

    num_operands: int = 8
    """numbers in a sum"""
    max_operand: int = 4
    """the largest of them"""
    reasoned_share: float = 0.2
    """how often the plain '=' is followed by reasoning"""
    slip_rate: float = 0.1
    """how often a written running total is wrong"""
    direct_noise: float = 1.5
    """standard deviation of the error of a direct answer"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("num_operands", self.num_operands, 1)
        check_whole("max_operand", self.max_operand, 1)
        check_number("reasoned_share", self.reasoned_share, 1)
        check_number("slip_rate", self.slip_rate, 1)
        check_number("direct_noise", self.direct_noise)
        check_number("direct_noise", self.direct_noise, 1e6)  # a guess far out is rounded to a whole number
        if self._max_total > MOST_TOTAL:
            raise ValueError(
                f"num_operands x max_operand must be at most {MOST_TOTAL:,}, as each total is a token, got "
                f"{self.num_operands} x {self.max_operand}"
            )
        problems = (self.max_operand + 1) ** self.num_operands
        if problems < MIN_PROBLEMS:
            raise ValueError(
                f"num_operands={self.num_operands} and max_operand={self.max_operand} give only {problems} "
                f"problems, too few to hold some out: raise one of them until there are {MIN_PROBLEMS}"
            )

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        return (*SYMBOLS, *map(str, range(self._max_total + 1)))

    @property
    def max_completion_length(self) -> int:
        return self.num_operands + 3  # totals, '#', answer, EOS

    @property
    def max_document_length(self) -> int:
        return 2 * self.num_operands + self.max_completion_length

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        rng = self._stream("document", seed, index, split)
        operands = self._draw(rng, split)
        equals_id = REASON_ID if rng.random() < 0.5 else EQUALS_ID
        if equals_id == REASON_ID or rng.random() < self.reasoned_share:
            return self._prompt(operands, equals_id) + self._reason(operands, rng)
        return self._prompt(operands, equals_id) + self._guess(operands, rng)

    def problem(self, seed: int, index: int, split: Split = "train") -> Problem:
        operands = self._draw(self._stream("problem", seed, index, split), split)
        return Problem(tuple(self._prompt(operands, EQUALS_ID)), operands, sum(operands))

    def reference(self, problem: Problem) -> list[int]:
        return self._reason(problem.operands)

    def reasoned(self, problem: Problem, completion: Sequence[int]) -> bool:
        return len(completion) > 0 and self._is_total(completion[0])

    def _answer(self, problem: Problem, ids: list[int]) -> str | None:
        if len(ids) < 2 or ids[-2] != ANSWER_ID:
            return None
        *totals, _, answer = ids
        return self.vocab[answer] if all(map(self._is_total, [*totals, answer])) else None

    @property
    def _max_total(self) -> int:
        return self.num_operands * self.max_operand

    def _is_total(self, token: int) -> bool:
        return ZERO_ID <= token <= ZERO_ID + self._max_total

    def _draw(self, rng: random.Random, split: Split) -> tuple[int, ...]:
        while True:
            operands = tuple([below(rng, self.max_operand + 1) for _ in range(self.num_operands)])
            if in_split(operands, split):
                return operands

    def _prompt(self, operands: tuple[int, ...], equals_id: int) -> list[int]:
        ids = [PLUS_ID] * (2 * len(operands))
        ids[::2] = [ZERO_ID + operand for operand in operands]
        ids[-1] = equals_id
        return ids

    def _reason(self, operands: tuple[int, ...], rng: random.Random | None = None) -> list[int]:
        """Running totals, with slips if drawn from `rng`, and the answer."""
        ids, total = [], 0
        for operand in operands:
            total = min(total + operand, self._max_total)  # after a slip the sum may leave the range
            if rng is not None and rng.random() < self.slip_rate:
                total = below(rng, self._max_total + 1)
            ids.append(ZERO_ID + total)
        return [*ids, ANSWER_ID, ids[-1], EOS_ID]

    def _guess(self, operands: tuple[int, ...], rng: random.Random) -> list[int]:
        # Box-Muller, as `random.gauss` may change between Python versions.
        normal = math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())
        guess = min(max(sum(operands) + round(self.direct_noise * normal), 0), self._max_total)
        return [ANSWER_ID, ZERO_ID + guess, EOS_ID]
