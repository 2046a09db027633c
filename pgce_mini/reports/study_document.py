"""docs/study.md and its pictures, written from the tables alone: no number in them is typed by hand.

With some of the tables, or none, it says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

from pgce_mini.evaluation import column_label
from pgce_mini.gpt import GPTConfig
from pgce_mini.gpt.memory import parameter_count
from pgce_mini.reports.mechanism import mechanism
from pgce_mini.reports.one_study import one_study
from pgce_mini.reports.post_hoc import post_hoc
from pgce_mini.reports.study_tables import COMPARED, compared, table
from pgce_mini.reports.svg import Interval, forest
from pgce_mini.study import Columns, Spec, StudyState, inventory
from pgce_mini.study.analysis import (
    AFTER_RL,
    PROTOCOLS,
    SMALLEST_EFFECTS,
    Evidence,
    Protocol,
    advice,
    decide,
    decide_claims,
    format_p,
    further_answers,
    precision_answer,
    samples,
    signed,
    signed_interval,
)
from pgce_mini.study.analysis.first_rule import chance_to_hold, first_decisions
from pgce_mini.study.analysis.hypotheses import OF_COUNTDOWN
from pgce_mini.study.analysis.protocol_2 import AREA, HELD_OUT, STUDY_2, TEMPERATURES
from pgce_mini.tasks import Text

NAMES = {"study", "variant", "arm"}  # of a row, not its numbers
HEAD = """\
# The study

*Written by `make study-report` from the tables in `pgce_mini/shipped/results/`; do not edit.*
"""
WORDS = """\
## How to read it

What was planned stands in the {protocols}, each committed before the first full run of
its study; what was added later is dated at its end, and says what had been seen. Differences are paired over
seeds; brackets hold 95 % bootstrap intervals over seeds, not corrected for the number of comparisons, in tables
and pictures alike; ± is the standard deviation between seeds. *Holm's p* is that of the sign-flip test, corrected
within its family. A planned comparison gets one of three verdicts:

- **supported**: the 95 % interval lies on the expected side of 0, and Holm's p is below 0.05. On the other side:
  *the reverse is supported*. *Higher* and *lower* are said of such a difference alone.
- **null within ±d**: the 90 % interval lies inside ±d, which is two one-sided tests at 5 %, not corrected. The
  90 % interval is made as the 95 % one is. A difference can be clear of 0 and inside ±d: then it is *supported,
  smaller than d*; where a similarity was expected, *null within ±d, yet higher* (or *lower*); and where it is
  clear only before correction, *null within ±d, yet clear of 0 before correction* (added after `confirm`).
- **undecided**: neither. *N seeds would find ±d* means: with the spread seen, N seeds find a true difference of d
  with probability 0.8 at 5 % divided by the number of comparisons in the family, which is what Holm asks of the
  first. A larger difference needs fewer, a smaller one more, and N is only as good as a spread over {seeds} seeds.
  It is left out where as many were run: then the true difference may well be smaller than d.

Comparisons that count jointly are supported only if each is; otherwise the verdict that stands in the way is
told, and of what.

d is the smallest effect of interest. For study I these sizes (but 0.02 for cross-entropy), and the last two
verdicts, were chosen after its tables were seen: its protocol knew only *higher*, *lower* and *no difference
seen*. For Avg and areas of countdown d is ±{of_countdown:g}, as they are near 0.1. Where the baseline is nearer
to 1 than d, as on chain sums outside the trap at T = 0.75 and after 400 steps, no arm could be higher by d:
*null* then says only that it is not lower by d. The mean reward through RL contains the height at which RL
starts: it is not speed alone.

"""
NOTES = {  # family -> what its table does not show
    "5": "**Unequal temperatures.** Arms with a temperature are sampled in RL *and scored* at it, precision at 1, "
    "as planned: a gain of theirs can come from either, and a verdict here is about the two recipes as wholes. In "
    "`chain`, `evaluation-temperature-0.75`, scored colder and nothing else, tells the two apart (below); it "
    "was not run elsewhere, nor was precision scored at 0.75.\n",
    "6": "`evaluation-temperature-0.75` has no verdict: it is scored at 0.75, precision at 1, so the difference "
    "speaks of the scoring as much as of the prior. It counts in Holm's correction as planned.\n",
}
CAUTIONS = """\
## What a reader should not conclude

