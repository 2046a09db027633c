"""Does a precision prior help RL? The answers of the tables, and what to do in a run of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from pgce_mini.study.analysis import views
from pgce_mini.study.analysis.cost import costs
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.formats import format_difference, signed
from pgce_mini.study.analysis.hypotheses import CALLED, Comparison, in_words, place
from pgce_mini.study.analysis.protocol_2 import (
    AREA,
    AT_ONE,
    COLDER,
    HELD_OUT,
    LEARNING_RATES,
    LONG,
    STUDY_2,
    TEMPERATURES,
    TRAP,
)
from pgce_mini.study.analysis.protocols import PROTOCOLS, family_named
from pgce_mini.study.analysis.statistics import PairedDifference, by_seed, log_odds, paired_over_seeds
from pgce_mini.study.analysis.verdicts import Finding, jointly, listed_places

QUESTION = "Does a precision prior help RL?"
YES = "Yes, here"
SHORT_RL = 80  # RL steps of `confirm`


def precision_answer(evidence: Evidence) -> str:
    """Does a precision prior help RL? A sentence with one interval, then the verdicts, from the primary
    comparisons of the newest protocol of which some are finished.
    """
    primary = [(protocol, evidence.found(protocol.primary_family, protocol.primary)) for protocol in PROTOCOLS]
    begun = [(protocol, found) for protocol, found in primary if _finished(found)]
    if not begun:
        return f"{QUESTION} Not known yet: the comparisons that decide it are not run yet."
    protocol, found = begun[-1]
    finished = _finished(found)
    mean = evidence.pooled([finding.comparison for finding in finished])
    assert mean is not None  # as they are finished
    first = finished[0].comparison
    baseline = "plain cross-entropy" if first.baseline == "ce" else first.baseline
    so_far = "" if len(finished) == len(found) else ", as far as it is run"
    over = first.place
    head = _head(finished, mean)
    if protocol is STUDY_2 and head == YES:
        head += _beyond_temperature(evidence)
    if len(finished) > 1:
        each = _range(_differences(finished))
        over = f"the mean over {len(finished)} comparisons (taken post hoc), which are {each}"
    others = [f.comparison for f in finished if (f.comparison.study, f.comparison.variant) not in protocol.trap]
    if 0 < len(others) < len(finished) and (without := evidence.pooled(others)):
        over += f"; without the trap, picked because a prior matters there, {format_difference(without)}"
    return (
        f"{QUESTION} {head}{so_far}: {evidence.label(first)}, {first.arm} minus {baseline}, is "
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


def _each(evidence: Evidence, *names: str, heights: bool = False, intervals: bool = False) -> str:
    """The differences of these families, one by one, with the two `heights`; they are of one metric."""
    found = _asked(evidence, *names)
    if not found:
        return ""
    pairs = {f"{f.comparison.arm} minus {f.comparison.baseline}" for f in found}
    several = len({f.comparison.study for f in found}) > 1

    def name(c: Comparison) -> str:
        if c.minus_variant is not None:
            return f"against {in_words(c.minus_variant)}"
        if len(pairs) == 1:
            return c.place
        return f"{c.arm} minus {c.baseline}{f' in {c.study}' if several else ''}"

    def both(c: Comparison) -> str:
        arm, baseline = (fmean(of_seeds.values()) for of_seeds in evidence.values(c).values())
        return f", {arm:.3f} against {baseline:.3f}"

    def judged(f: Finding) -> str:
        return f"{f.verdict}: lower" if f.as_expected and f.comparison.expected == "lower" else str(f.verdict)

    def gap(difference: PairedDifference) -> str:
        return format_difference(difference) if intervals else signed(difference.mean)

    told = [
        f"{name(f.comparison)} {gap(f.difference)}{both(f.comparison) if heights else ''} ({judged(f)})"
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
    found = _asked(evidence, "II.4")

    def colder(finding: Finding) -> str:
        """Empty where no row has been scored so."""
        told = []
        for metric, scored in ((AT_ONE, "scored at T = 1"), (COLDER, "at 0.75")):
            beside = (replace(finding.comparison, baseline=arm, metric=metric) for arm in TEMPERATURES)
            gaps = _range([evidence.compare(comparison) for comparison in beside])
            told += [f"{gaps} {scored}"] if gaps else []
        return ", ".join(told)

    beside = [f"{gaps} in {finding.comparison.place}" for finding in found if (gaps := colder(finding))]
    if beside:
        answer += (
            " Minus cross-entropy whose RL samples at a lower temperature, and never at 1: "
            f"{'; '.join(beside)} (no verdict planned)."
        )
    begun = [
        f"{format_difference(gap)} in {finding.comparison.place}"
        for finding in found
        if (gap := _first_steps(evidence, finding.comparison))
    ]
    if begun:
        answer += (
            f" In the first {SHORT_RL} steps, as many as `confirm` has, mean reward through RL differs by "
            f"{'; '.join(begun)} (post hoc)."
        )
    spent = [
        f"{cost.times['tokens']:.2f}, {format_difference(cost.at_equal['tokens'])} in {place(study, cost.variant)}"
        for study in LONG
        for cost in costs(evidence, study, ("precision",))
    ]
    if spent:
        answer += (
            " Tokens that precision draws, as a multiple of those of ce, and the difference in held-out reward at "
            f"equal tokens: {'; '.join(spent)} (post hoc)."
        )
    kept = []
    for arm in views.arms(rows := evidence.rows("long")):
        shares = by_seed(rows, arm, "reasoned_share_after", TRAP).values()
        kept += [f"{arm} {sum(share > 0.5 for share in shares)} of {len(shares)}"] if shares else []
    return answer + (f" Policies of the trap that mostly reason at the end: {', '.join(kept)}." if kept else "")


def _first_steps(evidence: Evidence, comparison: Comparison) -> PairedDifference | None:
    """The mean reward through `SHORT_RL` steps, where RL goes on for longer; None while it has not been run."""

    def through(arm: str | None) -> dict[int, float]:
        return {
            seed: fmean(curve["values"][:SHORT_RL])
            for (variant, name, seed), curves in evidence.curves(comparison.study).items()
            for curve in curves
            if (variant, name) == (comparison.variant, arm)
            and (curve["stage"], curve["metric"]) == ("rl", "reward")
            and len(curve["values"]) > SHORT_RL
        }

    arm, baseline = through(comparison.arm), through(comparison.baseline)
    return paired_over_seeds(arm, baseline) if len(arm.keys() & baseline.keys()) > 1 else None


def _in_experts(evidence: Evidence) -> str:
    """With the gains that are compared, and the same on two other scales, as ce does not come equally far."""
    answer = _each(evidence, "II.6", intervals=True)
    if not answer:
        return ""
    planned = family_named("II.6").hypotheses[0].comparisons
    alone = {name: replace(planned[0], variant=v, minus_variant=None) for v, name in CALLED.items()}
    gains = []
    for name, comparison in alone.items():
        if gain := evidence.compare(comparison):
            baseline = fmean(evidence.values(comparison)["ce"].values())
            gains += [f"{format_difference(gain)} in {name}, where ce has {baseline:.3f}"]
    in_odds = [evidence.compare(comparison, log_odds) for comparison in planned]
    held_out = [evidence.compare(replace(comparison, metric=HELD_OUT)) for comparison in planned]
    beside = [
        f"{label} {' and '.join(format_difference(gap) for gap in gaps if gap)}"
        for label, gaps in (("in log odds", in_odds), ("on held-out problems at T = 1", held_out))
        if all(gaps)
    ]
    return (
        f"{answer} The gain itself: {'; '.join(gains)}. The same two differences {', '.join(beside)} (no verdict "
        "planned)."
    )


def _beyond_temperature(evidence: Evidence) -> str:
    """To be added to a yes; empty while it is not known."""
    finished, supported = _more_than_temperature(evidence)
    if not finished:
        return ""
    if len(supported) == len(finished):
        return ", and more than a lower temperature"
    return ", and in part more than a lower temperature" if supported else ", yet no more than a lower temperature"


def _more_than_temperature(evidence: Evidence) -> tuple[list[list[Finding]], list[list[Finding]]]:
    """The finished hypotheses of family II.3, and those of them that are supported."""
    asked = [evidence.found("II.3", hypothesis) for hypothesis in family_named("II.3").hypotheses]
    finished = [found for found in asked if len(_finished(found)) == len(found)]
    return finished, [found for found in finished if jointly(found).word == "supported"]


def _beside_temperature(evidence: Evidence) -> str:
    finished, supported = _more_than_temperature(evidence)
    if not finished:
        return ""
    places = Counter(found[0].comparison.study for found in finished)
    of_study = Counter(found[0].comparison.study for found in supported)
    counted = ", ".join(f"{of_study[study]} of {n} of {study}" for study, n in places.items())
    head = YES if len(supported) == len(finished) else "In part" if supported else "Not shown"

    def gaps(control: str, metric: str) -> str:
        beside = [found[0] for found in finished if found[0].comparison.baseline == control]
        return _range(_with(evidence, beside, metric=metric))

    through = [
        f"minus {control} {held_out} and {drawn}"
        for control in TEMPERATURES
        if (held_out := gaps(control, HELD_OUT)) and (drawn := gaps(control, AREA))
    ]
    more = (
        " The mean reward through RL, on held-out problems at T = 1, where these never sampled, and by the "
        f"rewards that each arm draws itself, the planned measure: {'; '.join(through)} (no verdict planned)."
    )
    return (
        f"{head}: ending higher than cross-entropy whose RL samples at a "
        f"lower temperature, scored at T = 1 and at T = 0.75, is supported in {len(supported)} of {len(finished)} "
        f"comparisons ({counted}).{more if through else ''}"
    )


def _beside_rate(evidence: Evidence) -> str:
    (hypothesis,) = family_named("II.5").hypotheses
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
    head = YES if jointly(found).word == "supported" else "Not by the planned test"
    return (
        f"{head}: {evidence.label(c)}, precision at {ours} minus "
        f"plain cross-entropy at {theirs}, is {format_difference(difference)} ({least.verdict}). Both at "
        f"{', '.join(LEARNING_RATES)}: {gaps} (post hoc but for {ours})."
    )


def advice(evidence: Evidence) -> list[str]:
    """What to do in a run of one's own, as lines of Markdown; a line whose tables are not there is left out."""

    def asked(family: str, metric: str, baseline: str) -> list[Finding]:
        found = _asked(evidence, family)
        return [f for f in found if (f.comparison.metric, f.comparison.baseline) == (metric, baseline)]

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
        by_scoring = _range(_by_scoring(evidence, [finding.comparison for finding in colder]))
        lines.append(
            "**Try a lower temperature in scoring first**: it needs no new training. Scored at T = 0.75, minus "
            f"scored at 1, Avg of plain cross-entropy after {SHORT_RL} steps of RL differs by {by_scoring}"
            f"{_by_scoring_elsewhere(evidence)}. RL at 0.75, all scored at 0.75, adds {', '.join(of_rl)} "
            f"({SHORT_RL} steps; both post hoc). A precision prior, minus cross-entropy with RL at 0.75, all "
            f"scored at 0.75: {_range(_differences(colder))}, {listed_places(colder)}. "
            f"(Both end between {_ends(evidence, colder)}.)"
        )
    if height:
        later = " What is left after 400 steps stands above." if _asked(evidence, "II.4") else ""
        lines.append(
            "**Where answers are drawn at T = 1**: Avg after 80 steps of RL from a precision prior, minus that "
            f"from cross-entropy, is {_range(_differences(height))}: {listed_places(height)}.{later}"
        )
    if speed:
        lines.append(
            "**Where RL steps are dear**: the mean reward through RL from a precision prior, minus that from "
            f"cross-entropy, is {_range(_differences(speed))}: {listed_places(speed)}. What a lower temperature "
            "in RL does stands above. Count tokens, too: longer answers cost more, and a step draws new groups in "
            "place of those that are all right or all wrong."
        )
    rate = [f for (name, _), f in evidence.findings.items() if name == "II.5"]
    if any(finding.verdict.word == "the reverse is supported" for finding in rate):
        line = (
            "at the rates of chain a larger one gained more than a precision prior did, and beside it the prior "
            "added less (above); it was not tried elsewhere"
        )
        lines.insert(0, f"**Tune the learning rate of RL first**: {line}.")
    open_ = sum(finding.verdict.word == "undecided" for finding in first)
    left = f" Ten left {open_} of the {len(first)} comparisons of claim 2 undecided here." if open_ else ""
    return [
        *lines,
        "**If you try β**, log plain cross-entropy and entropy: the value of a shaped loss does not measure "
        "progress.",
        "**Five seeds are too few**: the sign-flip test of five cannot reach 5 %. Six can for one comparison, "
        f"if all agree, and more comparisons need more.{left} Take the same for both arms, and look up how many "
        "would find what matters to you: the tables say so beside *undecided*.",
    ]


