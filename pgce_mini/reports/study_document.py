"""docs/study.md and its pictures, written from the tables alone: no number in them is typed by hand.

With some of the tables, or none, it says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from statistics import fmean

from pgce_mini.evaluation import LOGGED, STEPS, STEPS_TO, column_label, metric_of
from pgce_mini.gpt import GPTConfig
from pgce_mini.gpt.memory import parameter_count
from pgce_mini.reports.svg import Interval, forest, lines
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.study import Columns, Spec, StudyState, inventory
from pgce_mini.study.analysis import (
    AFTER_RL,
    FAMILIES,
    PREDICTORS,
    PROTOCOLS,
    REGISTERED,
    RL_STUDIES,
    SMALLEST_EFFECTS,
    TOLERANCES,
    Comparison,
    Evidence,
    PairedDifference,
    Prediction,
    Protocol,
    advice,
    by_seed,
    check_predictions,
    check_predictors,
    compare,
    decide,
    decide_claims,
    format_difference,
    format_spread,
    largest_errors,
    learning_curves_of,
    precision_answer,
    samples,
    signed,
    signed_interval,
)
from pgce_mini.study.analysis.first_rule import chance_to_hold, first_decisions
from pgce_mini.study.analysis.post_hoc import COLDER, scaled, speeds, tokens_per_completion_token
from pgce_mini.study.analysis.protocol_1 import CLAIM_2
from pgce_mini.tasks import Text

NAMES = {"study", "variant", "arm"}  # of a row, not its numbers
REASONED = "reasoned_share_after"
RL_COLUMNS = (
    "avg_at_m_before", AFTER_RL, "pass_at_8_before", "pass_at_64_before", "pass_at_64_after", "temperature",
    "entropy_before", "ece_before", "completion_length_after", REASONED,
)  # fmt: skip
PRIOR_COLUMNS = (
    "avg_at_m_before", "pass_at_8_before", "completion_cross_entropy_before", "entropy_before", "ece_before",
    "completion_length_before", "reasoned_share_before",
)  # fmt: skip
TEXT_COLUMNS = (
    "cross_entropy_before", "entropy_before", "ece_before", "repetition_before", "distinct_1_before",
    "distinct_2_before", "distinct_3_before",
)  # fmt: skip

HEAD = """\
# The study

*Written by `make study-report` from the tables in `pgce_mini/shipped/results/`; do not edit.*
"""
WORDS = """\
## How to read it

What was planned stands in the {protocols}, committed before the first full run. Differences are paired over
seeds; brackets hold 95 % bootstrap intervals over seeds, not corrected for the number of comparisons, in tables
and pictures alike; ± is the standard deviation between seeds. *Holm's p* is that of the sign-flip test,
corrected within its family. A planned comparison gets one of three verdicts:

- **supported**: the 95 % interval lies on the expected side of 0, and Holm's p is below 0.05. On the other side:
  *the reverse is supported*. *Higher* and *lower* are said of such a difference alone.
- **null within ±d**: the 90 % interval lies inside ±d, which is two one-sided tests at 5 %, not corrected. The
  90 % interval is made as the 95 % one is. A difference can be clear of 0 and inside ±d: then it is *supported,
  smaller than d*, or, where a similarity was expected, *null within ±d, yet higher* (or *lower*).
- **undecided**: neither. *N seeds would decide* means: with the spread seen, N seeds find a true difference of d
  with probability 0.8 at 5 % divided by the number of comparisons in the family, which is what Holm asks of the
  first. A true difference smaller than d may stay undecided with N, too, and N is only as good as a spread over
  {seeds} seeds.

d is the smallest effect of interest. For study I these sizes, and the last two verdicts, were chosen after its
tables were seen: its protocol knew only *higher*, *lower* and *no difference seen*.

