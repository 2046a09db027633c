"""For teachers: a lesson of 50 minutes, a tour through the pages, what is often misunderstood, and a quiz."""

from __future__ import annotations

import tomllib
from pathlib import Path

import streamlit as st

LESSON = tomllib.loads((Path(__file__).parents[1] / "lesson.toml").read_text(encoding="utf-8"))
OPEN = ":material/arrow_forward:"


@st.fragment
def quiz() -> None:
    answered = right = 0
    for number, question in enumerate(LESSON["quiz"], 1):
        answer = st.radio(
            f"{number}. {question['question']}",
            list(question["answers"]),
            index=None,
            key=f"quiz{number}",
            persist_state="session",
        )
        if answer is not None:
            answered += 1
            right += answer == question["right"]
            verdict = "Right." if answer == question["right"] else "Not so."
            st.info(f"**{verdict}** {question['answers'][answer]}")
    if answered:
        score = f"{right} right of {answered} answered, {len(LESSON['quiz'])} in all."
        st.html(f'<p class="takeaway" role="status">{score}</p>')


st.title("Teach")
st.markdown("A lesson of 50 minutes with a projector. The audience needs nothing but a browser, or not even that.")

st.subheader("The plan")
rows = "\n".join(f"| {step['minutes']} | {step['page']} | {step['what'].strip()} |" for step in LESSON["plan"])
st.markdown(f"| Minutes | Page | What happens |\n|---|---|---|\n{rows}")

st.subheader("A tour in six steps")
st.markdown(
    "Each opens a page in a prepared state. The address of any page as you have set it up is such a link, too."
)
for number, stop in enumerate(LESSON["tour"], 1):
    link, look = st.columns([2, 5], vertical_alignment="center")
    link.page_link(stop["page"], label=f"{number}. {stop['title']}", icon=OPEN, query_params=stop["state"])
    look.markdown(stop["look"])

st.subheader("Often misunderstood")
st.markdown("\n".join(f"- **“{mistake['claim']}”** {mistake['answer'].strip()}" for mistake in LESSON["mistakes"]))

st.subheader("Check yourself")
quiz()
