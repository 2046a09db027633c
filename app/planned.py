"""What was planned, and what came of it: the answer, the paper's claims, every planned comparison and study."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

import shell
from pgce_mini.runs import RunError
from pgce_mini.shipped import RESULTS
from pgce_mini.study import STATES, StudyState, inventory
from pgce_mini.study.analysis import (
    FAMILIES,
    ORDER,
    Evidence,
    Family,
    Finding,
    advice,
    decide_claims,
    first_line,
    format_p,
    further_answers,
    planned_in,
    precision_answer,
)
from tables import Study, evidence_of, stamp

SPECS = Path(__file__).parents[1] / "studies"


def present_answer() -> None:
    """The question of the paper, what the tables of the package say, and what to do in a run of one's own."""
    evidence = evidence_of(RESULTS, stamp(RESULTS))
    try:
        answer, others, lines = precision_answer(evidence), further_answers(evidence), advice(evidence)
    except RunError as error:
        shell.refuse(st, f"The question cannot be answered: {shell.reason(error, RESULTS)}.")
        return
    st.html(f'<p class="reveal" style="margin: 0"><strong>{escape(answer)}</strong></p>')
    with st.expander("More questions, and what the tables answer"):
        st.markdown("\n".join(f"- **{question}** {said}" for question, said in others.items()))
    with st.expander("In your own run"):
        st.markdown("\n".join(f"- {line}" for line in lines))


@st.cache_resource(max_entries=64, show_spinner=False)
def line_of(study: Study, stamp: float) -> str:
    """Verdict and contradictions of a part of a protocol; "" of any other study."""
    if study.own or study.name not in ORDER:
        return ""
    return first_line(evidence_of(study.folder, stamp), study.name)


def say_line(study: Study) -> bool:
    """The first line of a study; whether there is more to show than this."""
    now = stamp(study.folder)
    try:
        if line := line_of(study, now):
            st.html(f'<p class="part">{escape(line)}</p>')
        return study.own or bool(evidence_of(study.folder, now).all_rows(study.name))
    except RunError:
        return True  # `tables.present` says why not


def present_planned(study: Study, key: str) -> None:
    """The planned comparisons of a study, if it has any."""
    evidence = evidence_of(study.folder, stamp(study.folder))
    try:
        planned = planned_in(evidence, study.name)
    except RunError:  # of the table of another study
        return
    if planned and (table := st.expander("Its planned comparisons", key=key, on_change="rerun")).open:
        table.html(shell.as_html(compared(evidence, planned), "Its planned comparisons"))


def judge(study: Study) -> None:
    """The paper's claims by the tables that lie beside the study's, if any of the plan is there."""
    evidence = evidence_of(study.folder, stamp(study.folder))
    try:
        if any(evidence.rows(name) for name in ORDER):
            present_claims(evidence)
    except RunError as error:  # of the table of another study
        shell.refuse(st, f"The paper's claims cannot be judged: {shell.reason(error, study.folder)}.")


def present_claims(evidence: Evidence) -> None:
    """The paper's claims and every planned comparison, judged by these tables."""
    st.subheader("The paper's claims, one by one")
    decided = decide_claims(evidence)
    lines = ["\n".join(decision.lines) for decision in decided.values()]
    columns = {"the paper's claim": list(decided), "at this scale, on these tasks (ours)": lines}
    st.html(shell.as_html(columns, "The paper's claims"))
    if (every := st.expander("Every planned comparison", key="comparisons", on_change="rerun")).open:
        findings = [(family, evidence.findings[family.name, c]) for family in FAMILIES for c in family.comparisons]
        every.html(shell.as_html(compared(evidence, findings), "Every planned comparison"))


def compared(evidence: Evidence, findings: Sequence[tuple[Family, Finding]]) -> dict[str, list[Any]]:
    """The table of comparisons with their families."""
    gaps = [finding.difference for _, finding in findings]
    return {
        "family": [family.name for family, _ in findings],
        "study": [" ".join((f.comparison.study, f.comparison.variant)) for _, f in findings],
        "comparison": [evidence.words(f.comparison) for _, f in findings],
        "seeds": [None if gap is None else gap.n for gap in gaps],
        "difference": [None if gap is None else gap.mean for gap in gaps],
        "low": [None if gap is None else gap.low for gap in gaps],
        "high": [None if gap is None else gap.high for gap in gaps],
        "low, 90 %": [None if gap is None else gap.low_90 for gap in gaps],
        "high, 90 %": [None if gap is None else gap.high_90 for gap in gaps],
        "Holm's p": [
            format_p(f.adjusted_p) if f.difference and f.adjusted_p is not None else None for _, f in findings
        ],
        "expected": [f.comparison.expected for _, f in findings],
        "verdict": [str(f.verdict) for _, f in findings],
    }


@st.cache_resource(max_entries=2, show_spinner=False)
def inventory_of(folder: Path, stamp: float) -> list[StudyState]:
    return inventory(evidence_of(folder, stamp), SPECS)


def present_inventory() -> None:
    """Which of the planned studies come with the package, finished or not."""
    found = inventory_of(RESULTS, stamp(RESULTS))
    st.markdown(progress(found))
    if (table := st.expander("The planned studies", key="studies", on_change="rerun")).open:
        table.html(
            shell.as_html(
                {
                    "study": [study.spec.name for study in found],
                    "question": [study.spec.question for study in found],
                    "rows": [f"{study.finished} of {len(study.spec.rows)}" for study in found],
                    "state": [study.state for study in found],
                },
                "The planned studies",
            )
        )


def progress(studies: Sequence[StudyState]) -> str:
    """How many studies are planned, and the state of each, in words."""
    names = {
        state: [
            f"{study.spec.name} ({study.finished} of {len(study.spec.rows)} rows)"
            if study.state == "incomplete"
            else study.spec.name
            for study in studies
            if study.state == state
        ]
        for state in STATES
    }
    said = "; ".join(f"{state}: {', '.join(names[state])}" for state in STATES if names[state])
    return f"{len(studies)} studies are planned. {said[0].upper()}{said[1:]}."
