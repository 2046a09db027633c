"""docs/study.md and its pictures, written from the tables alone: no number in them is typed by hand.

With some of the tables, or none, it says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from pgce_mini.figures.svg import Interval, forest, lines
from pgce_mini.mechanism import ChainPrediction
from pgce_mini.statistics import PairedDifference
from pgce_mini.study.claims import FAMILIES, Evidence, decide, decide_claims
from pgce_mini.study.shown import ORDER, parts, predicted
from pgce_mini.study.spec import Spec, load_spec
from pgce_mini.study.summary import AFTER_RL, by_seed, compare

WITH_CURVES = ("chain", "trap", "countdown")
PREDICTED = ("ce", "precision", "diversity", "precision-exponent", "diversity-exponent")
TOLERANCES = {"share of reasoned answers": 0.05, "accuracy if reasoned": 0.10, "entropy by position": 0.15}
RL_COLUMNS = {
    "avg_at_m_before": "Avg@64 before", "avg_at_m_after": "after", "pass_at_64_before": "Pass@64 before",
    "pass_at_64_after": "after", "entropy_before": "held-out entropy before",
    "completion_length_after": "length after", "reasoned_share_after": "reasoned after",
}  # fmt: skip
TEXT_COLUMNS = {
    "cross_entropy_before": "cross-entropy", "entropy_before": "entropy", "ece_before": "ECE",
    "repetition_before": "repetition", "distinct_1_before": "distinct-1", "distinct_2_before": "distinct-2",
    "distinct_3_before": "distinct-3",
}  # fmt: skip

HEAD = """\
# The study

*Written by `make study-report` from the tables in `pgce_mini/results/`; do not edit.*

What was planned, and how it is judged, stands in the [protocol](study-protocol.md), which was committed before the
first full run. Differences are paired over seeds; brackets hold 95 % bootstrap intervals over seeds; ± is the
standard deviation between seeds.
"""
CAUTIONS = """\
## What a reader should not conclude

- That the same holds for large models: these have about a hundred thousand weights and vocabularies of 39 to 2,048
  tokens. The paper's are about five orders of magnitude larger.
- That *no difference seen* means no difference: the column *detectable* says what would have been found.
- That a better arm is better everywhere: `trap` was chosen because a prior matters there.
- Anything from `grids`, `top-k`, `phase` and `countdown-sizes` beyond a direction to look in: five seeds, no test.
- That a lower cross-entropy is a better prior: the shaped losses give calibration up on purpose.

## Run it again