def _finished(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.verdict.word not in ("not run yet", "not finished")]


def _asked(evidence: Evidence, *names: str) -> list[Finding]:
    """What is finished of these families."""
    return _finished([finding for (family, _), finding in evidence.findings.items() if family in names])


def _differences(found: Sequence[Finding]) -> list[PairedDifference | None]:
    return [finding.difference for finding in found]


def _with(evidence: Evidence, found: Sequence[Finding], **changes: str) -> list[PairedDifference | None]:
    """The same comparisons with another arm, baseline or metric."""
    return [evidence.compare(replace(finding.comparison, **changes)) for finding in found]  # type: ignore[arg-type]


def _by_scoring(evidence: Evidence, comparisons: Sequence[Comparison]) -> list[PairedDifference | None]:
    """What plain cross-entropy gains when the same policies are scored at T = 0.75 in place of 1."""
    gained: list[PairedDifference | None] = []
    for c in comparisons:
        colder, at_one = (
            evidence.gaps(replace(c, arm="ce", baseline=None, metric=metric)) for metric in (COLDER, AT_ONE)
        )
        gained.append(paired_over_seeds(colder, at_one))
    return gained


def _by_scoring_elsewhere(evidence: Evidence) -> str:
    """The same at the largest learning rate and after long RL; empty where no row has been scored so."""
    long = [finding.comparison for finding in _asked(evidence, "II.4")]
    rate = LEARNING_RATES[-1]
    largest = [
        replace(finding.comparison, variant=f"lr={rate}", baseline_variant=None)
        for finding in _asked(evidence, "II.5")[:1]  # of plain cross-entropy all have the same
    ]
    gains = ((f"at a learning rate of {rate} in lr by", largest), ("after 400 steps by", long))
    return "".join(f", {where} {gain}" for where, of in gains if (gain := _range(_by_scoring(evidence, of))))


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
        return YES
    if "the reverse is supported" in words:
        return "That depends on the task" if "supported" in words else "No, it does harm here"
    if "supported" in words:
        return "In part"
    if words == {"null"}:
        return "No difference that matters, here"
    leaning = "yes" if mean.low > 0 else "no" if mean.high < 0 else ""
    return f"Undecided, leaning to {leaning}" if leaning else "Undecided"
