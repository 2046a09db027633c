"""What a shared picture says of itself: its page, its settings, and the address at which others find it."""

from __future__ import annotations

import os

import streamlit as st

# Where others reach this server, such as "http://192.168.1.20:8501": from `pgce explore`. "" if they do not.
NETWORK = os.environ.get("PGCE_NETWORK", "")

# Keys of the session that are no settings of a page.
OURS = ("chart_", "downloads_", "data_", "python_", "playground", "quiz", "page", "class_")
# How a control is written whose key, its name in the address, is another; these stand first, in this order.
NAMES = {
    "n": "N", "beta": "β", "lambda_head": "λ head", "lambda_tail": "λ tail", "gamma": "γ", "epsilon": "ε",
    "alpha": "α", "tau": "τ", "samples": "N", "terms": "T", "pi": "π", "labels": "frequencies",
    "labels_rest": "frequencies, of the rest", "start": "start", "start_rest": "start, of the rest",
}  # fmt: skip


def title() -> str:
    return str(st.session_state.get("page_title", "pgce_mini"))


def settings() -> str:
    """The controls of this page in one line: "N 64, β −0.25"."""
    values = {str(key): value for key, value in st.session_state.items() if not str(key).startswith(OURS)}
    order = [key for key in NAMES if key in values] + sorted(values.keys() - NAMES)
    shown = ((_name(key), _text(values[key])) for key in order if (key, values[key]) != ("beside", "nothing"))
    return ", ".join(f"{name} {text}" for name, text in shown if text)


def _name(key: str) -> str:
    if key.startswith("arms_"):  # the study and the picture follow
        return "arms"
    return NAMES.get(key, key.replace("_", " "))


def _text(value: object) -> str:
    """Nothing for what is no setting, such as the state of an expander."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return " and ".join(map(str, value))
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    return value if isinstance(value, str) else ""