`make study-full` runs every part (each continues after an interruption and keeps the rows that are there);
`pgce study studies/chain.toml --results pgce_mini/results --check ce/seed0` runs one row again and compares it
with the table. On another machine, or another version of PyTorch, the last digits differ and so, after RL, do the
numbers of single seeds.
"""


def build(results_dir: Path, specs_dir: Path) -> dict[str, str]:
    """The files of the document, by their place beside study.md."""
    evidence = Evidence(results_dir)
    specs = {path.stem: load_spec(path, Path("runs")) for path in sorted(specs_dir.glob("*.toml"))}
    names = [name for name in (*ORDER, *(name for name in specs if name not in ORDER)) if name in specs]
    pictures: dict[str, str] = {}
    sections = [HEAD, _inventory(evidence, specs_dir)]
    if any(evidence.rows(name) for name in names):
        sections += [_claims(evidence), _families(evidence)]
        sections += [_part(evidence, specs[name], pictures) for name in names if evidence.rows(name)]
        sections.append(_mechanism(evidence))
    sections.append(CAUTIONS)
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
    rows = [[claim, decision] for claim, decision in decide_claims(evidence).items()]
    return "## The paper's claims\n\n" + _table(["claim of the paper", "at this scale, on these tasks"], rows)


def _families(evidence: Evidence) -> str:
    text = ["## Every comparison that was planned\n"]
    for family in FAMILIES:
        text.append(f"### {family.name}. {family.claim}\n")
        rows = []
        for comparison in dict.fromkeys(family.comparisons):
            finding = evidence.findings[family.name, comparison]
            difference = finding.difference
            where = f"`{comparison.study}`" + (f", {comparison.variant}" if comparison.variant else "")
            row = [where, comparison.words]
            if difference is None or finding.adjusted_p is None:
                row += ["", "", "", "", comparison.expected, finding.seen]
            else:
                p = "" if comparison.expected == "similar" else f"{finding.adjusted_p:.3f}"
                row += [
                    str(difference.n), _difference(difference), p, f"{difference.detectable:.3f}",
                    comparison.expected, finding.seen,
                ]  # fmt: skip
            rows.append(row)
        head = ["part", "comparison", "seeds", "difference", "Holm's p", "detectable", "expected", "seen"]
        text.append(_table(head, rows))
        decisions = [f"- {h.words}: **{decide(evidence, family, h)}**" for h in family.hypotheses]
        text.append("\n".join(decisions) + "\n")
    return "\n".join(text)


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
            gap = _difference(difference) if difference else ""
            table.append([*([variant] if len(variants) > 1 else []), f"`{arm}`", str(len(seeds)), *cells, gap])
            if difference:
                label = f"{arm} ({variant})" if variant else arm
                intervals.append(Interval(label, arm, difference.mean, difference.low, difference.high))
    text = [f"## `{spec.name}`\n", spec.question + "\n"]
    if intervals:
        best = max(intervals, key=lambda row: row.mean)
        alt = (
            f"{spec.name}: {words} of each arm minus {baseline}, with 95 % intervals; the largest difference is "
            f"that of {best.label}, {best.mean:+.3f} (from {best.low:+.3f} to {best.high:+.3f})."
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
    rows, worst = [], dict.fromkeys(TOLERANCES, 0.0)
    for study in ("chain", "trap"):
        by_position = _entropy_by_position(evidence, study)
        for arm in PREDICTED:
            measured = [row for row in evidence.rows(study) if row["arm"] == arm]
            if not measured:
                continue
            prediction = predicted(measured[0])
            share = fmean(row["reasoned_share_before"] for row in measured)
            accuracy = fmean(row["accuracy_if_reasoned_before"] for row in measured)
            gap = _largest_gap(prediction, by_position[arm])
            errors = (abs(share - prediction.reasoned_share), abs(accuracy - prediction.accuracy_if_reasoned), gap)
            worst = {name: max(worst[name], error) for name, error in zip(worst, errors, strict=True)}
            rows.append([
                f"`{study}`", f"`{arm}`", str(len(measured)), f"{prediction.reasoned_share:.3f}", f"{share:.3f}",
                f"{prediction.accuracy_if_reasoned:.3f}", f"{accuracy:.3f}", f"{gap:.3f}",
            ])  # fmt: skip
    if not rows:
        return ""
    head = [
        "part", "arm", "seeds", "reasoned: predicted", "measured", "accuracy if reasoned: predicted", "measured",
        "entropy by position: largest error (nats)",
    ]  # fmt: skip
    judged = [
        f"- {name}: {'**right**' if worst[name] <= tolerance else '**wrong**'}, the largest error is "
        f"{worst[name]:.3f}, {tolerance:.2f} was allowed"
        for name, tolerance in TOLERANCES.items()
    ]
    return "\n".join([
        "## Mechanism: predicted and measured\n",
        "Where the shaped loss comes to rest (`stationary_policy`) predicts what a prior does, with no free "
        "parameter:\n",
        _table(head, rows),
        "\n".join(judged) + "\n",
    ])  # fmt: skip


def _entropy_by_position(evidence: Evidence, study: str) -> dict[str, list[float]]:
    """arm -> entropy at each position before RL, the mean over seeds."""
    columns: dict[str, list[list[float]]] = {}
    for (_, arm, _), of_row in evidence.curves(study).items():
        for curve in of_row:
            if (curve["stage"], curve["metric"]) == ("before", "entropy"):
                columns.setdefault(arm, []).append(curve["values"])
    return {arm: [fmean(values) for values in zip(*curves, strict=False)] for arm, curves in columns.items()}


def _largest_gap(prediction: ChainPrediction, measured: Iterable[float]) -> float:
    return max(abs(a - b) for a, b in zip(prediction.entropy_by_position, measured, strict=False))


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
