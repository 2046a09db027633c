"""Tables in Markdown, as every part of docs/study.md writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from pgce_mini.study.analysis import Comparison, Evidence, PairedDifference, format_difference, signed
from pgce_mini.study.analysis.hypotheses import in_words

COMPARED = ("part", "comparison", "seeds", "its means", "difference")


def compared(
    evidence: Evidence, comparison: Comparison, difference: PairedDifference | None, digits: int = 3
) -> list[str]:
    """The cells of COMPARED; of a difference of differences the means are those two."""
    where = f"`{comparison.study}`" + (f", {in_words(comparison.variant)}" if comparison.variant else "")
    words = evidence.words(comparison)
    if difference is None:
        return [where, words, "", "", ""]
    if comparison.minus_variant is not None:
        alone = (
            replace(comparison, variant=v, minus_variant=None)
            for v in (comparison.variant, comparison.minus_variant)
        )
        means = ", ".join(signed(gap.mean) for gap in map(evidence.compare, alone) if gap)
        return [where, words, str(difference.n), means, format_difference(difference, digits)]
    values = evidence.values(comparison).values()
    shared = evidence.gaps(comparison)
    means = ", ".join(f"{fmean(found[seed] for seed in shared):.{digits}f}" for found in values)
    return [where, words, str(difference.n), means, format_difference(difference, digits)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """head and rows: cells in Markdown."""
    written = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in written)
