"""Cross-entropy is a policy gradient: three gradients side by side, and what sampling costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini.figures import gradient_estimates, held_reward
from pgce_mini.theory import (
    GradientComparison,
    compare_gradients,
    cross_entropy_rewards,
    optimal_baseline,
    sample_counts,
)

POLICY = {"4": 0.6, "5": 0.2, "22": 0.1, "four": 0.06, "fish": 0.03, "the": 0.01}  # made up: after “2 + 2 =”
SAMPLES = [4**i for i in range(9)]  # 1 to 65,536
BASELINES = ("none", "mean reward", "least variance")


def three_gradients(token: str, samples: int, baseline: str, seed: int) -> tuple[GradientComparison, go.Figure]:
    """REINFORCE, beside the two exact ways to the same gradient. The mean reward, sum of pi / pi(x), is 1."""
    tokens, policy = list(POLICY), list(POLICY.values())
    target = tokens.index(token)
    least = optimal_baseline(policy, cross_entropy_rewards(policy, target))
    subtracted = {"none": 0.0, "mean reward": 1.0, "least variance": least}[baseline]
    found = compare_gradients(policy, target, samples, seed, subtracted, SAMPLES)
    now = (samples, found.error)
    curves = (SAMPLES, found.measured, found.expected, now)
    return found, gradient_estimates(tokens, found.gradients, *curves, now_name="this estimate")


class Draws(NamedTuple):
    """What the picture needs beside the number of samples."""

    figure: bytes
    """for any number of samples"""
    given: dict[str, Any]
    """what the browser needs to put in that of one: it does not draw as NumPy does"""
    baseline: float
    variance_change: float
    """by the baseline"""


@st.cache_resource(max_entries=64, show_spinner=False)
def draws(token: str, baseline: str, seed: int) -> Draws:
    found, figure = three_gradients(token, SAMPLES[0], baseline, seed)
    policy = list(POLICY.values())
    given = {
        "policy": policy, "target": list(POLICY).index(token), "rewards": found.rewards,
        "baseline": found.baseline, "samples": SAMPLES, "expected": found.expected, "gap": found.gap,
        "counts": [sample_counts(policy, samples, seed) for samples in SAMPLES],
    }  # fmt: skip
    return Draws(shell.as_json(figure), given, found.baseline, found.variance_change)


def table_of(found: GradientComparison) -> dict[str, list[Any]]:
    return {
        "token": list(POLICY),
        "pi": list(POLICY.values()),
        "reward": found.rewards,
        "drawn": found.counts,
        **found.gradients,
    }


def accept_commas() -> None:
    """An address may have n=4,096, too. Streamlit drops it, and takes what stands here."""
    plain = (given := st.query_params.get("n", "")).replace(",", "")
    if given != plain and plain in map(str, SAMPLES):
        st.session_state.setdefault("n", int(plain))


st.title("Cross-entropy is a policy gradient")
st.markdown(
    "A model reads the prompt “2 + 2 =” and gives each token a the probability π(a), by a softmax of its logits "
    "z. The *true token* x is then shown, and training moves z. Seen as RL, writing a is an action that earns a "
    "reward r(a). Let it be $1/\\pi(x)$ for the true token and 0 for all others (the paper's Eq. 10), **held "
    "constant** while z moves (a *stop-gradient*). Then *raising the mean reward* $J = \\sum_a \\pi(a)\\,r(a)$ "
    "has exactly the gradient of *lowering the cross-entropy* $-\\log\\pi(x)$. REINFORCE, which learns rewards "
    "only from the N tokens it draws from π, gets there on average."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        token = st.radio(
            "True token x", list(POLICY), key="x", horizontal=True, bind="query-params",
            help="The one that came in the data. π(x) falls from the first to the last.",
        )  # fmt: skip
        accept_commas()
        samples = st.select_slider(
            "N: samples of REINFORCE", SAMPLES, 64, key="n", bind="query-params",
            help="How many tokens are drawn from π for one estimate of the gradient.",
        )  # fmt: skip
        baseline = st.radio(
            "Baseline, subtracted from the reward", BASELINES, horizontal=True, key="baseline",
            bind="query-params", help="A constant b: REINFORCE weighs each draw by r − b.",
        )  # fmt: skip
        seed = st.number_input(
            "Seed of the draws", 0, 9999, 0, key="seed", bind="query-params", help="Another seed, other draws."
        )
        found = draws(token, baseline, seed)
        change = found.variance_change
        said = "Any baseline leaves the mean of the estimate where it is."
        if baseline != "none":
            verdict = "takes away" if change < 0 else "adds"
            said += f" This one, b = {found.baseline:.3f}, {verdict} {abs(change):.1%} of the variance."
        if change > 0:
            said += " It adds here, although it is the customary one: this model is nearly right already."
        st.markdown(said)

    settings = {"token": token, "samples": samples, "baseline": baseline, "seed": seed}
    shell.present_moving(
        picture, "policy_gradient", found.figure, ["n"], found.given, three_gradients, settings, table_of
    )
    present_held(POLICY[token])


def present_held(prob: float) -> None:
    """What J would be if its reward were not held constant."""
    if not (fold := st.expander("Why the reward is held constant", key="held", on_change="rerun")).open:
        return
    with fold:
        st.markdown(
            f"J = π(x) r(x), and now π(x) = {prob:g} and r(x) = 1/{prob:g}. Held there, J rises with π(x), "
            "at first with the slope of log π(x): one gradient. If r followed π, **J would be 1 for every "
            "policy**, its gradient 0, and nothing would be learnt."
        )
        figure, alt = shell.as_json(held_reward(prob)), "J over π(x): rising if r is held, flat if it follows π"
        shell.chart("chart_held", figure, alt)


view()
