"""The bar of a story, above the page that its step is about: what is asked, Reveal, Back and Next."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shell import source
from steps import PAGES, Page, Story, here

_bar = st.components.v2.component(
    "story", html=source("story.html"), css=source("story.css"), js=source("story.js"), isolate_styles=False
)


def bar() -> None:
    """Draws the bar of the step in the address, if it names one, and goes where the bar is told to go."""
    path = str(st.session_state.page)
    found = here(st.query_params.get("story"), st.query_params.get("step"), path)
    if found is None:
        return
    story, number = found
    step = story.steps[number - 1]
    if st.session_state.get("story_at") != (story.name, number):
        st.session_state.story_at = (story.name, number)
        st.session_state.update(step.state)  # what the address says goes before it
    data = {
        "story": story.title,
        "title": step.title,
        "ask": step.said,
        "reveal": step.reveal,
        "number": number,
        "count": len(story.steps),
        "path": path,
        "here": story.address(number),
        "back": neighbour(story, number - 1),
        "next": neighbour(story, number + 1),
    }
    with st.container(key="story_bar"):  # a place of its own in presenter mode
        goal = _bar(key="story", data=data, on_go_change=lambda: None).go
    if goal and goal["number"] in (number - 1, number + 1):
        go(story, goal["number"], goal["presenting"] is True, PAGES[step.page])


def neighbour(story: Story, number: int) -> dict[str, Any] | None:
    if not 1 <= number <= len(story.steps):
        return None
    plain, presented = (story.address(number, presenting) for presenting in (False, True))
    return {"number": number, "address": plain, "presented": presented}


def go(story: Story, number: int, presenting: bool, left: Page) -> None:
    """To a step on another page. (The bar itself goes to one on this page: only a change of the address gives
    controls that stay in place their defaults.)"""
    query = story.query(number, presenting)
    free = {key: value for key, value in query.items() if key not in left.keys.split()}  # Streamlit refuses others
    st.switch_page(f"views/{PAGES[story.steps[number - 1].page].file}.py", query_params=free)
