"""One token: change what it earns and watch where training ends. The whole state is in the address."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import streamlit as st

from pgce_mini import PAPER_ARMS, RewardShaping, stationary_policy
from pgce_mini.dynamics import entropy
from pgce_mini.figures import stationary_bars
from pgce_mini.reward import Form

# Made up: a prompt and how often each token follows it, likeliest first.
LABELS: dict[str, tuple[str, dict[str, float]]] = {
    "peaked": (
        "2 + 2 =",
        {"4": 0.72, "four": 0.08, "5": 0.05, "22": 0.04, "3": 0.03, "?": 0.025}
        | {"2": 0.02, "x": 0.015, "0": 0.01, "fish": 0.005, "(": 0.003, "the": 0.002},
    ),
    "two-way tie": (
        "Heads or tails?",
        {"heads": 0.4, "tails": 0.4, "edge": 0.06, "no": 0.04, "both": 0.03, "why": 0.02}
        | {"yes": 0.015, "coin": 0.012, "ha": 0.01, "7": 0.007, "(": 0.004, "the": 0.002},
    ),
    "flat": (
        "My favourite colour is",
        {"blue": 0.12, "green": 0.11, "red": 0.1, "black": 0.095, "purple": 0.09, "white": 0.085}
        | {"pink": 0.08, "orange": 0.075, "yellow": 0.07, "grey": 0.065, "teal": 0.06, "gold": 0.05},
    ),
}
ARM_SETTINGS = ("beta", "lambda_head", "lambda_tail")


def take_arm() -> None:
    """Moves the sliders to the arm that was picked; k and the form stay, they are the reader's."""
    if st.session_state.arm is not None:
        for name in ARM_SETTINGS:
            st.session_state[name] = getattr(PAPER_ARMS[st.session_state.arm], name)


def slider(label: str, key: str, low: float, high: float) -> float:
    return round(st.slider(label, low, high, 0.0, 0.05, format="%.2f", key=key, bind="query-params"), 2)


def takeaway(before: float, after: float, head_before: float, head_after: float) -> str:
    if abs(after - before) < 5e-4 and abs(head_after - head_before) < 5e-4:
        return "Training ends at the labels themselves, as with cross-entropy."
    change = "stays the same" if abs(after - before) < 5e-4 else "falls" if after < before else "rises"
    verb = "keeps" if abs(head_after - head_before) < 5e-4 else "gains" if head_after > head_before else "loses"
    return (
        f"Compared with cross-entropy, entropy {change} ({before:.3f} → {after:.3f} nats) and "
        f"the head {verb} probability ({head_before:.3f} → {head_after:.3f})."
    )


st.title("One token")
st.markdown(
    "A prompt is followed now by this token, now by that one. Trained with cross-entropy, the model ends at "
    "exactly these frequencies. Reward the tokens otherwise, and it ends elsewhere: sharper, broader, or with a "
    "shorter tail."
)
picture, controls = st.columns([3, 2], gap="large")

with controls:
    kind = st.radio(
        "Label distribution (made up)", list(LABELS), key="labels", horizontal=True, bind="query-params"
    )
    prompt, labels = LABELS[kind]
    arms = st.container()  # filled below, once the sliders are known
    beta = slider("β: below 0 precision, above 0 diversity", "beta", -1.5, 2.0)
    lambda_head = slider("λ head: reward of a wrong token in the head", "lambda_head", -1.0, 1.0)
    lambda_tail = slider("λ tail: reward of a wrong token in the tail", "lambda_tail", -1.0, 1.0)
    top_k = st.slider("k: tokens in the head", 1, len(labels), 4, key="k", bind="query-params")
    form = st.radio(
        "Form of Eq. 11 (its two versions)", get_args(Form), key="form", horizontal=True, bind="query-params"
    )
    values = (beta, lambda_head, lambda_tail)
    st.session_state.arm = next(
        (name for name, arm in PAPER_ARMS.items() if values == tuple(getattr(arm, s) for s in ARM_SETTINGS)), None
    )
    arms.pills("Arm of the paper", list(PAPER_ARMS), key="arm", on_change=take_arm)
    st.markdown("An arm leaves k as it is: the paper's k = 100 would be the whole vocabulary here.")

tokens, frequencies = list(labels), list(labels.values())
shaping = RewardShaping(beta, lambda_head, lambda_tail, top_k, form)
try:
    policy = stationary_policy(frequencies, shaping).tolist()
except ValueError as error:
    picture.error(f"Nowhere to end: {error}.")
    st.stop()

before, after = float(entropy(frequencies)), float(entropy(policy))
head_before, head_after = sum(frequencies[:top_k]), sum(policy[:top_k])
sentence = takeaway(before, after, head_before, head_after)

with picture:
    st.markdown(f"**{sentence}**")
    st.markdown(f"Next token after “{prompt}”:")
    figure = stationary_bars(frequencies, policy, tokens, top_k)
    st.plotly_chart(figure, key="chart", theme=None, config={"displaylogo": False}, alt=sentence)

st.table(
    pd.DataFrame(
        {
            "cross-entropy": [before, head_before, 1 - head_before],
            "this reward": [after, head_after, 1 - head_after],
        },
        index=["entropy (nats)", "probability of the head", "probability of the tail"],
    ).map("{:.3f}".format)
)
table = pd.DataFrame({"token": tokens, "cross-entropy": frequencies, "this reward": policy})
with st.expander("Data"):
    st.table(table.set_index("token").map("{:.4f}".format))
st.download_button("Download CSV", table.to_csv(index=False), "one_token.csv", "text/csv", on_click="ignore")
