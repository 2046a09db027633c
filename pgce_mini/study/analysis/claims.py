"""What the tables say of the paper's claims, arm by arm and study by study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pgce_mini.evaluation import column_label
from pgce_mini.study.analysis.evidence import Evidence, samples
from pgce_mini.study.analysis.formats import format_difference
from pgce_mini.study.analysis.hypotheses import Comparison, Family, Hypothesis, Protocol
from pgce_mini.study.analysis.protocol_1 import (
    AFTER_RL,
    LOWER,
    PRIOR_STUDIES,
    RAISED,
    RL_STUDIES,
    STUDY_1,
    WITHIN_DIVERSITY,
)
from pgce_mini.study.analysis.protocols import PROTOCOLS
from pgce_mini.study.analysis.statistics import PairedDifference
from pgce_mini.study.analysis.verdicts import Finding, jointly, listed

CLAIM_3 = ("3", WITHIN_DIVERSITY.name)  # a decrease is one within the arm, and a fast one is faster than with ce

MANY = 3  # places to name twice in a sentence


@dataclass(frozen=True)
class Decision:
    """What is said of a claim: (arm, words), and of the hypotheses below it: (hypothesis, words)."""

    parts: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...] = ()

    @property
    def verdict(self) -> str:
        """Arms of which the same is said are named together."""
        arms: dict[str, list[str]] = {}
        for arm, words in self.parts:
            arms.setdefault(words, []).append(arm)
        return "; ".join(f"{', '.join(names)}: {words}" if all(names) else words for words, names in arms.items())

    @property
    def lines(self) -> list[str]:
        """What is said of each arm, then of each hypothesis below."""
        return [f"{about}: {words}" if about else words for about, words in (*self.parts, *self.details)]


def decide(evidence: Evidence, family: Family, hypothesis: Hypothesis) -> str:
    """What is said of a hypothesis: one verdict if its comparisons count jointly, else each by its study."""
    found = evidence.found(family.name, hypothesis)
    if hypothesis.joint or len(found) == 1:
        return str(jointly(found))
    arms = {finding.comparison.arm for finding in found}
    return listed(
        (f"{f.comparison.place} ({f.comparison.arm})" if len(arms) > 1 else f.comparison.place, f.verdict)
        for f in found
    )


def decide_claims(evidence: Evidence) -> dict[str, Decision]:
    """The paper's claims -> what study I says of each."""

    def by_arm(arms: Sequence[str], studies: Sequence[str], *families: str) -> tuple[tuple[str, str], ...]:
        """All comparisons of an arm in a study count jointly."""
        return tuple(
            (arm, listed((study, jointly(_findings(evidence, arm, study, families))) for study in studies))
            for arm in arms
        )

    of_diversity = [family for family in STUDY_1.families if family.name in CLAIM_3]
    parts = tuple((h.words, decide(evidence, family, h)) for family in of_diversity for h in family.hypotheses)
    return {
        "1. Perplexity converges to similar values in all arms while entropy differs": Decision(
            by_arm((*LOWER, *RAISED), PRIOR_STUDIES, "1a", "1b")
        ),
        "2. Precision and tail-penalty give the better space for RL": Decision(by_arm(LOWER, RL_STUDIES, "2")),
        "3. Diversity loses entropy fast early in RL and its responses shorten": Decision(
            by_arm(("diversity",), RL_STUDIES, *CLAIM_3), parts
        ),
        "4. A higher Pass@k before RL does not need higher entropy": Decision(by_arm(LOWER, RL_STUDIES, "4")),
        "2, on mixture-of-experts and models of a billion parameters": Decision(
            (("", "cannot be tested at this scale"),)
        ),
    }


