"""A study's table in words for the terminal: each arm, and its difference from the first, paired over seeds."""

from __future__ import annotations

from statistics import fmean

from pgce_mini.study.analysis import by_seed, compare
from pgce_mini.study.engines.local import StudyTable

AFTER_RL = "avg_at_m_after"
LEAST_SEEDS = 6  # the sign-flip test of five can never pass 5 %
OF_TEXT = "cross_entropy_before"  # of a task without RL


def as_lines(table: StudyTable) -> list[str]:
    """A block a variant, a line an arm."""
    baseline = table.spec.arms[0]
    metric, words = (
        (AFTER_RL, "Avg@m after RL") if any(AFTER_RL in row for row in table.rows) else (OF_TEXT, "cross-entropy")
    )
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in table.rows):
        lines += ["", variant] if variant else [""]
        lines.append(f"{'arm':28} seeds  {words:20}  minus {baseline} [95 % interval over seeds]")
        for arm in table.spec.arms:
            values = by_seed(table.rows, arm, metric, variant)
            if not values:
                continue
            difference = compare(table.rows, arm, baseline, metric, variant) if arm != baseline else None
            gap = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]" if difference else ""
            lines.append(f"{arm:28} {len(values):5}  {fmean(values.values()):<20.3f}  {gap}".rstrip())
    seeds = len(table.spec.seeds)
    caution = ": too few to test anything, a direction to look in" if seeds < LEAST_SEEDS else ""
    return [*lines, "", f"Intervals over {seeds} seeds, not corrected for the number of comparisons{caution}."]
