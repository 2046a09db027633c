"""The judges of notebook 08: seeds, verdicts, cherries, and what a fair claim looks like."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any, get_args

import numpy as np

from pgce_mini.study.analysis import (
    LEVEL,
    Comparison,
    Direction,
    Evidence,
    PairedDifference,
    by_seed,
    holm,
    rows_of,
    sign_flip_test,
    signed_interval,
    verdict,
)
from pgce_mini.teaching.exercises import NotYet, call, exercise, given, number_of, numbers, require, word

FAMILY_SIZE = 6
WORDS = get_args(Direction)
CLEAR = WORDS[:2]  # higher, lower
MARGIN = 0.03  # of the cases, as of Avg
CLAIMED = Comparison("chain", "precision", "avg_at_m_after", "higher", "temperature-0.75")  # of family 5


@exercise("08-1")
def least_seeds(answer: Any) -> str:
    """How many seeds a comparison needs to be able to pass in a family of six."""
    n = float(numbers(answer))
    require(n == int(n) and n >= 2, "A number of seeds is a whole number of at least 2.")
    require(n <= 20, "Fewer will do.")
    alone = sign_flip_test(np.ones(int(n)), 0)
    require(alone < LEVEL, f"With {n:g} seeds, p cannot fall below {alone:.3f}, even if every difference agrees.")
    require(_best_adjusted(int(n)) < LEVEL, "That would do for one hypothesis alone. What does Holm make of it?")
    require(_best_adjusted(int(n) - 1) >= LEVEL, "That is enough, but one seed fewer is enough, too.")
    return "The study has ten. With five, nothing could have been found, whatever the truth."


def _best_adjusted(n: int) -> float:
    """The least Holm's p of the first of six, when the other five show nothing."""
    others = {str(i): 1.0 for i in range(1, FAMILY_SIZE)}
    return holm({"0": sign_flip_test(np.ones(n), 0), **others})["0"]


@exercise("08-2")
def words_for(answer: Any) -> str:
    """A function (difference, adjusted p, d) -> the protocol's words."""
    cases = [  # the 95 % interval, the 90 % interval, Holm's p
        ((0.01, 0.05), (0.02, 0.04), 0.01), ((-0.05, -0.01), (-0.04, -0.02), 0.01),
        ((-0.01, 0.05), (0.0, 0.04), 0.3), ((0.01, 0.05), (0.02, 0.04), 0.2),
        ((-0.05, -0.01), (-0.04, -0.02), 0.06), ((-0.02, 0.02), (-0.01, 0.01), 0.9),
        ((-0.001, 0.05), (0.01, 0.04), 0.04), ((0.0, 0.05), (0.01, 0.04), 0.01),
        ((0.005, 0.02), (0.01, 0.015), 0.01), ((-0.05, 0.0), (-0.04, -0.01), 0.01),
        ((0.01, 0.05), (0.02, 0.04), 0.05), ((-0.04, 0.04), (-0.02, 0.029), 0.5),
        ((-0.04, 0.04), (-0.03, 0.02), 0.5), ((-0.02, -0.001), (-0.015, -0.005), 0.1),
        ((0.1, 2.0), (0.2, 1.9), 0.049),
    ]  # fmt: skip
    for (low, high), narrow, p in cases:
        difference = PairedDifference(10, (low + high) / 2, low, high, p, 0.05, *narrow)
        said = call(answer, difference, p, MARGIN)
        where = (
            f"For the 95 % interval {signed_interval(low, high)}, the 90 % interval {signed_interval(*narrow)}, "
            f"Holm's p = {p:.3f} and d = {MARGIN} it says {str(said)[:40]!r}."
        )
        said = word(said)
        require(said in WORDS, f"{where} There are four answers: {', '.join(WORDS)}.")
        right = verdict(difference, MARGIN, p)
        if said == right:
            continue
        clear = low > 0 or high < 0
        if said in CLEAR:
            reasons = ["the 95 % interval contains 0"] * (not clear) + ["p is not below 0.05"] * (p >= LEVEL)
            raise NotYet(f"{where} But {' and '.join(reasons)}." if reasons else f"{where} Look at the sign.")
        if right in CLEAR:
            raise NotYet(
                f"{where} The interval is clear of 0, and so is p: more can be said, however small it is."
            )
        inside = (
            "lies inside ±d: that is shown" if right == "null" else "is not inside ±d: a larger one is possible"
        )
        raise NotYet(f"{where} But the 90 % interval {inside}.")
    return "Clear of 0 by the interval and the corrected p; shown to be small; or undecided."


