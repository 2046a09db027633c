"""Cross-entropy is a policy gradient: three gradients side by side, and what sampling costs."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini.figures import gradient_estimates
from pgce_mini.theory import GradientComparison, compare_gradients, cross_entropy_rewards, optimal_baseline

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


def takeaway(found: GradientComparison, token: str, samples: int) -> str:
    exact = (
        "Cross-entropy and the exact policy gradient are the same"
        if found.gap < 1e-12
        else f"Cross-entropy and the exact policy gradient differ by {found.gap:.1e}"
    )
    hits, prob = found.counts[list(POLICY).index(token)], POLICY[token]
    drew = (
        f"{hits:,} of {samples:,} samples drew"
        if samples > 1
        else f"the one sample {'drew' if hits else 'missed'}"
    )
    seen = f"{drew} the true token (π(x) = {prob:g}"
    unseen = (1 - prob) ** samples
    seen += f"; in {unseen:.0%} of such draws none does)" if unseen >= 0.005 else ")"
    rms = found.expected[SAMPLES.index(samples)]
    return f"{exact}; REINFORCE is off by {found.error:.1%} here (root mean square {rms:.1%}): {seen}."


st.title("Cross-entropy is a policy gradient")
st.markdown(
    "A model reads the prompt “2 + 2 =” and gives each token a the probability π(a), by a softmax of its logits "
    "z. The *true token* x is then shown, and training moves z. Seen as RL, writing a is an action that earns a "
    "reward r(a). Let it be $1/\\pi(x)$ for the true token and 0 for all others (the paper's Eq. 10): then "
    "*raising the mean reward* $J = \\sum_a \\pi(a)\\,r(a)$ is exactly *lowering the cross-entropy* "
    "$-\\log\\pi(x)$. REINFORCE, which learns rewards only from the N tokens it draws from π, gets there on "
    "average."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        token = st.radio("True token x", list(POLICY), key="x", horizontal=True, bind="query-params")
        samples = st.select_slider(
            "N: samples of REINFORCE", SAMPLES, 64, format_func="{:,}".format, key="n", bind="query-params"
        )
        baseline = st.radio(
            "Baseline, subtracted from the reward", BASELINES, key="baseline", horizontal=True, bind="query-params"
        )
        seed = st.number_input("Seed of the draws", 0, 9999, 0, key="seed", bind="query-params")
        note = st.container()

    found, figure, code = shell.made(three_gradients, token=token, samples=samples, baseline=baseline, seed=seed)
    change = found.variance_change
    said = "Any baseline leaves the mean of the estimate where it is."
    if baseline != "none":
        verdict = "takes away" if change < 0 else "adds"
        said += f" This one, b = {found.baseline:.3f}, {verdict} {abs(change):.1%} of the variance."
    if change > 0:
        said += " It adds here, although it is the customary one: this model is nearly right already."
    note.markdown(said)
    table = {
        "token": list(POLICY),
        "pi": list(POLICY.values()),
        "reward": found.rewards,
        "drawn": found.counts,
        **found.gradients,
    }
    shell.present(picture, figure, takeaway(found, token, samples), table, code, "policy_gradient")


view()
