"""What may be said of a difference: each verdict on data made by hand, at its edges, and of several together."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from pgce_mini.study.analysis import (
    FAMILIES,
    PROTOCOLS,
    Comparison,
    Finding,
    Hypothesis,
    PairedDifference,
    Protocol,
    Verdict,
    jointly,
    listed,
    seeds_to_find,
    smallest_effect,
)
from pgce_mini.study.analysis.hypotheses import Expected
from pgce_mini.study.analysis.verdicts import listed_places


def finding(
    expected: Expected, low: float, high: float, narrow: tuple[float, float], p: float = 0.01, **fields: object
) -> Finding:
    comparison = Comparison("chain", "precision", "avg_at_m_after", expected, **fields)  # type: ignore[arg-type]
    return Finding(comparison, PairedDifference(10, (low + high) / 2, low, high, p, 0.05, *narrow), p, 6)


NARROW, WIDE = (-0.02, 0.02), (-0.04, 0.06)  # inside and outside +-0.03


@pytest.mark.parametrize(
    ("expected", "low", "high", "narrow", "p", "words"),
    [
        ("higher", 0.01, 0.2, (0.02, 0.19), 0.01, "supported"),
        ("lower", -0.2, -0.01, (-0.19, -0.02), 0.049, "supported"),
        (
            "higher",
            0.01,
            0.2,
            (0.02, 0.19),
            0.05,
            "undecided: 38 seeds would find ±0.03",
        ),  # the corrected p is at 5 %
        ("higher", 0.0, 0.2, (0.01, 0.19), 0.01, "undecided: 38 seeds would find ±0.03"),  # the interval reaches 0
        ("higher", -0.2, -0.01, (-0.19, -0.02), 0.01, "the reverse is supported"),
        ("higher", 0.01, 0.028, (0.012, 0.025), 0.01, "supported, smaller than 0.03"),
        ("lower", 0.01, 0.028, (0.012, 0.025), 0.01, "the reverse is supported, smaller than 0.03"),
        ("higher", 0.01, 0.035, (0.012, 0.03), 0.01, "supported"),  # an end at d is not inside
        ("higher", -0.04, 0.04, NARROW, 0.5, "null within ±0.03"),
        ("higher", 0.001, 0.04, NARROW, 0.2, "null within ±0.03, yet clear of 0 before correction"),
        ("higher", -0.04, 0.04, (-0.03, 0.02), 0.5, "undecided: 38 seeds would find ±0.03"),
        ("higher", -0.04, 0.07, WIDE, 0.5, "undecided: 38 seeds would find ±0.03"),
        ("different", 0.01, 0.2, (0.02, 0.19), 0.01, "supported: higher"),
        ("different", -0.028, -0.01, (-0.025, -0.012), 0.01, "supported: lower, smaller than 0.03"),
        ("different", -0.04, 0.04, NARROW, 0.5, "null within ±0.03"),
        ("similar", -0.04, 0.04, NARROW, 0.5, "null within ±0.03"),
        ("similar", 0.01, 0.028, (0.012, 0.025), 0.01, "null within ±0.03, yet higher"),
        ("similar", 0.04, 0.2, (0.05, 0.19), 0.01, "the reverse is supported: higher"),
        (
            "similar",
            0.01,
            0.2,
            (0.02, 0.19),
            0.01,
            "undecided: 38 seeds would find ±0.03",
        ),  # larger than d, or not?
    ],
)
def test_each_verdict_and_its_edges(
    expected: Expected, low: float, high: float, narrow: tuple[float, float], p: float, words: str
) -> None:
    assert seeds_to_find(0.03, 0.05, 6) == 38
    assert str(finding(expected, low, high, narrow, p).verdict) == words


def test_what_has_not_been_run_or_compares_unlike_things_has_no_verdict() -> None:
    comparison = Comparison("chain", "precision", "avg_at_m_after", "higher")
    assert str(Finding(comparison, None, None).verdict) == "not run yet"
    partial = Finding(comparison, GOOD.difference, 0.01, 6, unfinished="4 of 10 seeds")
    assert str(partial.verdict) == "not finished (4 of 10 seeds)"
    unlike = finding("higher", 0.01, 0.2, (0.02, 0.19), no_verdict="scored at 0.75")
    assert str(unlike.verdict) == "no verdict (scored at 0.75)"
    assert not unlike.as_expected


@given(
    st.sampled_from(["higher", "lower", "similar", "different"]), st.floats(-1, 1), st.floats(0, 1),
    st.floats(0.01, 0.99), st.floats(0, 1),
)  # fmt: skip
def test_a_verdict_is_one_of_the_three_and_a_mirror_image_mirrors_it(
    expected: Expected, mean: float, half: float, inner: float, p: float
) -> None:
    mirror: dict[Expected, Expected] = {"higher": "lower", "lower": "higher"}
    ways = []
    for sign, word in ((1, expected), (-1, mirror.get(expected, expected))):
        centre, near = sign * mean, half * inner
        ways.append(finding(word, centre - half, centre + half, (centre - near, centre + near), p).verdict)
    one, other = ways
    assert one.word in ("supported", "the reverse is supported", "null", "undecided")
    assert (one.word, one.within, one.seeds) == (other.word, other.within, other.seeds)
    if one.word in ("supported", "the reverse is supported"):
        assert p < 0.05
        assert abs(mean) > half  # the interval is clear of 0


GOOD = finding("higher", 0.01, 0.2, (0.02, 0.19))
SMALL = finding("higher", 0.01, 0.028, (0.012, 0.025))
NULL = finding("higher", -0.04, 0.04, NARROW, 0.5)
OPEN = finding("higher", -0.04, 0.07, WIDE, 0.5)
BAD = finding("higher", -0.2, -0.01, (-0.19, -0.02))
SIMILAR = finding("similar", -0.04, 0.04, NARROW, 0.5)
UNRUN = Finding(GOOD.comparison, None, None)
ENTROPY = replace(NULL, comparison=replace(NULL.comparison, metric="entropy_before", within=0.03))
YET_HIGHER = finding("similar", 0.004, 0.02, (0.006, 0.018), 0.01)
YET_HIGHER = replace(YET_HIGHER, comparison=replace(YET_HIGHER.comparison, metric="entropy_before", within=0.03))
SAME = "Avg@m after RL: precision - ce"


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([GOOD, SIMILAR], "supported"),
        ([GOOD, SMALL], f"supported (smaller than 0.03 for {SAME})"),
        ([SMALL, SMALL], "supported, smaller than 0.03"),
        ([GOOD, YET_HIGHER], "supported (yet higher for held-out entropy of the prior)"),
        ([GOOD, NULL], f"not jointly supported (null within ±0.03 for {SAME})"),
        ([GOOD, ENTROPY], "not jointly supported (null within ±0.03 for held-out entropy of the prior)"),
        ([GOOD, NULL, OPEN], f"not jointly supported (null within ±0.03 for {SAME})"),
        ([GOOD, OPEN], f"not jointly supported (undecided for {SAME}): 38 seeds would find ±0.03"),
        ([GOOD, OPEN, BAD], f"not jointly supported (the reverse is supported for {SAME})"),
        ([BAD, UNRUN], "not run yet"),
        ([SMALL], "supported, smaller than 0.03"),
    ],
)
def test_an_intersection_is_supported_only_if_each_of_its_comparisons_is(
    findings: list[Finding], words: str
) -> None:
    assert str(jointly(findings)) == words
    assert str(jointly(findings[::-1])) == words


def test_seeds_that_would_find_d_are_told_only_if_they_are_more_than_were_run() -> None:
    spread = replace(OPEN, difference=replace(OPEN.difference, deviation=0.02))
    assert str(spread.verdict) == "undecided"
    assert jointly([GOOD, spread]).words == f"not jointly supported (undecided for {SAME})"


def test_places_of_one_verdict_are_named_together() -> None:
    found = [("chain", OPEN.verdict), ("trap", GOOD.verdict), ("text", OPEN.verdict)]
    assert (
        listed(found)
        == "undecided in chain (38 seeds would find ±0.03), text (38 seeds would find ±0.03); supported in trap"
    )
    assert str(Verdict("undecided", 0.015, seeds=1234)) == "undecided: 1,234 seeds would find ±0.015"


@given(st.lists(st.sampled_from([GOOD, SMALL, NULL, OPEN, BAD, UNRUN]), min_size=1, max_size=6), st.booleans())
def test_what_is_counted_of_a_study_adds_up(verdicts: list[Finding], mixture: bool) -> None:
    cells = [
        replace(found, comparison=replace(found.comparison, **of_cell))
        for i, found in enumerate(verdicts)
        for of_cell in [{"minus_variant": f"size={i}", "variant": "x"} if mixture else {"variant": f"slip={i}"}]
    ]
    said = listed_places(cells)
    counts = [int(n) for n in re.findall(r"(?:all )?(\d+)(?: of \d+)? (?:cells|comparisons) of", said)]
    counted = sum(counts) + 2 * said.count("both ") + said.count(" chain at ") + said.count(" chain (x against ")
    assert counted == len(cells), said
    assert all(str(i) in said for i, found in enumerate(verdicts) if verdicts.count(found) == 1 < len(verdicts))


@pytest.mark.parametrize(
    ("column", "size"),
    [
        ("avg_at_m_after", 0.03), ("pass_at_64_before", 0.03), ("rl_area", 0.03), ("rl_heldout_area", 0.03),
        ("avg_at_m_at_0.75_after", 0.03), ("greedy_after", 0.03), ("entropy_before", 0.02),
        ("cross_entropy_before", 0.02), ("completion_cross_entropy_before", 0.02), ("rl_entropy_change", 0.05),
        ("rl_length_change", 0.5), ("rl_steps_to_0.7", 3),
    ],
)  # fmt: skip
def test_smallest_effects_of_interest(column: str, size: float) -> None:
    assert smallest_effect(column) == size
    assert Comparison("chain", "precision", column, "higher").within == size
    assert Comparison("chain", "precision", column, "higher", within=0.5).within == 0.5


def test_a_metric_without_a_smallest_effect_must_be_given_one() -> None:
    with pytest.raises(ValueError, match="ece_before has no smallest effect of interest"):
        Comparison("chain", "precision", "ece_before", "higher")


def test_a_difference_of_differences_needs_a_baseline_in_both_variants() -> None:
    for fields in ({"baseline": None}, {"baseline_variant": "dense"}):
        with pytest.raises(ValueError, match="minus_variant needs a baseline"):
            Comparison("experts", "precision", "rl_area", "higher", minus_variant="dense", **fields)  # type: ignore[arg-type]


def test_names_of_families_are_unique_and_the_primary_hypothesis_is_about_one_metric() -> None:
    names = [family.name for protocol in PROTOCOLS for family in protocol.families]
    assert len(names) == len(set(names)) >= len(FAMILIES)
    assert PROTOCOLS[0].primary_family == "2"
    mixed = Hypothesis(
        "x", tuple(Comparison("chain", "precision", m, "higher") for m in ("rl_area", "avg_at_m_after"))
    )
    with pytest.raises(ValueError, match="about one metric"):
        Protocol("x", "x.md", (), {}, (), mixed)