- That the same holds for large models: these have {least:,} to {most:,} weights and vocabularies of {few:,} to
  {many:,} tokens. The paper's models are four to five orders of magnitude larger than most of them.
- That *undecided* means no difference, or that *null within ±d* means exactly none.
- That several undecided comparisons of one sign add up to a verdict: all arms of a part share one `ce`.
- That a mean is a typical seed: where policies end up reasoning always or never, it is none. The numbers in
  parentheses under *reasoned after* count the seeds whose policy mostly reasons.
- That a better arm is better everywhere: `trap` was chosen because a prior matters there.
- Anything from `grids`, `top-k`, `phase` and `countdown-sizes` beyond a direction to look in: five seeds, no test.
- That two parts which agree are two pieces of evidence: some hold the same runs.
- That a lower cross-entropy is a better prior, or a shaped prior a calibrated one: of these losses only plain
  cross-entropy is a proper scoring rule.
- Anything about the priors and policies that come with the package: they are one run each, with settings of their
  own, and no rows of these tables.

## Run it again

`pgce study chain` runs a part from nothing, into `runs/studies`; the same command goes on after an interruption.
`make study-full` runs the rows that these tables lack.
`pgce study chain --results pgce_mini/shipped/results --check ce/seed0` runs one row again and compares it with the
table: on the machine that made the table the numbers are the same, on another one they are not.
"""


def build(results_dir: Path, specs_dir: Path) -> dict[str, str]:
    """The files of the document, by their place beside study.md."""
    evidence = Evidence(results_dir)
    studies = inventory(evidence, specs_dir)
    found = [study.spec for study in studies if study.finished]
    pictures: dict[str, str] = {}
    sections = [HEAD]
    if found:
        sections += [_answer(evidence, pictures), _claims(evidence), _reading()]
    sections.append(_inventory(studies))
    if found:
        sections += [_families(evidence, protocol) for protocol in reversed(PROTOCOLS)]  # what decides comes first
        sections += [_first_rule(evidence), post_hoc(evidence)]
        sections += [one_study(evidence, spec, pictures) for spec in found]
        sections += [mechanism(evidence), _same_runs(evidence, [spec.name for spec in found])]
    sections.append(_cautions(study.spec for study in studies))
    return {"study.md": "\n".join(filter(None, sections)), **pictures}


def _inventory(studies: Sequence[StudyState]) -> str:
    rows = [
        [f"`{study.spec.name}`", study.spec.question, f"{study.finished} of {len(study.spec.rows)}",
         study.state if study.finished else f"**{study.state}**"]
        for study in studies
    ]  # fmt: skip
    failures = "\n".join(f"- `{study.spec.name}` {failure}" for study in studies for failure in study.failed)
    text = "## What there is\n\n" + table(["part", "question", "rows", ""], rows)
    return text + (f"\nRuns that failed, and are in no number below:\n\n{failures}\n" if failures else "")


def _answer(evidence: Evidence, pictures: dict[str, str]) -> str:
    lines = "".join(f"- {line}\n" for line in advice(evidence))
    answer = f"**{precision_answer(evidence)}**\n\n"
    answer += "".join(f"- **{question}** {said}\n" for question, said in further_answers(evidence).items()) + "\n"
    for file, metric, drawn in SPEED_PICTURES:
        if picture := _speed(evidence, metric, drawn):
            alt, pictures[file] = picture
            answer += f"![{alt}]({file})\n\n"
    return f"{answer}## In your own run\n\n{lines}"


SPEED_PICTURES = (
    ("study/answer-held-out.svg", HELD_OUT, ""),
    ("study/answer.svg", AREA, ", at the arm's own T"),
)


def _speed(evidence: Evidence, metric: str, drawn: str) -> tuple[str, str] | None:
    """(what it shows, the picture): precision and temperatures minus ce, in every cell of study II's question."""
    intervals = []
    for finding in evidence.found(STUDY_2.primary_family, STUDY_2.primary):
        planned = replace(finding.comparison, metric=metric)
        place = planned.place.removeprefix(f"{planned.study} at ") if planned.variant else planned.study
        for arm in (planned.arm, *TEMPERATURES):
            if gap := evidence.compare(replace(planned, arm=arm)):
                intervals.append(Interval(f"{place}: {arm}", arm, gap.mean, gap.low, gap.high))
    if not intervals:
        return None
    words = evidence.label(planned)
    title = f"{words[0].upper()}{words[1:]}{drawn}, minus ce: 95 % intervals over seeds"
    alt = f"{title}, not corrected; {intervals[0].label} {signed(intervals[0].mean)}."
    return alt, forest(title, "difference in share right", intervals, alt)


