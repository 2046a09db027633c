"""The classes of this server, and the question that a teacher asks from the page "One token"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pgce_mini.teaching.classroom import Classrooms, Question


@st.cache_resource(show_spinner=False)
def rooms() -> Classrooms:
    return Classrooms()


def teaches() -> bool:
    """Whether this visitor directs a class."""
    seen = rooms().look(*_who())
    return seen is not None and seen.is_teacher


def ask(said: Mapping[str, Any]) -> None:
    """Asks the class what the playground says, { text, right }: where its most frequent token ends."""
    try:
        if said["right"] is None:
            raise ValueError("training has no marked end at these settings.")
        question = Question(str(said["text"]), unit="probability", right=round(float(said["right"]), 3))
        rooms().ask(*_who(), question)
    except (KeyError, TypeError, ValueError) as error:
        st.toast(f"Not asked: {error}")
    else:
        st.toast("Asked: all phones show it now. Page Class has the answers.")


def _who() -> tuple[str, str]:
    return str(st.session_state.get("class_code", "")), str(st.session_state.get("class_visitor", ""))
