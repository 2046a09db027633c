"""The one-state oracle: against brute force, autograd, long training and the formulas of the theory."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings, strategies as st
from numpy.typing import ArrayLike
from scipy.special import softmax

from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS, Form, RewardShaping, token_rewards
from pgce_mini.theory import (
    FloatArray,
    entropy,
    expected_gradient,
    expected_reward,
    policy_flow,
    simplex_field,
    simplex_xy,
    stationary_policies,
    stationary_policy,
)

FORMS: tuple[Form, ...] = ("product", "exponent")
CE = RewardShaping()
ARMS = {
    **{
        f"{name}-{form}": RewardShaping(arm.beta, arm.lambda_head, arm.lambda_tail, 2, form)
        for form in FORMS
        for name, arm in PAPER_ARMS.items()
    },
    **{f"all-terms-{form}": RewardShaping(-0.4, 0.3, -0.2, 2, form) for form in FORMS},
    "strong-product": RewardShaping(1.5, 1.0, -1.0, 3),
    "whole-vocabulary": RewardShaping(0.5, 0.5, -1.0, 100),
}
arms = pytest.mark.parametrize("shaping", ARMS.values(), ids=ARMS.keys())
forms = pytest.mark.parametrize("form", FORMS)

Q = np.array([0.55, 0.2, 0.15, 0.07, 0.03])
betas = st.floats(-0.9, 2.0)
lambdas = st.floats(-1.0, 1.0)


@st.composite
def distributions(draw: st.DrawFn) -> FloatArray:
    """From nearly flat to nearly one-hot, with ties and zeros."""
    q = np.array(draw(st.lists(st.sampled_from([0, 1, 2, 3, 10, 1000]), min_size=2, max_size=8)), float)
    q[draw(st.integers(0, q.size - 1))] += 1
    return np.asarray(q / q.sum())


def log(probs: FloatArray) -> FloatArray:
    return np.log(probs, out=np.full_like(probs, -np.inf), where=probs > 0)


# --- the gradient


@arms
def test_expected_gradient_is_that_of_the_policy_objective_by_autograd(shaping: RewardShaping) -> None:
    logits = torch.tensor([0.3, -1.2, 0.9, 0.1, -0.4], dtype=torch.float64, requires_grad=True)
    probs = logits.softmax(-1)
    per_label = [Q[x] * (probs * token_rewards(probs, torch.tensor(x), shaping)).sum() for x in range(5)]
    (gradient,) = torch.autograd.grad(-sum(per_label), logits)  # J = E_a[r], the reward held constant
    np.testing.assert_allclose(expected_gradient(logits.detach(), Q, shaping), gradient, rtol=0, atol=1e-12)


@settings(max_examples=60)
@given(distributions(), st.integers(0, 99), betas, lambdas, lambdas, st.integers(1, 9), st.sampled_from(FORMS))
def test_expected_gradient_is_that_of_the_loss_that_trains_networks(
    q: FloatArray, seed: int, beta: float, lambda_head: float, lambda_tail: float, top_k: int, form: Form
) -> None:
    shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)
    logits = torch.tensor(2 * np.random.default_rng(seed).standard_normal(q.size), requires_grad=True)
    every_label = torch.arange(q.size)
    losses = shaped_cross_entropy(logits.expand(q.size, -1), every_label, shaping, reduction="none")
    (gradient,) = torch.autograd.grad(losses, logits, torch.tensor(q))
    np.testing.assert_allclose(expected_gradient(logits.detach(), q, shaping), gradient, rtol=0, atol=1e-12)


@arms
def test_the_expected_reward_is_the_average_over_labels_and_actions(shaping: RewardShaping) -> None:
    logits = np.array([[0.3, -1.2, 0.9, 0.1, -0.4], [2.0, 1.0, 0.0, -1.0, -2.0]])
    brute = [
        sum(Q[x] * probs @ token_rewards(torch.tensor(probs), torch.tensor(x), shaping).numpy() for x in range(5))
        for probs in softmax(logits, -1)
    ]
    np.testing.assert_allclose(expected_reward(logits, Q, shaping), brute, atol=1e-12)


def test_under_cross_entropy_the_gradient_is_pi_minus_q_and_the_mean_reward_1() -> None:
    logits = np.random.default_rng(0).standard_normal((6, 5)) * 30
    np.testing.assert_allclose(expected_gradient(logits, Q, CE), softmax(logits, -1) - Q, atol=1e-14)
    np.testing.assert_allclose(expected_reward(logits, Q, CE), 1, atol=1e-14)


@arms
def test_a_row_of_logits_has_the_same_gradient_in_a_batch_as_alone(shaping: RewardShaping) -> None:
    logits = np.random.default_rng(0).standard_normal((3, 4, 5))
    gradient = expected_gradient(logits, Q, shaping)
    for index in itertools.product(range(3), range(4)):
        np.testing.assert_array_equal(gradient[index], expected_gradient(logits[index], Q, shaping))


@arms
def test_the_gradient_is_finite_at_the_corners_of_the_simplex(shaping: RewardShaping) -> None:
    gradient = expected_gradient(log(np.eye(5)), Q, shaping)
    assert np.isfinite(gradient).all()
    assert np.isfinite(expected_gradient([1e4, 0, 0, 0, -1e4], Q, shaping)).all()


def test_ties_for_the_head_go_to_the_lowest_index() -> None:
    logits = np.arange(64) % 2.0  # few or all equal logits keep their order in an unstable sort as well
    gradient = expected_gradient(logits, np.eye(64)[0], RewardShaping(lambda_head=1.0, top_k=10))
    probs, rewards = softmax(logits), np.zeros(64)
    rewards[1:20:2] = 1.0  # lambda_head for the first ten of the likelier half
    rewards[0] = 1 / probs[0]  # the label
    np.testing.assert_allclose(-gradient, probs * (rewards - probs @ rewards), atol=1e-15)


# --- the stationary point


ENDINGS = {  # labels, and logits that rank the tokens as the labels do
    "peaked": (Q, np.log(Q)),
    "tied": (np.array([0.4, 0.3, 0.3]), np.log([0.4, 0.3, 0.3])),
    "flat": (np.full(4, 0.25), np.zeros(4)),
    "elsewhere": (Q, 3 * np.sort(np.random.default_rng(1).standard_normal(5))[::-1]),
}


@pytest.mark.parametrize(("top_k", "form"), sorted({(shaping.top_k, shaping.form) for shaping in ARMS.values()}))
@pytest.mark.parametrize(("q", "start"), ENDINGS.values(), ids=ENDINGS.keys())
def test_long_training_ends_at_the_stationary_policy(
    q: FloatArray, start: FloatArray, top_k: int, form: Form
) -> None:
    shapings = [shaping for shaping in ARMS.values() if (shaping.top_k, shaping.form) == (top_k, form)]
    ends = policy_flow(start, q, shapings, 1500, 0.8)[-1]  # those that can be followed at once
    for end, shaping in zip(ends, shapings, strict=True):
        np.testing.assert_allclose(end, stationary_policy(q, shaping), atol=1e-9, err_msg=str(shaping))


@settings(max_examples=60)
@given(distributions(), betas, lambdas, lambdas, st.integers(1, 9), st.sampled_from(FORMS))
@example(np.array([0.5, 0.5]), -1e-305, 0.0, 0.0, 1, "product")  # 1 / beta overflows
@example(np.array([0.2, 0.4, 0.4]), 1.5, 1e-109, 0.0, 1, "exponent")  # a tie that lambda_head cannot break
@example(np.array([1 - 4e-11, 4e-11]), 0.5, 0.8, 0.0, 2, "product")  # W within 1e-10 of its lower bound
def test_nothing_moves_at_a_stationary_policy(
    q: FloatArray, beta: float, one: float, other: float, top_k: int, form: Form
) -> None:
    if beta > 0:  # an unseen token of the tail could then earn its way into the head
        other = min(other, 0.0)
    shaping = RewardShaping(beta, max(one, other), min(one, other), top_k, form)
    policy = stationary_policy(q, shaping)
    assert (policy >= 0).all()
    assert policy.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(expected_gradient(log(policy), q, shaping)).max() < 1e-9


@forms
def test_cross_entropy_ends_at_q(form: Form) -> None:
    np.testing.assert_allclose(stationary_policy(Q, RewardShaping(form=form)), Q, atol=1e-14)


@arms
def test_rank_aware_terms_obey_their_stationary_condition(shaping: RewardShaping) -> None:
    policy = stationary_policy(Q, shaping)  # ordered as Q
    scale = (1 - policy) ** shaping.beta
    weight = scale if shaping.form == "product" else policy ** (1 - scale)
    ranked = np.where(np.arange(5) < shaping.top_k, shaping.lambda_head, shaping.lambda_tail)
    mean_weight = (Q * weight + (1 - Q) * policy * ranked).sum()
    np.testing.assert_allclose(policy * (mean_weight - (1 - Q) * ranked), Q * weight, atol=1e-12)


@forms
@pytest.mark.parametrize("beta", [-0.9, -0.25, 0.0, 0.5, 2.0])
def test_a_certain_label_is_learnt_outright_and_unseen_tokens_die(form: Form, beta: float) -> None:
    shaping = RewardShaping(beta, lambda_tail=-0.1, top_k=2, form=form)
    np.testing.assert_allclose(stationary_policy([0.0, 1.0, 0.0], shaping), [0, 1, 0], atol=1e-12)
    assert stationary_policy([0.6, 0.4, 0.0], shaping)[2] == 0


def test_a_head_reward_keeps_unseen_tokens_alive_once_beta_makes_the_label_cheap() -> None:
    shaping = RewardShaping(0.5, lambda_head=1.0, top_k=3)
    label = (math.sqrt(5) - 1) / 2  # solves sqrt(1 - pi) / pi = lambda_head
    expected = [label, (1 - label) / 2, (1 - label) / 2, 0.0]
    np.testing.assert_allclose(stationary_policy([1.0, 0.0, 0.0, 0.0], shaping), expected, atol=1e-12)
    end = policy_flow([4.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], shaping, 10_000, 1.0)[-1]
    np.testing.assert_allclose(end, expected, atol=1e-3)  # an unseen token of the tail dies as slowly as 1 / t


@forms
def test_a_vocabulary_of_50k_is_solved(form: Form) -> None:
    q = 1 / np.arange(1.0, 50_001)
    q /= q.sum()
    policy = stationary_policy(q, RewardShaping(-0.5, 0.1, -0.1, 100, form))
    assert policy.sum() == pytest.approx(1, abs=1e-12)
    assert policy[0] > q[0]
    assert policy[100:].sum() < q[100:].sum()


def test_below_minus_one_the_start_decides_so_that_no_policy_is_the_end() -> None:
    for beta in (-1.0, -1.5):
        with pytest.raises(ValueError, match="beta must be above -1"):
            stationary_policy([0.6, 0.4], RewardShaping(beta))
    for leader in (0, 1):
        end = policy_flow(2.0 * np.eye(2)[leader], [0.6, 0.4], RewardShaping(-1.5), 3000, 0.02)[-1]
        assert end[leader] > 0.999


def test_a_head_that_drives_its_tokens_out_has_no_stationary_policy() -> None:
    q, shaping = [0.25, 0.25, 0.25, 0.25], RewardShaping(lambda_head=-0.5, top_k=2)
    with pytest.raises(ValueError, match="no stationary policy"):
        stationary_policy(q, shaping)
    hovering = policy_flow(np.zeros(4), q, shaping, 1000, 0.1)[-100:]
    assert np.abs(np.diff(hovering, axis=0)).max() > 1e-3


# --- what the stationary point means


@settings(max_examples=60)
@given(
    distributions(),
    st.lists(st.tuples(st.floats(-1.2, 2.0), lambdas, lambdas), min_size=1, max_size=6),
    st.integers(1, 8),
    st.sampled_from(FORMS),
)
def test_solved_at_once_each_shaping_has_the_policy_and_the_path_that_it_has_alone(
    q: FloatArray, numbers: list[tuple[float, float, float]], top_k: int, form: Form
) -> None:
    shapings = [RewardShaping(*three, top_k, form) for three in numbers]
    start = np.log(np.arange(1.0, q.size + 1))
    paths = policy_flow(start, q, shapings, steps=5, lr=0.3)
    assert paths.shape == (6, len(shapings), q.size)
    for i, (shaping, policy) in enumerate(zip(shapings, stationary_policies(q, shapings), strict=True)):
        try:
            alone = stationary_policy(q, shaping)
        except ValueError:
            assert np.isnan(policy).all()
        else:
            np.testing.assert_allclose(policy, alone, rtol=0, atol=1e-14)
        np.testing.assert_allclose(paths[:, i], policy_flow(start, q, shaping, 5, 0.3), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shapings", [[], [RewardShaping(top_k=1), RewardShaping(top_k=2)]])
def test_shapings_that_cannot_be_solved_at_once_are_refused(shapings: list[RewardShaping]) -> None:
    for solve in (stationary_policies, lambda q, several: policy_flow(np.zeros(5), q, several, 1, 0.1)):
        with pytest.raises(ValueError, match="shapings must be one or more, all of the same top_k and form"):
            solve(Q, shapings)


@settings(max_examples=60)
@given(distributions(), betas)
def test_product_beta_below_zero_sharpens_and_above_zero_flattens(q: FloatArray, beta: float) -> None:
    policy = stationary_policy(q, RewardShaping(beta))
    sign = math.copysign(1.0, beta)
    assert sign * (entropy(policy) - entropy(q)) >= -1e-12
    assert sign * (q.max() - policy.max()) >= -1e-12


@pytest.mark.parametrize(
    ("form", "beta", "expected"),
    [("product", -0.25, 0.950), ("product", 0.5, 0.801), ("exponent", -0.25, 0.907), ("exponent", 0.5, 0.894)],
)
def test_a_chain_step_that_slips_once_in_ten(form: Form, beta: float, expected: float) -> None:
    """q = 0.9 on the right running total, the rest spread evenly over the 32 others of 0..32."""
    q = np.array([0.9, *np.full(32, 0.1 / 32)])
    assert stationary_policy(q, RewardShaping(beta, form=form))[0] == pytest.approx(expected, abs=5e-4)


def test_the_exponent_form_is_not_monotone_in_beta() -> None:
    """From cross-entropy's 0.7 it sharpens whichever way beta goes; the product form flattens for beta > 0."""
    below, above = (stationary_policy([0.7, 0.3], RewardShaping(b, form="exponent"))[0] for b in (-0.25, 0.5))
    assert below == pytest.approx(0.703, abs=5e-4)
    assert above == pytest.approx(0.708, abs=5e-4)
    assert stationary_policy([0.7, 0.3], RewardShaping(0.5))[0] < 0.7


