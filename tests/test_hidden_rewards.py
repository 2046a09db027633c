"""The reward that is said to hide in a loss gives the very gradient of that loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from pgce_mini.theory import HIDDEN_REWARDS, policy_gradient

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
}


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
    assert hidden.low <= hidden.default <= hidden.high
    assert bool(hidden.parameter) == (hidden.low < hidden.high)


def test_pushes_by_hand() -> None:
    half = math.log(2)
    assert HIDDEN_REWARDS["focal"].push_at(0.5, 2) == pytest.approx(0.25 + 2 * 0.5 * 0.5 * half)
    assert HIDDEN_REWARDS["generalised cross-entropy"].push_at(0.25, 0.5) == pytest.approx(0.5)
    assert HIDDEN_REWARDS["dynamic fine-tuning"].reward_at(0.25) == pytest.approx(1)
    assert HIDDEN_REWARDS["label smoothing"].wrong_reward_at(0.25, 0.1, 10) == pytest.approx(0.04)
    assert HIDDEN_REWARDS["unlikelihood"].wrong_reward_at(0.75, 1) == pytest.approx(-4)


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
