"""What sampling at another temperature gives, and where it is what a beta gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from pgce_mini import RewardShaping, stationary_policy
from pgce_mini.theory import ending, endings, entropy, matched_temperature, tempered, total_variation


def test_tempered_by_hand() -> None:
    assert tempered([0.8, 0.2], 0.5) == pytest.approx([16 / 17, 1 / 17])  # squares
    assert tempered([0.8, 0.2, 0.0], 1) == pytest.approx([0.8, 0.2, 0])
    assert tempered([0.8, 0.2, 0.0], 1e9) == pytest.approx([0.5, 0.5, 0])
    assert tempered([0.8, 0.2], 1e-4) == pytest.approx([1, 0])


@given(q=st.floats(0.05, 0.95), beta=st.floats(-0.5, 2))
def test_two_tokens_end_at_the_temperature_of_one_plus_beta(q: float, beta: float) -> None:
    ends = stationary_policy([q, 1 - q], RewardShaping(beta))
    np.testing.assert_allclose(ends, tempered([q, 1 - q], 1 + beta), atol=1e-6)  # 1 - pi is held at 1e-6


@given(seed=st.integers(0, 2**32 - 1), temperature=st.floats(0.2, 5))
def test_matched_temperature_finds_the_temperature_of_an_entropy(seed: int, temperature: float) -> None:
    q = np.random.default_rng(seed).dirichlet(np.full(5, 2.0))
    found = matched_temperature(q, float(entropy(tempered(q, temperature))))
    assert entropy(tempered(q, found)) == pytest.approx(entropy(tempered(q, temperature)), abs=1e-9)


def test_total_variation_by_hand() -> None:
    assert total_variation([0.5, 0.5, 0], [0.25, 0.5, 0.25]) == 0.25


def test_ending_without_shaping_is_the_labels_themselves() -> None:
    plain = ending([0.7, 0.2, 0.1], RewardShaping())
    assert plain.policy == pytest.approx([0.7, 0.2, 0.1])
    assert plain.entropy == pytest.approx(float(entropy([0.7, 0.2, 0.1])))
    assert (plain.confidence, plain.accuracy) == pytest.approx((0.7, 0.7))  # calibrated
    assert plain.temperature == pytest.approx(1)
    assert plain.residual == pytest.approx(0, abs=1e-9)


def test_ending_of_three_tokens_under_precision_is_overconfident_and_no_temperature() -> None:
    sharp = ending([0.7, 0.2, 0.1], RewardShaping(-0.5))
    assert sharp.confidence > 0.8 > sharp.accuracy == pytest.approx(0.7)
    assert sharp.temperature < 1
    assert sharp.residual > 0.005


def test_ending_of_two_tokens_is_a_temperature() -> None:
    two = ending([0.7, 0.3], RewardShaping(0.5))
    assert two.temperature == pytest.approx(1.5, rel=1e-4)
    assert two.residual == pytest.approx(0, abs=1e-6)


def test_endings_are_those_of_each_shaping_and_none_where_training_does_not_end() -> None:
    shapings = [RewardShaping(beta) for beta in (-1.0, -0.25, 0.5)]
    none, *some = endings([0.5, 0.3, 0.2], shapings)
    assert none is None
    for found, shaping in zip(some, shapings[1:], strict=True):
        assert found is not None
        alone = ending([0.5, 0.3, 0.2], shaping)
        assert found.policy == pytest.approx(alone.policy)
        assert found[1:] == pytest.approx(alone[1:])


def test_ending_whose_entropy_no_temperature_gives_has_none() -> None:
    tie = ending([0.5, 0.5, 0.0], RewardShaping(lambda_head=4.0, top_k=3))
    assert tie.policy[2] == pytest.approx(0.5)  # never the label, and yet it lives
    assert tie.temperature is tie.residual is None


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_senseless_temperature_is_named(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        tempered([0.5, 0.5], temperature)


@pytest.mark.parametrize("nats", [-0.1, math.log(3), math.nan])
def test_entropy_that_no_temperature_gives_is_named(nats: float) -> None:
    with pytest.raises(ValueError, match="nats must be an entropy"):
        matched_temperature([0.7, 0.2, 0.1], nats)
