"""What a protocol may ask, as data: comparisons, hypotheses, families, and the smallest effect of interest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pgce_mini.evaluation import column_label

Expected = Literal["higher", "lower", "similar", "different"]


class SmallestEffect(NamedTuple):
    """Of some columns of a table, by a pattern of their names."""

    columns: str
    measures: str
    size: float
    unit: str
    why: str


SMALLEST_EFFECTS = (
    SmallestEffect(
        r"(avg_at_m|pass_at_\d+|greedy)(_at_[\d.]+)?_(before|after)|rl_(heldout_)?area",
        "Avg, Pass, greedy accuracy, area under a reward curve", 0.03, "share",
        "three answers of a hundred; about the mean gain of `ce` from a doubled pre-training in `chain`, whose "
        "interval reaches 0",
    ),
    SmallestEffect(
        r"(completion_)?(cross_)?entropy_(before|after)",
        "held-out cross-entropy and entropy", 0.02, "nats/token",
        "the first protocol's tolerance; a likelihood that differs by a factor of 1.02 a token",
    ),
    SmallestEffect(
        r"rl_entropy_change", "change of entropy early in RL", 0.05, "nats/token",
        "less than a sixth of what `ce` loses meanwhile in `chain`, where it moves most; in `countdown` most of "
        "what it loses, so that *null* says little there",
    ),
    SmallestEffect(
        r"rl_length_change|completion_length_(before|after)", "length and its change", 0.5, "tokens",
        "half a token: every second answer is one token longer",
    ),
    SmallestEffect(
        r"rl_steps_to_[\d.]+", "steps until the reward reaches a threshold", 3, "steps",
        "the mean of five steps, which the threshold asks for, blurs this much",
    ),
)  # fmt: skip


def smallest_effect(column: str) -> float:
    """The smallest effect of interest, in the unit of the column.

    Raises:
        ValueError: none is stated for it.
    """
    for effect in SMALLEST_EFFECTS:
        if re.fullmatch(effect.columns, column):
            return effect.size
    raise ValueError(f"{column} has no smallest effect of interest: give the comparison one, within=")


OF_COUNTDOWN = 0.015
"""d of its accuracies and areas, which are near 0.1"""
CALLED = {
    "num_experts=8,intermediate_size=128,steps=1000": "the mixture of experts",
    "num_experts=0,intermediate_size=128,steps=1200": "the dense model of equal active size",
    "num_experts=0,intermediate_size=512,steps=1000": "the dense model of equal total size",
}
"""variants whose settings do not say what they are"""
OF_STUDY_1 = {
    "reasoned_share=0.2,slip_rate=0.1": "the rates of chain",
    "reasoned_share=0.1,slip_rate=0.2": "the rates of trap",
}
"""settings of chain sums that are parts of study I"""


def in_words(variant: str) -> str:
    """`reasoned share 0.2 and slip rate 0.05`"""
    return (
        CALLED.get(variant)
        or OF_STUDY_1.get(variant)
        or variant.replace("_", " ").replace("=", " ").replace(",", " and ")
    )


def place(study: str, variant: str) -> str:
    """`chain`, or `confirm at reasoned share 0.2 and slip rate 0.05`."""
    return f"{study} at {in_words(variant)}" if variant else study


@dataclass(frozen=True)
class Comparison:
    """`metric` of `arm` minus that of `baseline`, paired by seed, and what is expected of it.

    Without a baseline it is the metric itself against 0, as of a change within an arm. With `minus_variant` it is
    a difference of differences: that in `variant` minus that in `minus_variant`.
    """

    study: str
    arm: str
    metric: str
    expected: Expected
    baseline: str | None = "ce"
    variant: str = ""
    baseline_variant: str | None = None
    """the baseline's, where it differs from `variant`"""
    minus_variant: str | None = None
    within: float = 0.0
    """the smallest effect of interest, d; 0: that of the metric"""
    no_verdict: str = ""
    """why it gets none, whatever it shows"""

    def __post_init__(self) -> None:
        if self.minus_variant is not None and (self.baseline is None or self.baseline_variant is not None):
            raise ValueError("minus_variant needs a baseline, in the same two variants as the arm")
        object.__setattr__(self, "within", self.within or smallest_effect(self.metric))

    @property
    def words(self) -> str:
        """With {m} for the samples of a problem; `Evidence.words` fills it in."""
        arms = self.arm if self.baseline is None else f"{self.arm} - {self.baseline}"
        if self.baseline_variant is not None:
            arms += f" ({self.baseline_variant})"
        if self.minus_variant is not None:
            arms = f"({arms}) minus the same in {in_words(self.minus_variant)}"
        return f"{column_label(self.metric, '{m}')}: {arms}"

    @property
    def place(self) -> str:
        """Study and variant, and what a difference of differences is taken from."""
        if self.minus_variant is None:
            return place(self.study, self.variant)
        return f"{self.study} ({in_words(self.variant)} against {in_words(self.minus_variant)})"


@dataclass(frozen=True)
class Hypothesis:
    """Comparisons that are read together."""

    words: str
    """as in `Comparison`"""
    comparisons: tuple[Comparison, ...]
    joint: bool = False
    """supported only if each of its comparisons is; otherwise each is said by its study"""


@dataclass(frozen=True)
class Family:
    """Hypotheses whose p-values are corrected together."""

    name: str
    """of this family alone, in all protocols"""
    claim: str
    hypotheses: tuple[Hypothesis, ...]
    post_hoc: bool = False
    """chosen after the results were seen"""
    of_paper: bool = False
    """a claim of the paper; the others are ours"""
    in_prose: str = ""
    """what the protocol's prose expects instead of the hypotheses"""

    @property
    def comparisons(self) -> Iterator[Comparison]:
        for hypothesis in self.hypotheses:
            yield from hypothesis.comparisons


@dataclass(frozen=True)
class Protocol:
    """What was planned before the runs of a study."""

    name: str
    page: str
    """in docs/"""
    parts: tuple[str, ...]
    """its studies, in the order in which pages show them"""
    seeds: Mapping[str, int]
    """study -> planned seeds; with fewer a comparison gets no verdict"""
    families: tuple[Family, ...]
    primary: Hypothesis
    """of one of the families: does a precision prior help RL?"""
    opening: tuple[str, ...] = ()
    """families that the first line of a part says, where the part has them; else the first that it has"""
    trap: frozenset[tuple[str, str]] = frozenset()
    """(study, variant) of the trap, a setting that was picked because a prior matters there"""
    explored: tuple[Comparison, ...] = ()
    """chosen after the results were seen: no correction, no verdict"""

    def __post_init__(self) -> None:
        if len({comparison.metric for comparison in self.primary.comparisons}) != 1:
            raise ValueError("primary must be about one metric, as its comparisons are averaged")

    @property
    def primary_family(self) -> str:
        return next(family.name for family in self.families if self.primary in family.hypotheses)
