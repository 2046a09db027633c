"""The judges of notebook 09: the form of a prediction and the honesty of a verdict, never whether it came true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np

from pgce_mini.exercises import NotYet, exercise, numbers, require
from pgce_mini.mechanism import ChainPrediction, predict_chain
from pgce_mini.reward import RewardShaping
from pgce_mini.statistics import PairedDifference, verdict
from pgce_mini.study.duel import TASK
from pgce_mini.study.rows import Columns
from pgce_mini.study.shown import predicted
from pgce_mini.study.summary import compare

MEASURE = "avg_at_m_after"
WORDS = ("higher", "lower", "no difference seen")
PUSHES = ("reason more", "reason less")
TOLERANCES = {"reasoned_share": 0.05, "accuracy_if_reasoned": 0.10}  # of the study's protocol
PREDICTION = ("shaping", *TOLERANCES, "push", "after_rl", "because")
REPORT = ("prediction", "rows", "words", "came_true", "limits")
LEAST_WORDS = 8  # of a reason
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


@exercise("09-1")
def written_prediction(answer: Any) -> str:
    """A prediction before the run: numbers from the stationary policy, a word for RL, and a reason."""
    _with_keys(answer, PREDICTION, "A prediction")
    shaping = answer["shaping"]
    require(isinstance(shaping, RewardShaping), f"shaping is a RewardShaping, got {type(shaping).__name__}.")
    require(
        any((shaping.beta, shaping.lambda_head, shaping.lambda_tail)),
        "That shaping is cross-entropy: there would be nothing to compare.",
    )
    right, plain = (predict_chain(TASK, reward) for reward in (shaping, RewardShaping()))
    for name in TOLERANCES:
        value, wanted = float(numbers(answer[name])), float(getattr(right, name))
        require(0 <= value <= 1, f"{name} is a share between 0 and 1, got {value:g}.")
        if abs(value - wanted) > 0.005:
            of_ce = abs(value - getattr(plain, name)) <= 0.005
            raise NotYet(
                f"{name} is {value:.3f}, "
                + (
                    "which is what cross-entropy does."
                    if of_ce
                    else "and the stationary policy of your reward says "
                )
                + ("" if of_ce else f"{'more' if wanted > value else 'less'}.")
            )
    require(answer["push"] in PUSHES, f"push is {' or '.join(map(repr, PUSHES))}, got {answer['push']!r}.")
    require(
        answer["push"] == _push(right),
        "RL makes likelier what is right more often: compare reasoned with direct answers.",
    )
    _word(answer["after_rl"], "after_rl")
    _reason(answer["because"], "because")
    return "Written down before the run: now it can be wrong, and that is worth something."


@exercise("09-2")
def honest_words(answer: Any) -> str:
    """(difference, words): what may be said about a paired difference."""
    require(
        isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], PairedDifference),
        "A pair is asked for: the difference that `compare` gives, and your words.",
    )
    difference, words = answer
    _verdict(difference, words)
    if words == WORDS[-1]:
        return (
            f"And say with it that a true difference of {difference.detectable:.3f} would probably have been seen."
        )
    return f"With {difference.n} seeds, on this task, at this size: say that with it."


@exercise("09-3")
def report(answer: Any) -> str:
    """The whole: prediction, rows of the study, verdict, what came true, and limits."""
    _with_keys(answer, REPORT, "A report")
    prediction, rows, came_true = answer["prediction"], answer["rows"], answer["came_true"]
    written_prediction(prediction)
    own, name = _own_rows(rows)
    found, planned = predicted(own[0]), predict_chain(TASK, prediction["shaping"])
    require(found == planned, "The prediction is about another reward than the one that ran.")
    difference = compare(rows, name, "ce", MEASURE)
    if difference is None:
        raise NotYet("The rows hold fewer than two seeds of both arms.")
    _verdict(difference, answer["words"])
    truth: dict[str, bool] = {
        key: _near([row[f"{key}_before"] for row in own], prediction[key], tolerance)
        for key, tolerance in TOLERANCES.items()
    }
    truth["after_rl"] = prediction["after_rl"] == answer["words"]
    _with_keys(came_true, tuple(truth), "came_true")
    for key, came in truth.items():
        require(
            isinstance(came_true[key], (bool, np.bool_)) and bool(came_true[key]) == came,
            f"came_true says {came_true[key]!r} of {key}. Compare the mean over seeds with what you wrote"
            + (f": an error of {TOLERANCES[key]:.2f} is allowed." if key in TOLERANCES else "."),
        )
    limits = answer["limits"]
    _reason(limits, "limits")
    count = rf"\b({difference.n}|{COUNTS.get(difference.n, difference.n)})\b"
    require(
        re.search(count, limits, re.IGNORECASE) is not None and re.search(r"\bseeds?\b", limits) is not None,
        f"limits must say how many seeds there were, as in '{difference.n} seeds'.",
    )
    claims = (sentence for sentence in re.split(r"[.;:]", limits) if re.search(r"\bpro(ve|of)", sentence))
    require(
        all(re.search(r"\b(no|not|nothing|never|cannot|without)\b|n't\b", sentence) for sentence in claims),
        "limits speaks of proof. What was seen, on which task, at which size?",
    )
    kept = sum(truth.values())
    return f"{kept} of {len(truth)} predictions came true, and the report says so. Either way it is a good report."


def _with_keys(answer: Any, names: tuple[str, ...], what: str) -> None:
    require(answer is not None, f"There is no answer yet: {what.lower()} is a dict with {', '.join(names)}.")
    require(isinstance(answer, Mapping), f"{what} is a dict with {', '.join(names)}.")
    missing = [name for name in names if name not in answer]
    require(not missing, f"{what} lacks {', '.join(missing)}.")


def _near(measured: list[float | None], value: float, tolerance: float) -> bool:
    """Whether the mean over seeds is; a seed in which nothing could be measured is left out."""
    known = [number for number in measured if number is not None]
    return bool(known) and abs(fmean(known) - value) <= tolerance


def _push(prediction: ChainPrediction) -> str:
    return PUSHES[prediction.accuracy_if_reasoned <= prediction.accuracy_if_direct]


def _word(word: Any, name: str) -> None:
    require(word in WORDS, f"{name} is one of {', '.join(map(repr, WORDS))}, got {word!r}.")


def _reason(text: Any, name: str) -> None:
    require(
        isinstance(text, str) and len(text.split()) >= LEAST_WORDS,
        f"{name} is a sentence of yours, of at least {LEAST_WORDS} words.",
    )


def _verdict(difference: PairedDifference, words: Any) -> None:
    """The words must be those of the protocol: a single comparison, so p needs no correction."""
    _word(words, "words")
    right = verdict(difference, difference.p)
    if words == right:
        return
    interval = f"The interval goes from {difference.low:+.3f} to {difference.high:+.3f}"
    if difference.low <= 0 <= difference.high:
        raise NotYet(f"{interval}: it holds 0. Then the words are not {words!r}, however large the mean looks.")
    if difference.p >= 0.05:
        raise NotYet(
            f"{interval}, but p = {difference.p:.3f} is not below 0.05: with {difference.n} seeds it cannot fall "
            f"below {2 / 2**difference.n:.3f}."
        )
    raise NotYet(f"{interval}, and p = {difference.p:.3f}: there is something to be said. Look at the sign.")


def _own_rows(rows: Any) -> tuple[list[Columns], str]:
    """The rows of the arm that is not cross-entropy, and its name."""
    try:
        names = list(dict.fromkeys(row["arm"] for row in rows))
    except (TypeError, KeyError):
        raise NotYet("rows are those of the study's table: table.rows.") from None
    require(
        len(names) == 2 and "ce" in names, f"rows hold ce and one arm of yours, got {', '.join(names) or 'none'}."
    )
    own = next(name for name in names if name != "ce")
    return [row for row in rows if row["arm"] == own], own
