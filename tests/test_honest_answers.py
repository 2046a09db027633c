"""What an answer says of itself decides nothing: its values do, and those of a subclass count like any other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from pgce_mini import RewardShaping, check
from pgce_mini.gpt import dot_product_attention
from pgce_mini.study.analysis import PairedDifference
from pgce_mini.teaching import exercises
from pgce_mini.teaching.exercises import close, plain

EVERY = sorted(
    {name for module in exercises.MODULES.values()
     if importlib.import_module(f"{exercises.__name__}.{module}") for name in exercises.JUDGES}
)  # fmt: skip


class Always:
    """Equal to everything, near everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash("blue")

    def __lt__(self, other: Any) -> bool:
        return True

    __le__ = __gt__ = __ge__ = __lt__

    def __sub__(self, other: Any) -> Any:
        return 0.0

    __rsub__ = __abs__ = __sub__  # type: ignore[assignment]


class Number(Always, float):
    def __float__(self) -> float:
        return Number(1.0)


class Whole(Always, int):
    pass


class Word(Always, str):
    def strip(self, *_: Any) -> Any:
        return self

    lower = strip  # type: ignore[assignment]

    def __str__(self) -> str:
        return self


class Row(Always, list):  # type: ignore[type-arg]
    pass


class Pair(Always, tuple):  # type: ignore[type-arg]
    pass


class Claim(Always, dict):  # type: ignore[type-arg]
    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        return Word("higher")


class Array(np.ndarray):  # type: ignore[type-arg]
    __eq__ = __le__ = __lt__ = __ge__ = __gt__ = lambda self, other: np.True_  # type: ignore[assignment,return-value]
    __hash__ = None  # type: ignore[assignment]

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        return np.True_

    def __array_function__(self, *_: Any, **__: Any) -> Any:
        return True

    def __abs__(self) -> Any:
        return 0.0


class Scalar(Always, np.float64):
    pass


class Narrow(Always, np.float32):
    pass


class Tensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.allclose, torch.isclose, torch.equal, torch.autograd.grad):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})

    def is_complex(self) -> bool:
        return False

    def float(self) -> Any:  # type: ignore[override]
        return self

    double = detach = float  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        return (2, 4, 6, 8)


class Wrapper(torch.Tensor):
    """Holds nothing, and answers for everything."""

    @staticmethod
    def __new__(cls) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, (2, 4, 6, 8))  # type: ignore[attr-defined]

    @classmethod
    def __torch_dispatch__(cls, *_: Any, **__: Any) -> Any:
        return True


class Reward(RewardShaping):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = RewardShaping.__hash__


def with_methods() -> torch.Tensor:
    """A plain tensor with methods of its own."""
    tensor = torch.zeros(2, 4, 6, 8)
    tensor.float = tensor.double = lambda: Tensor(torch.zeros(2, 4, 6, 8))  # type: ignore[method-assign]
    return tensor


def pretending() -> Any:
    class Pretending(Always):
        __class__ = torch.Tensor  # type: ignore[assignment]

    return Pretending()


TRICKS: list[Callable[[], Any]] = [
    Always, lambda: Number(7.7), lambda: Whole(77), lambda: Word("teal?"), lambda: Row([Number(7)] * 6), Claim,
    lambda: Row([Number(7)] * 3), lambda: Pair((Number(7),) * 3), lambda: Scalar(7.7), lambda: Narrow(7.7),
    pretending, Wrapper,
    lambda: np.full(3, 7.7).view(Array), lambda: np.full(6, 7.7).view(Array), lambda: np.array(7.7).view(Array),
    lambda: torch.full((3,), 7.7).as_subclass(Tensor), lambda: torch.full((10,), 7.7).as_subclass(Tensor),
    lambda: torch.full((2, 4, 6, 8), 7.7).as_subclass(Tensor), lambda: torch.tensor(7.7).as_subclass(Tensor),
    lambda: torch.tensor(7.7, requires_grad=True).as_subclass(Tensor), with_methods,
    lambda: {"shaping": Reward(beta=-0.3), "reasoned_share": Number(1), "accuracy_if_reasoned": Number(1),
             "push": Word("?"), "after_rl": Word("?"), "because": Word("x")},
    lambda: [type("Fake", (PairedDifference,), {"__eq__": lambda *_: True})(8, 0.1, 0.0, 0.2, 0.01, 0.1, 0.1, 0.2),
             Word("?"), Whole(1)],
]  # fmt: skip


