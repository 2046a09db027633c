"""A class that predicts together: who may do what, what is seen when, and what is forgotten."""

from __future__ import annotations

import re
import threading

import pytest

from pgce_mini.teaching.classroom import (
    HOURS,
    LONGEST,
    MOST_CLASSES,
    MOST_VISITORS,
    Classrooms,
    Question,
    tidy_code,
)

WHERE = Question("Where does “4” end?", right=0.8)
WHICH = Question("Which?", ("sharper", "flatter"), right="sharper")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_answers_are_hidden_until_the_teacher_reveals_them_and_then_change_no_more() -> None:
    rooms = Classrooms()
    code = rooms.create("teacher")
    before = rooms.look(code, "ann")
    assert before is not None
    assert (before.question, before.is_open, before.is_teacher) == (None, False, False)
    rooms.ask(code, "teacher", WHERE)
    rooms.answer(code, "ann", 1, 0.7)
    rooms.answer(code, "bob", 1, 0.9)
    rooms.answer(code, "ann", 1, 0.75)  # one answer a person, changed
    teacher, ann, late = (rooms.look(code, who) for who in ("teacher", "ann", "late"))
    assert teacher is not None
    assert ann is not None
    assert late is not None
    assert (teacher.answered, teacher.answers, teacher.is_teacher) == (2, (), True)
    assert (ann.mine, ann.answers) == (0.75, ())
    assert (late.question, late.mine, late.is_open, late.present) == (WHERE, None, True, 2)

    rooms.set_open(code, "teacher", False)
    with pytest.raises(ValueError, match="no more answers"):
        rooms.answer(code, "late", 1, 0.5)
    rooms.set_open(code, "teacher", True)
    rooms.answer(code, "late", 1, 0.5)
    rooms.reveal(code, "teacher")
    seen = rooms.look(code, "ann")
    assert seen is not None
    assert (seen.answers, seen.is_revealed, seen.is_open) == ((0.5, 0.75, 0.9), True, False)
    rooms.set_open(code, "teacher", True)  # what was seen is not answered
    with pytest.raises(ValueError, match="no more answers"):
        rooms.answer(code, "ann", 1, 0.8)

    rooms.ask(code, "teacher", WHICH)
    seen = rooms.look(code, "ann")
    assert seen is not None
    assert (seen.asked, seen.answered, seen.mine, seen.answers) == (2, 0, None, ())
    with pytest.raises(ValueError, match="no more answers"):
        rooms.answer(code, "ann", 1, 0.8)  # to the question before
    with pytest.raises(ValueError, match="none of the answers"):
        rooms.answer(code, "ann", 2, "steeper")


def test_only_its_teacher_directs_a_class_and_does_not_answer_in_it() -> None:
    rooms = Classrooms()
    code, other = rooms.create("teacher"), rooms.create("other")
    assert rooms.create("teacher") == code != other  # a reload finds the class again
    for act in (
        lambda: rooms.ask(code, "other", WHERE),
        lambda: rooms.set_open(code, "other", False),
        lambda: rooms.reveal(code, "other"),
        lambda: rooms.delete(code, "ann"),
    ):
        with pytest.raises(ValueError, match="Only the teacher"):
            act()
    rooms.ask(code, "teacher", WHICH)
    with pytest.raises(ValueError, match="does not answer"):
        rooms.answer(code, "teacher", 1, "sharper")
    rooms.delete(code, "teacher")
    assert rooms.look(code, "ann") is None
    assert rooms.look(other, "ann") is not None


def test_classes_are_few_and_forgotten_after_hours_in_which_nothing_happened() -> None:
    clock = Clock()
    rooms = Classrooms(clock)
    codes = [rooms.create(f"teacher {i}") for i in range(MOST_CLASSES)]
    assert len({*codes}) == MOST_CLASSES
    assert all(tidy_code(f" {code.lower()} ") == code for code in codes)
    with pytest.raises(ValueError, match="try again later"):
        rooms.create("one more")
    clock.seconds = 3600 * HOURS - 1
    rooms.ask(codes[0], "teacher 0", WHERE)
    rooms.look(codes[1], "ann")  # a browser left open does not keep a class
    clock.seconds += 2
    assert [code for code in codes if rooms.look(code, "ann")] == [codes[0]]
    rooms.create("one more")


def test_a_class_has_a_limit_and_takes_answers_from_many_threads() -> None:
    rooms = Classrooms()
    code = rooms.create("teacher")
    rooms.ask(code, "teacher", WHICH)

    def answer(first: int) -> None:
        for i in range(first, first + 40):
            rooms.look(code, f"person {i}")
            rooms.answer(code, f"person {i}", 1, WHICH.choices[i % 2])

    threads = [threading.Thread(target=answer, args=(40 * i,)) for i in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = rooms.look(code, "teacher")
    assert seen is not None
    assert (seen.answered, seen.present) == (280, 280)
    for i in range(280, MOST_VISITORS):
        rooms.answer(code, f"person {i}", 1, "flatter")
    with pytest.raises(ValueError, match="full"):
        rooms.answer(code, "one more", 1, "flatter")
    rooms.answer(code, "person 0", 1, "flatter")  # a change is no further answer
    rooms.reveal(code, "teacher")
    seen = rooms.look(code, "teacher")
    assert seen is not None
    assert seen.answers.count("flatter") == 161


def test_no_name_is_kept_and_the_visitors_that_are_counted_have_a_limit() -> None:
    rooms = Classrooms()
    code = rooms.create("Jane Roe")
    for i in range(MOST_VISITORS + 5):
        rooms.look(code, f"Visitor {i}")
    rooms.ask(code, "Jane Roe", WHERE)
    rooms.answer(code, "Visitor 0", 1, 0.5)
    seen = rooms.look(code, "Jane Roe")
    assert seen is not None
    assert (seen.present, seen.answered) == (MOST_VISITORS, 1)
    assert not re.search("Jane|Visitor", repr(vars(rooms)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"text": " "}, "1 to"),
        ({"text": "x" * (LONGEST + 1)}, "1 to"),
        ({"text": "?", "choices": ("one",)}, "choices"),
        ({"text": "?", "choices": ("one", "one")}, "different"),
        ({"text": "?", "choices": ("one", " ")}, "choices"),
        ({"text": "?", "choices": tuple("abcdefghi")}, "choices"),
        ({"text": "?", "low": 1.0, "high": 1.0}, "below"),
        ({"text": "?", "high": float("inf")}, "below"),
        ({"text": "?", "low": float("nan")}, "below"),
        ({"text": "?", "low": -1e300, "high": 0.0}, "within 1e"),
        ({"text": "?", "right": 2.0}, "right answer"),
        ({"text": "?", "choices": ("a", "b"), "right": "c"}, "right answer"),
        ({"text": "?", "unit": "x" * 101}, "unit"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Question(**wrong)  # type: ignore[arg-type]


def test_a_code_is_read_as_people_type_it() -> None:
    assert tidy_code(" kx qp\n") == "KXQP"
    assert [tidy_code(text) for text in ("", "KXQ", "KXQPR", "KXQA", "<b>x")] == [""] * 5


def test_numbers_must_be_numbers_within_the_limits() -> None:
    assert all(map(WHERE.takes, (0.0, 0.5, 1)))
    assert not any(map(WHERE.takes, (-0.1, 1.1, float("nan"), "0.5")))
