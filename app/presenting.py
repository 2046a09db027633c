"""Presenter mode, `?present=1`: the picture and the control in play, large, for a projector.

The browser turns it on and off (presenting.js, presenting.css); the server only says which controls are in play.
"""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
STYLE, PRINT, SCRIPT = (
    (HERE / file).read_text(encoding="utf-8") for file in ("presenting.css", "printing.css", "presenting.js")
)

# Page -> the keys of its controls in play, where an address names none.
IN_PLAY = {
    "policy-gradient": ("n",),
    "hidden-rewards": ("beta",),
    "simplex": ("beta",),
    "where-training-ends": ("beta",),
    "tiny-gpts": ("prompt_text_pick", "prompt_chain-sum_pick", "prompt_countdown_pick"),
    "trained-beta": ("prompt",),
    "trap-game": ("beta", "shown"),
    "grpo-step": ("stage",),
    "train-live": ("start_training",),
    "results": ("picture",),
}
WITHOUT_RESET = ("", "teach")  # the playground has "All defaults"; nothing is set on the other

BUTTONS = {
    "present": ("Present", "p", "Large, for a projector: the picture and the control in play. Key: p"),
    "reset": ("Reset", "", "Every control of this page back to where it began"),
    "reveal": ("Reveal", "r", "Show the sentence that belongs to the picture. Key: r"),
    "leave": ("Leave", "Escape", "Leave the presentation. Key: Esc"),
}


def presenting() -> bool:
    """Whether the address asks for presenter mode. It may change without a run of the script."""
    return st.query_params.get("present") == "1"


def tools(page: str) -> None:
    """The buttons Present, Reset, Reveal and Leave, and what gives `page` (its path) its presenter mode."""
    asked = [key for key in st.query_params.get("control", "").split(",") if re.fullmatch(r"[\w-]+", key)]
    style = f"{STYLE}\n{PRINT}\n{in_play(asked, IN_PLAY.get(page, ()))}"
    with_reset = page not in WITHOUT_RESET
    buttons = "".join(button(name) for name in BUTTONS if name != "reset" or with_reset)
    with st.container(key="pgce_tools"):
        st.html(f"<style>{style}</style>")
        st.html(f'<div class="pgce-tools" role="group" aria-label="This page">{buttons}</div>')
        st.html(f"<script>{SCRIPT}</script>", unsafe_allow_javascript=True)


def button(name: str) -> str:
    label, key, title = BUTTONS[name]
    keys = f' aria-keyshortcuts="{key}"' if key else ""
    return f'<button type="button" data-pgce="{name}" title="{title}"{keys}>{label}</button>'


def in_play(asked: list[str], usual: tuple[str, ...]) -> str:
    """CSS: the controls that are asked for, or the usual ones where the page has none of those."""
    some = _classes(asked)
    found = f":has(:is({some}))" if some else ""
    rules = _rules(f".st-key-place_controls{found}", some) if some else ""
    return rules + _rules(f".st-key-place_controls:not({found})" if some else ".st-key-place_controls", _classes(usual))


def _classes(keys: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f".st-key-{key}" for key in keys)


def _rules(controls: str, chosen: str) -> str:
    parts = ":is(.stElementContainer, .stLayoutWrapper, .stVerticalBlock, .stColumn)"
    others = f":not(:is({chosen}), :is({chosen}) *, :has(:is({chosen})))" if chosen else ""
    return f":root.pgce-presenting {controls} {parts}{others} {{display: none !important}}\n"
