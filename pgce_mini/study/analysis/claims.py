"""The hypotheses of docs/study-protocol.md as data, what the tables say about each, and what follows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pgce_mini.evaluation import column_label
from pgce_mini.paths import expanded
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis.derived import derived
from pgce_mini.study.analysis.formats import format_difference
from pgce_mini.study.analysis.statistics import PairedDifference, compare, holm, verdict
from pgce_mini.study.tables import Columns, Curve, Key, key_of, read_curves, read_rows

Expected = Literal["higher", "lower", "similar", "different"]
Seen = Literal["higher", "lower", "no difference seen", "similar", "not similar", "not run yet"]
Verdict = Literal["holds", "does not hold", "not decided", "cannot be tested at this scale"]

SIMILAR_WITHIN = 0.02  # nats/token
MIN_TASKS = 2  # in which a hypothesis must be found
MIN_OF_CLAIM_1 = 9  # of the twelve comparisons of each of its families

RL_STUDIES = ("chain", "trap", "countdown")  # in which the claims about RL are judged
PRIOR_STUDIES = ("chain", "countdown", "text")  # and those about priors
AFTER_RL = "avg_at_m_after"
LOWER, RAISED = ("precision", "tail-penalty"), ("diversity", "head-reward")  # entropy, as the paper has it


@dataclass(frozen=True)
class Comparison:
    """`metric` of `arm` minus that of `baseline`, in a variant of a study, and what is expected of it."""

    study: str
    arm: str
    metric: str
    expected: Expected
    baseline: str = "ce"
    variant: str = ""

    @property
    def words(self) -> str:
        """With {m} for the samples of a problem; `Evidence.words` fills it in."""
        return f"{column_label(self.metric, '{m}')}: {self.arm} - {self.baseline}"


@dataclass(frozen=True)
class Hypothesis:
    """What must be found in several tasks: its comparisons, of which `needed` must come out as expected and none
    the other way round."""

    words: str
    """as in `Comparison`"""
    comparisons: tuple[Comparison, ...]
    needed: int = MIN_TASKS


@dataclass(frozen=True)
class Family:
    """Hypotheses whose p-values are corrected together."""

    name: str
    claim: str
    hypotheses: tuple[Hypothesis, ...]

    @property
    def comparisons(self) -> Iterator[Comparison]:
        for hypothesis in self.hypotheses:
            yield from hypothesis.comparisons


def _in(studies: Sequence[str], arm: str, metric: str, expected: Expected, baseline: str = "ce") -> Hypothesis:
    return Hypothesis(
        f"{arm}: {column_label(metric, '{m}')} {expected} than {baseline}",
        tuple(Comparison(study, arm, metric, expected, baseline) for study in studies),
    )


FAMILIES = (
    Family("1a", "Perplexity converges to similar values in all arms (the paper's claim 1, first part).", (
        Hypothesis(f"held-out cross-entropy within {SIMILAR_WITHIN} nats/token of ce", tuple(
            Comparison(study, arm, "cross_entropy_before", "similar")
            for study in PRIOR_STUDIES for arm in (*LOWER, *RAISED)
        ), MIN_OF_CLAIM_1),
    )),
    Family("1b", "... while entropy differs (claim 1, second part).", (
        Hypothesis("held-out entropy: precision and tail-penalty lower, diversity and head-reward higher", tuple(
            Comparison(study, arm, "entropy_before", "lower" if arm in LOWER else "higher")
            for study in PRIOR_STUDIES for arm in (*LOWER, *RAISED)
        ), MIN_OF_CLAIM_1),
    )),
    Family("2", "Precision and tail-penalty give the better space for RL (claim 2).",
           tuple(_in(RL_STUDIES, arm, AFTER_RL, "higher") for arm in LOWER)),
    Family("3", "Diversity loses entropy fast early in RL and its responses shorten (claim 3).", tuple(
        _in(RL_STUDIES, "diversity", metric, "lower") for metric in ("rl_entropy_change", "rl_length_change")
    )),
    Family("4", "A higher Pass@k before RL does not need higher entropy (claim 4).", tuple(
        Hypothesis(f"{arm} in {study}: Pass@8 before RL higher than ce, and entropy lower", (
            Comparison(study, arm, "pass_at_8_before", "higher"),
            Comparison(study, arm, "entropy_before", "lower"),
        ))
        for arm in LOWER for study in RL_STUDIES
    )),
    Family("5", "The precision prior is more than a temperature (ours).", tuple(
        _in(RL_STUDIES, "precision", AFTER_RL, "higher", baseline)
        for baseline in ("temperature-0.75", "matched-precision")
    )),
    Family("6", "Other controls differ from precision (ours).", tuple(
        Hypothesis(f"{arm}: {column_label(AFTER_RL, '{m}')} different from precision",
                   (Comparison("chain", arm, AFTER_RL, "different", "precision"),), 1)
        for arm in (
            "evaluation-temperature-0.75", "label-smoothing-0.1", "focal-2", "steps-2", "precision-exponent",
        )
    )),
    Family("7", "The prior's shape survives mid-training (ours).", tuple(
        Hypothesis(f"{arm}, mid-trained with {words}: {column_label(metric, '{m}')} different from ce",
                   (Comparison("midtraining", arm, metric, "different", variant=f"loss={loss}"),), 1)
        for loss, words in (("arm", "its own loss"), ("ce", "cross-entropy")) for arm in ("precision", "diversity")
        for metric in ("entropy_before", AFTER_RL)
    )),
    Family("8", "Precision gives the better space for RL at other sizes (ours).", tuple(
        Hypothesis(f"precision at width {width}: {column_label(AFTER_RL, '{m}')} higher than ce", (
            Comparison("chain-sizes", "precision", AFTER_RL, "higher",
                       variant=f"hidden_size={width},intermediate_size={2 * width}"),
        ), 1)
        for width in (32, 128)
    )),
)  # fmt: skip

# Questions that the results raised, chosen after they were seen: no correction, no verdict.
EXPLORED = (
    *(Comparison(study, "temperature-0.75", metric, "different")
      for metric in (AFTER_RL, "pass_at_64_after") for study in RL_STUDIES),
    Comparison("chain", "temperature-0.75", AFTER_RL, "different", "evaluation-temperature-0.75"),
    *(Comparison(study, arm, "pass_at_8_before", "different", baseline)
      for arm, baseline in (("matched-precision", "ce"), ("precision", "matched-precision"))
      for study in RL_STUDIES),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What the tables say about a comparison; `difference` is None while it has not been run."""

    comparison: Comparison
    difference: PairedDifference | None
    adjusted_p: float | None

    @property
    def seen(self) -> Seen:
        difference = self.difference
        if difference is None:
            return "not run yet"
        if self.comparison.expected == "similar":
            inside = difference.low > -SIMILAR_WITHIN and difference.high < SIMILAR_WITHIN
            return "similar" if inside else "not similar"
        return verdict(difference, self.adjusted_p)

    @property
    def as_expected(self) -> bool:
        if self.comparison.expected == "different":
            return self.seen in ("higher", "lower")
        return self.seen == self.comparison.expected

    @property
    def reverse(self) -> bool:
        return {"higher": "lower", "lower": "higher"}.get(self.comparison.expected) == self.seen


