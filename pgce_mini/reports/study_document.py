"""docs/study.md and its pictures, written from the tables alone: no number in them is typed by hand.

With some of the tables, or none, it says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.reports.svg import Interval, forest, lines
from pgce_mini.study import AFTER_RL, Columns, Spec, load_spec
from pgce_mini.study.analysis import (
    EXPLORED,
    FAMILIES,
    ORDER,
    TOLERANCES,
    Comparison,
    Evidence,
    PairedDifference,
    by_seed,
    check_predictions,
    compare,
    decide,
    decide_claims,
    largest_errors,
    minimum_detectable,
    parts,
    verdict_and_reasons,
)
from pgce_mini.tasks import Text

SEEDS = 10  # of every family
NAMES = {"study", "variant", "arm"}  # of a row, not its numbers
WITH_CURVES = ("chain", "trap", "countdown")
REASONED = "reasoned_share_after"
RL_COLUMNS = {
    "avg_at_m_before": "Avg@64 before", "avg_at_m_after": "after", "pass_at_8_before": "Pass@8 before",
    "pass_at_64_before": "Pass@64 before", "pass_at_64_after": "after", "temperature": "T",
    "entropy_before": "held-out entropy before (T = 1)", "ece_before": "ECE before (T = 1)",
    "completion_length_after": "length after", REASONED: "reasoned after",
}  # fmt: skip
TEXT_COLUMNS = {
    "cross_entropy_before": "cross-entropy", "entropy_before": "entropy", "ece_before": "ECE",
    "repetition_before": "repetition", "distinct_1_before": "distinct-1", "distinct_2_before": "distinct-2",
    "distinct_3_before": "distinct-3",
}  # fmt: skip

HEAD = """\
# The study

*Written by `make study-report` from the tables in `pgce_mini/shipped/results/`; do not edit.*

What was planned, and how it is judged, stands in the [protocol](study-protocol.md), which was committed before the
first full run. Differences are paired over seeds; brackets hold 95 % bootstrap intervals over seeds, in tables and
pictures alike not corrected for the number of comparisons; ± is the standard deviation between seeds. *Holm's p*
is corrected within its family, and the words under *seen* follow it. *Detectable* is the true difference that one
test alone, without the correction, would have found with probability 0.8.
"""
NOTES = {  # family -> what its table does not show
    "5": "Arms with a temperature are sampled in RL *and scored* at it, precision at 1, as planned: a gain of "
    "theirs can come from either. In `chain`, `evaluation-temperature-0.75`, scored colder and nothing else, "
    "tells the two apart (family 6, and below); it was not run elsewhere, nor was precision scored at 0.75.\n",
}
CAUTIONS = """\
## What a reader should not conclude

- That the same holds for large models: these have {least:,} to {most:,} weights and vocabularies of {few:,} to
  {many:,} tokens. The paper's models are four to five orders of magnitude larger than most of them.
- That *no difference seen* means no difference: *detectable* says what one test alone would have found; with the
  correction it takes more, as said above each table.
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

