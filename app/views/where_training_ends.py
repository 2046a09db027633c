"""Placeholder while the shell settles."""

import streamlit as st

import shell
from pgce_mini import RewardShaping, stationary_policy
from pgce_mini.figures import stationary_bars

st.title("Where training ends")


@st.fragment
def view():
    picture, controls = shell.columns()
    with controls:
        beta = round(st.slider("β", -0.9, 2.0, 0.0, 0.05, key="beta", bind="query-params"), 2)
    q = [0.6, 0.3, 0.1]
    p = stationary_policy(q, RewardShaping(beta)).tolist()
    shell.present(
        picture,
        stationary_bars(q, p, ["a", "b", "c"], 3),
        f"beta {beta} <b>hi</b> *x* $y$.",
        {"token": ["a", "<i>b", "c"], "p": p},
        "print(1)",
        "ends",
    )


view()