# --- paths and fields


def test_policy_flow_is_plain_gradient_descent_from_the_start() -> None:
    shaping, start = RewardShaping(-0.4, 0.3, -0.2, 2), np.array([0.0, 1.0, 2.0, -1.0, 0.5])
    path = policy_flow(start, Q, shaping, 2, 0.1)
    first = start - 0.1 * expected_gradient(start, Q, shaping)
    second = first - 0.1 * expected_gradient(first, Q, shaping)
    np.testing.assert_allclose(path, softmax(np.stack([start, first, second]), -1), atol=1e-15)
    np.testing.assert_array_equal(start, [0.0, 1.0, 2.0, -1.0, 0.5])
    assert policy_flow(start, Q, shaping, 0, 0.1).shape == (1, 5)
    assert policy_flow(np.zeros((3, 5)), Q, shaping, 4, 0.1).shape == (5, 3, 5)


@arms
def test_the_simplex_field_is_the_derivative_of_the_flow(shaping: RewardShaping) -> None:
    q, lr = Q[:3] / Q[:3].sum(), 1e-6
    points, velocities = simplex_field(shaping, q, 6)
    after = policy_flow(np.log(points), q, shaping, 1, lr)[1]
    np.testing.assert_allclose((after - points) / lr, velocities, atol=2e-5)