"""
NOTES = {  # family -> what its table does not show
    "5": "**Unequal temperatures.** Arms with a temperature are sampled in RL *and scored* at it, precision at 1, "
    "as planned: a gain of theirs can come from either, and a verdict here is about the two recipes as wholes. In "
    "`chain`, `evaluation-temperature-0.75`, scored colder and nothing else, tells the two apart (below); it "
    "was not run elsewhere, nor was precision scored at 0.75.\n",
    "6": "`evaluation-temperature-0.75` has no verdict: it is scored at 0.75, precision at 1, so the difference "
    "speaks of the scoring as much as of the prior. It counts in Holm's correction as planned.\n",
}
PREDICTED_IN = {
    "From what `ce` has learnt: new seeds": ("theory",),
    "From what `ce` has learnt: the first study, in which predictor C was found, so that it tests nothing": (
        "chain",
        "trap",
    ),
}
PREDICTORS_HEAD = """\
Training is finite, and `ce` does not quite learn the rates of its corpus. So predictors of an arm's prior may
start from other things: {names}. Errors are predicted minus measured, means over seeds, ± their standard
error; that of the entropy is at the position where it is largest (nats).
"""
LAST_APPROACH = """\
Where the corpus leaves no doubt, as at position 10, the copy of the answer after `#`, A and C predict no entropy.
Training does not get there. Near certainty the push on the true token's logit is (1 - pi)^(1 + beta): in one state
of 33 tokens with a certain label, the way from 0.9 to 0.99 takes `diversity` 7.2 times as long as `ce`, and
`precision` 0.38 times. After equal time, where `ce` lacks d of certainty, an arm lacks about d^(1 / (1 + beta)).
The stationary policy has that power too, so B, which starts from `ce`'s d, predicts it.
"""

CAUTIONS = """\
## What a reader should not conclude

- That the same holds for large models: these have {least:,} to {most:,} weights and vocabularies of {few:,} to
  {many:,} tokens. The paper's models are four to five orders of magnitude larger than most of them.
- That *undecided* means no difference, or that *null within ±d* means exactly none.
- That several undecided comparisons of one sign add up to a verdict: all arms of a study share one `ce`.
- That a mean is a typical seed: where policies end up reasoning always or never, it is none. The numbers in
  parentheses under *reasoned after* count the seeds whose policy mostly reasons.
- That a better arm is better everywhere: `trap` was chosen because a prior matters there.
- Anything from `grids`, `top-k`, `phase` and `countdown-sizes` beyond a direction to look in: five seeds, no test.
- That two studies which agree are two pieces of evidence: some hold the same runs.
- That a lower cross-entropy is a better prior, or a shaped prior a calibrated one: of these losses only plain
  cross-entropy is a proper scoring rule.
- Anything about the priors and policies that come with the package: they are one run each, with settings of their
  own, and no rows of these tables.

## Run it again

