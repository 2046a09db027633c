"""The reward that is said to hide in a loss gives the very gradient of that loss."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import ArrayLike

from pgce_mini.reward import Form, RewardShaping
from pgce_mini.theory import HIDDEN_REWARDS, FloatArray, entropy, policy_gradient, stationary_policy

# The losses as their authors write them; sg is detach.
LOSSES = {
    "cross-entropy": lambda p, x, s: -p[x].log(),
    "shaped (product)": lambda p, x, s: -((1 - p[x]) ** s).detach() * p[x].log(),
    "shaped (exponent)": lambda p, x, s: -(p[x] * (1 / p[x]) ** ((1 - p[x]) ** s)).detach() * p[x].log(),
    "focal": lambda p, x, s: -((1 - p[x]) ** s) * p[x].log(),
    "generalised cross-entropy": lambda p, x, s: (1 - p[x] ** s) / s,
    "dynamic fine-tuning": lambda p, x, s: -p[x].detach() * p[x].log(),
    "label smoothing": lambda p, x, s: torch.nn.functional.cross_entropy(
        p.log(), torch.tensor(x), label_smoothing=s
    ),
    "unlikelihood": lambda p, x, s: -p[x].log() - s * sum((1 - p[a]).log() for a in range(len(p)) if a != x),
    "GEM": lambda p, x, s: ((p ** (1 / s) / (p ** (1 / s)).sum()).detach() * p.log()).sum() - p[x].log(),
    "direct coverage": lambda p, x, s: -(1 - (1 - p[x]) ** s).log(),
    # Of a whole number of terms it is their sum (test_family); between them, the weight of its gradient.
    "MaxRL": lambda p, x, s: -(1 - (1 - p[x]) ** s).detach() * p[x].log(),
}
F = np.array([0.55, 0.25, 0.12, 0.08])


@pytest.mark.parametrize("name", HIDDEN_REWARDS)
@given(
    seed=st.integers(0, 2**32 - 1),
    target=st.integers(0, 5),
    place=st.floats(0, 1),
    spread=st.sampled_from([0.5, 2.0, 4.0]),
)
def test_policy_gradient_of_the_hidden_reward_is_the_gradient_of_the_loss(
    name: str, seed: int, target: int, place: float, spread: float
) -> None:
    hidden = HIDDEN_REWARDS[name]
    strength = hidden.low + place * (hidden.high - hidden.low)
    logits = torch.from_numpy(np.random.default_rng(seed).normal(scale=spread, size=6)).requires_grad_()
    LOSSES[name](logits.softmax(-1), target, strength).backward()
    probs = logits.detach().softmax(-1).numpy()
    ours = policy_gradient(probs / probs.sum(), hidden.rewards(probs, target, strength))
    np.testing.assert_allclose(ours, -logits.grad, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", HIDDEN_REWARDS)
def test_formula_names_the_parameter_and_where_it_is_from(name: str) -> None:
    hidden = HIDDEN_REWARDS[name]
    assert hidden.source
    assert hidden.end
    assert hidden.low <= hidden.default <= hidden.high
    assert bool(hidden.parameter) == (hidden.low < hidden.high)


def test_pushes_by_hand() -> None:
    half = math.log(2)
    assert HIDDEN_REWARDS["focal"].push_at(0.5, 2) == pytest.approx(0.25 + 2 * 0.5 * 0.5 * half)
    assert HIDDEN_REWARDS["generalised cross-entropy"].push_at(0.25, 0.5) == pytest.approx(0.5)
    assert HIDDEN_REWARDS["dynamic fine-tuning"].reward_at(0.25) == pytest.approx(1)
    assert HIDDEN_REWARDS["label smoothing"].wrong_reward_at(0.25, 0.1, 10) == pytest.approx(0.04)
    assert HIDDEN_REWARDS["unlikelihood"].wrong_reward_at(0.75, 1) == pytest.approx(-4)
    assert HIDDEN_REWARDS["direct coverage"].push_at(0.5, 2) == pytest.approx(2 / 3)
    assert HIDDEN_REWARDS["MaxRL"].push_at(0.5, 3) == pytest.approx(7 / 8)
    # Of 3 tokens, 0.5 and two of 0.25: softmax(z / 0.5) is 4/6, 1/6, 1/6.
    gem = HIDDEN_REWARDS["GEM"]
    assert (gem.push_at(0.5, 0.5, 3), gem.wrong_reward_at(0.5, 0.5, 3)) == pytest.approx((1.5 - 2 / 3, 1 - 4 / 3))


def test_gem_of_equally_likely_other_tokens_is_gem_of_the_whole_policy() -> None:
    gem = HIDDEN_REWARDS["GEM"]
    paid = gem.rewards([0.1, 0.3, 0.3, 0.3], 0, 0.7)
    np.testing.assert_allclose(paid[0], gem.reward_at(0.1, 0.7, 4))
    np.testing.assert_allclose(gem.rewards([0.1, 0.3, 0.3, 0.3], 1, 0.7)[0], gem.wrong_reward_at(0.1, 0.7, 4))


@pytest.mark.parametrize("name", [name for name in HIDDEN_REWARDS if "shaped" not in name])  # see the next test
def test_training_ends_at_the_stationary_policy(name: str) -> None:
    hidden = HIDDEN_REWARDS[name]
    strength = hidden.low + 0.3 * (hidden.high - hidden.low)
    logits = np.log(F)
    for _ in range(1000):  # plain descent on the loss averaged over the true token
        probs = np.exp(logits) / np.exp(logits).sum()
        probs = np.minimum(probs, 1 - 1e-9)
        earned = sum(f * hidden.rewards(probs, x, strength) for x, f in enumerate(F))
        logits += 2 * policy_gradient(probs / probs.sum(), earned)
        logits -= logits.max()
    np.testing.assert_allclose(probs, hidden.stationary_policy(F, strength), atol=2e-3)


@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize("beta", [-0.75, 0.5])
def test_stationary_policy_of_the_shaped_losses_is_that_of_their_own_solver(form: Form, beta: float) -> None:
    ours = HIDDEN_REWARDS[f"shaped ({form})"].stationary_policy(F, beta)
    np.testing.assert_allclose(ours, stationary_policy(F, RewardShaping(beta, form=form)), atol=1e-9)


def test_stationary_policies_in_closed_form() -> None:
    def end(name: str, strength: float | None = None, f: ArrayLike = F) -> FloatArray:
        return HIDDEN_REWARDS[name].stationary_policy(f, strength)

    near = partial(np.testing.assert_allclose, atol=1e-9)
    for name, strength in (
        ("cross-entropy", None), ("GEM", 1), ("direct coverage", 1), ("label smoothing", 0), ("unlikelihood", 2)
    ):  # fmt: skip
        near(end(name, strength), F)
    near(end("label smoothing", 0.1), 0.9 * F + 0.1 / 4)
    near(end("generalised cross-entropy", 0.5), F**2 / (F**2).sum())
    near(end("GEM", 0.7), F**0.7 / (F**0.7).sum())
    near(end("dynamic fine-tuning"), [1, 0, 0, 0])
    near(end("dynamic fine-tuning", f=[0.4, 0.2, 0.4]), [0.5, 0, 0.5])  # a tie stays one
    # Two terms pay f (2 - pi): 0.6 (2 - pi) = 0.4 (1 + pi) where pi is 0.8; from f = 2/3 on the other earns less.
    near(end("MaxRL", 2, [0.6, 0.4]), [0.8, 0.2])
    near(end("MaxRL", 2, [0.67, 0.33]), [1, 0])
    assert end("MaxRL", 2, [0.66, 0.34])[1] > 0
    # Two samples, f 2 (1 - pi) / (1 - (1 - pi)^2) = 2 f (1 - pi) / (pi (2 - pi)).
    probs = end("direct coverage", 2, [0.6, 0.4])
    near(*(f * (1 - pi) / (pi * (2 - pi)) for f, pi in zip([0.6, 0.4], probs, strict=True)))


@pytest.mark.parametrize(("name", "sharper"), [("direct coverage", False), ("MaxRL", True)])
@given(weights=st.lists(st.floats(0.01, 1), min_size=2, max_size=40), place=st.floats(0.05, 1))
@settings(max_examples=4)
def test_losses_end_on_their_side_of_cross_entropy(
    name: str, sharper: bool, weights: list[float], place: float
) -> None:
    hidden, f = HIDDEN_REWARDS[name], np.array(weights) / sum(weights)
    low = 1 if name == "direct coverage" else hidden.low
    end = entropy(hidden.stationary_policy(f, low + place * (hidden.high - low)))
    assert end <= entropy(f) + 1e-9 if sharper else end >= entropy(f) - 1e-9


@pytest.mark.parametrize("gamma", [0.25, 2, 5])
def test_focal_loss_ends_flatter_where_a_few_tokens_are_likely_and_sharper_where_all_are_unlikely(
    gamma: float,
) -> None:
    """Its push rises with pi where pi is small."""
    few, many = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, *[0.9 / 99] * 99])
    end = HIDDEN_REWARDS["focal"].stationary_policy
    assert entropy(end(few, gamma)) > entropy(few) + 0.005
    assert entropy(end(many, gamma)) < entropy(many) - 0.005


@pytest.mark.parametrize(
    ("probs", "strength", "reason"),
    [
        (0.0, 1, "probs must lie"), (1.0, 1, "probs must lie"), (math.nan, 1, "probs must lie"),
        (0.5, -0.1, "strength must be in"), (0.5, math.nan, "strength must be in"),
    ],
)  # fmt: skip
def test_senseless_arguments_are_named(probs: float, strength: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        HIDDEN_REWARDS["focal"].push_at(probs, strength)
