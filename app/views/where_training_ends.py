"""Where training ends, over beta and the lambdas: entropy, calibration, and whether beta is a temperature."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import streamlit as st

import reward_controls
import shell
from pgce_mini import RewardShaping
from pgce_mini.figures import endings_over
from pgce_mini.reward import Form
from pgce_mini.theory import Ending, ending, endings, entropy, tempered

# Made up: how often each token follows a prompt.
FREQUENCIES = {
    "two tokens": {"yes": 0.7, "no": 0.3},
    "six tokens": {"4": 0.6, "5": 0.2, "22": 0.1, "four": 0.06, "fish": 0.03, "the": 0.01},
    "a tie": {"heads": 0.45, "tails": 0.45, "edge": 0.06, "why": 0.04},
}
SWEEPS = {
    "β": (
        "beta",
        [round(-0.9 + 0.02 * i, 2) for i in range(45)] + [round(0.05 * i, 2) for i in range(41)],
    ),  # finer where it bends
    "λ head": ("lambda_head", [round(-1 + 0.1 * i, 2) for i in range(21)]),
    "λ tail": ("lambda_tail", [round(-1 + 0.1 * i, 2) for i in range(21)]),
}


def endings_around(
    labels: dict[str, float], over: str, shaping: RewardShaping
) -> tuple[list[Ending | None], go.Figure]:
    """Where training ends over one setting of `shaping`, the others as they are."""
    tokens, q = list(labels), list(labels.values())
    field, values = SWEEPS[over]
    found = endings(q, [replace(shaping, **{field: value}) for value in values])
    plain = ending(q, RewardShaping())
    by_temperature = [float(entropy(tempered(q, 1 + beta))) for beta in values] if field == "beta" else None
    now = getattr(shaping, field)
    return found, endings_over(over, values, found, tokens, plain, now, by_temperature)


@st.cache_resource(max_entries=32, show_spinner=False)
def picture_of(kind: str, over: str, form: Form) -> bytes:
    """The picture for any values of the sliders, whose numbers the browser puts in."""
    return shell.as_json(endings_around(FREQUENCIES[kind], over, RewardShaping(form=form))[1])


st.title("Where training ends")
st.markdown(
    "The true token is itself random: each token a follows the prompt with a frequency q(a) (dotted). "
    "Cross-entropy ends at π = q, which is calibrated: what the model gives 60 % is right in 60 % of cases. With "
    "a shaped reward, training ends where every token earns the same on average; with β alone at "
    "$\\pi(a) \\propto q(a)\\,(1-\\pi(a))^\\beta$ (ours). **Is β just a temperature?** Would learning q and "
    "sampling at another temperature give the same policy? Try two tokens, then six. Entropy is in *nats*: log V "
    "of them for V equally likely tokens, 0 for a sure one."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        kind = st.radio(
            "Frequencies q (made up)", list(FREQUENCIES), 1, key="labels", horizontal=True, bind="query-params",
            help="How often each token follows the prompt.",
        )  # fmt: skip
        over = st.radio(
            "Picture over", list(SWEEPS), key="over", horizontal=True, bind="query-params",
            help="The setting along the bottom; the upright line is where its slider stands.",
        )  # fmt: skip
        reward = reward_controls.choose_others(reward_controls.choose_beta(-0.9, 2.0), 6, 2)

    frequencies = FREQUENCIES[kind]
    given = {
        "tokens": list(frequencies), "q": list(frequencies.values()), "over": SWEEPS[over][0], "form": reward.form
    }  # fmt: skip

    def table(numbers: list[Ending | None]) -> dict[str, list[object]]:
        columns: dict[str, list[object]] = {over: list(SWEEPS[over][1])}
        for i, token in enumerate(frequencies):
            columns[f"π({token})"] = [None if e is None else e.policy[i] for e in numbers]
        for name in ("entropy", "confidence", "accuracy", "temperature", "residual"):
            columns[name] = [None if e is None else getattr(e, name) for e in numbers]
        return columns

    settings = {"labels": frequencies, "over": over, "shaping": reward}
    shell.present_moving(
        picture, "where_training_ends", picture_of(kind, over, reward.form), reward_controls.KEYS, given,
        endings_around, settings, table,
    )  # fmt: skip


view()