`make study-full` runs every study (each continues after an interruption and keeps the rows that are there).
`pgce study studies/chain.toml --results pgce_mini/shipped/results --check ce/seed0` runs one row again and
compares it with the table: on the machine that made the table the numbers are the same, on another one they are
not.
"""


def build(results_dir: Path, specs_dir: Path) -> dict[str, str]:
    """The files of the document, by their place beside study.md."""
    evidence = Evidence(results_dir)
    studies = inventory(evidence, specs_dir)
    found = [study.spec for study in studies if study.finished]
    pictures: dict[str, str] = {}
    sections = [HEAD]
    if found:
        sections += [_answer(evidence), _claims(evidence), _reading()]
    sections.append(_inventory(studies))
    if found:
        sections += [_families(evidence, protocol) for protocol in PROTOCOLS]
        sections += [_first_rule(evidence), _post_hoc(evidence)]
        sections += [_study(evidence, spec, pictures) for spec in found]
        sections += [_mechanism(evidence), _same_runs(evidence, [spec.name for spec in found])]
    sections.append(_cautions(study.spec for study in studies))
    return {"study.md": "\n".join(filter(None, sections)), **pictures}


def _inventory(studies: Sequence[StudyState]) -> str:
    rows = [
        [f"`{study.spec.name}`", study.spec.question, f"{study.finished} of {len(study.spec.rows)}",
         study.state if study.finished else f"**{study.state}**"]
        for study in studies
    ]  # fmt: skip
    failures = "\n".join(f"- `{study.spec.name}` {failure}" for study in studies for failure in study.failed)
    text = "## What there is\n\n" + _table(["study", "question", "rows", ""], rows)
    return text + (f"\nRuns that failed, and are in no number below:\n\n{failures}\n" if failures else "")


def _answer(evidence: Evidence) -> str:
    lines = "".join(f"- {line}\n" for line in advice(evidence))
    return f"**{precision_answer(evidence)}**\n\n## In your own run\n\n{lines}"


def _reading() -> str:
    pages = " and the ".join(f"[protocol of {protocol.name}]({protocol.page})" for protocol in PROTOCOLS)
    seeds = " or ".join(map(str, sorted({n for protocol in PROTOCOLS for n in protocol.seeds.values()})))
    effects = [[effect.measures, f"±{effect.size:g} {effect.unit}", effect.why] for effect in SMALLEST_EFFECTS]
    return WORDS.format(protocols=pages, seeds=seeds) + _table(["measure", "d", "why"], effects)


def _claims(evidence: Evidence) -> str:
    rows = []
    for claim, decision in decide_claims(evidence).items():
        about = [f"**{arm}**: {words}" if arm else words for arm, words in decision.parts]
        rows.append(
            [claim, "<br>".join([*about, *(f"{hypothesis}: {words}" for hypothesis, words in decision.details)])]
        )
    return "## The paper's claims, by arm and study\n\n" + _table(
        ["claim of the paper", "at this scale, on these tasks"], rows
    )


def _families(evidence: Evidence, protocol: Protocol) -> str:
    text = [f"## Every comparison of {protocol.name}\n"]
    for family in protocol.families:
        chosen = (
            " *Post hoc: chosen after the results were seen, corrected among themselves.*"
            if family.post_hoc
            else ""
        )
        text.append(f"### {family.name}. {family.claim}{chosen}\n")
        rows = []
        for comparison in dict.fromkeys(family.comparisons):
            finding = evidence.findings[family.name, comparison]
            difference = finding.difference
            row = _compared(evidence, comparison, difference)
            narrow = signed_interval(difference.low_90, difference.high_90) if difference else ""
            p = f"{finding.adjusted_p:.3f}" if difference and finding.adjusted_p is not None else ""
            rows.append([*row, narrow, p, comparison.expected, str(finding.verdict)])
        text += [NOTES[family.name]] if family.name in NOTES else []
        text.append(_table([*COMPARED, "90 % interval", "Holm's p", "expected", "verdict"], rows))
        if any(len(hypothesis.comparisons) > 1 for hypothesis in family.hypotheses):
            said = [f"- {evidence.words(h)}: **{decide(evidence, family, h)}**" for h in family.hypotheses]
            text.append("\n".join(said) + "\n")
    return "\n".join(text)


def _first_rule(evidence: Evidence) -> str:
    """The decisions of the first protocol in its own words, and how likely they were."""
    decided = first_decisions(evidence)
    text = [
        "## By the rule of the first protocol\n",
        "Its rule counted: a claim *holds* if it is found in at least two of three tasks and the reverse in "
        "none, and *does not hold* otherwise, be it that the reverse was seen or nothing was. This is what it "
        "says, in its own words, which no other page uses:\n",
        _table(["claim", "by that rule"], [[claim, words] for claim, words in decided.items()]),
    ]
    if decided["2"] != "not decided":
        likely = [[words, f"{chance_to_hold(evidence, mean):.2f}"] for words, mean in TRUTHS]
        text += [
            "For claim 2 that answer was nearly fixed before the runs (post hoc): if the true differences were "
            "those in the first column, with ten seeds and the spread seen, the rule would say *holds* of "
            "precision with the probability in the second (2,000 simulated studies, sign-flip tests, Holm's "
            "correction over six).\n",
            _table(["true difference in Avg@64, in all six comparisons", "probability of *holds*"], likely),
        ]
    return "\n".join(text)


TRUTHS = (("none", 0.0), ("exactly those measured", None), ("+0.05", 0.05), ("+0.10", 0.1))


def _post_hoc(evidence: Evidence) -> str:
    return "\n".join([
        "## Chosen after the results were seen\n",
        "No correction and no verdict in this section: places to look, on which the next protocol can build.\n",
        *_speed(evidence), *_three_at_once(evidence), *_completion_tokens(evidence), *_explored(evidence),
    ])  # fmt: skip


def _speed(evidence: Evidence) -> list[str]:
    rows = []
    for found in speeds(evidence):
        where, _, n, means, area = _compared(evidence, found.area, found.area_difference)
        _, _, _, steps, sooner = _compared(evidence, found.steps, found.steps_difference, digits=1)
        colder = " \\*" if {found.area.arm, found.area.baseline} & set(COLDER) else ""
        threshold = found.steps.metric.removeprefix(STEPS_TO)
        words = f"{found.area.arm} - {found.area.baseline}{colder}"
        rows.append([where, words, means, area, f"{found.ahead} of {n}", threshold, steps, sooner])
    if not rows:
        return []
    head = [
        "study", "comparison", "mean reward through RL", "difference", "seeds in which it is larger", "threshold",
        "RL steps until the reward is there", "difference",
    ]  # fmt: skip
    return [
        "### How fast, not how high\n",
        "At the last steps of RL the reward still rises, so what stands at the end mixes how fast an arm learns "
        "with how far it comes. The mean reward over all RL steps is the area under its curve, divided by the "
        "steps. The steps are counted until the mean reward of five is at the threshold, one more than there "
        "are if it never is. \\* An arm with a temperature earns its rewards at that temperature, below 1: not "
        "at the same one as the other arm.\n",
        _table(head, rows),
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
        "### Claim 2 in all three studies at once\n",
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
        "study", "comparison", "nats/token", "tokens a completion token", "nats/completion token", "90 % interval",
        "inside ±0.02",
    ]  # fmt: skip
    return [
        "### Cross-entropy a completion token\n",
        "Held-out cross-entropy above is a mean over all tokens of a document, and the numbers of a prompt are "
        "drawn at random: no model can predict them. These tables lack the mean over completions alone. As far "
        "as arms are alike on prompts, the difference a completion token is that a token times the tokens there "
        "are to a completion token. Per completion token, *similar within ±0.02* is a stricter thing to ask:\n",
        _table(head, rows),
    ]


def _explored(evidence: Evidence) -> list[str]:
    rows = []
    for comparison in (c for protocol in PROTOCOLS for c in protocol.explored):
        difference = evidence.compare(comparison)
        rows.append([*_compared(evidence, comparison, difference), f"{difference.p:.3f}" if difference else ""])
    return [
        "### What a temperature does\n",
        "What does a temperature do by itself, and what does it cost? How much of it is the scoring? Does a "
        "temperature alone do what claim 4 says of precision?\n",
        _table([*COMPARED, "p, not corrected"], rows),
    ]


COMPARED = ("study", "comparison", "seeds", "its means", "difference")


def _compared(
    evidence: Evidence, comparison: Comparison, difference: PairedDifference | None, digits: int = 3
) -> list[str]:
    """The cells of COMPARED."""
    where = f"`{comparison.study}`" + (f", {comparison.variant}" if comparison.variant else "")
    words = evidence.words(comparison)
    if difference is None:
        return [where, words, "", "", ""]
    values = evidence.values(comparison).values()
    shared = evidence.gaps(comparison)
    means = ", ".join(f"{fmean(found[seed] for seed in shared):.{digits}f}" for found in values)
    return [where, words, str(difference.n), means, format_difference(difference, digits)]


def _study(evidence: Evidence, spec: Spec, pictures: dict[str, str]) -> str:
    rows = evidence.rows(spec.name)
    metric = AFTER_RL if rows[0].get(AFTER_RL) is not None else "entropy_before"
    of_text = spec.rows[0].pretrain.corpus.name == Text.name
    columns = RL_COLUMNS if metric == AFTER_RL else TEXT_COLUMNS if of_text else PRIOR_COLUMNS
    m = samples(rows)
    words = column_label(AFTER_RL, m) if metric == AFTER_RL else "held-out entropy (nats/token)"
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    baseline = spec.arms[0]
    table, intervals = [], []
    for variant in variants:
        for arm in spec.arms:
            seeds = by_seed(rows, arm, "entropy_before", variant)
            if not seeds:
                continue
            difference = compare(rows, arm, baseline, metric, variant) if arm != baseline else None
            cells = [format_spread(by_seed(rows, arm, column, variant).values()) for column in columns]
            if habit := by_seed(rows, arm, REASONED, variant):
                keep = sum(share > 0.5 for share in habit.values())
                cells[columns.index(REASONED)] += f" ({keep} of {len(habit)})"
            gap = format_difference(difference) if difference else ""
            table.append([*([variant] if len(variants) > 1 else []), f"`{arm}`", str(len(seeds)), *cells, gap])
            if difference:
                label = f"{arm} ({variant})" if variant else arm
                intervals.append(Interval(label, arm, difference.mean, difference.low, difference.high))
    text = [f"## `{spec.name}`\n", spec.question + "\n"]
    if intervals:
        largest = max(intervals, key=lambda row: abs(row.mean))
        alt = (
            f"{spec.name}: {words} of each arm minus {baseline}, with 95 % intervals, not corrected; the largest "
            f"difference is that of {largest.label}, {signed(largest.mean)} (from {signed(largest.low)} to "
            f"{signed(largest.high)})."
        )
        file = f"study/{spec.name}.svg"
        title = f"{spec.name}: each arm minus {baseline}, 95 % intervals over seeds"
        pictures[file] = forest(title, f"difference in {words}", intervals, alt)
        text.append(f"![{alt}]({file})\n")
    if spec.name in RL_STUDIES and (picture := _reward_curves(evidence, spec)):
        file = f"study/{spec.name}-reward.svg"
        alt, pictures[file] = picture
        text.append(f"![{alt}]({file})\n")
    head = [
        *(["variant"] if len(variants) > 1 else []),
        "arm",
        "seeds",
        *(_headings(columns, m) if metric == AFTER_RL else (metric_of(column)[0].label for column in columns)),
        f"{words}, minus {baseline}",
    ]
    text.append(_table(head, table))
    return "\n".join(text)


def _reward_curves(evidence: Evidence, spec: Spec) -> tuple[str, str] | None:
    """(what it shows, the picture): mean reward of the paper's arms over RL steps."""
    series: dict[str, list[tuple[float, float]]] = {}
    for arm, seeds in learning_curves_of(evidence.curves(spec.name), tuple(PAPER_ARMS), "rl", "reward").items():
        points: dict[int, list[float]] = {}
        for line in (line for seed in seeds for line in seed):
            points.setdefault(line["step"], []).append(line["reward"])
        series[arm] = [(step, fmean(values)) for step, values in sorted(points.items())]
    if not series:
        return None
    ends = ", ".join(f"{arm} {curve[-1][1]:.2f}" for arm, curve in series.items())
    alt = f"{spec.name}: mean reward through RL, over seeds; at the end: {ends}."
    return alt, lines(
        f"{spec.name}: reward through RL", STEPS["rl"], LOGGED["rl"]["reward"].axis_title, series, alt
    )