@dataclass(frozen=True)
class Decision:
    """About a hypothesis, or about a claim that rests on several."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """what was seen, or what is missing"""
    rests_on: tuple[tuple[str, Decision], ...] = ()
    """words of a hypothesis, and the decision about it"""

    @property
    def lines(self) -> list[str]:
        """The verdict, then a line for each hypothesis it rests on, or for what is missing."""
        if self.verdict == "not decided":
            return [self.verdict, *self.reasons]
        seen = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return [self.verdict + seen, *(f"{words}: {decision}" for words, decision in self.rests_on)]

    def __str__(self) -> str:
        verdict, *rest = self.lines
        return f"{verdict}: {'; '.join(rest)}" if rest else verdict


class Evidence:
    """The tables of a folder, with what is derived from the curves."""

    def __init__(self, results_dir: Path = RESULTS) -> None:
        self.results_dir = expanded(results_dir)
        self._rows: dict[str, list[Columns]] = {}
        self._curves: dict[str, dict[Key, list[Curve]]] = {}

    def rows(self, study: str) -> list[Columns]:
        """The finished rows of a study; none while it has not been run."""
        if study not in self._rows:
            rows = [row for row in self.all_rows(study) if row["error"] is None]
            self._rows[study] = [row | derived(self.curves(study).get(key_of(row), ())) for row in rows]
        return self._rows[study]

    def curves(self, study: str) -> dict[Key, list[Curve]]:
        if study not in self._curves:
            self._curves[study] = read_curves(self.results_dir / f"{study}-curves.parquet")
        return self._curves[study]

    def all_rows(self, study: str) -> list[Columns]:
        """The same with those that failed."""
        return read_rows(self.results_dir / f"{study}.parquet")

    def words(self, of: Comparison | Hypothesis) -> str:
        """What a comparison or a hypothesis says, with the samples of a problem that its study has."""
        first = of if isinstance(of, Comparison) else of.comparisons[0]
        rows = self.rows(first.study)
        return of.words.format(m=samples(rows) if rows else "m")

    def compare(self, comparison: Comparison) -> PairedDifference | None:
        rows = self.rows(comparison.study)
        return compare(rows, comparison.arm, comparison.baseline, comparison.metric, comparison.variant)

    def seen(self, study: str, arm: str, metric: str, baseline: str = "ce", variant: str = "") -> Seen | None:
        """The verdict of the planned comparisons of these two arms, corrected; None where none was planned."""
        words = {
            finding.seen
            for (_, c), finding in self.findings.items()
            if (c.study, c.arm, c.metric, c.baseline, c.variant) == (study, arm, metric, baseline, variant)
        }
        if len(words) > 1:  # planned in two families, of which only one lets it pass
            return "no difference seen"
        return words.pop() if words else None

    @cached_property
    def findings(self) -> dict[tuple[str, Comparison], Finding]:
        """(family, comparison) -> finding. What has not been run counts in Holm's correction as p = 1."""
        findings: dict[tuple[str, Comparison], Finding] = {}
        for family in FAMILIES:
            differences = {comparison: self.compare(comparison) for comparison in family.comparisons}
            numbered = {
                str(i): difference.p if difference else 1.0 for i, difference in enumerate(differences.values())
            }
            adjusted = holm(numbered)
            for i, (comparison, difference) in enumerate(differences.items()):
                findings[family.name, comparison] = Finding(comparison, difference, adjusted[str(i)])
        return findings


