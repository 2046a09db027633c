"""Three tokens: the flow of every policy, the path from one and where it ends, for any beta at once."""

from __future__ import annotations

from typing import get_args

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini import RewardShaping, policy_flow, simplex_field, stationary_policies
from pgce_mini.figures import SimplexFrame, simplex_flow
from pgce_mini.reward import Form
from pgce_mini.theory import entropy

TOKENS = ["tea", "coffee", "water"]
BETAS = [round(-1.5 + 0.05 * i, 2) for i in range(41)]  # to 0.5
STEPS, LR, RESOLUTION = 60, 0.5, 10


@st.cache_resource(max_entries=64, show_spinner=False)  # nobody changes them, so none needs a copy
def all_frames(
    labels: list[float], start: list[float], lambda_head: float, lambda_tail: float, top_k: int, form: Form
) -> list[SimplexFrame]:
    shapings = [RewardShaping(beta, lambda_head, lambda_tail, top_k, form) for beta in BETAS]
    paths = policy_flow(np.log(start), labels, shapings, STEPS, LR)  # (STEPS + 1, betas, 3)
    ends = stationary_policies(labels, shapings)
    return [
        SimplexFrame(
            shaping.beta, *simplex_field(shaping, labels, RESOLUTION), path, None if np.isnan(end).any() else end
        )
        for shaping, path, end in zip(shapings, paths.swapaxes(0, 1), ends.tolist(), strict=True)
    ]


def flow_and_end(
    beta: float,
    labels: list[float],
    start: list[float],
    lambda_head: float,
    lambda_tail: float,
    top_k: int,
    form: Form,
) -> tuple[SimplexFrame, go.Figure]:
    """The frame of `beta`, and a picture of it that has those of the others behind its slider."""
    active = BETAS.index(beta)
    frames = all_frames(labels, start, lambda_head, lambda_tail, top_k, form)
    return frames[active], simplex_flow(TOKENS, labels, frames, active)


def three(first: float, share: float) -> list[float]:
    """The probabilities of three tokens from that of the first and the second's share of the rest."""
    return [first, (1 - first) * share, (1 - first) * (1 - share)]


def percent(probs: list[float]) -> str:
    return ", ".join(f"{token} {p:.1%}" for token, p in zip(TOKENS, probs, strict=True))


def head(probs: list[float], top_k: int) -> set[int]:
    return set(np.argsort(-np.array(probs), kind="stable")[:top_k].tolist())


def takeaway(
    beta: float, labels: list[float], path: list[list[float]], end: list[float] | None, elsewhere: bool
) -> str:
    """elsewhere: from this start other tokens come to hold the head than from the labels, and are kept in it."""
    if end is not None and elsewhere:
        return (
            f"At β = {beta:.2f} training from the labels ends at {percent(end)}; from this start other tokens "
            f"hold the head, with {percent(path[-1])} after {STEPS} steps."
        )
    if end is not None:
        before, after = float(entropy(labels)), float(entropy(end))
        kind = (
            "as certain as" if abs(after - before) < 5e-4 else "surer than" if after < before else "less sure than"
        )
        return f"At β = {beta:.2f} training ends at {percent(end)}: {kind} the labels ({percent(labels)})."
    if beta <= -1:
        leader = max(range(3), key=path[-1].__getitem__)
        return (
            f"At β = {beta:.2f} no end is marked, as it may depend on the start: from here {TOKENS[leader]} has "
            f"{path[-1][leader]:.1%} after {STEPS} steps."
        )
    return f"At β = {beta:.2f} and these λ nothing is at rest: being in the head drives a token out of it."


def take_start() -> None:
    """A click on the field moves the sliders of the start there."""
    first, second, third = st.session_state.chart_simplex.click
    st.session_state.start = round(min(max(first, 0.01), 0.98), 2)
    st.session_state.start_rest = round(min(max(second / (second + third), 0.01), 0.99), 2)


def take_beta() -> None:
    """The slider in the picture moves the other one when it is let go."""
    if (value := st.session_state.chart_simplex.slider) in BETAS:
        st.session_state.beta = value


st.title("Three tokens on a triangle")
st.markdown(
    "Each point is a policy over three tokens: the nearer to a corner, the likelier that token. Arrows show where "
    "gradient descent moves the policy (a logit grows while its token earns more than the mean reward, as in the "
    "replicator equation), the orange line where it goes from the start. Click the picture to start elsewhere."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        beta = shell.slider("β: below 0 precision, above 0 diversity", "beta", BETAS[0], BETAS[-1], -0.25)
        left, right = st.columns(2)
        with left:
            labels = three(
                shell.slider("Labels: tea", "labels", 0.01, 0.98, 0.6, 0.01),
                shell.slider("coffee, of the rest", "labels_rest", 0.01, 0.99, 0.75, 0.01),
            )
        with right:
            start = three(
                shell.slider("Start: tea", "start", 0.01, 0.98, 0.1, 0.01),
                shell.slider("coffee, of the rest", "start_rest", 0.01, 0.99, 0.2, 0.01),
            )
        lambda_head = shell.slider("λ head: reward of a wrong token in the head", "lambda_head", -1.0, 1.0)
        lambda_tail = shell.slider("λ tail: reward of a wrong token in the tail", "lambda_tail", -1.0, 1.0)
        top_k = st.slider("k: tokens in the head", 1, 3, 1, key="k", bind="query-params")
        form = st.radio("Form of Eq. 11", get_args(Form), key="form", horizontal=True, bind="query-params")

    frame, figure, code = shell.made(
        flow_and_end, beta=beta, labels=labels, start=start, lambda_head=lambda_head, lambda_tail=lambda_tail,
        top_k=top_k, form=form,
    )  # fmt: skip
    path, end = np.asarray(frame.path).tolist(), frame.end
    rows = [("labels", labels), *((f"path, step {i}", probs) for i, probs in enumerate(path))]
    rows += [] if end is None else [("end", end)]
    elsewhere = lambda_head > lambda_tail and head(path[-1], top_k) != head(labels, top_k)
    table = {"point": [name for name, _ in rows]}
    table |= {token: [probs[i] for _, probs in rows] for i, token in enumerate(TOKENS)}
    shell.present(
        picture, figure, takeaway(beta, labels, path, end, elsewhere), table, code, "simplex",
        on_click_change=take_start, on_slider_change=take_beta,
    )  # fmt: skip


view()