def _mechanism(evidence: Evidence) -> str:
    found = check_predictions(evidence)
    if not found:
        return ""
    rows = [
        [
            f"`{row.study}`", f"`{row.arm}`", str(row.seeds), f"{row.predicted_share:.3f}", f"{row.share:.3f}",
            f"{row.predicted_accuracy:.3f}", f"{row.accuracy:.3f}", f"{row.entropy_error:.3f}",
        ]
        for row in found
    ]  # fmt: skip
    head = [
        "study", "arm", "seeds", "reasoned: predicted", "measured", "accuracy if reasoned: predicted", "measured",
        "entropy by position: largest error (nats)",
    ]  # fmt: skip
    judged = [
        f"- {name}: {'**right**' if error <= TOLERANCES[name] else '**wrong**'}, the largest error is "
        f"{error:.3f}, {TOLERANCES[name]:.2f} was allowed"
        for name, error in largest_errors(found).items()
    ]
    return "\n".join([
        "## Mechanism: predicted and measured\n",
        "Where the shaped loss comes to rest (`stationary_policy`) gives three predictions of what a prior does, "
        "with no free parameter. Do they come true?\n",
        _table(head, rows),
        "\n".join(judged) + "\n",
        _predictors(evidence),
    ])  # fmt: skip


def _predictors(evidence: Evidence) -> str:
    """Of the second protocol: in its own study and, after the fact, in the first one's."""
    parts = []
    for title, studies in PREDICTED_IN.items():
        found = [prediction for study in studies for prediction in check_predictors(evidence, study)]
        if found:
            columns = [
                c for m in TOLERANCES for c in dict.fromkeys((p.measure, p.predictor) for p in found) if c[0] == m
            ]
            arms: dict[tuple[str, ...], dict[tuple[str, str], str]] = {}
            for p in found:
                where = f"`{p.study} {p.variant}`".replace(" `", "`"), f"`{p.arm}`"
                arms.setdefault(where, {})[p.measure, p.predictor] = f"{p.error:+.3f} ± {p.standard_error:.3f}"
            lines = [[*where, *(errors.get(column, "") for column in columns)] for where, errors in arms.items()]
            head = ["study", "arm", *(f"{measure}: {predictor}" for measure, predictor in columns)]
            judged = [_registered(found, *registered) for registered in REGISTERED]
            parts += [f"### {title}\n", _table(head, lines), "\n".join(filter(None, judged)) + "\n"]
    names = "; ".join(f"*{name}*: {words}" for name, words in PREDICTORS.items())
    return "\n".join([PREDICTORS_HEAD.format(names=names), *parts, LAST_APPROACH]) if parts else ""


