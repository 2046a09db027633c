"""The controls of a shaped reward, which two pages share."""

from __future__ import annotations

from typing import get_args

import streamlit as st

import shell
from pgce_mini import RewardShaping
from pgce_mini.reward import Form

KEYS = ("beta", "lambda_head", "lambda_tail", "k")  # of the sliders


def choose_beta(low: float, high: float) -> float:
    return shell.slider(
        "β: below 0 precision, above 0 diversity", "beta", low, high, -0.25,
        help="The true token earns (1 − π)^β times what cross-entropy pays it: below 0, more where the model is "
        "already sure; above 0, less.",
    )  # fmt: skip


def choose_others(beta: float, tokens: int, top_k: int) -> RewardShaping:
    """Both λ, k of at most `tokens`, and the form."""
    return RewardShaping(
        beta,
        shell.slider(
            "λ head: reward of a wrong token in the head", "lambda_head", -1.0, 1.0,
            help="The head are the k tokens that the model finds likeliest. Cross-entropy has 0.",
        ),
        shell.slider(
            "λ tail: reward of a wrong token in the tail", "lambda_tail", -1.0, 1.0,
            help="The tail are all tokens outside the head. Cross-entropy has 0.",
        ),
        st.slider(
            "k: tokens in the head", 1, tokens, top_k, key="k", bind="query-params",
            help="It matters only where λ head and λ tail differ.",
        ),
        st.radio(
            "Form of Eq. 11", get_args(Form), key="form", horizontal=True, bind="query-params",
            help="The paper has two versions of β's reward: the weight (1 − π)^β as a factor, or in the exponent.",
        ),
    )  # fmt: skip
