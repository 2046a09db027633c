"""A class that predicts together: the teacher asks, all answer on their phones, and see the answers at once."""

from __future__ import annotations

import math
import re
import tomllib
from contextlib import suppress
from html import escape
from statistics import median

import streamlit as st

import share
import shell
from classes import rooms
from pgce_mini.figures import number_answers
from pgce_mini.playground import javascript
from pgce_mini.teaching.classroom import LONGEST, Answer, Question, Seen, tidy_code

TEACHER_WAITS, STUDENT_WAITS = 1, 2  # s between looks at the class

_visitor = st.components.v2.component("visitor", js=shell.source("visitor.js"))
_join = st.components.v2.component(
    "join",
    html='<div class="join"></div>',
    css=shell.source("join.css"),
    js=javascript("join", join=shell.source("join.js")),
)


@st.cache_resource(show_spinner=False)
def prepared() -> dict[str, Question]:
    """What can be asked: the questions of questions.toml, then the quiz."""
    found = [
        Question(**asked | {"choices": tuple(asked.get("choices", ()))})
        for asked in tomllib.loads(shell.source("questions.toml"))["questions"]
    ]
    for asked in tomllib.loads(shell.source("lesson.toml"))["quiz"]:
        found.append(Question(asked["question"], tuple(asked["answers"]), right=asked["right"]))
    return {question.text: question for question in found}


def visitor() -> str:
    """The token of this browser; "" until it has said it."""
    known = str(st.session_state.get("class_visitor", ""))
    said = _visitor(
        key="class_token", data={"known": bool(known)}, default={"token": ""}, on_token_change=lambda: None
    )
    if not known and re.fullmatch("[0-9a-f]{32}", token := str(said.token)):
        known = st.session_state.class_visitor = token
    return known


# --- Before a class ---------------------------------------------------------------------------------------


def enter(person: str) -> None:
    typed = st.query_params.get("code", "")
    if typed:
        shell.refuse(st.container(), f"There is no class {typed[:20]} here, or it has ended. Is the code right?")
    student, teacher = st.columns(2, gap="large")
    with student, st.form("class_join"):
        st.subheader("Join a class", anchor=False)
        code = st.text_input("Code, four letters on the wall", max_chars=12, key="class_typed")
        if st.form_submit_button("Join", type="primary"):
            go_to(tidy_code(code) or code or "?")
    with teacher.container(border=True):
        st.subheader("Start a class", anchor=False)
        st.markdown(
            "You ask, everybody predicts on a phone in the same network, and you reveal all answers at once. "
            "Nobody gives a name, and nothing is kept on a disk. This browser directs the class."
        )
        if st.button("Start a class", key="class_start"):
            try:
                go_to(rooms().create(person))
            except ValueError as error:
                st.error(str(error))


def go_to(code: str) -> None:
    st.query_params["code"] = code
    st.rerun()


# --- The teacher ------------------------------------------------------------------------------------------


@st.fragment
def direct(code: str, person: str) -> None:
    asking, joining = st.columns([3, 2], gap="large")
    with joining:
        _join(key="class_where", data={"code": code, "network": share.NETWORK})
    with asking:
        state(code, person)
        picked = st.selectbox("Question", list(prepared()), key="class_question", index=0)
        if st.button("Ask this", key="class_ask", type="primary"):
            with suppress(ValueError):  # the class has ended in another tab: the next look says so
                rooms().ask(code, person, prepared()[picked])
            st.rerun()
        with st.expander("A question of your own"):
            own(code, person)
        if st.button("End the class", key="class_delete", help="Forgets the class and all its answers."):
            with suppress(ValueError):
                rooms().delete(code, person)
            del st.query_params["code"], st.session_state["class_code"]
            st.rerun()


@st.fragment(run_every=TEACHER_WAITS)
def state(code: str, person: str) -> None:
    seen = rooms().look(code, person)
    if seen is None or not seen.is_teacher:
        st.rerun()
    if seen.question is None:
        said(f"{people(seen.present)} here. Ask the first question.")
        return
    asked(seen.question)
    if seen.is_revealed:
        answers(seen.question, seen.answers)
        return
    said(f"{seen.answered} of {people(seen.present)} answered{'' if seen.is_open else '; closed'}.")
    left, right = st.columns(2)
    if left.button("Reveal", key="class_reveal", type="primary", width="stretch"):
        with suppress(ValueError):
            rooms().reveal(code, person)
        st.rerun(scope="fragment")
    name = "Close" if seen.is_open else "Open again"
    if right.button(name, key="class_open", width="stretch"):
        with suppress(ValueError):
            rooms().set_open(code, person, not seen.is_open)
        st.rerun(scope="fragment")


def own(code: str, person: str) -> None:
    with st.form("class_own", border=False):
        text = st.text_area("Question", max_chars=LONGEST, key="class_text")
        choices = st.text_area(
            "Choices, a line each; leave empty to ask for a number", max_chars=LONGEST * 3, key="class_choices"
        )
        low, high, unit = st.columns(3)
        lowest = low.number_input("From", value=0.0, key="class_low")
        highest = high.number_input("To", value=1.0, key="class_high")
        of = unit.text_input("Unit", max_chars=40, key="class_unit", placeholder="probability")
        if st.form_submit_button("Ask it"):
            lines = tuple(line.strip() for line in choices.splitlines() if line.strip())
            try:
                rooms().ask(code, person, Question(text.strip(), lines, lowest, highest, of.strip()))
            except ValueError as error:
                st.error(str(error))
            else:
                st.rerun()


# --- A student --------------------------------------------------------------------------------------------


