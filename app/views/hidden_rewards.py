"""Which reward does your loss hide? Known losses, written as the policy gradient of a reward."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini.figures import Earnings, hidden_rewards
from pgce_mini.theory import HIDDEN_REWARDS

VOCAB_SIZE = 10  # of label smoothing and GEM: with a real one some rewards would be too small to be seen
PROBS = np.r_[np.linspace(0.01, 0.9, 90), np.linspace(0.9025, 0.99, 36)]  # finer where negative beta bends most
KEYS = {  # of the sliders in the address, by the symbols of their parameters
    "β": "beta", "γ": "gamma", "q": "q", "ε": "epsilon", "α": "alpha", "τ": "tau", "N": "samples", "T": "terms",
}  # fmt: skip


def what_losses_pay(strengths: dict[str, float], probe: float) -> tuple[dict[str, Earnings], go.Figure]:
    """What each loss, with its parameter, pays at any probability; a line marks one of them."""
    earnings = {}
    for name, strength in strengths.items():
        hidden = HIDDEN_REWARDS[name]
        earnings[name] = Earnings(
            hidden.reward_at(PROBS, strength, VOCAB_SIZE).tolist(),
            hidden.push_at(PROBS, strength, VOCAB_SIZE).tolist(),
            hidden.wrong_reward_at(PROBS, strength, VOCAB_SIZE).tolist(),
        )
    return earnings, hidden_rewards(PROBS.tolist(), earnings, list(HIDDEN_REWARDS), probe)


@st.cache_resource(max_entries=32, show_spinner=False)
def picture_of(names: tuple[str, ...]) -> bytes:
    """The picture for any values of the sliders, whose numbers the browser puts in."""
    return shell.as_json(what_losses_pay({name: HIDDEN_REWARDS[name].default for name in names}, 0.1)[1])


def table_of(earnings: dict[str, Earnings]) -> dict[str, list[float]]:
    return {"pi": PROBS.round(4).tolist()} | {
        f"{name}: {what}": list(getattr(earned, field))
        for name, earned in earnings.items()
        for field, what in (("reward", "r"), ("push", "pi r"), ("wrong", "r if wrong"))
    }


st.title("Which reward does your loss hide?")
st.markdown(
    "Training pushes the logits by $\\sum_a \\pi(a)\\,r(a)\\,\\nabla\\log\\pi(a)$, where a is a token, π(a) its "
    "probability and r(a) what it earns. Nearly every loss is of this form, with a reward r of its own: "
    "$r(a) = -\\partial L/\\partial\\pi(a)$ (ours, checked against each loss's own gradient). What multiplies "
    "∇ log π(a) is the *weight* π r. Cross-entropy pays the true token x exactly 1/π(x), so that its weight is 1 "
    "at any probability."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        names = st.pills(
            "Losses to compare", list(HIDDEN_REWARDS), selection_mode="multi", key="losses", wrap=True,
            default=["cross-entropy", "shaped (product)", "focal", "label smoothing"], bind="query-params",
            help="Each keeps its colour and dash.",
        )  # fmt: skip
        probe = shell.slider(
            "π: probability to read off", "pi", 0.01, 0.99, 0.1, 0.01,
            help="Of the true token, for its weight; of a wrong one, for what that earns.",
        )  # fmt: skip
        values = {"": 0.0}
        for hidden in (HIDDEN_REWARDS[name] for name in names):
            symbol = hidden.parameter
            if symbol not in values:
                users = " and ".join(n for n in names if HIDDEN_REWARDS[n].parameter == symbol)
                low, high, default = float(hidden.low), float(hidden.high), float(hidden.default)
                values[symbol] = shell.slider(
                    f"{symbol} of {users}",
                    KEYS[symbol],
                    low,
                    high,
                    default,
                    help=f"{symbol} in the formulas below.",
                )
    if not names:
        picture.info("Pick a loss to see what it pays.")
        return

    formulas = [
        f"- **{name}** ({hidden.source}): loss ${hidden.loss}$; reward of the true token ${hidden.reward}$, "
        f"of a wrong one ${hidden.wrong_reward}$; ends {hidden.end}"
        for name, hidden in HIDDEN_REWARDS.items()
        if name in names
    ]
    note = (
        "sg[·]: held constant under the gradient. *Ends*: where training rests if token a is the true one with "
        f"frequency f(a). The picture takes V = {VOCAB_SIZE} tokens, for GEM all but this one equally likely."
    )
    st.markdown("\n".join(formulas) + "\n\n" + note)
    symbols = {name: HIDDEN_REWARDS[name].parameter for name in names}
    keys = ["pi", *(KEYS[symbol] for symbol in values if symbol)]
    given = {"losses": [(name, KEYS.get(symbol)) for name, symbol in symbols.items()], "vocab": VOCAB_SIZE}
    settings = {"strengths": {name: values[symbol] for name, symbol in symbols.items()}, "probe": probe}
    shell.present_moving(
        picture, "hidden_rewards", picture_of(tuple(names)), keys, given, what_losses_pay, settings, table_of
    )


view()
