"""Which reward does your loss hide? Known losses, written as the policy gradient of a reward."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini.figures import Earnings, hidden_rewards
from pgce_mini.theory import HIDDEN_REWARDS

VOCAB_SIZE = 10  # of label smoothing: with a real one its rewards would be too small to be seen
PROBS = np.linspace(0.01, 0.99, 99)
KEYS = {"β": "beta", "γ": "gamma", "q": "q", "ε": "epsilon", "α": "alpha"}  # in the address


def what_losses_pay(
    strengths: dict[str, float], probe: float
) -> tuple[tuple[dict[str, Earnings], dict[str, float]], go.Figure]:
    """What each loss, with its parameter, pays at any probability, and its push at one of them."""
    earnings, pushes = {}, {}
    for name, strength in strengths.items():
        hidden = HIDDEN_REWARDS[name]
        earnings[name] = Earnings(
            hidden.reward_at(PROBS, strength, VOCAB_SIZE).tolist(),
            hidden.push_at(PROBS, strength, VOCAB_SIZE).tolist(),
            hidden.wrong_reward_at(PROBS, strength, VOCAB_SIZE).tolist(),
        )
        pushes[name] = float(hidden.push_at(probe, strength, VOCAB_SIZE))
    return (earnings, pushes), hidden_rewards(PROBS.tolist(), earnings, list(HIDDEN_REWARDS), probe)


def takeaway(pushes: dict[str, float], probe: float, wrong: list[str]) -> str:
    others = {name: push for name, push in pushes.items() if name != "cross-entropy"}
    if not others:
        return f"At π = {probe:.2f}, as anywhere, cross-entropy pushes the true token by 1; others earn nothing."
    hardest, least = max(others, key=others.__getitem__), min(others, key=others.__getitem__)
    said = f"{hardest} pushes the true token {others[hardest]:.2f} times as hard as cross-entropy"
    if least != hardest:
        said += f", {least} {others[least]:.2f} times"
    paid = f"wrong tokens earn something under {' and '.join(wrong)}" if wrong else "wrong tokens earn nothing"
    return f"At π = {probe:.2f}, {said}; {paid}."


st.title("Which reward does your loss hide?")
st.markdown(
    "Training pushes the logits by $\\sum_a \\pi(a)\\,r(a)\\,\\nabla\\log\\pi(a)$, where a is a token, π(a) its "
    "probability and r(a) what it earns. Nearly every loss is of this form, with a reward r of its own: "
    "$r(a) = -\\partial L/\\partial\\pi(a)$ (ours, checked against each loss's own gradient). Cross-entropy pays "
    "the true token x just so much, 1/π(x), that its *push* π r is 1 at any probability."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        names = st.pills(
            "Losses to compare", list(HIDDEN_REWARDS), selection_mode="multi", key="losses", wrap=True,
            default=["cross-entropy", "shaped (product)", "focal", "label smoothing"], bind="query-params",
        )  # fmt: skip
        probe = shell.slider("π: probability to read off", "pi", 0.01, 0.99, 0.1, 0.01)
        values = {"": 0.0}
        for hidden in (HIDDEN_REWARDS[name] for name in names):
            symbol = hidden.parameter
            if symbol not in values:
                users = [n for n in names if HIDDEN_REWARDS[n].parameter == symbol]
                low, high, default = float(hidden.low), float(hidden.high), float(hidden.default)
                label = f"{symbol} of {' and '.join(users)}"
                values[symbol] = shell.slider(label, KEYS[symbol], low, high, default)
    if not names:
        picture.info("Pick a loss to see what it pays.")
        return

    strengths = {name: values[HIDDEN_REWARDS[name].parameter] for name in names}
    (earnings, pushes), figure, code = shell.made(what_losses_pay, strengths=strengths, probe=probe)
    formulas = [
        f"- **{name}** ({hidden.source}): loss ${hidden.loss}$; reward of the true token ${hidden.reward}$, "
        f"of a wrong one ${hidden.wrong_reward}$"
        for name, hidden in HIDDEN_REWARDS.items()
        if name in names
    ]
    st.markdown(
        "\n".join(formulas) + "\n\nsg[·]: held constant under the gradient. For label smoothing the picture "
        f"takes a vocabulary of V = {VOCAB_SIZE} tokens."
    )
    table = {"pi": PROBS.round(2).tolist()} | {
        f"{name}: {what}": getattr(earned, field)
        for name, earned in earnings.items()
        for field, what in (("reward", "r"), ("push", "pi r"), ("wrong", "r if wrong"))
    }
    said = takeaway(pushes, probe, [name for name in names if any(earnings[name].wrong)])
    shell.present(picture, figure, said, table, code, "hidden_rewards")


view()
