"""The exercises of the notebooks: `check("01-2", answer)` says whether an answer is right, or gives a hint.

There is one file for each notebook; it registers its judges with `exercise`. A judge takes the learner's answer
and raises `NotYet` with a hint, or returns the sentence to print for a right answer.

What an answer says of itself decides nothing: it is made of plain values before it is looked at (`plain`), no
tensor answers for torch meanwhile, and judges compare with `close`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch

Judge = Callable[[Any], str]

MODULES = {
    "00": "start_here", "01": "cross_entropy", "02": "true_token", "03": "wrong_tokens",
    "04": "where_training_ends", "05": "gpt", "06": "grpo", "07": "prior_to_policy", "08": "study",
    "09": "your_turn",
}  # fmt: skip
JUDGES: dict[str, Judge] = {}


class NotYet(Exception):
    """The answer is not right yet; the message is a hint that does not give the right one away."""


def exercise(number: str) -> Callable[[Judge], Judge]:
    """Registers the judge of an exercise, as in `@exercise("01-2")`."""

    def register(judge: Judge) -> Judge:
        JUDGES[number] = judge
        return judge

    return register


def check(number: str, answer: Any = None) -> bool:
    """Prints whether the answer to an exercise is right, with a hint if it is not, and returns True or False.

    Args:
        number: of notebook and exercise, as in "01-2".
        answer: what the exercise asks for: a number, a sequence, a function, ...

    Raises:
        ValueError: there is no such exercise.
    """
    if not isinstance(number, str):
        raise ValueError(f"the number of the exercise comes first, as in check('01-2', answer), got {number!r}")
    number = number.strip()
    if number[:2] in MODULES:
        importlib.import_module(f"{__name__}.{MODULES[number[:2]]}")
    if number not in JUDGES:
        raise ValueError(f"there is no exercise {number!r}: number it as its notebook does, as in '01-2'")
    try:
        # even if the notebook has switched gradients off, or put something in the place of torch's functions
        with torch.inference_mode(False), torch.enable_grad(), torch._C.DisableTorchFunction():
            verdict = JUDGES[number](plain(answer))
    except NotYet as hint:
        print(f"{number}: not yet. {' '.join(str(hint).split())}")
        return False
    except Exception as error:  # no answer may end in a traceback of the judge
        print(f"{number}: not yet. This cannot be judged, as it has not the form asked for ({_in_a_line(error)}).")
        return False
    print(f"{number}: right. {verdict}")
    return True


def require(condition: bool, hint: str) -> None:
    """Raises `NotYet` with the hint unless the condition is true."""
    if not condition:
        raise NotYet(hint)


def plain(answer: Any) -> Any:
    """The answer with nothing but its values: of a subclass of a number, a string, a tensor, an array or a
    container an instance of the class itself, without any method of the learner's. What is none of them stays.

    Raises:
        NotYet: it is a tensor that only pretends to hold its values.
    """
    if isinstance(answer, torch.Tensor):
        holds = type(answer).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
        require(holds, f"A plain tensor is asked for, and this is {type(answer).__name__}.")
        return torch.Tensor.as_subclass(answer, torch.Tensor)  # a view: what was set on the instance is gone, too
    if isinstance(answer, np.ndarray):
        return np.asarray(answer)
    if isinstance(answer, (bool, complex, bytes, type(None))):
        return answer
    if isinstance(answer, float):
        return float.__add__(answer, 0.0)
    if isinstance(answer, int):
        return int.__add__(answer, 0)
    if isinstance(answer, str):
        return str.__str__(answer)
    if isinstance(answer, np.generic):
        kind: Any = next(base for base in type(answer).__mro__ if base.__module__ == "numpy")
        return answer if kind is type(answer) else plain(kind.__float__(answer))  # `item` of a subclass may crash
    if isinstance(answer, Mapping):
        return {plain(name): plain(answer[name]) for name in answer}
    if isinstance(answer, (list, tuple)):
        return (list if isinstance(answer, list) else tuple)(plain(part) for part in answer)
    if isinstance(answer, Set):
        return {plain(part) for part in answer}
    return answer


def given(answer: Any) -> Any:
    """The answer; raises `NotYet` if it is None, as in the cells before anybody has answered."""
    require(answer is not None, "There is no answer yet.")
    return answer


def numbers(answer: Any, shape: tuple[int, ...] = ()) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The answer, any sequence or tensor of numbers, as float64 of `shape`: (n,), or () for one number.

    Raises:
        NotYet: it is None, not numbers of that shape, or not finite.
    """
    given(answer)
    asked = "A number is" if shape == () else "Numbers are"
    try:
        raw = np.asarray(_arrays(answer))
        if raw.dtype.kind not in "iufO":  # no words, no truth values, nothing complex
            raise TypeError(raw.dtype)
        values = raw.astype(np.float64)
    except Exception:
        raise NotYet(f"{asked} asked for, and this is {type(answer).__name__}.") from None
    wanted = f"{shape[0]} numbers in a row" if shape else "a single number"
    require(values.shape == shape, f"Expected {wanted}, got shape {values.shape}.")
    require(bool(np.isfinite(values).all()), f"{'It' if shape == () else 'Some of it'} is not finite.")
    return values


