"""What may be said of a comparison, and of several together: supported, null within +-d, undecided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pgce_mini.evaluation import column_label
from pgce_mini.study.analysis.hypotheses import Comparison
from pgce_mini.study.analysis.statistics import PairedDifference, seeds_to_find, verdict

Word = Literal[
    "supported", "the reverse is supported", "null", "undecided", "no verdict", "not finished", "not run yet"
]
WORST_FIRST: tuple[Word, ...] = (
    "not run yet", "not finished", "no verdict", "the reverse is supported", "null", "undecided", "supported",
)  # fmt: skip
"""In the way of a hypothesis: what is undecided may still come, what is null will not."""


@dataclass(frozen=True)
class Verdict:
    """One of the words, with what belongs to it."""

    word: Word
    within: float = 0.0
    """d; of *null* and *undecided*, and of a supported difference that is shown to be smaller"""
    direction: str = ""
    """higher or lower, where no direction was expected; of *null*, what its interval shows nevertheless"""
    seeds: int = 0
    """that would find d, of *undecided*; 0 if there are as many: the true difference may be smaller than d"""
    why: str = ""
    """there is no verdict"""
    limits: str = ""
    """of several together that are supported: what limits some of them"""
    parts: str = ""
    """of several together that are not supported: those that have this verdict"""

    @property
    def words(self) -> str:
        """Without the seeds that would find d."""
        if self.parts:
            return f"not jointly supported ({replace(self, parts='').words} for {self.parts})"
        limit = f", {self.limit}" if self.limit else ""
        if self.word == "null":
            return f"null within ±{self.within:g}{limit}"
        direction = f": {self.direction}" if self.direction else ""
        said = f" ({self.why or self.limits})" if self.why or self.limits else ""
        return f"{self.word}{direction}{said}{limit}"

    @property
    def limit(self) -> str:
        """What its interval shows against the word."""
        if self.word == "null":
            return f"yet {self.direction}" if self.direction else ""
        shown = self.word in ("supported", "the reverse is supported")
        return f"smaller than {self.within:g}" if shown and self.within else ""

    @property
    def more(self) -> str:
        """`36 seeds would find ±0.03`, where that is to be said."""
        return f"{self.seeds:,} seeds would find ±{self.within:g}" if self.seeds else ""

    def __str__(self) -> str:
        return f"{self.words}: {self.more}" if self.more else self.words


@dataclass(frozen=True)
class Finding:
    """What the tables say about a comparison; `difference` is None while it has not been run."""

    comparison: Comparison
    difference: PairedDifference | None
    adjusted_p: float | None
    tests: int = 1
    """in the family that it is corrected with"""
    unfinished: str = ""
    """how many of the planned seeds are there, where some are not"""

    @property
    def verdict(self) -> Verdict:
        comparison, difference = self.comparison, self.difference
        expected, within = comparison.expected, comparison.within
        if difference is None:
            return Verdict("not run yet")
        if self.unfinished:
            return Verdict("not finished", why=self.unfinished)
        if comparison.no_verdict:
            return Verdict("no verdict", why=comparison.no_verdict)
        said = verdict(difference, within, self.adjusted_p)
        clear = said in ("higher", "lower")
        smaller = difference.within(within)
        if expected == "similar":
            if smaller:
                return Verdict("null", within, said if clear else "")
            beyond = difference.low > within or difference.high < -within
            if clear and beyond:
                return Verdict("the reverse is supported", direction=said)
        elif clear:
            as_expected = expected in ("different", said)
            word: Word = "supported" if as_expected else "the reverse is supported"
            direction = said if expected == "different" else ""
            return Verdict(word, within if smaller else 0.0, direction)
        elif said == "null":
            alone = difference.low > 0 or difference.high < 0
            return Verdict("null", within, "clear of 0 before correction" if alone else "")
        seeds = seeds_to_find(within, difference.deviation, self.tests)
        return Verdict("undecided", within, seeds=seeds if seeds > difference.n else 0)

    @property
    def as_expected(self) -> bool:
        return self.verdict.word == ("null" if self.comparison.expected == "similar" else "supported")


def jointly(findings: Sequence[Finding]) -> Verdict:
    """An intersection: supported only if each is as expected; otherwise what stands most in the way, and where."""
    if len(findings) == 1:
        return findings[0].verdict
    if all(finding.as_expected for finding in findings):
        verdicts = [finding.verdict for finding in findings]
        if all(found.word == "supported" and found.within for found in verdicts):
            return Verdict("supported", max(found.within for found in verdicts))
        limited: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.verdict.limit:
                limited.setdefault(finding.verdict.limit, []).append(finding)
        limits = "; ".join(f"{limit} for {_parts(findings, some)}" for limit, some in limited.items())
        return Verdict("supported", limits=limits)
    others = [finding for finding in findings if not finding.as_expected]
    worst = min((finding.verdict for finding in others), key=lambda found: WORST_FIRST.index(found.word))
    if worst.word in ("not run yet", "not finished"):
        return worst
    same = [finding for finding in others if finding.verdict.word == worst.word]
    return replace(worst, seeds=max(finding.verdict.seeds for finding in same), parts=_parts(findings, same))


def _parts(findings: Sequence[Finding], some: Sequence[Finding]) -> str:
    """What tells some of several findings from the others."""
    distinct = len({finding.comparison.metric for finding in findings}) == len(findings)
    return " and ".join(
        column_label(f.comparison.metric).replace("@m", "") if distinct else f.comparison.words.format(m="m")
        for f in some
    )


def listed(verdicts: Iterable[tuple[str, Verdict]], link: str = "in", between: str = ", ") -> str:
    """`supported in chain, trap; undecided in countdown (40 seeds would find ±0.03)`, from (place, verdict)."""
    places: dict[str, list[str]] = {}
    for place, found in verdicts:
        places.setdefault(found.words, []).append(place + (f" ({found.more})" if found.more else ""))
    return "; ".join(f"{words} {link} {between.join(where)}" for words, where in places.items())


def listed_places(findings: Sequence[Finding]) -> str:
    """`listed`, by the comparisons' places; the cells of a study that get the same are counted."""
    of_study: dict[str, list[Verdict]] = {}
    for finding in findings:
        of_study.setdefault(finding.comparison.study, []).append(finding.verdict)

    def place(finding: Finding) -> str:
        comparison, verdicts = finding.comparison, of_study[finding.comparison.study]
        alike, all_of_it = verdicts.count(finding.verdict), len(verdicts)
        if alike == 1:
            return comparison.place
        kind = "cells" if comparison.minus_variant is None else "comparisons"
        counted = f"{alike} of {all_of_it}" if alike < all_of_it else "both" if alike == 2 else f"all {alike}"
        return f"{counted} {kind} of {comparison.study}"

    places = dict.fromkeys((place(finding), finding.verdict) for finding in findings)
    return listed(places, between=", in " if any(" " in where for where, _ in places) else ", ")
