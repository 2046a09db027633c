"""The section of docs/study.md on one study: its arms in a table, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from pgce_mini.evaluation import STEPS, STEPS_TO, column_label, metric_of
from pgce_mini.figures.runs import means_by_step
from pgce_mini.reports.study_tables import table
from pgce_mini.reports.svg import Interval, forest, lines
from pgce_mini.study import Columns, Spec
from pgce_mini.study.analysis import (
    AFTER_RL,
    Drawn,
    Evidence,
    by_seed,
    compare,
    drawn_curves,
    first_line,
    format_difference,
    format_spread,
    samples,
    signed,
    views,
)
from pgce_mini.study.analysis.hypotheses import in_words
from pgce_mini.study.analysis.protocol_2 import AREA, HELD_OUT
from pgce_mini.tasks import Countdown, Text

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


def one_study(evidence: Evidence, spec: Spec, pictures: dict[str, str]) -> str:
    """pictures: gets its own, file -> SVG."""
    rows = evidence.rows(spec.name)
    metric = AFTER_RL if rows[0].get(AFTER_RL) is not None else "entropy_before"
    of_text = spec.rows[0].pretrain.corpus.name == Text.name
    columns = _filled(rows, RL_COLUMNS if metric == AFTER_RL else TEXT_COLUMNS if of_text else PRIOR_COLUMNS)
    m = samples(rows)
    words = column_label(AFTER_RL, m) if metric == AFTER_RL else "held-out entropy (nats/token)"
    variants = views.variants(rows)
    baseline = spec.arms[0]
    body, intervals = [], []
    named = list(map(_of, spec.arms))
    arms = sorted(spec.arms, key=lambda arm: named.index(_of(arm)))  # a prediction stands below its arm
    for variant in variants:
        for arm in arms:
            seeds = by_seed(rows, arm, "entropy_before", variant)
            if not seeds:
                continue
            difference = compare(rows, arm, baseline, metric, variant) if arm != baseline else None
            cells = [format_spread(by_seed(rows, arm, column, variant).values()) for column in columns]
            if habit := by_seed(rows, arm, REASONED, variant):
                keep = sum(share > 0.5 for share in habit.values())
                cells[columns.index(REASONED)] += f" ({keep} of {len(habit)})"
            gap = format_difference(difference) if difference else ""
            body.append(
                [*([in_words(variant)] if len(variants) > 1 else []), f"`{arm}`", str(len(seeds)), *cells, gap]
            )
            if difference:
                label = f"{arm} ({in_words(variant)})" if variant else arm
                intervals.append(Interval(label, _of(arm), difference.mean, difference.low, difference.high))
    text = [f"## `{spec.name}`\n", f"*{spec.question}*\n", first_line(evidence, spec.name) + "\n"]
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
    for name, drawn in drawn_curves(evidence, spec.name).items():
        alt, pictures[f"study/{name}.svg"] = _learning_curves(drawn)
        text.append(f"![{alt}](study/{name}.svg)\n")
    head = [
        *(["variant"] if len(variants) > 1 else []),
        "arm",
        "seeds",
        *(_headings(columns, m) if metric == AFTER_RL else (metric_of(column, m)[0].label for column in columns)),
        f"{words}, minus {baseline}",
    ]
    text.append(table(head, body))
    if any(row.get(HELD_OUT) is not None for row in rows):
        text += ["Planned to be shown, without a test:\n", _shown(evidence, spec, variants)]
    return "\n".join(text)


def _shown(evidence: Evidence, spec: Spec, variants: Sequence[str]) -> str:
    """The measures of the second protocol that have no comparison of their own."""
    rows = evidence.rows(spec.name)
    reached = f"{STEPS_TO}{0.1 if spec.rows[0].pretrain.corpus.name == Countdown.name else 0.7:g}"
    columns = _filled(rows, (
        "rl_temperature", AREA, HELD_OUT, reached, "avg_at_m_at_0.75_after", "greedy_after",
        "completion_cross_entropy_before", "completion_entropy_before",
    ))  # fmt: skip
    body = []
    for variant in variants:
        for arm in spec.arms:
            found = [by_seed(rows, arm, column, variant) for column in columns]
            if any(found):
                cells = [format_spread(of_seeds.values()) for of_seeds in found]
                body.append([*([in_words(variant)] if len(variants) > 1 else []), f"`{arm}`", *cells])
    head = [*(["variant"] if len(variants) > 1 else []), "arm"]
    return table([*head, *(column_label(column, samples(rows)) for column in columns)], body)


def _filled(rows: Sequence[Columns], columns: Sequence[str]) -> list[str]:
    """Those that some row has."""
    return [column for column in columns if any(row.get(column) is not None for row in rows)]


def _of(arm: str) -> str:
    """The arm whose prior `arm` predicts, below which it stands; or `arm` itself."""
    return arm.removeprefix("predicted-")


def _learning_curves(drawn: Drawn) -> tuple[str, str]:
    """(what it shows, the picture): the mean over seeds of each arm."""
    series = {arm: list(means_by_step(seeds, drawn.metric).items()) for arm, seeds in drawn.curves.items()}
    ends = ", ".join(f"{arm} {curve[-1][1]:.2f}" for arm, curve in series.items())
    alt = f"{drawn.title}, {drawn.y_title}, over seeds; at the last of these points: {ends}."
    return alt, lines(drawn.title, STEPS["rl"], drawn.y_title, series, alt)


def _headings(columns: Sequence[str], m: int) -> list[str]:
    """Of the columns of a table: metric and whether before or after RL, the metric once where both follow."""
    headings, previous = [], ""
    for column in columns:
        if column == "temperature":
            headings.append("scored at T")
            continue
        metric, when = metric_of(column, m)
        at_one = " (T = 1)" if metric.source == "heldout" else ""
        headings.append(when if metric.label == previous else f"{metric.label} {when}{at_one}")
        previous = metric.label
    return headings
