"""What may be said of a comparison, and of several together: supported, null within +-d, undecided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pgce_mini.study.analysis.hypotheses import Comparison
from pgce_mini.study.analysis.statistics import PairedDifference, seeds_to_find, verdict

Word = Literal[
    "supported", "the reverse is supported", "null", "undecided", "no verdict", "not finished", "not run yet"
]
WORST_FIRST: tuple[Word, ...] = (
    "not run yet", "not finished", "no verdict", "the reverse is supported", "undecided", "null", "supported",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One of the words, with what belongs to it."""

    word: Word
    within: float = 0.0
    """d; of *null*, and of a supported difference that is shown to be smaller"""
    direction: str = ""
    """higher or lower, where no direction was expected"""
    seeds: int = 0
    """that would decide"""
    why: str = ""
    """there is no verdict"""

    @property
    def words(self) -> str:
        """Without the seeds that would decide."""
        if self.word == "null":
            return f"null within ±{self.within:g}" + (f", yet {self.direction}" if self.direction else "")
        said = (
            self.word + (f": {self.direction}" if self.direction else "") + (f" ({self.why})" if self.why else "")
        )
        return said + (f", smaller than {self.within:g}" if self.within else "")

    def __str__(self) -> str:
        return f"{self.words}: {self.seeds:,} seeds would decide" if self.seeds else self.words


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
            return Verdict("null", within)
        return Verdict("undecided", seeds=seeds_to_find(within, difference.deviation, self.tests))

    @property
    def as_expected(self) -> bool:
        return self.verdict.word == ("null" if self.comparison.expected == "similar" else "supported")


def jointly(findings: Sequence[Finding]) -> Verdict:
    """An intersection: supported only if each is as expected; otherwise what stands most in the way."""
    if len(findings) == 1:
        return findings[0].verdict
    if all(finding.as_expected for finding in findings):
        smaller = [found.within for found in (f.verdict for f in findings) if found.word == "supported"]
        return Verdict("supported", max(smaller, default=0.0))
    others = [finding.verdict for finding in findings if not finding.as_expected]
    worst = min(others, key=lambda found: WORST_FIRST.index(found.word))
    seeds = max(found.seeds for found in others if found.word == worst.word)
    return replace(worst, seeds=seeds)


def listed(verdicts: Iterable[tuple[str, Verdict]], link: str = "in") -> str:
    """`supported in chain, trap; undecided in countdown (40 seeds would decide)`, from (place, verdict)."""
    places: dict[str, list[str]] = {}
    for place, found in verdicts:
        seeds = f" ({found.seeds:,} seeds would decide)" if found.seeds else ""
        places.setdefault(found.words, []).append(place + seeds)
    return "; ".join(f"{words} {link} {', '.join(where)}" for words, where in places.items())


def listed_places(findings: Sequence[Finding]) -> str:
    """`listed`, by the comparisons' places; the cells of a study that get the same are counted."""
    of_study: dict[str, dict[str, Verdict]] = {}  # study -> variant -> verdict
    for finding in findings:
        of_study.setdefault(finding.comparison.study, {})[finding.comparison.variant] = finding.verdict

    def place(finding: Finding) -> str:
        study, verdicts = finding.comparison.study, list(of_study[finding.comparison.study].values())
        alike, cells = verdicts.count(finding.verdict), len(verdicts)
        if alike == 1:
            return finding.comparison.place
        return (
            f"{alike} of {cells} cells of {study}"
            if alike < cells
            else f"{'both' if cells == 2 else f'all {cells}'} cells of {study}"
        )

    return listed(dict.fromkeys((place(finding), finding.verdict) for finding in findings))