def test_the_simplex_points_fill_the_inside_of_the_simplex_evenly() -> None:
    points, velocities = simplex_field(RewardShaping(0.5), [0.5, 0.3, 0.2], 4)
    assert points.shape == velocities.shape == (10, 3)
    assert (points > 0).all()
    np.testing.assert_allclose(points.sum(-1), 1, atol=1e-15)
    np.testing.assert_allclose(velocities.sum(-1), 0, atol=1e-15)
    np.testing.assert_allclose(points.mean(0), 1 / 3, atol=1e-15)
    assert len(np.unique(points.round(12), axis=0)) == 10


def test_simplex_xy_is_an_equilateral_triangle() -> None:
    corners = simplex_xy(np.eye(3))
    for a, b in itertools.combinations(corners, 2):
        assert np.linalg.norm(a - b) == pytest.approx(1)
    np.testing.assert_allclose(simplex_xy([[1 / 3, 1 / 3, 1 / 3]]), [corners.mean(0)], atol=1e-15)
    np.testing.assert_allclose(simplex_xy([-0.5, 0.5, 0.0]), [0.5, 0.0])  # a velocity


def test_entropy_is_in_nats_along_the_last_axis() -> None:
    np.testing.assert_allclose(entropy([[0.5, 0.5], [1.0, 0.0]]), [math.log(2), 0], atol=1e-15)


