"""Three tokens: the flow of every policy, the path from one and where it ends, for any beta at once."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import reward_controls
import shell
from pgce_mini import RewardShaping, policy_flow, simplex_field, stationary_policies
from pgce_mini.figures import SimplexFrame, simplex_flow
from pgce_mini.reward import Form

TOKENS = ["tea", "coffee", "water"]
BETAS = [round(-1.5 + 0.05 * i, 2) for i in range(41)]  # to 0.5
STEPS, LR, RESOLUTION = 60, 0.5, 10
POINTS = ("labels", "labels_rest", "start", "start_rest")  # keys of sliders
OF_THE_REST = "Its share of what tea leaves to the other two."


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


def take_start() -> None:
    """A click on the field moves the sliders of the start there."""
    first, second, third = st.session_state.chart_simplex.click
    st.session_state.start = round(min(max(first, 0.01), 0.98), 2)
    st.session_state.start_rest = round(min(max(second / (second + third), 0.01), 0.99), 2)


def take_beta() -> None:
    """The slider in the picture moves the other one when it is let go."""
    if (value := st.session_state.chart_simplex.slider) in BETAS:
        st.session_state.beta = value


@st.cache_resource(max_entries=16, show_spinner=False)
def picture_of(form: Form) -> bytes:
    """The picture for any values of the sliders, whose numbers the browser puts in."""
    q, start = three(0.6, 0.75), three(0.1, 0.2)
    frame = all_frames(q, start, 0.0, 0.0, 1, form)[BETAS.index(0)]
    return shell.as_json(simplex_flow(TOKENS, q, [frame], 0, BETAS))


def points_of(frame: SimplexFrame) -> dict[str, list[object]]:
    path = np.asarray(frame.path).tolist()
    rows = [(f"path, step {i}", probs) for i, probs in enumerate(path)]
    rows += [] if frame.end is None else [("end", frame.end)]
    table: dict[str, list[object]] = {"point": [name for name, _ in rows]}
    return table | {token: [probs[i] for _, probs in rows] for i, token in enumerate(TOKENS)}


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
        beta = reward_controls.choose_beta(BETAS[0], BETAS[-1])
        left, right = st.columns(2)
        with left:
            q = three(
                shell.slider(
                    "Frequency q: tea", "labels", 0.01, 0.98, 0.6, 0.01, help="How often tea follows the prompt."
                ),
                shell.slider("q: coffee, of the rest", "labels_rest", 0.01, 0.99, 0.75, 0.01, help=OF_THE_REST),
            )
        with right:
            start = three(
                shell.slider(
                    "Start: tea", "start", 0.01, 0.98, 0.1, 0.01, help="The policy before training; or click."
                ),
                shell.slider("Start: coffee, of the rest", "start_rest", 0.01, 0.99, 0.2, 0.01, help=OF_THE_REST),
            )
        reward = reward_controls.choose_others(beta, len(TOKENS), 1)

    settings = {"labels": q, "start": start, **asdict(reward)}
    given = {
        "tokens": TOKENS,
        "form": reward.form,
        "steps": STEPS,
        "lr": LR,
        "resolution": RESOLUTION,
        "betas": BETAS,
    }
    shell.present_moving(
        picture, "simplex", picture_of(reward.form), (*reward_controls.KEYS, *POINTS), given, flow_and_end,
        settings, points_of, "beta", on_click_change=take_start, on_slider_change=take_beta,
    )  # fmt: skip


view()
