"""The judges of notebook 09: the form of a prediction and the honesty of a verdict, never whether it came true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import fmean
from typing import Any, get_args

import numpy as np

from pgce_mini.reward import RewardShaping
from pgce_mini.study import Columns
from pgce_mini.study.analysis import (
    LEVEL,
    Direction,
    PairedDifference,
    compare,
    predicted,
    seeds_to_find,
    smallest_effect,
    verdict,
)
from pgce_mini.teaching.duel import TASK
from pgce_mini.teaching.exercises import NotYet, exercise, number_of, numbers, require, word
from pgce_mini.theory import predict_chain
from pgce_mini.training import check_head

MEASURE = "avg_at_m_after"
MARGIN = smallest_effect(MEASURE)
WORDS = get_args(Direction)
PUSHES = ("reason more", "reason less")
TOLERANCES = {"reasoned_share": 0.05, "accuracy_if_reasoned": 0.10}  # of the study's protocol
PREDICTION = ("shaping", *TOLERANCES, "push", "after_rl", "because")
REPORT = ("prediction", "rows", "tried", "words", "came_true", "limits")
LEAST_WORDS = 8  # of a reason
COUNTS = dict(
    enumerate(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 2)
)


@exercise("09-1")
def written_prediction(answer: Any) -> str:
    """A prediction before the run: numbers from the stationary policy, a word for RL, and a reason."""
    _with_keys(answer, PREDICTION, "A prediction")
    shaping = answer["shaping"]
    require(type(shaping) is RewardShaping, f"shaping is a RewardShaping, got {type(shaping).__name__}.")
    require(
        any((shaping.beta, shaping.lambda_head, shaping.lambda_tail)),
        "That shaping is cross-entropy: there would be nothing to compare.",
    )
    try:
        check_head(shaping, TASK)
    except ValueError as error:
        raise NotYet(f"This reward cannot be trained: {error}.") from None
    try:
        right, plain = (predict_chain(TASK, reward) for reward in (shaping, RewardShaping()))
    except ValueError:
        raise NotYet(
            "Where training with this reward ends cannot be predicted: choose beta above -1 and lambda_head at "
            "least as high as lambda_tail."
        ) from None
    for name in TOLERANCES:
        value, wanted = number_of(answer, name), float(getattr(right, name))
        require(0 <= value <= 1, f"{name} is a share between 0 and 1, got {value:g}.")
        if abs(value - wanted) > 0.005:
            if abs(value - getattr(plain, name)) <= 0.005:
                raise NotYet(f"{name} is {value:.3f}, which is what cross-entropy does.")
            more = "more" if wanted > value else "less"
            raise NotYet(f"{name} is {value:.3f}, and the stationary policy of your reward says {more}.")
    require(word(answer["push"]) in PUSHES, f"push is {' or '.join(map(repr, PUSHES))}, got {answer['push']!r}.")
    _word(answer["after_rl"], "after_rl")
    _reason(answer["because"], "because")
    return "Written down before the run: now it can be wrong, and that is worth something."


@exercise("09-2")
def honest_words(answer: Any) -> str:
    """(difference, words, tried): what may be said about a paired difference, that of one of so many rewards."""
    require(
        isinstance(answer, (tuple, list)) and len(answer) == 3 and type(answer[0]) is PairedDifference,
        "Three are asked for: the difference that `compare` gives, your words, and how many rewards you ran.",
    )
    difference, words, tried = answer
    _verdict(difference, words, _tried(tried))
    least = 2 / 2**difference.n
    words = word(words)
    if words == "undecided" and least >= LEVEL:
        return f"And say with it that {difference.n} seeds could see nothing: p cannot fall below {least:.3f}."
    if words == "undecided":
        enough = seeds_to_find(MARGIN, difference.deviation, int(tried))
        return f"And say with it how many seeds would find d = {MARGIN}, which is about {enough:,}."
    if words == "null":
        return f"And say with it how small: within ±{MARGIN}. That it is 0, nobody can show."
    return f"With {difference.n} seeds, on this task, at this size: say that with it."


@exercise("09-3")
def report(answer: Any) -> str:
    """The whole: prediction, rows of the study, verdict, what came true, and limits."""
    _with_keys(answer, REPORT, "A report")
    prediction, rows, came_true = answer["prediction"], answer["rows"], answer["came_true"]
    written_prediction(prediction)
    rows, own, name = _read_rows(rows)
    planned = predict_chain(TASK, prediction["shaping"])
    require(predicted(own[0]) == planned, "The prediction is about another reward than the one that ran.")
    difference = compare(rows, name, "ce", MEASURE)
    if difference is None:
        raise NotYet("The rows hold fewer than two seeds of both arms.")
    _verdict(difference, answer["words"], _tried(answer["tried"]))
    truth: dict[str, bool] = {
        key: abs(_mean([row[f"{key}_before"] for row in own]) - number_of(prediction, key)) <= tolerance
        for key, tolerance in TOLERANCES.items()
    }
    before, after = (_mean([row[f"reasoned_share_{when}"] for row in own]) for when in ("before", "after"))
    truth["push"] = word(prediction["push"]) == PUSHES[after <= before]
    truth["after_rl"] = word(prediction["after_rl"]) == word(answer["words"])
    compared = {
        "push": "Compare the share of reasoned answers after RL with that before.",
        "after_rl": "Compare the word that you bet on with the words of your verdict.",
    }
    _with_keys(came_true, tuple(truth), "came_true")
    for key, came in truth.items():
        said = came_true[key]
        require(
            isinstance(said, (bool, np.bool_)), f"came_true says {said!r} of {key}: True or False is asked for."
        )
        means = f"Compare the mean over seeds with what you wrote: {TOLERANCES.get(key, 0):.2f} is allowed."
        require(bool(said) == came, f"came_true says {said!r} of {key}. {compared.get(key, means)}")
    limits = answer["limits"]
    _reason(limits, "limits")
    count = rf"\b({difference.n}|{COUNTS.get(difference.n, difference.n)})\b"
    require(
        all(re.search(words, limits, re.IGNORECASE) for words in (count, r"\bseeds?\b")),
        f"limits must say how many seeds there were, as in '{difference.n} seeds'.",
    )
    kept = sum(truth.values())
    return f"{kept} of {len(truth)} predictions came true, and the report says so. Either way it is a good report."


def _with_keys(answer: Any, names: tuple[str, ...], what: str) -> None:
    require(answer is not None, f"There is no answer yet: {what.lower()} is a dict with {', '.join(names)}.")
    require(isinstance(answer, Mapping), f"{what} is a dict with {', '.join(names)}.")
    missing = [name for name in names if name not in answer]
    require(not missing, f"{what} lacks {', '.join(missing)}.")


def _tried(answer: Any) -> int:
    count = float(numbers(answer))
    require(count >= 1 and count == int(count), "The rewards that you ran are counted from 1, this one included.")
    return int(count)


def _mean(measured: list[float | None]) -> float:
    """The mean over seeds; one in which nothing could be measured is left out. nan where none could."""
    known = [number for number in measured if number is not None]
    return fmean(known) if known else float("nan")


def _word(answer: Any, name: str) -> None:
    require(word(answer) in WORDS, f"{name} is one of {', '.join(map(repr, WORDS))}, got {answer!r}.")


def _reason(text: Any, name: str) -> None:
    require(
        isinstance(text, str) and len(text.split()) >= LEAST_WORDS,
        f"{name} is a sentence of yours, of at least {LEAST_WORDS} words.",
    )


def _verdict(difference: PairedDifference, words: Any, tried: int) -> None:
    """The words must be those of the protocol; the p of one of several rewards is multiplied by their number."""
    _word(words, "words")
    words = word(words)
    p = min(1.0, tried * difference.p)
    right = verdict(difference, MARGIN, p)
    if words == right:
        return
    interval = f"The interval goes from {difference.low:+.3f} to {difference.high:+.3f}"
    narrow = f"The 90 % interval goes from {difference.low_90:+.3f} to {difference.high_90:+.3f}"
    if right in ("higher", "lower"):
        raise NotYet(f"{interval}, and p = {p:.3f}: there is something to be said. Look at the sign.")
    if words == "null":
        raise NotYet(f"{narrow}, not inside ±{MARGIN}: nobody has shown that the difference is so small.")
    if words == "undecided":
        raise NotYet(f"{narrow}, inside ±{MARGIN}: that the difference is smaller than this is shown.")
    if difference.low <= 0 <= difference.high:
        raise NotYet(f"{interval}: it contains 0. Then the words are not {words!r}, however large the mean looks.")
    least = 2 / 2**difference.n
    why = (
        f"with {difference.n} seeds it cannot fall below {least:.3f}"
        if least >= LEVEL
        else f"that is {difference.p:.3f} times the {tried} rewards that were tried"
        if difference.p < LEVEL
        else "not all seeds point this way. Count those that do not"
    )
    raise NotYet(f"{interval}, but p = {p:.3f} is not below {LEVEL}: {why}.")


def _read_rows(rows: Any) -> tuple[list[Columns], list[Columns], str]:
    """All rows, those of the arm that is not cross-entropy, and its name."""
    try:
        rows = [dict(row) for row in rows]
        names = list(dict.fromkeys(row["arm"] for row in rows))
        needed = ("seed", MEASURE, *(f"{name}_before" for name in TOLERANCES), "reasoned_share_after")
        complete = all(isinstance(row[MEASURE], float) and all(key in row for key in needed) for row in rows)
        own = [row for row in rows if row["arm"] != "ce"]
        predicted(own[0])
    except (TypeError, KeyError, IndexError, ValueError):
        complete, names, own = False, [], []
    require(complete and bool(own), "rows are those of the study's table: table.rows.")
    require(len(names) == 2 and "ce" in names, f"rows hold ce and one arm of yours, got {', '.join(names)}.")
    return rows, own, str(own[0]["arm"])
