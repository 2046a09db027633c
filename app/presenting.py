"""Presenter mode, `?present=1`: the picture and the control in play, large, for a projector.

The browser turns it on and off (presenting.js, presenting.css); the server only says which controls are in play.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    "trained-beta": ("beta",),
    "trap-game": ("beta", "shown"),
    "grpo-step": ("stage",),
    "train-live": ("start_training",),
    "results": ("picture",),
}
WITHOUT_RESET = ("", "teach", "class")  # the playground has "All defaults"; nothing is set on the others

BUTTONS = {
    "present": ("Present", "p", "Large, for a projector: the picture and the control in play. Key: p"),
    "reset": ("Reset", "", "Every control of this page back to where it began"),
    "reveal": ("Reveal", "r", "Show the sentence that belongs to the picture. Key: r"),
    "leave": ("Leave", "Escape", "Leave the presentation. Key: Esc"),
}


def tools(page: str) -> None:
    """The buttons Present, Reset, Reveal and Leave, and what gives `page` (its path) its presenter mode."""
    asked = [key for key in st.query_params.get("control", "").split(",") if re.fullmatch(r"[\w-]+", key)]
    style = f"{STYLE}\n{PRINT}\n{in_play(asked, IN_PLAY.get(page, ()))}"
    with_reset = page not in WITHOUT_RESET
    buttons = "".join(button(name) for name in BUTTONS if name != "reset" or with_reset)
    at_hand = asked or IN_PLAY.get(page, ())[:1]
    with st.container(key="pgce_tools"):
        st.html(f"<style>{style}</style>")
        st.html(f'<div class="pgce-tools" role="group" aria-label="This page">{buttons}</div>')
        st.html(f"<script>{SCRIPT}\npgcePresenting({list(at_hand)})</script>", unsafe_allow_javascript=True)


def button(name: str) -> str:
    label, key, title = BUTTONS[name]
    keys = f' aria-keyshortcuts="{key}"' if key else ""
    return f'<button type="button" data-pgce="{name}" title="{title}"{keys}>{label}</button>'


def in_play(asked: list[str], usual: tuple[str, ...]) -> str:
    """CSS: the controls that are asked for, or the usual ones where the page has none of those."""
    controls = ".st-key-place_controls"
    if not asked:
        return _only(controls, usual)
    found = f":has({_classes(asked)})"
    return _only(controls + found, asked) + _only(f"{controls}:not({found})", usual)


def _classes(keys: Sequence[str]) -> str:
    return f":is({', '.join(f'.st-key-{key}' for key in keys)})"


def _only(controls: str, keys: Sequence[str]) -> str:
    parts = ":is(.stElementContainer, .stVerticalBlock, .stColumn, [data-testid=stLayoutWrapper])"
    chosen = _classes(keys)
    others = f":not({chosen}, {chosen} *, :has({chosen}))"
    return f":root.pgce-presenting {controls} {parts}{others} {{display: none !important}}\n"
