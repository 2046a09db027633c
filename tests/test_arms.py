"""Every name of an arm means what it says, and a wrong name is answered with a right one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.study import EXAMPLES, NAMED, Arm, arm_named


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {"shaping": shaping}) for name, shaping in PAPER_ARMS.items()),
        ("precision-exponent", {"shaping": RewardShaping(beta=-0.25, form="exponent")}),
        ("diversity-exponent", {"shaping": RewardShaping(beta=0.5, form="exponent")}),
        ("beta-0.75", {"shaping": RewardShaping(beta=-0.75)}),
        ("beta+1", {"shaping": RewardShaping(beta=1)}),
        ("head-0.1", {"shaping": RewardShaping(lambda_head=-0.1)}),
        ("tail+1", {"shaping": RewardShaping(lambda_tail=1)}),
        ("temperature-1.5", {"rl_temperature": 1.5, "evaluation_temperature": 1.5}),
        ("evaluation-temperature-0.75", {"evaluation_temperature": 0.75}),
        ("label-smoothing-0.1", {"label_smoothing": 0.1}),
        ("focal-2", {"focal_gamma": 2}),
        ("gem-0.7", {"gem_beta": 0.7}),
        ("coverage-16", {"coverage_samples": 16}),
        ("maxrl-4", {"maxrl_order": 4}),
        ("dynamic", {"maxrl_order": 1}),
        ("steps-2", {"steps_factor": 2}),
        ("matched-precision", {"matched_to": "precision"}),
    ],
)
def test_an_arm_differs_from_cross_entropy_as_its_name_says(name: str, changes: dict[str, Any]) -> None:
    assert arm_named(name) == Arm(name, **changes)


@pytest.mark.parametrize(
    ("name", "prior", "policy"),
    [
        ("ce", "ce", "ce"),
        ("precision", "precision", "precision"),
        ("steps-2", "steps-2", "steps-2"),
        ("temperature-0.75", "ce", "temperature-0.75"),
        ("matched-precision", "ce", "matched-precision"),
        ("evaluation-temperature-0.75", "ce", "ce"),
    ],
)
def test_arms_that_only_sample_otherwise_share_what_cross_entropy_trained(
    name: str, prior: str, policy: str
) -> None:
    assert (arm_named(name).prior, arm_named(name).policy) == (prior, policy)


@pytest.mark.parametrize("name", [*NAMED, *EXAMPLES])
def test_every_example_is_an_arm_and_the_head_can_be_set(name: str) -> None:
    assert arm_named(name, top_k=6).shaping.top_k == 6
    assert arm_named(name).name == name


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("presicion", "precision"),
        ("diversity_exponent", "diversity-exponent"),
        ("temprature-0.75", "temperature-0.75"),
        ("beta--0.75", "beta-0.75"),
        ("beta=-0.75", "beta-0.75"),
        ("temperature+0.75", "temperature-0.75"),
    ],
)
def test_unknown_arm_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"there is no arm {name!r}; did you mean {nearest}?")):
        arm_named(name)


@pytest.mark.parametrize("name", ["", "xyzzy", "beta+0", "temperature-0"])
def test_name_that_resembles_nothing_or_is_cross_entropy_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no arm"):
        arm_named(name)