def number_of(answer: Mapping[str, Any], name: str) -> float:
    """The number that the answer holds under `name`; raises `NotYet`, naming the key, if it is none."""
    try:
        return float(numbers(answer[name]))
    except NotYet:
        raise NotYet(f"{name} must be a number, got {answer[name]!r}.") from None


def close(given: Any, truth: Any, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether all numbers of two arrays or tensors of one shape differ by at most atol + rtol |truth|: NumPy's
    `allclose`, in Python's arithmetic, as a learner may have put something in the place of NumPy's and torch's."""
    left, right = (np.asarray(_arrays(values), dtype=np.float64) for values in (given, truth))
    pairs = zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)
    return left.shape == right.shape and all(abs(a - b) <= atol + rtol * abs(b) for a, b in pairs)


def _arrays(answer: Any) -> Any:
    """The answer with tensors as arrays, without gradients, and with every other iterable as a list."""
    if isinstance(answer, torch.Tensor):
        return answer if answer.is_complex() else answer.detach().cpu().double().numpy()
    if isinstance(answer, (str, bytes, dict, np.ndarray)) or not isinstance(answer, Iterable):
        return answer
    return [_arrays(part) for part in answer]


def word(answer: Any) -> str:
    """A word in lower case, without spaces around it or a full stop; "" for what is not a string."""
    return str.lower(str.rstrip(str.strip(answer), ". ")) if isinstance(answer, str) else ""


def call(function: Any, *arguments: Any) -> Any:
    """What the learner's function returns for the arguments, made `plain`.

    Raises:
        NotYet: it is not a function, or it fails or returns None.
    """
    kind = type(given(function)).__name__
    require(callable(function), f"A function is asked for, and this is {kind}: pass its name.")
    try:
        returned = function(*arguments)
    except (Exception, SystemExit) as error:
        raise NotYet(f"Your function fails: {_in_a_line(error)}.") from error
    require(returned is not None, "There is no answer yet: your function returns None.")
    return plain(returned)


def gradient_by(loss: Any, logits: torch.Tensor, *arguments: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The gradient by `logits` of what the learner's function `loss(logits, *arguments)` returns. (V,) -> (V,)

    Raises:
        NotYet: the function does not return a single number, or no gradient reaches the logits.
    """
    value = call(loss, logits, *arguments)
    require(
        isinstance(value, torch.Tensor) and value.dim() == 0 and value.is_floating_point(),
        "It must return one number as a tensor without dimensions: did you forget the sum over the tokens?",
    )
    require(value.requires_grad, "Its value does not depend on the logits any more: too much is detached.")
    try:
        (gradient,) = torch.autograd.grad(value, logits, retain_graph=True, allow_unused=True)
    except RuntimeError:
        raise NotYet("Return the loss, and do not call backward() on it: that is done here.") from None
    if gradient is None:
        raise NotYet("Its gradient does not reach the logits that it was given: did you make a new tensor?")
    return numbers(gradient, tuple(logits.shape))


def _in_a_line(error: BaseException) -> str:
    first = str(error).partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
