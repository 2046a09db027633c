"""One token: the playground. The whole state is in the address, and the server is not asked again."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

import share
from pgce_mini.playground import PlaygroundState, javascript

playground = st.components.v2.component(
    "playground", html='<div class="pgce-playground"></div>', js=javascript(), isolate_styles=False
)

st.title("One token")
st.markdown(
    "A prompt is followed now by this token, now by that one: the labels q. A language model learns a policy π, "
    "its own probability for each. Cross-entropy rewards the true token alone, and training ends at the labels; "
    "change the reward and it ends elsewhere. Drag, or press Play."
)
# Each step of a story has a playground of its own, which reads its state from the address.
playground(
    key=f"playground{st.query_params.get('step', '')}",
    data=asdict(PlaygroundState()) | {"network": share.NETWORK},
)
