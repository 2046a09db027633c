"""What the tables say of the paper's claims, arm by arm and study by study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pgce_mini.study.analysis import views
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.formats import format_difference, signed
from pgce_mini.study.analysis.hypotheses import CALLED, Comparison, Family, Hypothesis, in_words
from pgce_mini.study.analysis.protocol_1 import (
    LOWER,
    PRIOR_STUDIES,
    RAISED,
    RL_STUDIES,
    STUDY_1,
    WITHIN_DIVERSITY,
)
from pgce_mini.study.analysis.protocol_2 import (
    AREA,
    AT_ONE,
    COLDER,
    HELD_OUT,
    LEARNING_RATES,
    STUDY_2,
    TEMPERATURES,
    TRAP,
)
from pgce_mini.study.analysis.protocols import FAMILIES, PROTOCOLS
from pgce_mini.study.analysis.statistics import PairedDifference, by_seed, paired_over_seeds
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
                ("tail and head at precision's shift of entropy, in study II", _decided(evidence, "II.7")),
            )
        ),
        "3. Diversity loses entropy fast early in RL and its responses shorten": Decision(
            by_arm(("diversity",), RL_STUDIES, *CLAIM_3), parts
        ),
        "4. A higher Pass@k before RL does not need higher entropy": Decision(by_arm(LOWER, RL_STUDIES, "4")),
        "2, more on a mixture of experts": Decision((("precision", _decided(evidence, "II.6")),)),
        "2, on models of a billion parameters": Decision((("", "cannot be tested at this scale"),)),
    }


def _family(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


def _decided(evidence: Evidence, name: str) -> str:
    """What is said of the one hypothesis of a family."""
    family = _family(name)
    (hypothesis,) = family.hypotheses
    return decide(evidence, family, hypothesis)


def precision_answer(evidence: Evidence) -> str:
    """Does a precision prior help RL? A sentence with one interval, then the verdicts, from the primary
    comparisons of the newest protocol of which some are finished.
    """
    question = "Does a precision prior help RL?"
    primary = [(protocol, evidence.found(protocol.primary_family, protocol.primary)) for protocol in PROTOCOLS]
    begun = [(protocol, found) for protocol, found in primary if _finished(found)]
    if not begun:
        return f"{question} Not known yet: the comparisons that decide it are not run yet."
    protocol, found = begun[-1]
    finished = _finished(found)
    mean = evidence.pooled([finding.comparison for finding in finished])
    assert mean is not None  # as they are finished
    first = finished[0].comparison
    baseline = "plain cross-entropy" if first.baseline == "ce" else first.baseline
    so_far = "" if len(finished) == len(found) else ", as far as it is run"
    over = first.place
    if len(finished) > 1:
        each = _range(_differences(finished))
        over = f"the mean over {len(finished)} comparisons (taken post hoc), which are {each}"
    others = [f.comparison for f in finished if (f.comparison.study, f.comparison.variant) not in protocol.trap]
    if 0 < len(others) < len(finished) and (without := evidence.pooled(others)):
        over += f"; without the trap, picked because a prior matters there, {format_difference(without)}"
    return (
        f"{question} {_head(finished, mean)}{so_far}: {evidence.label(first)}, {first.arm} minus {baseline}, is "
        f"{format_difference(mean)} over {mean.n} seeds, {over}. By the planned comparisons, corrected: "
        f"{listed_places(found)}."
    )


def further_answers(evidence: Evidence) -> dict[str, str]:
    """The other questions of study II -> what is said of each, those that are finished."""
    answers = {
        "Is it more than a lower temperature?": _beside_temperature(evidence),
        "Is it more than a larger learning rate of RL?": _beside_rate(evidence),
        "Does the gain last through 400 steps of RL?": _after_long_rl(evidence),
        "Is it the paper's reward, or any loss that sharpens?": _each(evidence, "II.8", "II.9"),
        "Do tail-penalty and head-reward do anything at a larger dose?": _each(evidence, "II.7"),
        "Is the gain larger in a mixture of experts than in a dense model?": _in_experts(evidence),
    }
    return {question: answer for question, answer in answers.items() if answer}


def _each(evidence: Evidence, *names: str, heights: bool = False) -> str:
    """The differences of these families, one by one, with the two `heights`; they are of one metric."""
    found = _finished([f for (family, _), f in evidence.findings.items() if family in names])
    if not found:
        return ""
    pairs = {f"{f.comparison.arm} minus {f.comparison.baseline}" for f in found}
    several = len({f.comparison.study for f in found}) > 1

    def name(c: Comparison) -> str:
        if c.minus_variant is not None:
            return f"against {in_words(c.minus_variant)}"
        if len(pairs) == 1:
            return c.place + (" (the trap)" if (c.study, c.variant) in STUDY_2.trap else "")
        return f"{c.arm} minus {c.baseline}{f' in {c.study}' if several else ''}"

    def both(c: Comparison) -> str:
        arm, baseline = (fmean(of_seeds.values()) for of_seeds in evidence.values(c).values())
        return f", {arm:.3f} against {baseline:.3f}"

    def judged(f: Finding) -> str:
        return f"{f.verdict}: lower" if f.as_expected and f.comparison.expected == "lower" else str(f.verdict)

    told = [
        f"{name(f.comparison)} {signed(f.difference.mean)}{both(f.comparison) if heights else ''} ({judged(f)})"
        for f in found
        if f.difference
    ]
    pair = f", {pairs.pop()}" if len(pairs) == 1 else ""
    label = evidence.label(found[0].comparison)
    return f"{label[0].upper()}{label[1:]}{pair}: {'; '.join(told)}."


def _after_long_rl(evidence: Evidence) -> str:
    """With temperatures beside it, and the seeds of the trap whose policy keeps the habit of reasoning."""
    answer = _each(evidence, "II.4", heights=True)
    if not answer:
        return ""
    found = _finished([f for (family, _), f in evidence.findings.items() if family == "II.4"])
    if beside := _range([gap for control in TEMPERATURES for gap in _with(evidence, found, baseline=control)]):
        answer += f" Minus cross-entropy whose RL samples at a lower temperature: {beside} (no verdict planned)."
    kept = []
    for arm in views.arms(rows := evidence.rows("long")):
        shares = by_seed(rows, arm, "reasoned_share_after", TRAP).values()
        kept += [f"{arm} {sum(share > 0.5 for share in shares)} of {len(shares)}"] if shares else []
    return answer + (f" Policies of the trap that mostly reason then: {', '.join(kept)}." if kept else "")


def _in_experts(evidence: Evidence) -> str:
    """With the gains that are compared, which have no verdict of their own."""
    answer = _each(evidence, "II.6")
    if not answer:
        return ""
    planned = _family("II.6").hypotheses[0].comparisons[0]
    alone = {name: evidence.compare(replace(planned, variant=v, minus_variant=None)) for v, name in CALLED.items()}
    gains = [f"{format_difference(gain)} in {name}" for name, gain in alone.items() if gain]
    return f"{answer} The gain itself (no verdict planned): {'; '.join(gains)}."


def _beside_temperature(evidence: Evidence) -> str:
    asked = [evidence.found("II.3", hypothesis) for hypothesis in _family("II.3").hypotheses]
    finished = [found for found in asked if len(_finished(found)) == len(found)]
    if not finished:
        return ""
    supported = [found for found in finished if jointly(found).word == "supported"]
    places = Counter(found[0].comparison.study for found in finished)
    of_study = Counter(found[0].comparison.study for found in supported)
    counted = ", ".join(f"{of_study[study]} of {n} of {study}" for study, n in places.items())
    head = "Yes, here" if len(supported) == len(finished) else "In part" if supported else "Not shown"
    area = _range(_with(evidence, [found[0] for found in finished], metric=HELD_OUT))
    through = (
        f" The mean reward through RL, on held-out problems at T = 1, is ahead by {area} (no verdict planned)."
    )
    return (
        f"{head}: ending higher than cross-entropy whose RL samples at a "
        f"lower temperature, scored at T = 1 and at T = 0.75, is supported in {len(supported)} of {len(finished)} "
        f"comparisons ({counted}).{through if area else ''}"
    )


def _beside_rate(evidence: Evidence) -> str:
    (hypothesis,) = _family("II.5").hypotheses
    found = evidence.found("II.5", hypothesis)
    if len(_finished(found)) < len(found):
        return ""
    least = min(found, key=lambda finding: finding.difference.mean if finding.difference else 0)
    c, difference = least.comparison, least.difference
    assert difference is not None  # as it is finished
    ours = c.variant.removeprefix("lr=")
    theirs = (c.baseline_variant or c.variant).removeprefix("lr=")
    alike = [replace(c, variant=f"lr={rate}", baseline_variant=None) for rate in LEARNING_RATES]
    gaps = ", ".join(signed(gap.mean) for gap in map(evidence.compare, alike) if gap)
    head = "Yes, here" if jointly(found).word == "supported" else "Not by the planned test"
    return (
        f"{head}: {evidence.label(c)}, precision at {ours} minus "
        f"plain cross-entropy at {theirs}, is {format_difference(difference)} ({least.verdict}). Both at "
        f"{', '.join(LEARNING_RATES)}: {gaps} (post hoc but for {ours})."
    )


def advice(evidence: Evidence) -> list[str]:
    """What to do in a run of one's own, as lines of Markdown; a line whose tables are not there is left out."""

    def asked(family: str, metric: str, baseline: str) -> list[Finding]:
        return _finished(
            [
                finding
                for (name, c), finding in evidence.findings.items()
                if (name, c.metric, c.baseline) == (family, metric, baseline)
            ]
        )

    height, colder = asked("II.2", AT_ONE, "ce"), asked("II.3", COLDER, "temperature-0.75")
    speed, first = asked("II.1", AREA, "ce"), [f for (name, _), f in evidence.findings.items() if name == "2"]
    lines = []
    if colder:
        trap = [f for f in colder if (f.comparison.study, f.comparison.variant) in STUDY_2.trap]
        of_rl = [
            f"{_range(_with(evidence, found, arm='temperature-0.75', baseline='ce'))} {where}"
            for found, where in ((trap, "in the trap"), ([f for f in colder if f not in trap], "elsewhere"))
            if found
        ]
        lines.append(
            "**Try a lower temperature in scoring first**: it needs no new training. Scored at T = 0.75, minus "
            "scored at 1, Avg of plain cross-entropy after RL differs by "
            f"{_range(_by_scoring(evidence, colder))}. RL at 0.75, all scored at 0.75, adds {', '.join(of_rl)} "
            "(both post hoc). A precision prior, minus cross-entropy with RL at 0.75, all scored at 0.75: "
            f"{_range(_differences(colder))}, {listed_places(colder)}. "
            f"(Both end between {_ends(evidence, colder)}.)"
        )
    if height:
        later = " What is left after 400 steps stands above." if _after_long_rl(evidence) else ""
        lines.append(
            "**Where answers are drawn at T = 1**: Avg after 80 steps of RL from a precision prior, minus that "
            f"from cross-entropy, is {_range(_differences(height))}: {listed_places(height)}.{later}"
        )
    if speed:
        drawn = ((AREA, "by the rewards that each draws itself"), (HELD_OUT, "on held-out problems at T = 1"))
        rivals = [
            f"{how} {gap}"
            for metric, how in drawn
            if (gap := _range(_with(evidence, speed, baseline="matched-precision", metric=metric)))
        ]
        lines.append(
            "**Where RL steps are dear**: the mean reward through RL from a precision prior, minus that from "
            f"cross-entropy, is {_range(_differences(speed))}: {listed_places(speed)}. Minus that from "
            f"cross-entropy whose RL samples at the temperature of the same entropy: {', '.join(rivals)} (no "
            "verdict planned). Count samples, too: a step draws new groups in place of those that are all right "
            "or all wrong, and priors differ in how many these are."
        )
    rate = [f for (name, _), f in evidence.findings.items() if name == "II.5"]
    if any(finding.verdict.word == "the reverse is supported" for finding in rate):
        line = (
            "a larger one gained more here than a precision prior did, and beside it the prior added less (above)"
        )
        lines.insert(0, f"**Tune the learning rate of RL first**: {line}.")
    open_ = sum(finding.verdict.word == "undecided" for finding in first)
    left = f" Ten left {open_} of the {len(first)} comparisons of claim 2 undecided here." if open_ else ""
    return [
        *lines,
        "**If you try β**, log plain cross-entropy and entropy: the value of a shaped loss does not measure "
        "progress.",
        "**Five seeds are too few**: the sign-flip test of five cannot reach 5 %. Six can for one comparison, "
        f"eight for six, if all agree.{left} Take the same for both arms, and look up how many would find what "
        "matters to you: the tables say so beside *undecided*.",
    ]