@pytest.mark.parametrize("number", EVERY)
def test_no_answer_passes_by_what_it_says_of_itself(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    for trick in TRICKS:
        for answer in (trick(), lambda *_, trick=trick: trick()):
            assert not check(number, answer), trick
            assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("library", [np, torch])
def test_no_function_in_the_place_of_a_librarys_decides(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace_and_answer(*given: Any) -> Any:
        monkeypatch.setattr(library, "allclose", lambda *_, **__: True)
        monkeypatch.setattr(library, "isclose", lambda *_, **__: True)
        return torch.zeros(2, 4, 6, 8)

    assert not check("05-2", replace_and_answer)
    for number, answer in (
        ("05-2", lambda q, k, v: torch.zeros_like(q)), ("06-2", lambda ratio, *_: torch.zeros_like(ratio)),
        ("01-1", [7, 7, -14]), ("02-3", lambda q, beta: q), ("03-3", lambda z, *_: z.sum()),
    ):  # fmt: skip
        assert not check(number, answer)


def test_no_mode_decides() -> None:
    class Yes(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return True if function in (torch.allclose, torch.equal) else function(*args, **(kwargs or {}))

    with Yes():
        assert not check("05-2", lambda q, k, v: torch.zeros_like(q))


def test_right_answer_of_any_class_is_right() -> None:
    assert check("05-2", lambda q, k, v: dot_product_attention(q, k, v).as_subclass(Tensor))
    assert check("05-2", lambda q, k, v: torch.nn.Parameter(dot_product_attention(q, k, v)))
    assert check("01-1", np.array([-0.5, 0.7, -0.2]).view(Array))
    assert check("01-1", Row([Number(-0.5), Scalar(0.7), -0.2]))
    assert check("01-2", lambda z, r: -(z.softmax(-1) * r.detach()).sum().as_subclass(Tensor))
    assert check("00-1", Number(-0.2605)) == check("00-1", -0.2605)


def test_plain_values_are_those_of_the_answer() -> None:
    answer = Claim(
        a=Row([Number(0.5), Whole(3), Word("x"), None, True, Scalar(2.0), Narrow(2)]), b=Pair((1j, b"x"))
    )
    made = plain(answer)
    assert repr(made) == repr({"a": [0.5, 3, "x", None, True, 2.0, 2.0], "b": (1j, b"x")})
    assert {type(made), type(made["a"]), type(made["b"])} == {dict, list, tuple}
    assert [type(part) for part in made["a"]] == [float, int, str, type(None), bool, float, float]
    assert type(plain(np.ones(2).view(Array))) is np.ndarray
    assert type(plain(torch.ones(2).as_subclass(Tensor))) is torch.Tensor


def test_close_is_allclose() -> None:
    rng = np.random.default_rng(0)
    for scale in (0, 1e-9, 1e-6, 1e-5, 1e-3):
        a = rng.normal(size=(3, 4))
        b = a + scale * rng.normal(size=(3, 4))
        for tolerance in ({}, {"atol": 1e-6}, {"rtol": 1e-4}):
            assert close(a, b, **tolerance) == np.allclose(a, b, **tolerance)
            assert close(torch.tensor(a), b, **tolerance) == np.allclose(a, b, **tolerance)
    assert not close([1, np.nan], [1, np.nan])
    assert not close([1, 2], [1, 2, 3])
    assert close(1.0, 1.0)
