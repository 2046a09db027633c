"""The notebooks' exercises, judged: `check("01-2", answer)` says what is wrong with an answer, not what is right.

One module a notebook; each registers its judges with `exercise`. A judge takes the learner's answer and raises
`NotYet` with a hint, or returns the sentence that belongs to a right answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

Judge = Callable[[Any], str]

MODULES = {
    "00": "start_here",
    "01": "cross_entropy",
    "02": "true_token",
    "03": "wrong_tokens",
    "04": "where_training_ends",
    "05": "gpt",
    "06": "grpo",
    "07": "prior_to_policy",
    "08": "study",
    "09": "your_turn",
}
JUDGES: dict[str, Judge] = {}


class NotYet(Exception):
    """An answer is not right yet; the message is a hint that does not give it away."""


def exercise(number: str) -> Callable[[Judge], Judge]:
    """Registers the judge of an exercise, as in `@exercise("01-2")`."""

    def register(judge: Judge) -> Judge:
        JUDGES[number] = judge
        return judge

    return register


def check(number: str, answer: Any) -> bool:
    """Prints whether the answer to an exercise is right, with a hint if it is not; returns the verdict.

    Args:
        number: notebook and exercise, as in "01-2".
        answer: what the exercise asks for: a number, a sequence, a function, ...

    Raises:
        ValueError: there is no such exercise.
    """
    module = MODULES.get(number[:2]) if isinstance(number, str) else None
    if module is not None:
        importlib.import_module(f"{__name__}.{module}")
    if number not in JUDGES:
        raise ValueError(f"there is no exercise {number!r}: number it as its notebook does, as in '01-2'")
    try:
        verdict = JUDGES[number](answer)
    except NotYet as hint:
        print(f"{number}: not yet. {hint}")
        return False
    print(f"{number}: right. {verdict}")
    return True


def require(condition: bool, hint: str) -> None:
    """Raises `NotYet` with the hint unless the condition is true."""
    if not condition:
        raise NotYet(hint)


def given(answer: Any) -> Any:
    """The answer, or what the learner's function returned.

    Raises:
        NotYet: it is None, as the cells say before anybody has answered.
    """
    require(answer is not None, "There is no answer yet.")
    return answer


def numbers(answer: Any, shape: tuple[int, ...] = ()) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The answer, of whatever sequence or tensor, as float64 numbers of the given shape: () for a single one.

    Raises:
        NotYet: it is None or something else, or not finite.
    """
    given(answer)
    try:
        values = np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotYet(f"A number is asked for, and this is {type(answer).__name__}.") from None
    expected = f"{shape} numbers" if shape else "a single number"
    require(values.shape == shape, f"Expected {expected}, got shape {values.shape}.")
    require(bool(np.isfinite(values).all()), "Some of it is not finite.")
    return values


def call(function: Any, *arguments: Any) -> Any:
    """What the learner's function returns.

    Raises:
        NotYet: it is None or no function, or fails.
    """
    require(
        callable(given(function)),
        f"A function is asked for, and this is {type(function).__name__}: pass its name.",
    )
    try:
        return function(*arguments)
    except Exception as error:
        raise NotYet(f"Your function fails: {type(error).__name__}: {error}") from error
