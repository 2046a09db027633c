"""The section of docs/study.md with what was asked after its tables were seen: estimates, no verdicts."""

from __future__ import annotations

from pgce_mini.evaluation import STEPS_TO
from pgce_mini.reports.study_tables import COMPARED, compared, table
from pgce_mini.study.analysis import (
    AFTER_RL,
    FAMILIES,
    PROTOCOLS,
    RL_STUDIES,
    Evidence,
    format_difference,
    signed_interval,
)
from pgce_mini.study.analysis.cost import COSTS, costs
from pgce_mini.study.analysis.hypotheses import place
from pgce_mini.study.analysis.post_hoc import scaled, speeds, tokens_per_completion_token
from pgce_mini.study.analysis.protocol_1 import CLAIM_2
from pgce_mini.study.analysis.protocol_2 import LONG, TEMPERATURES


def post_hoc(evidence: Evidence) -> str:
    """The section, in Markdown."""
    return "\n".join([
        "## Chosen after the results were seen\n",
        "No correction and no verdict in this section: places to look, on which the next protocol can build.\n",
        *_speed(evidence), *_cost(evidence), *_three_at_once(evidence), *_completion_tokens(evidence),
        *_explored(evidence),
    ])  # fmt: skip


def _speed(evidence: Evidence) -> list[str]:
    rows = []
    for found in speeds(evidence):
        where, _, n, means, area = compared(evidence, found.area, found.area_difference)
        _, _, _, steps, sooner = compared(evidence, found.steps, found.steps_difference, digits=1)
        colder = " \\*" if {found.area.arm, found.area.baseline} & set(TEMPERATURES) else ""
        threshold = found.steps.metric.removeprefix(STEPS_TO)
        words = f"{found.area.arm} - {found.area.baseline}{colder}"
        rows.append([where, words, means, area, f"{found.ahead} of {n}", threshold, steps, sooner])
    if not rows:
        return []
    head = [
        "part", "comparison", "mean reward through RL", "difference", "seeds in which it is larger", "threshold",
        "RL steps until the reward is there", "difference",
    ]  # fmt: skip
    return [
        "### How fast, not how high\n",
        "At the last steps of RL the reward still rises, so what stands at the end mixes how fast an arm learns "
        "with how far it comes. The mean reward over all RL steps is the area under its curve, divided by the "
        "steps. The steps are counted until the mean reward of five is at the threshold, one more than there "
        "are if it never is. \\* An arm with a temperature earns its rewards at that temperature, below 1: not "
        "at the same one as the other arm.\n",
        table(head, rows),
    ]


def _cost(evidence: Evidence) -> list[str]:
    rows = [
        [place(study, cost.variant), cost.arm, f"{cost.times['groups']:.2f}", f"{cost.times['tokens']:.2f}",
         *(format_difference(cost.at_equal[name]) for name in COSTS)]
        for study in LONG
        for cost in costs(evidence, study, ("precision", *TEMPERATURES))
    ]  # fmt: skip
    if not rows:
        return []
    head = [
        "part", "arm", "groups drawn, times ce's", "tokens, times ce's",
        *(f"held-out reward minus ce's, at equal {name}" for name in COSTS),
    ]  # fmt: skip
    return [
        "### What RL draws\n",
        "A step draws new groups in place of those that are all right or all wrong, and a reasoned answer is "
        "longer than a direct one. So equal steps are not equal cost. The last columns compare the held-out "
        "reward at T = 1 where both arms have spent as much: the total of the one that spends less.\n",
        table(head, rows),
    ]


def _three_at_once(evidence: Evidence) -> list[str]:
    pooled = [
        (hypothesis.comparisons[0].arm, evidence.pooled(hypothesis.comparisons), hypothesis.comparisons)
        for hypothesis in CLAIM_2
    ]
    lines = [
        f"- {arm} - {comparisons[0].baseline}: {format_difference(found)}, p = {found.p:.3f}"
        for arm, found, comparisons in pooled if found
    ]  # fmt: skip
    if not lines:
        return []
    return [
        "### Claim 2 in all three tasks of study I at once\n",
        f"One test for one question: the mean over {', '.join(RL_STUDIES)} of the difference in Avg after RL, "
        "seed by seed. `trap` weighs most, as its differences are the largest, and `chain` and `trap` are one "
        "task.\n",
        "\n".join(lines) + "\n",
    ]


def _completion_tokens(evidence: Evidence) -> list[str]:
    rows = []
    for comparison in (c for family in FAMILIES if family.name == "1a" for c in family.comparisons):
        difference, of_study = evidence.compare(comparison), evidence.rows(comparison.study)
        if difference is None or AFTER_RL not in of_study[0]:  # a text has no completions
            continue
        factor = tokens_per_completion_token(of_study[0])
        larger = scaled(difference, factor)
        rows.append([
            f"`{comparison.study}`", f"{comparison.arm} - {comparison.baseline}", format_difference(difference),
            f"{factor:.2f}", format_difference(larger), signed_interval(larger.low_90, larger.high_90),
            "yes" if larger.within(comparison.within) else "no",
        ])  # fmt: skip
    if not rows:
        return []
    head = [
        "part", "comparison", "nats/token", "tokens a completion token", "nats/completion token", "90 % interval",
        "inside ±0.02",
    ]  # fmt: skip
    return [
        "### Cross-entropy a completion token\n",
        "Held-out cross-entropy above is a mean over all tokens of a document, and the numbers of a prompt are "
        "drawn at random: no model can predict them. These tables lack the mean over completions alone. As far "
        "as arms are alike on prompts, the difference a completion token is that a token times the tokens there "
        "are to a completion token. Per completion token, *similar within ±0.02* is a stricter thing to ask:\n",
        table(head, rows),
    ]


def _explored(evidence: Evidence) -> list[str]:
    rows = []
    for comparison in (c for protocol in PROTOCOLS for c in protocol.explored):
        difference = evidence.compare(comparison)
        rows.append([*compared(evidence, comparison, difference), f"{difference.p:.3f}" if difference else ""])
    return [
        "### What a temperature does\n",
        "What does a temperature do by itself, and what does it cost? How much of it is the scoring? Does a "
        "temperature alone do what claim 4 says of precision?\n",
        table([*COMPARED, "p, not corrected"], rows),
    ]