def precision_answer(evidence: Evidence) -> str:
    """Does a precision prior help RL? A sentence with one interval, then the verdicts, from the primary
    comparisons of the newest protocol whose tables have them all."""
    question = "Does a precision prior help RL?"
    complete = [protocol for protocol in PROTOCOLS if _is_complete(evidence, protocol)]
    if not complete:
        return f"{question} Not known yet: the comparisons that decide it are not run yet."
    protocol = complete[-1]
    found = evidence.found(protocol.primary_family, protocol.primary)
    mean = evidence.pooled(protocol.primary.comparisons)
    assert mean is not None  # as they are complete
    first, places = found[0].comparison, [finding.comparison.place for finding in found]
    measure = column_label(first.metric, samples(evidence.rows(first.study)))
    baseline = "plain cross-entropy" if first.baseline == "ce" else first.baseline
    over = ", ".join(places) if len(places) <= MANY else f"{len(places)} comparisons"
    where = f", the mean over {over} (taken post hoc)" if len(found) > 1 else f" in {places[0]}"
    verdicts = listed((finding.comparison.place, finding.verdict) for finding in found)
    return (
        f"{question} {_head(found, mean)}: {measure}, {first.arm} minus {baseline}, is {format_difference(mean)} "
        f"over {mean.n} seeds{where}. By the planned comparisons, corrected: {verdicts}."
    )


def advice(evidence: Evidence) -> list[str]:
    """What to do in a run of one's own, as lines of Markdown; a line whose tables are not there is left out."""
    claim_2 = [finding for (family, _), finding in evidence.findings.items() if family == "2"]
    supported = [f"{f.comparison.arm} in {f.comparison.study}" for f in claim_2 if f.verdict.word == "supported"]
    colder = [
        (study, evidence.compare(Comparison(study, "temperature-0.75", AFTER_RL, "different")))
        for study in RL_STUDIES
    ]
    areas, rivals = (
        [
            (study, evidence.compare(Comparison(study, "precision", "rl_area", "different", baseline)))
            for study in RL_STUDIES
        ]
        for baseline in ("ce", "matched-precision")
    )
    lines = []
    if all(finding.difference for finding in claim_2):
        where = ", ".join(supported) or f"none of {len(claim_2)} planned comparisons"
        others = Counter(finding.verdict.word for finding in claim_2 if finding.verdict.word != "supported")
        counted = ", ".join(f"{count} {word}" for word, count in others.items())
        lines.append(
            "**Keep cross-entropy.** That RL ends higher from precision or tail-penalty is supported in "
            f"{where} of study I" + (f"; the others: {counted}." if supported else f": {counted}.")
        )
    if all(gap for _, gap in colder):
        lines.append(
            "**Try a lower temperature first**, in sampling and in scoring: cross-entropy at 0.75 minus that at "
            f"1, Avg after RL: {_told(colder)} (post hoc: estimates, no verdict)."
        )
    if all(gap for _, gap in (*areas, *rivals)):
        lines.append(
            "**If RL steps are dear**, a sharper start may save some, and so may a lower temperature: the mean "
            f"reward through RL of precision minus cross-entropy: {_told(areas)}; minus cross-entropy at the "
            f"temperature of the same entropy: {_told(rivals)} (post hoc: estimates, no verdict)."
        )
    return [
        *lines,
        "**If you try β**, log plain cross-entropy and entropy: the value of a shaped loss does not measure "
        "progress.",
        "**Five seeds are too few**: the sign-flip test of five cannot reach 5 %. Take at least six, better ten, "
        "the same for both arms, and look up how many would decide: the tables say so beside *undecided*.",
    ]


def _told(gaps: Sequence[tuple[str, PairedDifference | None]]) -> str:
    """`chain +0.027 [-0.007, +0.061], trap ...`"""
    return ", ".join(f"{study} {format_difference(gap)}" for study, gap in gaps if gap)


def _head(found: Sequence[Finding], mean: PairedDifference) -> str:
    words = {finding.verdict.word for finding in found}
    if words == {"supported"}:
        return "Yes, here"
    if "the reverse is supported" in words:
        return "That depends on the task" if "supported" in words else "No, it does harm here"
    if "supported" in words:
        return "In part"
    if words == {"null"}:
        return "No difference that matters, here"
    leaning = "yes" if mean.low > 0 else "no" if mean.high < 0 else ""
    return f"Undecided, leaning to {leaning}" if leaning else "Undecided"


def _is_complete(evidence: Evidence, protocol: Protocol) -> bool:
    found = evidence.found(protocol.primary_family, protocol.primary)
    return not any(finding.verdict.word in ("not run yet", "not finished") for finding in found)


def _findings(evidence: Evidence, arm: str, study: str, families: Sequence[str]) -> list[Finding]:
    return [
        finding
        for (family, c), finding in evidence.findings.items()
        if family in families and (c.arm, c.study) == (arm, study)
    ]