# --- bad input


@pytest.mark.parametrize("q", [[0.5, 0.6], [1.5, -0.5], [math.nan, 1.0], [1.0], [[0.5, 0.5]], 1.0])
def test_what_is_not_a_distribution_is_refused(q: ArrayLike) -> None:
    with pytest.raises(ValueError, match="label_distribution must"):
        stationary_policy(q, CE)


@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], 0.0, [math.nan, 0.0], [math.inf, 0.0], [-math.inf] * 2])
def test_logits_that_fit_no_policy_are_refused(logits: list[float]) -> None:
    with pytest.raises(ValueError, match="logits must"):
        expected_gradient(logits, [0.5, 0.5], CE)


def test_senseless_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="steps must"):
        policy_flow([0, 0], [0.5, 0.5], CE, -1, 0.1)
    for lr in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="lr must"):
            policy_flow([0, 0], [0.5, 0.5], CE, 1, lr)
    with pytest.raises(ValueError, match="over 3 tokens"):
        simplex_field(CE, [0.5, 0.5], 3)
    with pytest.raises(ValueError, match="resolution must"):
        simplex_field(CE, Q[:3] / Q[:3].sum(), 0)


def test_a_float32_distribution_is_accepted() -> None:
    q = torch.tensor(Q, dtype=torch.float32)
    np.testing.assert_allclose(stationary_policy(q, CE), Q, atol=1e-7)
