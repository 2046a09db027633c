"""The interface of every corpus, and of every task, which is a corpus with a verifier."""

from __future__ import annotations

import random
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, get_args

from pgce_mini.checks import as_index, check_choice, is_whole, plain_numbers

Split = Literal["train", "heldout"]
PAD_ID = 0  # never a target
EOS_ID = 1  # ends a document and a completion
SPECIAL_TOKENS = ("<pad>", "<eos>")  # their text, the beginning of every vocabulary
HELDOUT_EVERY = 10  # one problem (or block of text) in this many is held out


def below(rng: random.Random, n: int) -> int:
    """A uniform whole number in [0, n)."""
    return int(rng.random() * n)


def in_split(problem: tuple[int, ...], split: Split) -> bool:
    """Whether `problem` belongs to `split`, by a hash of its numbers: no problem is in both."""
    heldout = zlib.crc32(repr(problem).encode()) % HELDOUT_EVERY == 0
    return heldout == (split == "heldout")


def before_eos(completion: Sequence[int]) -> list[int]:
    """The completion up to its first EOS, all of it when it is unfinished."""
    ids = list(completion)
    return ids[: ids.index(EOS_ID)] if EOS_ID in ids else ids


@dataclass(frozen=True)
class Corpus(ABC):
    """Documents to pre-train on. Subclasses are frozen dataclasses: their fields are their settings.

    A document is a pure function of (settings, split, seed, index): a training run resumes without a reader's
    state, and two arms with one seed see the same data. Train and held-out documents never share a problem
    (or, for text, a stretch of the file).
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        plain_numbers(self)

    @property
    @abstractmethod
    def vocab(self) -> tuple[str, ...]:
        """The text of each token; the index is its id. It begins with SPECIAL_TOKENS."""

    @property
    @abstractmethod
    def max_document_length(self) -> int:
        """Tokens in the longest document."""

    def fitted_state(self) -> dict[str, Any]:
        """State fitted to data (such as a tokenizer), ready for JSON: a saved model decodes without the data."""
        return {}

    def with_fitted_state(self, state: Mapping[str, Any]) -> Self:
        """The same corpus with the `fitted_state` of another; an empty one is fitted anew, to its own data."""
        return self

    @abstractmethod
    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        """Token ids of one document; EOS_ID closes it where a document has an end."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids of `text`.

        Raises:
            ValueError: naming the first piece that is not in the vocabulary.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, PAD and EOS left out; it undoes `encode`.

        Raises:
            ValueError: naming the first id that is not in the vocabulary.
        """
        for i in ids:
            if not 0 <= as_index(i) < len(self.vocab):
                raise ValueError(f"ids must be in [0, {len(self.vocab)}), got {i}")
        return self._decode([i for i in ids if i not in (PAD_ID, EOS_ID)])

    @abstractmethod
    def _decode(self, ids: list[int]) -> str:
        """`decode` for ids of the vocabulary without PAD and EOS."""

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.vocab)}

    def _stream(self, kind: str, seed: int, index: int, split: Split) -> random.Random:
        """The random stream of one document or problem. Draw with `random()` or `below` only: `random()` is the
        one method whose sequence Python promises to keep.

        Raises:
            ValueError: there is no such split; seed or index is no whole number.
        """
        check_choice("split", split, get_args(Split))
        if not (is_whole(seed) and is_whole(index)):
            raise ValueError(f"seed and index must be whole numbers, got {seed!r} and {index!r}")
        return random.Random(f"{self.name}/{kind}/{split}/{seed}/{index}")


@dataclass(frozen=True)
class Problem:
    """A question with a verifiable answer."""

    prompt: tuple[int, ...]  # token ids shown to the policy
    operands: tuple[int, ...]  # these and the target are what the verifier judges by
    target: int


@dataclass(frozen=True)
class Task(Corpus):
    """A corpus whose documents answer problems, with a verifier: what reinforcement learning trains on.

    Its text is tokens with spaces between them, so that `encode` also undoes `decode`.
    """

    @property
    @abstractmethod
    def max_completion_length(self) -> int:
        """Tokens in the longest completion of the corpus, EOS included."""

    @abstractmethod
    def problem(self, seed: int, index: int, split: Split = "train") -> Problem:
        """One problem; train and held-out problems are disjoint by construction."""

    @abstractmethod
    def reference(self, problem: Problem) -> list[int]:
        """A completion that earns reward 1, EOS included."""

    @abstractmethod
    def reasoned(self, problem: Problem, completion: Sequence[int]) -> bool:
        """Whether the completion works the answer out instead of stating it at once."""

    def reward(self, problem: Problem, completion: Sequence[int]) -> float:
        """1.0 if the final answer is the target, else 0.0. `completion` is what the policy wrote; the first
        EOS ends it, and without EOS it is unfinished and earns 0."""
        return float(self.answer(problem, completion) == str(problem.target))

    def answer(self, problem: Problem, completion: Sequence[int]) -> str | None:
        """The final answer as text, for the reward and for majority votes (Cons@m); None when the completion
        is unfinished or not well formed."""
        return self._answer(problem, before_eos(completion)) if EOS_ID in completion else None

    @abstractmethod
    def _answer(self, problem: Problem, ids: list[int]) -> str | None:
        """`answer` for a finished completion, EOS taken off."""

    def encode(self, text: str) -> list[int]:
        pieces = text.split()
        for piece in pieces:
            if piece not in self._ids:
                raise ValueError(f"text holds {piece!r}, which is not a token of {self.name}")
        return [self._ids[piece] for piece in pieces]

    def _decode(self, ids: list[int]) -> str:
        return " ".join(self.vocab[i] for i in ids)
