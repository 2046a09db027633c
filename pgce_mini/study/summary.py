"""A study's table in words for the terminal: each arm, and its difference from the first, paired over seeds."""

from __future__ import annotations

from statistics import fmean

from pgce_mini.evaluation import column_label
from pgce_mini.study.analysis import AFTER_RL, by_seed, compare, format_difference, samples
from pgce_mini.study.store import StudyTable

LEAST_SEEDS = 6  # the sign-flip test of five can never pass 5 %
OF_PRIORS = "avg_at_m_before", "cross_entropy_before"  # without RL; of text


def as_lines(table: StudyTable) -> list[str]:
    """A block a variant, a line an arm."""
    baseline = table.spec.arms[0]
    there = {name for row in table.rows for name in row}
    metric = next((name for name in (AFTER_RL, *OF_PRIORS) if name in there), OF_PRIORS[-1])
    words = column_label(metric, samples(table.rows) if table.rows else "m")
    width = max(20, len(words))
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in table.rows):
        lines += ["", variant] if variant else [""]
        lines.append(f"{'arm':28} seeds  {words:{width}}  minus {baseline} [95 % interval over seeds]")
        for arm in table.spec.arms:
            values = by_seed(table.rows, arm, metric, variant)
            if not values:
                continue
            difference = compare(table.rows, arm, baseline, metric, variant) if arm != baseline else None
            gap = format_difference(difference) if difference else ""
            lines.append(f"{arm:28} {len(values):5}  {fmean(values.values()):<{width}.3f}  {gap}".rstrip())
    few = len(table.spec.seeds) < LEAST_SEEDS
    caution = ": too few to test anything, a direction to look in" if few else ""
    about = "Intervals over the seeds of each line, not corrected for the number of comparisons"
    return [*lines, "", f"{about}{caution}."]