def _reading() -> str:
    pages = " and the ".join(f"[protocol of {protocol.name}]({protocol.page})" for protocol in PROTOCOLS)
    seeds = " or ".join(map(str, sorted({n for protocol in PROTOCOLS for n in protocol.seeds.values()})))
    effects = [[effect.measures, f"±{effect.size:g} {effect.unit}", effect.why] for effect in SMALLEST_EFFECTS]
    return WORDS.format(protocols=pages, seeds=seeds, of_countdown=OF_COUNTDOWN) + table(
        ["measure", "d", "why"], effects
    )


def _claims(evidence: Evidence) -> str:
    rows = []
    for claim, decision in decide_claims(evidence).items():
        about = [f"**{arm}**: {words}" if arm else words for arm, words in decision.parts]
        rows.append(
            [claim, "<br>".join([*about, *(f"{hypothesis}: {words}" for hypothesis, words in decision.details)])]
        )
    return "## The paper's claims, by arm and part\n\n" + table(
        ["claim of the paper", "at this scale, on these tasks"], rows
    )


def _families(evidence: Evidence, protocol: Protocol) -> str:
    text = [
        f"## Every comparison of {protocol.name}\n",
        "A heading is what was to be shown; what the tables say of it stands below, comparison by comparison.\n",
    ]
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
            row = compared(evidence, comparison, difference)
            narrow = signed_interval(difference.low_90, difference.high_90) if difference else ""
            p = format_p(finding.adjusted_p) if difference and finding.adjusted_p is not None else ""
            rows.append([*row, narrow, p, comparison.expected, str(finding.verdict)])
        text += [NOTES[family.name]] if family.name in NOTES else []
        text.append(table([*COMPARED, "90 % interval", "Holm's p", "expected", "verdict"], rows))
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
        "says, in its own words, which other pages only quote:\n",
        table(["claim", "by that rule"], [[claim, words] for claim, words in decided.items()]),
    ]
    if decided["2"] != "not decided":
        likely = [[words, *(f"{p:.2f}" for p in chance_to_hold(evidence, mean))] for words, mean in TRUTHS]
        text += [
            "With ten seeds that rule could hardly say *holds* of small differences (post hoc). If the true "
            "differences of claim 2 were those in the first column, and the spread the one seen, it would say "
            "*holds* with these probabilities (2,000 simulated studies, sign-flip tests, Holm's correction over "
            "six).\n",
            table(
                ["true difference in Avg@64, in all six comparisons", "of precision", "of claim 2: both arms"],
                likely,
            ),
        ]
    return "\n".join(text)


TRUTHS = (("none", 0.0), ("exactly those measured", None), ("+0.05", 0.05), ("+0.10", 0.1))


def _same_runs(evidence: Evidence, names: Sequence[str]) -> str:
    """Rows of the same settings and seed in two parts, and how far they agree."""
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
    head = ["part", "and", "of the same settings and seed", "with the same numbers"]
    head += [f"{column_label(AFTER_RL, samples(evidence.rows(names[0])))}: largest gap", "mean gap"]
    return "\n".join([
        "## The same runs in two parts\n",
        "Some parts hold the same run under two names, as plain cross-entropy at two sizes of a head that it "
        "does not use: one piece of evidence, not two. The parts were run on more than one machine (see the end "
        "of the first protocol). On one machine the same run gives the same numbers; on another, what RL makes of "
        "it differs by as much as the gaps here. Differences are between arms of one setting and seed, which one "
        "machine runs together.\n",
        table(head, lines),
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
