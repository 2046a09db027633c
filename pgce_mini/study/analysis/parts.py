"""A part of a study in one line: its verdict, and what it contradicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.formats import format_difference
from pgce_mini.study.analysis.hypotheses import Comparison, Family, Hypothesis, in_words
from pgce_mini.study.analysis.predictors import PRIORS_ALONE, REGISTERED, check_predictors
from pgce_mini.study.analysis.protocol_2 import FIRST
from pgce_mini.study.analysis.protocols import FAMILIES, PROTOCOLS
from pgce_mini.study.analysis.verdicts import Finding, Verdict, jointly, listed, listed_places


def planned_in(evidence: Evidence, part: str) -> list[tuple[Family, Finding]]:
    """Every planned comparison of a part."""
    return [
        (family, evidence.findings[family.name, comparison])
        for family in FAMILIES
        for comparison in dict.fromkeys(family.comparisons)
        if comparison.study == part
    ]


def first_line(evidence: Evidence, part: str) -> str:
    """What the part says on its questions, then what in it contradicts the paper, our own protocol or study I.

    The paper or our protocol is contradicted where the reverse of what it expects is supported; our protocol's
    prose where a hypothesis that it did not believe is supported, not *smaller than d* throughout. For study I see
    `_against_first`.

    Raises:
        ValueError: no protocol has the part.
    """
    protocol = next((protocol for protocol in PROTOCOLS if part in protocol.parts), None)
    if protocol is None:
        raise ValueError(f"part must be one of a protocol, got {part}")
    name = f"{protocol.name[0].upper()}{protocol.name[1:]}, {part}"
    if not evidence.all_rows(part):
        return f"{name}: not run yet."
    if part == PRIORS_ALONE:
        return f"{name}. {_predicted(evidence, part)}"
    asked = list(_questions(evidence, part))
    if not asked:
        return f"{name}: no comparison was planned here, so there is no verdict. A place to look."
    told = dict.fromkeys(family for family, *_ in asked if family.name in protocol.opening) or [asked[0][0]]
    said = [
        f"{f.claim.rstrip('.')}: {_said(evidence, [question for question in asked if question.family == f])}."
        for f in told
    ]
    return " ".join([f"{name}.", *said, _contradicted(evidence, part, asked)]).rstrip()


class _Question(NamedTuple):
    """What has a verdict of its own: a comparison, or a hypothesis whose comparisons count jointly."""

    family: Family
    hypothesis: Hypothesis
    findings: Sequence[Finding]
    verdict: Verdict

    @property
    def comparison(self) -> Comparison:
        """The first of its comparisons."""
        return self.findings[0].comparison


def _questions(evidence: Evidence, part: str) -> Iterator[_Question]:
    """Of all families, those of the part."""
    for family in FAMILIES:
        for hypothesis in family.hypotheses:
            found = [f for f in evidence.found(family.name, hypothesis) if f.comparison.study == part]
            together = [found] if hypothesis.joint and found else [[finding] for finding in found]
            yield from (_Question(family, hypothesis, of_one, jointly(of_one)) for of_one in together)


def _said(evidence: Evidence, asked: Sequence[_Question]) -> str:
    """The verdicts of a family, each with what tells its question from the others of the part."""
    verdicts = [question.verdict for question in asked]
    if len(asked) == 1:
        return str(verdicts[0])
    comparisons = [question.comparison for question in asked]
    if any(question.hypothesis.joint for question in asked):
        counts = Counter("not jointly supported" if verdict.parts else verdict.words for verdict in verdicts)
        return f"of {len(asked)}: " + "; ".join(f"{n} {words}" for words, n in counts.items())
    of_metrics: dict[str, list[_Question]] = {}
    for question in asked:
        of_metrics.setdefault(question.comparison.metric, []).append(question)
    if len(of_metrics) > 1:
        return "; ".join(
            f"in {evidence.label(of_one[0].comparison)}, {_said(evidence, of_one)}"
            for of_one in of_metrics.values()
        )

    def differ(field: str) -> bool:
        return len({getattr(comparison, field) for comparison in comparisons}) > 1

    findings = [finding for question in asked for finding in question.findings]
    if len(findings) == len(asked) and not differ("arm") and not differ("baseline"):
        return listed_places(findings)

    def label(comparison: Comparison) -> str:
        arms = f"{comparison.arm} - {comparison.baseline}" if differ("baseline") else comparison.arm
        of_arms = differ("arm") or differ("baseline")
        where = in_words(comparison.variant) if differ("variant") else ""
        return f"{arms} ({where})" if of_arms and where else arms if of_arms else where

    return listed(zip(map(label, comparisons), verdicts, strict=True), "for")


def _contradicted(evidence: Evidence, part: str, asked: Sequence[_Question]) -> str:
    if any(verdict.word in ("not run yet", "not finished") for *_, verdict in asked):
        return ""
    reverse = [question for question in asked if question.verdict.word == "the reverse is supported"]
    believed_not = [
        q for q in asked if q.family.in_prose and q.verdict.word == "supported" and not q.verdict.within
    ]
    of_prose: dict[str, list[str]] = {}
    for question in believed_not:
        whom = f"our protocol's prose, which expects that {question.family.in_prose}"
        of_prose.setdefault(whom, []).append(_named(evidence, question))
    against = {
        "the paper": [_named(evidence, question) for question in reverse if question.family.of_paper],
        "our protocol": [_named(evidence, question) for question in reverse if not question.family.of_paper],
        **of_prose,
        "study I": list(_against_first(evidence, part)),
    }
    told = [f"It contradicts {whom}: {'; '.join(named)}." for whom, named in against.items() if named]
    nothing = "The reverse of what the paper or our protocol expects is supported nowhere in it"
    turned = ", and no difference that study I showed is reversed" if part in {place for place, _ in FIRST} else ""
    return " ".join(told) or f"{nothing}{turned}."


def _named(evidence: Evidence, question: _Question) -> str:
    _, hypothesis, findings, verdict = question
    if len(findings) > 1:
        return f"{evidence.words(hypothesis)}, {verdict.words}"
    comparison = question.comparison
    where = f" ({in_words(comparison.variant)})" if comparison.variant else ""
    return f"{evidence.words(comparison)}{where}, {verdict.words}"


def _against_first(evidence: Evidence, part: str) -> Iterator[str]:
    """Comparisons with ce that study I has, too, on the same task, where one shows a difference and the other its
    reverse, or that there is none of interest. Most of these had no verdict in study I: it shows a difference
    where its 95 % interval is clear of 0, and none of interest where its 90 % interval is inside ±d."""
    for _, finding in planned_in(evidence, part):
        c, new = finding.comparison, finding.difference
        study = FIRST.get((part, c.variant)) if c.baseline == "ce" and c.baseline_variant is None else None
        old = evidence.compare(replace(c, study=study, variant="")) if study else None
        if not (old and new):
            continue
        verdict, small = finding.verdict, old.within(c.within)
        clear = verdict.word in ("supported", "the reverse is supported")
        reverse = clear and (old.high < 0 if new.mean > 0 else old.low > 0)
        lost = verdict.word == "null" and not small and (old.low > 0 or old.high < 0)
        gained = clear and not verdict.within and small
        if reverse or lost or gained:
            yield f"{evidence.words(c)} is {format_difference(new)} here, {format_difference(old)} in {study}"


def _predicted(evidence: Evidence, part: str) -> str:
    """How often the registered predictors are right."""
    found = check_predictors(evidence, part)
    told = []
    for (predictor, measure), tolerance in REGISTERED.items():
        if own := [p for p in found if (p.predictor, p.measure) == (predictor, measure)]:
            right = f"{sum(p.right for p in own)} of {len(own)} arms"
            told.append(f"{measure} (predictor {predictor}, to within {tolerance:g}) for {right}")
    head = "What priors do is predicted rightly from what ce has learnt:"
    return f"{head} {'; '.join(told)}." if told else "No prediction can be checked yet."
