"""Cross-entropy is a policy gradient: three gradients side by side, and what sampling costs."""

from __future__ import annotations

import numpy as np
import streamlit as st

import shell
from pgce_mini.figures import gradient_estimates
from pgce_mini.theory import (
    cross_entropy_gradient,
    cross_entropy_rewards,
    optimal_baseline,
    policy_gradient,
    reinforce_gradient,
    reinforce_residual,
    reinforce_variance,
)

TOKENS = ["4", "5", "22", "four", "fish", "the"]
POLICY = np.array([0.6, 0.2, 0.1, 0.06, 0.03, 0.01])  # made up: after “2 + 2 =”
SAMPLES = [4**i for i in range(9)]  # 1 to 65,536
REPEATS = 200
BASELINES = {
    "none": "0.0",
    "mean reward": "1.0  # the mean reward: sum of pi / pi over the true token",
    "least variance": "optimal_baseline(policy, rewards)",
}
CODE = """\
import numpy as np

from pgce_mini.theory.estimators import *
from pgce_mini.figures import gradient_estimates

tokens = {tokens}
policy = np.array({policy})
target, samples, seed = {target}, {samples}, {seed}
rewards = cross_entropy_rewards(policy, target)  # 1 / pi(x) for the true token, 0 for all others
baseline = {baseline}

counts = np.random.default_rng(seed).multinomial(samples, policy)
gradients = {{
    "cross-entropy": cross_entropy_gradient(policy, target),
    "policy gradient, exact": policy_gradient(policy, rewards),
    "REINFORCE": reinforce_gradient(policy, rewards, counts, baseline),
}}
size = np.linalg.norm(gradients["cross-entropy"])
ns = [4**i for i in range(9)]
measured = [reinforce_residual(policy, rewards, n, {repeats}, seed, baseline) for n in ns]
expected = [(reinforce_variance(policy, rewards, baseline) / n) ** 0.5 / size for n in ns]
error = np.linalg.norm(gradients["REINFORCE"] - gradients["cross-entropy"]) / size
figure = gradient_estimates(tokens, gradients, ns, measured, expected, (samples, error))
figure
"""


@st.cache_data(max_entries=128, show_spinner=False)
def measured_residuals(target: int, seed: int, baseline: float) -> list[float]:
    rewards = cross_entropy_rewards(POLICY, target)
    return [reinforce_residual(POLICY, rewards, n, REPEATS, seed, baseline) for n in SAMPLES]


def takeaway(samples: int, hits: int, prob: float, error: float, rms: float, gap: float) -> str:
    exact = (
        "Cross-entropy and the exact policy gradient are the same"
        if gap < 1e-12
        else f"Cross-entropy and the exact policy gradient differ by {gap:.1e}"
    )
    drew = (
        f"{hits:,} of {samples:,} samples drew"
        if samples > 1
        else f"the one sample {'drew' if hits else 'missed'}"
    )
    seen = f"{drew} the true token (π(x) = {prob:g}"
    unseen = (1 - prob) ** samples
    seen += f"; in {unseen:.0%} of such draws none does)" if unseen >= 0.005 else ")"
    return f"{exact}; REINFORCE is off by {error:.1%} here (root mean square {rms:.1%}): {seen}."


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
        token = st.radio("True token x", TOKENS, key="x", horizontal=True, bind="query-params")
        samples = st.select_slider(
            "N: samples of REINFORCE", SAMPLES, 64, format_func="{:,}".format, key="n", bind="query-params"
        )
        kind = st.radio(
            "Baseline, subtracted from the reward",
            list(BASELINES),
            key="baseline",
            horizontal=True,
            bind="query-params",
        )
        seed = st.number_input("Seed of the draws", 0, 9999, 0, key="seed", bind="query-params")
        note = st.container()

    target = TOKENS.index(token)
    rewards = cross_entropy_rewards(POLICY, target)
    baseline = {"none": 0.0, "mean reward": 1.0, "least variance": optimal_baseline(POLICY, rewards)}[kind]
    counts = np.random.default_rng(seed).multinomial(samples, POLICY)
    gradients = {
        "cross-entropy": cross_entropy_gradient(POLICY, target),
        "policy gradient, exact": policy_gradient(POLICY, rewards),
        "REINFORCE": reinforce_gradient(POLICY, rewards, counts, baseline),
    }
    exact = gradients["cross-entropy"]
    size = float(np.linalg.norm(exact))
    error = float(np.linalg.norm(gradients["REINFORCE"] - exact)) / size
    variance, plain = (reinforce_variance(POLICY, rewards, b) for b in (baseline, 0.0))
    expected = [(variance / n) ** 0.5 / size for n in SAMPLES]
    measured = measured_residuals(target, seed, baseline)
    with note:
        change = variance / plain - 1
        verdict = "takes away" if change < 0 else "adds"
        st.markdown(
            "Any baseline leaves the mean of the estimate where it is."
            + (
                ""
                if kind == "none"
                else f" This one, b = {baseline:.3f}, {verdict} {abs(change):.1%} of the variance."
            )
            + (
                " It adds here, although it is the customary one: this model is nearly right already."
                if change > 0
                else ""
            )
        )
    shell.present(
        picture,
        shell.drawn(
            "policy_gradient",
            (target, samples, kind, seed),
            lambda: gradient_estimates(
                TOKENS,
                {name: values.tolist() for name, values in gradients.items()},
                SAMPLES,
                measured,
                expected,
                (samples, error),
            ),
        ),
        takeaway(
            samples,
            int(counts[target]),
            float(POLICY[target]),
            error,
            (variance / samples) ** 0.5 / size,
            float(np.abs(gradients["policy gradient, exact"] - exact).max()),
        ),
        {
            "token": TOKENS,
            "pi": POLICY.tolist(),
            "reward": rewards.tolist(),
            "drawn": counts.tolist(),
            **{name: values.tolist() for name, values in gradients.items()},
        },
        CODE.format(
            tokens=TOKENS,
            policy=POLICY.tolist(),
            target=target,
            samples=samples,
            seed=seed,
            repeats=REPEATS,
            baseline=BASELINES[kind],
        ),
        "policy_gradient",
    )


view()