def decide(evidence: Evidence, family: Family, hypothesis: Hypothesis) -> Decision:
    """By the rule of the protocol; not decided while something has not been run."""
    findings = [evidence.findings[family.name, comparison] for comparison in hypothesis.comparisons]
    if missing := _missing(findings):
        return missing
    found, reverse = sum(f.as_expected for f in findings), [f.comparison for f in findings if f.reverse]
    seen = [f"as expected in {found} of {len(findings)}"]
    if reverse:
        seen.append("the reverse for " + ", ".join(f"{c.arm} in {c.study}" for c in reverse))
    others = Counter(f.seen for f in findings if not f.as_expected and not f.reverse)
    seen += [f"{words} in {count}" for words, count in others.items()]
    return Decision(_holds(found >= hypothesis.needed and not reverse), tuple(seen))


def decide_claims(evidence: Evidence) -> dict[str, Decision]:
    """The paper's four claims -> the decision, by the rule of the protocol, and what it rests on."""

    def about(*names: str) -> tuple[tuple[str, Decision], ...]:
        return tuple(
            (evidence.words(hypothesis), decide(evidence, family, hypothesis))
            for family in FAMILIES if family.name in names for hypothesis in family.hypotheses
        )  # fmt: skip

    def all_hold(*names: str) -> Decision:
        found = about(*names)
        undecided = next((decision for _, decision in found if decision.verdict == "not decided"), None)
        holds = _holds(all(decision.verdict == "holds" for _, decision in found))
        return undecided or Decision(holds, rests_on=found)

    existing = tuple(found for found in about("4") if found[1].verdict == "holds")  # one arm and task suffice
    return {
        "1. Perplexity converges to similar values in all arms while entropy differs": all_hold("1a", "1b"),
        "2. Precision and tail-penalty give the better space for RL": all_hold("2"),
        "3. Diversity loses entropy fast early in RL and its responses shorten": _claim_3(evidence, about("3")),
        "4. A higher Pass@k before RL does not need higher entropy": Decision("holds", rests_on=existing)
        if existing
        else all_hold("4"),
        "2, on mixture-of-experts and models of a billion parameters": Decision("cannot be tested at this scale"),
    }


def precision_answer(evidence: Evidence) -> str:
    """Does a precision prior help RL? One sentence, from the comparisons of claim 2."""
    family = next(family for family in FAMILIES if family.name == "2")
    hypothesis = family.hypotheses[0]  # precision; the other is tail-penalty
    found = [evidence.findings["2", comparison] for comparison in hypothesis.comparisons]
    heads = {"holds": "Yes, here", "does not hold": "Not seen here"}
    head = heads.get(decide(evidence, family, hypothesis).verdict, "Not known yet")
    higher = sum(finding.as_expected for finding in found)
    gaps = [(finding.comparison.study, finding.difference) for finding in found]
    estimates = ", ".join(f"{study} {format_difference(gap)}" for study, gap in gaps if gap)
    beside = f" (estimates with their 95 % intervals: {estimates})" if estimates else ""
    return (
        f"Does a precision prior help RL? {head}: by the planned, corrected comparisons accuracy after RL is "
        f"higher than from plain cross-entropy in {higher} of {len(found)} studies{beside}."
    )


def _claim_3(evidence: Evidence, rests_on: tuple[tuple[str, Decision], ...]) -> Decision:
    """Its hypothesis is one of two halves, which must be found in the same task."""
    findings = [finding for (family, _), finding in evidence.findings.items() if family == "3"]
    if missing := _missing(findings):
        return missing
    of_task = {study: [f for f in findings if f.comparison.study == study] for study in RL_STUDIES}
    both = [study for study, halves in of_task.items() if all(half.as_expected for half in halves)]
    holds = len(both) >= MIN_TASKS and not any(finding.reverse for finding in findings)
    seen = f"both halves as expected in {len(both)} of {len(RL_STUDIES)}"
    return Decision(_holds(holds), (seen, *both), rests_on)


def _holds(found: bool) -> Verdict:
    return "holds" if found else "does not hold"


def _missing(findings: Sequence[Finding]) -> Decision | None:
    missing = sum(finding.difference is None for finding in findings)
    if not missing:
        return None
    return Decision("not decided", (f"{missing} of {len(findings)} comparisons are not run yet",))


def samples(rows: Sequence[Columns]) -> int:
    """m of Avg@m."""
    return int(json.loads(rows[0]["settings"])["evaluation"]["samples"])