`make study-full` runs every part (each continues after an interruption and keeps the rows that are there).
`pgce study studies/chain.toml --results pgce_mini/shipped/results --check ce/seed0` runs one row again and
compares it with the table: on the machine that made the part the numbers are the same, on another one they are
not.
"""


def build(results_dir: Path, specs_dir: Path) -> dict[str, str]:
    """The files of the document, by their place beside study.md."""
    evidence = Evidence(results_dir)
    specs = {path.stem: load_spec(path, Path("runs")) for path in sorted(specs_dir.glob("*.toml"))}
    names = [name for name in (*ORDER, *(name for name in specs if name not in ORDER)) if name in specs]
    pictures: dict[str, str] = {}
    sections = [HEAD, _inventory(evidence, specs_dir)]
    if any(evidence.rows(name) for name in names):
        sections += [_claims(evidence), _families(evidence), _explored(evidence)]
        sections += [_part(evidence, specs[name], pictures) for name in names if evidence.rows(name)]
        sections += [_mechanism(evidence), _same_runs(evidence, names)]
    sections.append(_cautions(specs.values()))
    return {"study.md": "\n".join(filter(None, sections)), **pictures}


def _inventory(evidence: Evidence, specs_dir: Path) -> str:
    found = parts(evidence, specs_dir)
    rows = [
        [f"`{part.name}`", part.question, f"{part.finished} of {part.planned}",
         "**not run yet**" if part.state == "not run yet" else part.state]
        for part in found
    ]  # fmt: skip
    failures = "\n".join(f"- `{part.name}` {failure}" for part in found for failure in part.failed)
    text = "## What there is\n\n" + _table(["part", "question", "rows", ""], rows)
    return text + (f"\nRuns that failed, and are in no number below:\n\n{failures}\n" if failures else "")


def _claims(evidence: Evidence) -> str:
    rows = []
    for claim, decision in decide_claims(evidence).items():
        verdict, *reasons = verdict_and_reasons(decision)
        rows.append([claim, "<br>".join([f"**{verdict}**", *reasons])])
    return "## The paper's claims\n\n" + _table(["claim of the paper", "at this scale, on these tasks"], rows)


def _families(evidence: Evidence) -> str:
    text = ["## Every comparison that was planned\n"]
    for family in FAMILIES:
        text.append(f"### {family.name}. {family.claim}\n")
        comparisons = list(dict.fromkeys(family.comparisons))
        rows = []
        for comparison in comparisons:
            finding = evidence.findings[family.name, comparison]
            difference = finding.difference
            row = _compared(evidence, comparison, difference)
            if difference is None or finding.adjusted_p is None:
                row += ["", ""]
            else:
                p = "" if comparison.expected == "similar" else f"{finding.adjusted_p:.3f}"
                row += [p, f"{difference.detectable:.3f}"]
            rows.append([*row, comparison.expected, finding.seen])
        if len(comparisons) > 1 and comparisons[0].expected != "similar":
            more = minimum_detectable(1, SEEDS, len(comparisons)) / minimum_detectable(1, SEEDS)
            text.append(
                f"To pass first among these {len(comparisons)}, a difference must be about {more:.1f} times as "
                "large as *detectable*.\n"
            )
        text += [NOTES[family.name]] if family.name in NOTES else []
        text.append(_table([*COMPARED, "Holm's p", "detectable", "expected", "seen"], rows))
        decisions = [f"- {h.words}: **{decide(evidence, family, h)}**" for h in family.hypotheses]
        text.append("\n".join(decisions) + "\n")
    return "\n".join(text)


def _explored(evidence: Evidence) -> str:
    rows = []
    for comparison in EXPLORED:
        difference = evidence.compare(comparison)
        rows.append([*_compared(evidence, comparison, difference), f"{difference.p:.3f}" if difference else ""])
    return "\n".join([
        "## Chosen after the results were seen\n",
        "What does a temperature do by itself, and what does it cost? How much of it is the scoring? Does a "
        "temperature alone do what claim 4 says of precision? No correction, no verdict: a place to look.\n",
        _table([*COMPARED, "p, not corrected"], rows),
    ])  # fmt: skip


COMPARED = ("part", "comparison", "seeds", "its two means", "difference")


def _compared(evidence: Evidence, comparison: Comparison, difference: PairedDifference | None) -> list[str]:
    """The cells of COMPARED."""
    where = f"`{comparison.study}`" + (f", {comparison.variant}" if comparison.variant else "")
    if difference is None:
        return [where, comparison.words, "", "", ""]
    rows, metric, variant = evidence.rows(comparison.study), comparison.metric, comparison.variant
    of_arm, of_baseline = (by_seed(rows, name, metric, variant) for name in (comparison.arm, comparison.baseline))
    shared = of_arm.keys() & of_baseline.keys()
    means = ", ".join(f"{fmean(found[seed] for seed in shared):.3f}" for found in (of_arm, of_baseline))
    return [where, comparison.words, str(difference.n), means, _difference(difference)]


def _part(evidence: Evidence, spec: Spec, pictures: dict[str, str]) -> str:
    rows = evidence.rows(spec.name)
    metric = AFTER_RL if rows[0].get(AFTER_RL) is not None else "entropy_before"
    columns = RL_COLUMNS if metric == AFTER_RL else TEXT_COLUMNS
    words = "Avg@64 after RL" if metric == AFTER_RL else "held-out entropy (nats/token)"
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    baseline = spec.arms[0]
    table, intervals = [], []
    for variant in variants:
        for arm in spec.arms:
            seeds = by_seed(rows, arm, "entropy_before", variant)
            if not seeds:
                continue
            difference = compare(rows, arm, baseline, metric, variant) if arm != baseline else None
            cells = [_spread(by_seed(rows, arm, column, variant).values()) for column in columns]
            if habit := by_seed(rows, arm, REASONED, variant):
                keep = sum(share > 0.5 for share in habit.values())
                cells[list(columns).index(REASONED)] += f" ({keep} of {len(habit)})"
            gap = _difference(difference) if difference else ""
            table.append([*([variant] if len(variants) > 1 else []), f"`{arm}`", str(len(seeds)), *cells, gap])
            if difference:
                label = f"{arm} ({variant})" if variant else arm
                intervals.append(Interval(label, arm, difference.mean, difference.low, difference.high))
    text = [f"## `{spec.name}`\n", spec.question + "\n"]
    if intervals:
        largest = max(intervals, key=lambda row: abs(row.mean))
        alt = (
            f"{spec.name}: {words} of each arm minus {baseline}, with 95 % intervals, not corrected; the largest "
            f"difference is that of {largest.label}, {largest.mean:+.3f} (from {largest.low:+.3f} to "
            f"{largest.high:+.3f})."
        )
        file = f"study/{spec.name}.svg"
        title = f"{spec.name}: each arm minus {baseline}, 95 % intervals over seeds"
        pictures[file] = forest(title, f"difference in {words}", intervals, alt)
        text.append(f"![{alt}]({file})\n")
    if spec.name in WITH_CURVES and (picture := _reward_curves(evidence, spec)):
        file = f"study/{spec.name}-reward.svg"
        alt, pictures[file] = picture
        text.append(f"![{alt}]({file})\n")
    head = [
        *(["variant"] if len(variants) > 1 else []),
        "arm",
        "seeds",
        *columns.values(),
        f"{words}, minus {baseline}",
    ]
    text.append(_table(head, table))
    return "\n".join(text)


def _reward_curves(evidence: Evidence, spec: Spec) -> tuple[str, str] | None:
    """(what it shows, the picture): mean reward of the paper's arms over RL steps."""
    curves = evidence.curves(spec.name)
    series: dict[str, list[tuple[float, float]]] = {}
    for arm in ("ce", "precision", "diversity", "tail-penalty", "head-reward"):
        points: dict[int, list[float]] = {}
        for (_, name, _), of_row in curves.items():
            for curve in of_row:
                if name == arm and (curve["stage"], curve["metric"]) == ("rl", "reward"):
                    for step, value in zip(curve["steps"], curve["values"], strict=True):
                        points.setdefault(step, []).append(value)
        if points:
            series[arm] = [(step, fmean(values)) for step, values in sorted(points.items())]
    if not series:
        return None
    ends = ", ".join(f"{arm} {curve[-1][1]:.2f}" for arm, curve in series.items())
    alt = f"{spec.name}: mean reward through RL, over seeds; at the end: {ends}."
    return alt, lines(f"{spec.name}: reward through RL", "RL step", "mean reward (share right)", series, alt)


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
        "part", "arm", "seeds", "reasoned: predicted", "measured", "accuracy if reasoned: predicted", "measured",
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
    ])  # fmt: skip


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
        same = sum(all(left[name] == right[name] for name in left.keys() - NAMES) for left, right in rows)
        gaps = [abs(left[AFTER_RL] - right[AFTER_RL]) for left, right in rows if left.get(AFTER_RL) is not None]
        lines.append([f"`{one}`", f"`{other}`", str(len(rows)), str(same), f"{max(gaps, default=0):.3f}",
                      f"{fmean(gaps) if gaps else 0:.3f}"])  # fmt: skip
    head = ["part", "and", "of the same settings and seed", "with the same numbers"]
    head += ["Avg@64 after RL: largest gap", "mean gap"]
    return "\n".join([
        "## The same runs in two parts\n",
        "Some parts hold the same run under two names, as plain cross-entropy at two sizes of a head that it does "
        "not use: one piece of evidence, not two. The parts were run on more than one machine (see the end of the "
        "protocol). On one machine the same run gives the same numbers; on another, what RL makes of it differs "
        "by as much as the gaps here. Every comparison above is within one part, and so within one machine.\n",
        _table(head, lines),
    ])  # fmt: skip


def _cautions(specs: Iterable[Spec]) -> str:
    configs = set()
    for row in (row for spec in specs for row in spec.rows):
        corpus = row.pretrain.corpus
        vocab_size = corpus.vocab_size if isinstance(corpus, Text) else len(corpus.vocab)
        configs.add(GPTConfig(vocab_size, **asdict(row.pretrain.model)))
    weights = [sum(parameter.numel() for parameter in GPT(config).parameters()) for config in configs]
    sizes = [config.vocab_size for config in configs]
    return CAUTIONS.format(least=min(weights), most=max(weights), few=min(sizes), many=max(sizes))


def _difference(difference: PairedDifference) -> str:
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _spread(values: Iterable[float]) -> str:
    found = list(values)
    if not found:
        return "-"
    digits = 1 if abs(fmean(found)) >= 10 else 3
    return f"{fmean(found):.{digits}f}" + (f" ± {stdev(found):.{digits}f}" if len(found) > 1 else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    written = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in written)
