"""What the rule of the first protocol decides, in its own words, and how likely it was to decide so.

A claim *holds* if it is found in at least two of three tasks and the reverse in none, and *does not hold*
otherwise. Nothing else in this package decides by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.protocol_1 import CLAIM_2, PLANNED, RL_STUDIES
from pgce_mini.study.analysis.statistics import LEVEL, sign_flip_tests, verdict
from pgce_mini.study.analysis.verdicts import Finding

MIN_TASKS = 2  # in which a hypothesis must be found
MIN_OF_CLAIM_1 = 9  # of the twelve comparisons of each of its families
SIMULATED = 2000  # studies

_Found = Sequence[Sequence[Finding]]  # of each hypothesis of a family


def first_decisions(evidence: Evidence) -> dict[str, str]:
    """Claim -> "holds" or "does not hold" and what was seen, or "not decided" while a table is missing."""
    families = {family.name: family for family in PLANNED}
    decided = {}
    for claim, names in {"1": ("1a", "1b"), "2": ("2",), "3": ("3",), "4": ("4",)}.items():
        of_families = [[evidence.found(name, h) for h in families[name].hypotheses] for name in names]
        known = all(f.difference for of_one in of_families for found in of_one for f in found)
        decided[claim] = RULES[claim](*of_families) if known else "not decided"
    return decided


class Chance(NamedTuple):
    """The probability that the rule says *holds*: of precision alone, and of claim 2, which asks both arms."""

    of_precision: float
    of_claim: float


def chance_to_hold(evidence: Evidence, mean: float | None = None) -> Chance:
    """How likely *holds* was in claim 2, if `mean` were the true difference in all six of its comparisons; by
    default, if those that were seen were.

    2,000 studies are drawn: normal differences, with the seeds and the standard deviations seen. They are tested
    by the sign-flip test with Holm's correction over the six; the rule asks that the interval excludes 0 as well.

    Raises:
        ValueError: a comparison has not been run.
    """
    seen = [evidence.compare(comparison) for hypothesis in CLAIM_2 for comparison in hypothesis.comparisons]
    found = [difference for difference in seen if difference is not None]
    if len(found) < len(seen):
        raise ValueError("the chance is that of claim 2, whose comparisons have not all been run")
    rng = np.random.default_rng(0)
    p, up = np.empty((SIMULATED, len(found))), np.empty((SIMULATED, len(found)), bool)
    for i, difference in enumerate(found):
        truth = difference.mean if mean is None else mean
        studies = rng.normal(truth, difference.deviation, (SIMULATED, difference.n))
        p[:, i], up[:, i] = sign_flip_tests(studies), studies.mean(1) > 0
    by_arm = (SIMULATED, len(CLAIM_2), len(RL_STUDIES))
    passes, up = holm_passes(p).reshape(by_arm), up.reshape(by_arm)
    holds = ((passes & up).sum(2) >= MIN_TASKS) & ~(passes & ~up).any(2)  # (studies, arms), precision first
    return Chance(float(holds[:, 0].mean()), float(holds.all(1).mean()))


def holm_passes(p_values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(studies, tests) of p -> whether each passes Holm's correction at 5 %."""
    order = np.argsort(p_values, axis=1)
    tests = p_values.shape[1]
    below = np.take_along_axis(p_values, order, 1) * (tests - np.arange(tests)) < LEVEL
    passes: NDArray[np.bool_] = np.empty_like(below)
    np.put_along_axis(passes, order, np.logical_and.accumulate(below, axis=1), 1)
    return passes


def _claim_1(similar: _Found, differ: _Found) -> str:
    (one, of_one), (two, of_two) = (_counted(found[0], MIN_OF_CLAIM_1) for found in (similar, differ))
    return _said(one and two, f"1a {of_one}; 1b {of_two}")


def _claim_2(arms: _Found) -> str:
    of_arms = [(found[0].comparison.arm, *_counted(found, MIN_TASKS)) for found in arms]
    return _said(all(holds for _, holds, _ in of_arms), "; ".join(f"{arm} {seen}" for arm, _, seen in of_arms))


def _claim_3(halves: _Found) -> str:
    """Both halves must be found in the same task, and the reverse of none."""
    both = [study for i, study in enumerate(RL_STUDIES) if all(_as_expected(half[i]) for half in halves)]
    reverse = any(_reverse(finding) for half in halves for finding in half)
    seen = f"both halves as expected in {len(both)} of {len(RL_STUDIES)}"
    return _said(len(both) >= MIN_TASKS and not reverse, ", ".join([seen, *both]))


def _claim_4(pairs: _Found) -> str:
    """That something can be: one arm and task suffice."""
    there = [f"{f.comparison.arm} in {f.comparison.study}" for f, entropy in pairs
             if _as_expected(f) and _as_expected(entropy)]  # fmt: skip
    return _said(bool(there), ", ".join(there) or "found nowhere")


def _counted(found: Sequence[Finding], needed: int) -> tuple[bool, str]:
    """Whether enough of them are as expected and none is the reverse, and what was seen."""
    count, reverse = sum(map(_as_expected, found)), [f.comparison for f in found if _reverse(f)]
    words = [f"as expected in {count} of {len(found)}"]
    words += ["the reverse for " + ", ".join(f"{c.arm} in {c.study}" for c in reverse)] if reverse else []
    nothing = len(found) - count - len(reverse)
    words += [f"no difference seen in {nothing}"] if nothing else []
    return count >= needed and not reverse, ", ".join(words)


def _as_expected(finding: Finding) -> bool:
    if finding.comparison.expected == "similar":  # by the 95 % interval
        difference, within = finding.difference, finding.comparison.within
        return difference is not None and -within < difference.low and difference.high < within
    return _seen(finding) == finding.comparison.expected


def _reverse(finding: Finding) -> bool:
    return {"higher": "lower", "lower": "higher"}.get(finding.comparison.expected) == _seen(finding)


def _seen(finding: Finding) -> str:
    difference = finding.difference
    assert difference is not None
    return verdict(difference, 0.0, finding.adjusted_p)


def _said(holds: bool, seen: str) -> str:
    return f"{'holds' if holds else 'does not hold'} ({seen})"


RULES: dict[str, Callable[..., str]] = {"1": _claim_1, "2": _claim_2, "3": _claim_3, "4": _claim_4}
