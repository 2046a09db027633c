"""A class that predicts together: one question at a time, the answers pooled without names.

Everything is in the memory of one process, and is gone with it. Who opens a class is its teacher; a person is a
token that the browser draws by itself, kept here only as a digest with a salt of this process.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowel, so no word; nothing that looks like a digit
CODE_LENGTH = 4
MOST_CLASSES = 50
MOST_VISITORS = 300  # of a class
MOST_CHOICES = 8
LONGEST = 300  # characters of a question; of a choice a third
FARTHEST = 1e9  # from 0, of a number that is asked for
HOURS = 4  # after which a class in which nothing happens is forgotten

Answer = str | float


@dataclass(frozen=True)
class Question:
    """A question with `choices`, or without them for a number from `low` to `high`.

    Raises:
        ValueError: naming what is wrong.
    """

    text: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    """of the number, in words or a symbol"""
    right: Answer | None = None
    """the right answer, if one is known"""

    def __post_init__(self) -> None:
        if not self.text.strip() or len(self.text) > LONGEST:
            raise ValueError(f"A question must have 1 to {LONGEST} characters, got {len(self.text)}.")
        if self.choices:
            sound = all(choice.strip() and len(choice) <= LONGEST // 3 for choice in self.choices)
            if not (
                2 <= len(self.choices) <= MOST_CHOICES and sound and len({*self.choices}) == len(self.choices)
            ):
                raise ValueError(
                    f"Give 2 to {MOST_CHOICES} different choices of 1 to {LONGEST // 3} characters, a line each."
                )
        elif not -FARTHEST <= self.low < self.high <= FARTHEST:
            raise ValueError(
                f"The lowest number must be below the highest, both within {FARTHEST:g} of 0, "
                f"got {self.low:g} and {self.high:g}."
            )
        if len(self.unit) > LONGEST // 3:
            raise ValueError(f"The unit must have at most {LONGEST // 3} characters.")
        if self.right is not None and not self.takes(self.right):
            raise ValueError(f"The right answer must be one that can be given, got {self.right!r}.")

    def takes(self, answer: Answer) -> bool:
        if self.choices:
            return answer in self.choices
        return isinstance(answer, int | float) and self.low <= answer <= self.high


@dataclass(frozen=True)
class Seen:
    """What a person sees of a class."""

    is_teacher: bool
    asked: int
    """questions so far; 0 before the first"""
    question: Question | None
    is_open: bool
    """whether answers are taken"""
    is_revealed: bool
    present: int
    """people who have looked at this class"""
    answered: int
    mine: Answer | None
    answers: tuple[Answer, ...]
    """of all, in no order that tells who; empty until they are revealed"""


@dataclass
class _Class:
    teacher: bytes
    touched: float
    people: set[bytes] = field(default_factory=set)
    asked: int = 0
    question: Question | None = None
    is_open: bool = False
    is_revealed: bool = False
    answers: dict[bytes, Answer] = field(default_factory=dict)


class Classrooms:
    """All classes of a process; safe to use from several threads. `now()` is in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self._classes: dict[str, _Class] = {}

    def create(self, person: str) -> str:
        """The code of a new class whose teacher is this person; of their present one if they have one.

        Raises:
            ValueError: there are as many classes as there may be.
        """
        teacher = self._digest(person)
        with self._lock:
            self._forget()
            for code, room in self._classes.items():
                if room.teacher == teacher:
                    return code
            if len(self._classes) >= MOST_CLASSES:
                raise ValueError(f"There are {MOST_CLASSES} classes on this server already: try again later.")
            while (code := "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))) in self._classes:
                pass
            self._classes[code] = _Class(teacher, self._now())
            return code

    def look(self, code: str, person: str) -> Seen | None:
        """What a person sees; None if there is no such class."""
        who = self._digest(person)
        with self._lock:
            self._forget()
            room = self._classes.get(code)
            if room is None:
                return None
            if who != room.teacher and len(room.people) < MOST_VISITORS:
                room.people.add(who)
            answers = tuple(sorted(room.answers.values(), key=str)) if room.is_revealed else ()
            return Seen(
                who == room.teacher, room.asked, room.question, room.is_open, room.is_revealed,
                len(room.people), len(room.answers), room.answers.get(who), answers,
            )  # fmt: skip

    def ask(self, code: str, person: str, question: Question) -> None:
        """The next question: answers to the last one are forgotten."""
        with self._lock:
            room = self._of_teacher(code, person)
            room.question, room.is_open, room.is_revealed, room.answers = question, True, False, {}
            room.asked += 1

    def set_open(self, code: str, person: str, is_open: bool) -> None:
        """Takes answers, or no more. What was revealed stays so, and takes none."""
        with self._lock:
            room = self._of_teacher(code, person)
            room.is_open = is_open and not room.is_revealed and room.question is not None

    def reveal(self, code: str, person: str) -> None:
        with self._lock:
            room = self._of_teacher(code, person)
            room.is_open, room.is_revealed = False, room.question is not None

    def delete(self, code: str, person: str) -> None:
        with self._lock:
            self._of_teacher(code, person)
            del self._classes[code]

    def answer(self, code: str, person: str, asked: int, answer: Answer) -> None:
        """Takes, or changes, a person's answer to the question of that number.

        Raises:
            ValueError: it cannot be taken; the sentence is for that person.
        """
        who = self._digest(person)
        with self._lock:
            self._forget()
            room = self._classes.get(code)
            if room is None or room.question is None or room.asked != asked or not room.is_open:
                raise ValueError("This question takes no more answers.")
            if not room.question.takes(answer):
                raise ValueError("This is none of the answers that can be given.")
            if who == room.teacher:
                raise ValueError("The teacher of a class does not answer in it.")
            if who not in room.answers and len(room.answers) >= MOST_VISITORS:
                raise ValueError(f"This class is full: it has {MOST_VISITORS} answers.")
            room.answers[who] = answer
            room.touched = self._now()

    def _of_teacher(self, code: str, person: str) -> _Class:
        self._forget()
        room = self._classes.get(code)
        if room is None or room.teacher != self._digest(person):
            raise ValueError("Only the teacher of a class can do that, as long as there is the class.")
        room.touched = self._now()
        return room

    def _forget(self) -> None:
        oldest = self._now() - 3600 * HOURS
        for code in [code for code, room in self._classes.items() if room.touched < oldest]:
            del self._classes[code]

    def _digest(self, person: str) -> bytes:
        return hashlib.blake2b(person.encode(), key=self._salt, digest_size=16).digest()


def tidy_code(text: str) -> str:
    """A code as somebody types it: "kx qp" is KXQP. "" if it can be none."""
    code = "".join(text.split()).upper()
    return code if len(code) == CODE_LENGTH and {*code} <= {*LETTERS} else ""
