"""The hypotheses of docs/study-protocol-2.md as data, of the parts that have a specification."""

from __future__ import annotations

from collections.abc import Iterator

from pgce_mini.evaluation import column_label
from pgce_mini.study.analysis.hypotheses import (
    CALLED,
    OF_COUNTDOWN,
    Comparison,
    Expected,
    Family,
    Hypothesis,
    Protocol,
)

CONFIRM = tuple(f"reasoned_share={share},slip_rate={slip}" for share, slip in (
    (0.2, 0.05), (0.1, 0.05), (0.2, 0.1), (0.1, 0.2),
))  # fmt: skip
CHAIN, TRAP = CONFIRM[2:]
AREA, HELD_OUT = "rl_area", "rl_heldout_area"
AT_ONE, COLDER = "avg_at_m_after", "avg_at_m_at_0.75_after"
TEMPERATURES = ("matched-precision", "temperature-0.75")  # cross-entropy with RL at lower temperatures
SHARPEN = ("gem-1.13", "coverage-0.64", "maxrl-1024")  # as far as precision does
MIXTURE, *DENSE = CALLED
LONG = ("long", "long-countdown")  # 400 RL steps
LEARNING_RATES = ("0.0001", "0.0003", "0.001")


def _cells(metric: str, baseline: str = "ce") -> Iterator[Comparison]:
    """precision - baseline in the five cells of `confirm`."""
    for variant in CONFIRM:
        yield Comparison("confirm", "precision", metric, "higher", baseline, variant)
    yield Comparison("confirm-countdown", "precision", metric, "higher", baseline, within=OF_COUNTDOWN)


def _long(variant: str, expected: Expected) -> Comparison:
    return Comparison("long", "precision", AT_ONE, expected, variant=variant)


SPEED = Hypothesis(f"precision: {column_label(AREA)} higher than ce", tuple(_cells(AREA)))
FAMILIES_2 = (
    Family("II.1", "Speed: a precision prior learns faster.", (SPEED,)),
    Family("II.2", "Height: it ends higher, at equal temperature.", (
        Hypothesis(f"precision: {column_label(AT_ONE, '{m}')} higher than ce", tuple(_cells(AT_ONE))),
    ), of_paper=True),
    Family("II.3", "Prior or temperature: it ends higher than a temperature, scored at T = 1 and at 0.75.", tuple(
        Hypothesis(f"{one.place}: precision higher than {control} at both temperatures", (one, other), joint=True)
        for control in TEMPERATURES
        for one, other in zip(_cells(AT_ONE, control), _cells(COLDER, control), strict=True)
    ), in_prose="a temperature does the same"),
    Family("II.4", "Speed or ceiling: what is left after 400 steps.", (
        Hypothesis(f"precision: {column_label(AT_ONE, '{m}')}, minus ce: null in chain, higher in trap", (
            _long(CHAIN, "similar"), _long(TRAP, "higher"),
            Comparison("long-countdown", "precision", AT_ONE, "different", within=OF_COUNTDOWN),
        )),
    ), in_prose="it is not higher after long training"),
    Family("II.5", "Not a step size's: it learns faster than ce at each of three learning rates.", (
        Hypothesis(f"precision at 3e-4: {column_label(AREA)} higher than ce at every rate", tuple(
            Comparison("lr", "precision", AREA, "higher", variant="lr=0.0003",
                       baseline_variant=None if rate == "0.0003" else f"lr={rate}")
            for rate in LEARNING_RATES
        ), joint=True),
    )),
    Family("II.6", "A precision prior helps a mixture of experts more than a dense model.", (
        Hypothesis(f"precision: {column_label(AREA)} minus ce, more in the mixture than in a dense model", tuple(
            Comparison("experts", "precision", AREA, "higher", variant=MIXTURE, minus_variant=dense)
            for dense in DENSE
        )),
    ), of_paper=True),
    Family("II.7", "Dose: where they move entropy as far as precision does, tail gains and head loses.", (
        Hypothesis(f"tail: {column_label(AREA)} higher than ce, head: lower", (
            Comparison("dose", "tail-1.8", AREA, "higher"), Comparison("dose", "head+1", AREA, "lower"),
            Comparison("dose-countdown", "tail-1.1", AREA, "higher", within=OF_COUNTDOWN),
            Comparison("dose-countdown", "head+1.02", AREA, "lower", within=OF_COUNTDOWN),
        )),
    )),
    Family("II.8", "Three losses that sharpen as far gain on cross-entropy; two others lose.", (
        Hypothesis(f"{column_label(AREA)} higher than ce for the three, lower for the two", (
            *(Comparison("family", arm, AREA, "higher") for arm in SHARPEN),
            *(Comparison("family", arm, AREA, "lower") for arm in ("dynamic", "label-smoothing-0.1")),
        )),
    )),
    Family("II.9", "The paper's reward is no better than another loss that sharpens as far.", (
        Hypothesis(f"precision: {column_label(AREA)} as that of the others", tuple(
            Comparison("family", "precision", AREA, "similar", arm) for arm in SHARPEN
        )),
    )),
)  # fmt: skip
SEEDS = {
    **dict.fromkeys(("confirm", "confirm-countdown"), 20),
    **dict.fromkeys((*LONG, "lr", "dose", "dose-countdown"), 10),
    "experts": 20,
    "family": 8,
}
PARTS = (
    "confirm", "confirm-countdown", *LONG, "lr", "experts", "dose", "dose-countdown", "family", "theory",
)  # fmt: skip
STUDY_2 = Protocol(
    "study II", "study-protocol-2.md", PARTS, SEEDS, FAMILIES_2, SPEED,
    opening=tuple(family.name for family in FAMILIES_2), trap=frozenset({("confirm", TRAP), ("long", TRAP)}),
)  # fmt: skip
FIRST = {
    ("confirm", CHAIN): "chain", ("confirm", TRAP): "trap", ("confirm-countdown", ""): "countdown",
    ("lr", "lr=0.0003"): "chain",
}  # fmt: skip
"""(part, variant) -> the part of study I on the same task"""