@exercise("08-3")
def misleading_triples(answer: Any) -> str:
    """How many of the triples of seeds point the other way than all seeds together."""
    count = float(numbers(answer))
    rows = rows_of("chain")
    arm, ce = (by_seed(rows, name, "avg_at_m_after") for name in ("precision", "ce"))
    differences = [arm[seed] - ce[seed] for seed in sorted(arm.keys() & ce.keys())]
    sign = np.sign(np.mean(differences))
    triples = list(combinations(differences, 3))
    right = sum(bool(np.sign(np.mean(triple)) == -sign) for triple in triples)
    alone = sum(bool(np.sign(value) == -sign) for value in differences)
    require(0 <= count <= len(triples), f"There are {len(triples)} triples.")
    require(count == right or count != alone, "That is how many single seeds point the other way: take triples.")
    require(
        count == right, f"{'Too many' if count > right else 'Too few'}: of {len(triples)} triples, all distinct."
    )
    return f"{right} of {len(triples)} triples of these ten seeds would have told another story."


@exercise("08-4")
def fair_claim(answer: Any) -> str:
    """A claim as a mapping: what was compared, on how many seeds, with which result and which words."""
    require(isinstance(given(answer), Mapping), "A claim is a dict; the exercise lists its keys.")
    finding = _evidence().findings["5", CLAIMED]
    if finding.difference is None:
        rows_of(CLAIMED.study)  # says what is missing
    difference, adjusted = finding.difference, finding.adjusted_p
    assert difference is not None
    assert adjusted is not None
    said = finding.verdict
    wanted: dict[str, Any] = {
        "study": CLAIMED.study, "arm": CLAIMED.arm, "baseline": CLAIMED.baseline, "metric": CLAIMED.metric,
        "seeds": difference.n, "difference": difference.mean, "low": difference.low, "high": difference.high,
        "adjusted_p": adjusted, "within": CLAIMED.within, "verdict": said.word, "would_decide": said.seeds,
    }  # fmt: skip
    missing = [name for name in wanted if name not in answer]
    require(not missing, f"It lacks {', '.join(missing)}: a reader could not judge it without.")
    for name, value in wanted.items():
        if isinstance(value, str) and name != "verdict":
            require(word(answer[name]) == value, f"{name} is {answer[name]!r}, but the claim is about {value!r}.")
    found = {
        name: number_of(answer, name)
        for name in ("seeds", "difference", "low", "high", "within", "would_decide", "adjusted_p")
    }
    for name in ("seeds", "difference", "low", "high", "within", "would_decide"):
        nearly = abs(found[name] - wanted[name]) < 0.006
        hint = "give three digits" if nearly else "the tables say something else"
        require(abs(found[name] - wanted[name]) < 0.001, f"{name} is {found[name]:.4g}: {hint}.")
    p = found["adjusted_p"]
    require(
        abs(p - adjusted) < 0.001 or abs(p - difference.p) > 0.001,
        "That p is not corrected: this is one of six comparisons, and one had to come first.",
    )
    require(
        abs(p - adjusted) < 0.001, f"adjusted_p is {p:.3f}, and Holm's correction over family 5 says otherwise."
    )
    require(
        word(answer["verdict"]) == said.word,
        f"{answer['verdict']!r} is not what is said of a 95 % interval from {difference.low:+.3f} to "
        f"{difference.high:+.3f}, a 90 % interval from {difference.low_90:+.3f} to {difference.high_90:+.3f} and "
        f"Holm's p = {adjusted:.3f}, where {CLAIMED.expected} was expected.",
    )
    return "Whoever reads it can see what was compared, how sure it is, and what it would take to decide."


@cache
def _evidence() -> Evidence:
    return Evidence()