@st.fragment(run_every=STUDENT_WAITS)
def take_part(code: str, person: str) -> None:
    seen = rooms().look(code, person)
    if seen is None:
        st.rerun()
    if seen.question is None:
        said("You are in. The first question comes soon; this page shows it by itself.")
        return
    asked(seen.question)
    if seen.is_revealed:
        answers(seen.question, seen.answers, seen.mine)
    elif seen.is_open:
        give(code, person, seen, seen.question)
    else:
        mine = "You gave none." if seen.mine is None else f"Yours: {written(seen.mine)}."
        said(f"No more answers are taken. {mine}")


def give(code: str, person: str, seen: Seen, question: Question) -> None:
    key = f"class_answer{seen.asked}"
    chosen: Answer | None
    if question.choices:
        index = None if seen.mine is None else question.choices.index(str(seen.mine))
        chosen = st.radio("Your prediction", question.choices, index, unformatted, key=key)
    else:
        low, high = float(question.low), float(question.high)
        middle = float(seen.mine) if seen.mine is not None else (low + high) / 2
        step = 10.0 ** math.floor(math.log10(high - low) - 2)  # at least a hundred of them, of 1, 10, 0.1, ...
        label = f"Your prediction{f' ({unformatted(question.unit)})' if question.unit else ''}"
        chosen = st.slider(label, low, high, middle, step, format="%.6g", key=key)
    if st.button("Send" if seen.mine is None else "Change", key="class_send", type="primary", width="stretch"):
        try:
            if chosen is None:
                st.warning("Choose an answer first.")
            else:
                rooms().answer(code, person, seen.asked, chosen)
                st.rerun(scope="fragment")
        except ValueError as error:
            st.warning(str(error))
    if seen.mine is not None:
        said(f"Sent: {written(seen.mine)}. You can change it until it is closed.")


# --- What both see ----------------------------------------------------------------------------------------


def asked(question: Question) -> None:
    st.html(f'<p class="class-question">{escape(question.text)}</p>')


def said(sentence: str) -> None:
    st.html(f'<p class="class-said" role="status">{escape(sentence)}</p>')


def written(answer: Answer) -> str:
    return answer if isinstance(answer, str) else f"{answer:.6g}"


def unformatted(text: str) -> str:
    """Markdown that shows this text as it is: "$5", "_x_" or ":smile:" is not formatted."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def answers(question: Question, given: tuple[Answer, ...], mine: Answer | None = None) -> None:
    """All answers; `mine` and the right one, if it is known, are named in words."""
    if not given:
        said("Nobody answered.")
        return
    if question.choices:
        choice_bars(question, given, mine)
        return
    numbers = [float(answer) for answer in given]
    right = None if question.right is None else float(question.right)
    sentence = f"{people(len(numbers))}; the middle answer is {written(median(numbers))}."
    if right is not None:
        sentence += f" Right: {written(right)}."
    if mine is not None:
        sentence += f" You said {written(mine)}."
    said(sentence)
    figure = number_answers(numbers, question.low, question.high, question.unit, right)
    shell.chart("class_chart", shell.as_json(figure), sentence)


def choice_bars(question: Question, given: tuple[Answer, ...], mine: Answer | None) -> None:
    rows = []
    for choice in question.choices:
        count = given.count(choice)
        share_of = count / len(given)
        marks = [("✓ right", choice == question.right), ("yours", choice == mine)]
        words = ", ".join(word for word, is_so in marks if is_so)
        rows.append(
            f"<li{' class=right' if choice == question.right else ''}><span>{escape(choice)}</span>"
            f"<span>{count} ({share_of:.0%}){f' · {words}' if words else ''}</span>"
            f'<div style="width: {share_of:.1%}"></div></li>'
        )
    said(f"{people(len(given))} answered.")
    st.html(f'<ul class="class-bars">{"".join(rows)}</ul>')


STYLE = """<style>
.class-question {font-size: clamp(1.25rem, 2.4vw, 2rem); font-weight: 600; line-height: 1.3; margin: 0}
.class-said {font-size: clamp(1.1rem, 1.6vw, 1.4rem); font-weight: 600; margin: 0}
.class-question, .class-said, .class-bars {overflow-wrap: anywhere}
.stHtml ul.class-bars {list-style: none; margin: 0; padding: 0; font-size: clamp(1rem, 1.6vw, 1.4rem)}
.stHtml ul.class-bars > li {display: grid; grid-template-columns: 1fr auto; column-gap: 1rem}
.stHtml ul.class-bars > li {margin: 0 0 0.75rem; padding: 0}
.class-bars div {grid-column: 1 / -1; height: 1.1em; background: #868c93; border-radius: 3px}
.class-bars .right {font-weight: 700}
.class-bars .right div {background: repeating-linear-gradient(45deg, #0072b2 0 8px, #56b4e9 8px 12px)}
[data-stale="true"] {opacity: 1 !important} /* looked at anew each second: it must not flicker */
.pgce-presenting :is(.stElementContainer:has(h1), .st-key-class_delete) {display: none}
</style>"""


def page() -> None:
    st.html(STYLE)
    st.title("Class", anchor=False)
    person = visitor()
    if not person:
        return
    if "code" not in st.query_params and "class_code" in st.session_state:  # back from another page
        st.query_params["code"] = st.session_state.class_code
    code = tidy_code(st.query_params.get("code", ""))
    seen = rooms().look(code, person) if code else None
    if seen is None:
        st.session_state.pop("class_code", None)
        enter(person)
        return
    st.session_state.class_code = code
    if seen.is_teacher:
        direct(code, person)
    else:
        take_part(code, person)


page()
