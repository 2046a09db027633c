"""The tables of a folder, what is derived from their curves, and what every planned comparison found in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean

from pgce_mini.evaluation import AREAS, CHANGES, STEPS_TO, column_label
from pgce_mini.paths import expanded
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis.derived import derived, derived_column
from pgce_mini.study.analysis.hypotheses import Comparison, Hypothesis
from pgce_mini.study.analysis.protocols import PROTOCOLS
from pgce_mini.study.analysis.statistics import PairedDifference, by_seed, holm, paired_over_seeds
from pgce_mini.study.analysis.verdicts import WORST_FIRST, Finding, Verdict
from pgce_mini.study.tables import Columns, Curve, Key, key_of, read_curves, read_rows

Scale = Callable[[float], float]
"""of a number of a row, before any difference is taken"""


class Evidence:
    """The tables of a folder, with what is derived from the curves."""

    def __init__(self, results_dir: Path = RESULTS) -> None:
        self.results_dir = expanded(results_dir)
        self._all_rows: dict[str, list[Columns]] = {}
        self._rows: dict[str, list[Columns]] = {}
        self._curves: dict[str, dict[Key, list[Curve]]] = {}

    def rows(self, study: str) -> list[Columns]:
        """The finished rows of a study; none while it has not been run."""
        if study not in self._rows:
            rows = [row for row in self.all_rows(study) if row["error"] is None]
            self._rows[study] = [row | derived(self.curves(study).get(key_of(row), ())) for row in rows]
        return self._rows[study]

    def curves(self, study: str) -> dict[Key, list[Curve]]:
        if study not in self._curves:
            self._curves[study] = read_curves(self.results_dir / f"{study}-curves.parquet")
        return self._curves[study]

    def all_rows(self, study: str) -> list[Columns]:
        """The same with those that failed."""
        if study not in self._all_rows:
            self._all_rows[study] = read_rows(self.results_dir / f"{study}.parquet")
        return self._all_rows[study]

    def words(self, of: Comparison | Hypothesis) -> str:
        """What a comparison or a hypothesis says, with the samples of a problem that its study has."""
        first = of if isinstance(of, Comparison) else of.comparisons[0]
        return of.words.format(m=self._m(first.study))

    def label(self, comparison: Comparison) -> str:
        """The name of its metric, likewise."""
        return column_label(comparison.metric, self._m(comparison.study))

    def _m(self, study: str) -> int | str:
        rows = self.rows(study)
        return samples(rows) if rows else "m"

    def values(self, comparison: Comparison, scale: Scale = float) -> dict[str, dict[int, float]]:
        """arm, and baseline if there is one -> seed -> number, on a scale such as `log_odds`; of a difference of
        differences, each arm's in `variant` minus that in `minus_variant`."""
        c = comparison

        def scaled(arm: str, variant: str) -> dict[int, float]:
            return {seed: scale(value) for seed, value in self._values(c, arm, variant).items()}

        found = {c.arm: scaled(c.arm, c.variant)}
        if c.baseline is not None:
            variant = c.variant if c.baseline_variant is None else c.baseline_variant
            name = c.baseline if c.baseline != c.arm else f"{c.baseline} ({variant})"
            found[name] = scaled(c.baseline, variant)
        if c.minus_variant is not None:
            for name, of_arm in found.items():
                found[name] = _minus(of_arm, scaled(name, c.minus_variant))
        return found

    def gaps(self, comparison: Comparison, scale: Scale = float) -> dict[int, float]:
        """seed -> difference, of the seeds that all parts of the comparison share."""
        arm, *baseline = self.values(comparison, scale).values()
        return _minus(arm, *baseline) if baseline else arm

    def compare(self, comparison: Comparison, scale: Scale = float) -> PairedDifference | None:
        """None where fewer than two seeds are shared."""
        return _over_seeds(self.gaps(comparison, scale))

    def pooled(self, comparisons: Sequence[Comparison]) -> PairedDifference | None:
        """The mean of several comparisons' differences, seed by seed; None where they share fewer than two."""
        gaps = [self.gaps(comparison) for comparison in comparisons]
        shared = set.intersection(*map(set, gaps))
        return _over_seeds({seed: fmean(of_one[seed] for of_one in gaps) for seed in sorted(shared)})

    def verdict(
        self, study: str, arm: str, metric: str, baseline: str = "ce", variant: str = ""
    ) -> Verdict | None:
        """That of the planned comparison of these two arms; None where none was planned. Of one that was planned
        in two families, the more careful."""
        found = [
            finding.verdict
            for (_, c), finding in self.findings.items()
            if (c.study, c.arm, c.metric, c.baseline, c.variant) == (study, arm, metric, baseline, variant)
            and c.baseline_variant is c.minus_variant is None
        ]
        return min(found, key=lambda verdict: WORST_FIRST.index(verdict.word), default=None)

    @cached_property
    def findings(self) -> dict[tuple[str, Comparison], Finding]:
        """(family, comparison) -> finding. What is not finished counts in Holm's correction as p = 1."""
        findings: dict[tuple[str, Comparison], Finding] = {}
        for family, planned in ((family, one.seeds) for one in PROTOCOLS for family in one.families):
            comparisons = list(dict.fromkeys(family.comparisons))
            differences = [self.compare(comparison) for comparison in comparisons]
            unfinished = [self._unfinished(comparison, planned) for comparison in comparisons]
            p_values = [
                difference.p if difference and not lacking else 1.0
                for difference, lacking in zip(differences, unfinished, strict=True)
            ]
            adjusted = list(holm({str(i): p for i, p in enumerate(p_values)}).values())
            for i, comparison in enumerate(comparisons):
                finding = Finding(comparison, differences[i], adjusted[i], len(comparisons), unfinished[i])
                findings[family.name, comparison] = finding
        return findings

    def _unfinished(self, comparison: Comparison, planned: Mapping[str, int]) -> str:
        """ "4 of 10 seeds" where rows of some planned seeds are not there or failed."""
        c = comparison
        other = c.variant if c.baseline_variant is None else c.baseline_variant
        parts = {(c.arm, c.variant), (c.baseline or c.arm, other)}
        parts |= {(arm, c.minus_variant) for arm, _ in parts} if c.minus_variant is not None else set()
        rows = self.rows(c.study)
        there = min(len({r["seed"] for r in rows if (r["arm"], r["variant"]) == part}) for part in parts)
        return f"{there} of {planned[c.study]} seeds" if there < planned[c.study] else ""

    def found(self, family: str, hypothesis: Hypothesis) -> list[Finding]:
        return [self.findings[family, comparison] for comparison in hypothesis.comparisons]

    def _values(self, comparison: Comparison, arm: str, variant: str) -> dict[int, float]:
        study, metric = comparison.study, comparison.metric
        values = by_seed(self.rows(study), arm, metric, variant)
        if values or not (metric in {*CHANGES, *AREAS} or metric.startswith(STEPS_TO)):
            return values
        curves = {
            seed: of for (place, name, seed), of in self.curves(study).items() if (place, name) == (variant, arm)
        }
        of_curves = {seed: derived_column(of_row, metric) for seed, of_row in curves.items()}
        return {seed: value for seed, value in of_curves.items() if value is not None}


def samples(rows: Sequence[Columns]) -> int:
    """m of Avg@m."""
    return int(json.loads(rows[0]["settings"])["evaluation"]["samples"])


def _minus(values: dict[int, float], others: dict[int, float]) -> dict[int, float]:
    return {seed: values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())}


def _over_seeds(gaps: dict[int, float]) -> PairedDifference | None:
    return paired_over_seeds(gaps, dict.fromkeys(gaps, 0.0)) if len(gaps) > 1 else None
