"""One token: the playground. The whole state is in the address, and the server is not asked again."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

import classes
import share
from pgce_mini.playground import PlaygroundState, javascript
from pgce_mini.playground.page import ABOUT

playground = st.components.v2.component(
    "playground", html='<div class="pgce-playground"></div>', js=javascript(), isolate_styles=False
)

st.title("One token")
st.markdown(f"{ABOUT} Drag, or press Play.")
playground(
    key="playground",
    data=asdict(PlaygroundState()) | {"network": share.NETWORK, "teaches": classes.teaches()},
    on_ask_change=lambda: classes.ask(st.session_state.playground.ask),
)