def _finished(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.verdict.word not in ("not run yet", "not finished")]


def _differences(found: Sequence[Finding]) -> list[PairedDifference | None]:
    return [finding.difference for finding in found]


def _with(evidence: Evidence, found: Sequence[Finding], **changes: str) -> list[PairedDifference | None]:
    """The same comparisons with another arm, baseline or metric."""
    return [evidence.compare(replace(finding.comparison, **changes)) for finding in found]  # type: ignore[arg-type]


def _by_scoring(evidence: Evidence, found: Sequence[Finding]) -> list[PairedDifference | None]:
    """What plain cross-entropy gains when the same policies are scored at T = 0.75 in place of 1."""
    gained: list[PairedDifference | None] = []
    for c in (finding.comparison for finding in found):
        colder, at_one = (
            evidence.gaps(replace(c, arm="ce", baseline=None, metric=metric)) for metric in (COLDER, AT_ONE)
        )
        gained.append(paired_over_seeds(colder, at_one))
    return gained


def _ends(evidence: Evidence, found: Sequence[Finding]) -> str:
    """`0.95 and 1.00 in confirm, ...`: the lowest and highest mean of an arm, by study."""
    means: dict[str, list[float]] = {}
    for comparison in (finding.comparison for finding in found):
        means.setdefault(comparison.study, []).extend(
            map(fmean, map(dict.values, evidence.values(comparison).values()))
        )
    return ", ".join(f"{min(of):.2f} and {max(of):.2f} in {study}" for study, of in means.items())


def _range(differences: Sequence[PairedDifference | None]) -> str:
    """`+0.003 to +0.018`, or one number; empty without any"""
    means = [difference.mean for difference in differences if difference]
    if not means:
        return ""
    low, high = signed(min(means)), signed(max(means))
    return low if low == high else f"{low} to {high}"


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


def _findings(evidence: Evidence, arm: str, study: str, families: Sequence[str]) -> list[Finding]:
    return [
        finding
        for (family, c), finding in evidence.findings.items()
        if family in families and (c.arm, c.study) == (arm, study)
    ]
