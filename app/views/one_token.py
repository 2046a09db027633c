"""One token: the playground. The whole state is in the address, and the server is not asked again."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

import classes
import share
from pgce_mini.playground import PlaygroundState, javascript

playground = st.components.v2.component(
    "playground", html='<div class="pgce-playground"></div>', js=javascript(), isolate_styles=False
)

st.title("One token")
st.markdown(
    "In the training text several tokens follow the same prompt, each with its own frequency q. A language model "
    "learns a policy π: its own probability for each token. Cross-entropy rewards the true token alone, the one "
    "that came, and training ends at π = q; change the reward and it ends elsewhere. Drag, or press Play."
)
playground(
    key="playground",
    data=asdict(PlaygroundState()) | {"network": share.NETWORK, "teaches": classes.teaches()},
    on_ask_change=lambda: classes.ask(st.session_state.playground.ask),
)
