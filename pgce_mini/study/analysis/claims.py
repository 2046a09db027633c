"""What the tables say of the paper's claims, arm by arm and study by study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.hypotheses import Comparison, Family, Hypothesis
from pgce_mini.study.analysis.protocol_1 import (
    LOWER,
    PRIOR_STUDIES,
    RAISED,
    RL_STUDIES,
    STUDY_1,
    WITHIN_DIVERSITY,
)
from pgce_mini.study.analysis.protocols import family_named
from pgce_mini.study.analysis.verdicts import Finding, jointly, listed, listed_places

CLAIM_3 = ("3", WITHIN_DIVERSITY.name)  # a decrease is one within the arm, and a fast one is faster than with ce


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
    """What is said of a hypothesis: one verdict if its comparisons count jointly and agree, else that of each."""
    found = evidence.found(family.name, hypothesis)
    comparisons = [finding.comparison for finding in found]
    together = jointly(found)
    if len(found) == 1 or (hypothesis.joint and len({finding.verdict for finding in found}) == 1):
        return str(together)
    if hypothesis.joint:
        of_metrics = len({comparison.metric for comparison in comparisons}) == len(found)
        names = [evidence.label(c) if of_metrics else evidence.words(c) for c in comparisons]
        head = "jointly supported" if together.word == "supported" else "not jointly supported"
        return f"{head}: {listed(zip(names, (finding.verdict for finding in found), strict=True))}"
    if len({(comparison.arm, comparison.baseline) for comparison in comparisons}) == 1:
        return listed_places(found)
    return listed((f"{f.comparison.place} ({_pair(f.comparison, comparisons)})", f.verdict) for f in found)


def _pair(comparison: Comparison, among: Sequence[Comparison]) -> str:
    """`precision`, or with its baseline where those differ."""
    alike = len({other.baseline for other in among}) == 1
    return comparison.arm if alike else f"{comparison.arm} - {comparison.baseline}"


def decide_claims(evidence: Evidence) -> dict[str, Decision]:
    """The paper's claims -> what the studies say of each."""

    def by_arm(arms: Sequence[str], studies: Sequence[str], *families: str) -> tuple[tuple[str, str], ...]:
        """All comparisons of an arm in a study count jointly."""
        return tuple(
            (arm, listed((study, jointly(_findings(evidence, arm, study, families))) for study in studies))
            for arm in arms
        )

    of_diversity = [family for family in STUDY_1.families if family.name in CLAIM_3]
    parts = tuple(
        (h.words + " (post hoc)" * family.post_hoc, decide(evidence, family, h))
        for family in of_diversity
        for h in family.hypotheses
    )
    return {
        "1. Perplexity converges to similar values in all arms while entropy differs": Decision(
            by_arm((*LOWER, *RAISED), PRIOR_STUDIES, "1a", "1b")
        ),
        "2. Precision and tail-penalty give the better space for RL": Decision(
            (
                *by_arm(LOWER, RL_STUDIES, "2"),
                ("precision, in study II", _decided(evidence, "II.2")),
                ("precision after 400 steps of RL, in study II", _decided(evidence, "II.4")),
                (
                    "tail-penalty higher and head-reward lower at precision's shift of entropy, in study II",
                    _decided(evidence, "II.7"),
                ),
            )
        ),
        "3. Diversity loses entropy fast early in RL and its responses shorten": Decision(
            by_arm(("diversity",), RL_STUDIES, *CLAIM_3), parts
        ),
        "4. A higher Pass@k before RL does not need higher entropy": Decision(by_arm(LOWER, RL_STUDIES, "4")),
        "2, more on a mixture of experts": Decision((("precision", _decided(evidence, "II.6")),)),
        "2, on models of a billion parameters": Decision((("", "cannot be tested at this scale"),)),
    }


def _decided(evidence: Evidence, name: str) -> str:
    """What is said of the one hypothesis of a family."""
    family = family_named(name)
    (hypothesis,) = family.hypotheses
    return decide(evidence, family, hypothesis)


def _findings(evidence: Evidence, arm: str, study: str, families: Sequence[str]) -> list[Finding]:
    return [
        finding
        for (family, c), finding in evidence.findings.items()
        if family in families and (c.arm, c.study) == (arm, study)
    ]
