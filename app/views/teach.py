"""For teachers: stories, what was found, the lecture with its handouts, what is often misunderstood, a quiz."""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import handouts
import shell
import tables
from pgce_mini.runs import RunError
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis import decide_claims, precision_answer
from steps import PAGES, Story, stories

LESSON = tomllib.loads((Path(__file__).parents[1] / "lesson.toml").read_text(encoding="utf-8"))
ROOT = str(st.context.url or "").removesuffix("teach")  # a download has no context of its own
OPEN, PRESENT = ":material/arrow_forward:", ":material/present_to_all:"


@st.cache_data(show_spinner="Reading the study …")
def found(stamp: float) -> tuple[str, dict[str, str]]:
    """What our tables, as they stood at `stamp`, say to the paper's question, and about each of its claims."""
    evidence = tables.evidence_of(RESULTS, stamp)
    return precision_answer(evidence), {claim: it.verdict for claim, it in decide_claims(evidence).items()}


def slides() -> str:
    story = stories()["lecture"]
    addresses = [ROOT + story.address(number, presenting=True) for number in range(1, len(story.steps) + 1)]
    return handouts.slides(story, addresses, *found(tables.stamp(RESULTS)))


def start(place: DeltaGenerator, story: Story, label: str, presenting: bool = False) -> None:
    page = f"views/{PAGES[story.steps[0].page].file}.py"
    icon = PRESENT if presenting else OPEN
    place.page_link(page, label=label, icon=icon, query_params=story.query(1, presenting))


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
st.markdown("The audience needs nothing but a browser, or not even that. A story asks, you predict, it reveals.")

st.subheader("What was found")
answer = st.container()

st.subheader("Stories")
for story in stories().values():
    left, middle, right = st.columns([3, 3, 6], vertical_alignment="center")
    start(left, story, story.title)
    start(middle, story, "on a projector", presenting=True)
    right.markdown(f"{story.about} {len(story.steps)} steps, {story.minutes} minutes.")

lecture = stories()["lecture"]
st.subheader("The lecture, step by step")
st.markdown(
    "Everybody *writes* a prediction before the control moves; PageDown, or a clicker, reveals and goes on. "
    "*Present* opens a step for a projector."
)
left, right = st.columns(2)
left.download_button(
    "Slides (HTML)", slides, "lecture-slides.html", "text/html", on_click="ignore", width="stretch"
)
right.download_button(
    "Prediction sheet, to print (HTML)",
    lambda: handouts.sheet(lecture),
    "prediction-sheet.html",
    "text/html",
    on_click="ignore",
    width="stretch",
)
st.markdown(handouts.plan(lecture, links=True))

st.subheader("Often misunderstood")
st.markdown("\n".join(f"- **“{mistake['claim']}”** {mistake['answer'].strip()}" for mistake in LESSON["mistakes"]))

st.subheader("Check yourself")
quiz()

st.subheader("To read")
st.markdown("\n".join(f"- [{work['title']}]({work['link']}): {work['why']}." for work in LESSON["reading"]))

with answer:  # last, as the tables take a while when nobody has asked for them yet
    try:
        sentence, claims = found(tables.stamp(RESULTS))
    except RunError as error:
        shell.refuse(st, f"What was found cannot be read: {shell.reason(error, RESULTS)}.")
    else:
        st.html(f'<p style="margin: 0"><strong>{escape(sentence)}</strong></p>')
        columns = {
            "the paper's claim": list(claims),
            "at this scale, on these tasks (ours)": list(claims.values()),
        }
        st.html(shell.as_html(columns, "What was found"))
        st.markdown(
            "Tiny models, ten or twenty seeds an arm. *Supported*: clear of 0, corrected for the number of "
            "comparisons; *null within ±d*: shown to be smaller than d; *undecided*: neither. "
            "The page *Diversity or precision?* shows each comparison. For a run of your own: "
            f"{lecture.steps[-1].ask[0].lower()}{lecture.steps[-1].ask[1:]}"
        )