def _registered(found: Sequence[Prediction], predictor: str, measure: str) -> str:
    """How often a predictor was right about a measure, and by how much it and the others erred."""
    errors: dict[str, list[Prediction]] = {}
    for prediction in found:
        if prediction.measure == measure:
            errors.setdefault(prediction.predictor, []).append(prediction)
    if predictor not in errors:
        return ""
    own, tolerance = errors[predictor], REGISTERED[predictor, measure]
    within = [
        f"{name} {sum(abs(p.error) <= tolerance for p in of)} (largest error {max(abs(p.error) for p in of):.3f})"
        for name, of in errors.items()
    ]
    return (
        f"- {measure}, to {tolerance:g}, which {predictor} is to reach: of {len(own)} arms right are "
        f"{', '.join(within)}. Not sure, as within two standard errors of {tolerance:g}: "
        f"{sum(not p.sure for p in own)} of {predictor}'s."
    )


def _same_runs(evidence: Evidence, names: Sequence[str]) -> str:
    """Rows of the same settings and seed in two studies, and how far they agree."""
    alike: dict[tuple[str, int], list[tuple[str, Columns]]] = {}
    for name in names:
        for row in evidence.rows(name):
            alike.setdefault((row["settings"], row["seed"]), []).append((name, row))
    pairs: dict[tuple[str, str], list[tuple[Columns, Columns]]] = {}
    for group in alike.values():
        for (one, left), (other, right) in combinations(group, 2):
            if one != other:
                pairs.setdefault((one, other), []).append((left, right))
    if not pairs:
        return ""
    lines = []
    for (one, other), rows in pairs.items():
        same = sum(
            all(left[name] == right[name] for name in (left.keys() & right.keys()) - NAMES) for left, right in rows
        )
        gaps = [abs(left[AFTER_RL] - right[AFTER_RL]) for left, right in rows if left.get(AFTER_RL) is not None]
        lines.append([f"`{one}`", f"`{other}`", str(len(rows)), str(same), f"{max(gaps, default=0):.3f}",
                      f"{fmean(gaps) if gaps else 0:.3f}"])  # fmt: skip
    head = ["study", "and", "of the same settings and seed", "with the same numbers"]
    head += [f"{column_label(AFTER_RL, samples(evidence.rows(names[0])))}: largest gap", "mean gap"]
    return "\n".join([
        "## The same runs in two studies\n",
        "Some studies hold the same run under two names, as plain cross-entropy at two sizes of a head that it "
        "does not use: one piece of evidence, not two. The studies were run on more than one machine (see the end "
        "of the protocol). On one machine the same run gives the same numbers; on another, what RL makes of it "
        "differs by as much as the gaps here. Every comparison above is within one study, and so within one "
        "machine.\n",
        _table(head, lines),
    ])  # fmt: skip


def _cautions(specs: Iterable[Spec]) -> str:
    configs = set()
    for row in (row for spec in specs for row in spec.rows):
        corpus = row.pretrain.corpus
        vocab_size = corpus.vocab_size if isinstance(corpus, Text) else len(corpus.vocab)
        configs.add(GPTConfig(vocab_size, **asdict(row.pretrain.model)))
    weights = [parameter_count(config) for config in configs]
    sizes = [config.vocab_size for config in configs]
    return CAUTIONS.format(least=min(weights), most=max(weights), few=min(sizes), many=max(sizes))


def _headings(columns: Sequence[str], m: int) -> list[str]:
    """Of the columns of a table: metric and whether before or after RL, the metric once where both follow."""
    headings, previous = [], ""
    for column in columns:
        if column == "temperature":
            headings.append(column_label(column))
            continue
        metric, when = metric_of(column, m)
        at_one = " (T = 1)" if metric.source == "heldout" else ""
        headings.append(when if metric.label == previous else f"{metric.label} {when}{at_one}")
        previous = metric.label
    return headings


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    written = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in written)
