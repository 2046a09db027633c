"""Where training ends, over beta and the lambdas: entropy, calibration, and whether beta is a temperature."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini import RewardShaping
from pgce_mini.figures import endings_over
from pgce_mini.reward import Form
from pgce_mini.theory import Ending, endings, entropy, tempered

# Made up: how often each token follows a prompt.
LABELS = {
    "two tokens": {"yes": 0.7, "no": 0.3},
    "six tokens": {"4": 0.6, "5": 0.2, "22": 0.1, "four": 0.06, "fish": 0.03, "the": 0.01},
    "a tie": {"heads": 0.45, "tails": 0.45, "edge": 0.06, "why": 0.04},
}
SWEEPS = {
    "β": ("beta", [round(-0.9 + 0.1 * i, 2) for i in range(30)]),
    "λ head": ("lambda_head", [round(-1 + 0.1 * i, 2) for i in range(21)]),
    "λ tail": ("lambda_tail", [round(-1 + 0.1 * i, 2) for i in range(21)]),
}


@st.cache_data(max_entries=256, show_spinner=False)
def solved(labels: list[float], shapings: list[RewardShaping]) -> list[Ending | None]:
    return endings(labels, shapings)


def endings_around(
    labels: dict[str, float], over: str, shaping: RewardShaping
) -> tuple[tuple[list[Ending | None], Ending, Ending | None], go.Figure]:
    """Where training ends over one setting of `shaping`; under cross-entropy; and here."""
    tokens, q = list(labels), list(labels.values())
    field, values = SWEEPS[over]
    found = solved(q, [replace(shaping, **{field: value}) for value in values])
    plain, here = solved(q, [RewardShaping(0, 0, 0, shaping.top_k, shaping.form), shaping])
    assert plain is not None  # cross-entropy ends at the labels
    by_temperature = [float(entropy(tempered(q, 1 + beta))) for beta in values] if field == "beta" else None
    now = getattr(shaping, field)
    return (found, plain, here), endings_over(over, values, found, tokens, plain, now, by_temperature)


def takeaway(plain: Ending, here: Ending | None, tokens: list[str]) -> str:
    if here is None:
        return "Nothing is at rest here: being in the head drives a token out of it, so training does not end."
    change = here.entropy - plain.entropy
    course = "stays" if abs(change) < 5e-4 else "falls" if change < 0 else "rises"
    top = tokens[max(range(len(tokens)), key=here.policy.__getitem__)]
    gap = here.confidence - here.accuracy
    trust = "calibrated" if abs(gap) < 5e-4 else "overconfident" if gap > 0 else "underconfident"
    sentence = (
        f"Entropy {course} ({plain.entropy:.3f} → {here.entropy:.3f} nats) and the model is {trust}: it gives "
        f"“{top}” {here.confidence:.1%} where {here.accuracy:.1%} is right; "
    )
    if here.temperature is None or here.residual is None:
        return sentence + "no temperature gives this entropy."
    if here.residual < 1e-4:
        return sentence + f"temperature {here.temperature:.2f} gives the same policy."
    return sentence + (
        f"temperature {here.temperature:.2f} gives the same entropy, but another policy: {here.residual:.2%} of "
        "the probability lies elsewhere."
    )


st.title("Where training ends")
st.markdown(
    "The true token is itself random: each token follows the prompt with a frequency q(a), the *labels* (dotted). "
    "Cross-entropy ends at π = q, which is calibrated. With a shaped reward, training ends where every token "
    "earns the same on average; with β alone at $\\pi(a) \\propto q(a)\\,(1-\\pi(a))^\\beta$ (ours). "
    "Is β just a temperature? With two tokens, yes: "
    "$\\mathrm{odds}(\\pi) = \\mathrm{odds}(q)^{1/(1+\\beta)}$, as sampling at $T = 1 + \\beta$ would give. "
    "With more tokens, no: only a dominant token is sharpened or flattened."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        kind = st.radio("Labels (made up)", list(LABELS), 1, key="labels", horizontal=True, bind="query-params")
        over = st.radio("Picture over", list(SWEEPS), key="over", horizontal=True, bind="query-params")
        shaping = RewardShaping(
            shell.slider("β: below 0 precision, above 0 diversity", "beta", -0.9, 2.0, -0.25),
            shell.slider("λ head: reward of a wrong token in the head", "lambda_head", -1.0, 1.0),
            shell.slider("λ tail: reward of a wrong token in the tail", "lambda_tail", -1.0, 1.0),
            st.slider("k: tokens in the head", 1, 6, 2, key="k", bind="query-params"),
            st.radio("Form of Eq. 11", get_args(Form), key="form", horizontal=True, bind="query-params"),
        )

    labels = LABELS[kind]
    (found, plain, here), figure, code = shell.made(endings_around, labels=labels, over=over, shaping=shaping)
    table = (
        {over: SWEEPS[over][1]}
        | {f"π({token})": [None if e is None else e.policy[i] for e in found] for i, token in enumerate(labels)}
        | {
            name: [None if e is None else getattr(e, name) for e in found]
            for name in ("entropy", "confidence", "accuracy", "temperature", "residual")
        }
    )
    shell.present(picture, figure, takeaway(plain, here, list(labels)), table, code, "where_training_ends")


view()
