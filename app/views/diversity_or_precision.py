"""Diversity or precision? What a study of ours found, beside what the paper reports."""

from __future__ import annotations

from typing import Any, get_args

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import shell
import tables
from pgce_mini.evaluation import WHEN
from pgce_mini.figures import arm_differences, paper_dots
from pgce_mini.reports.html import Report
from pgce_mini.runs import Run, RunError
from pgce_mini.shipped.paper import PAPER_RESULTS, SOURCE, PaperMetric, paper_differences
from pgce_mini.study.analysis import signed

PICTURES = {  # what it is called here -> in the report
    tables.BEFORE_AFTER: "before-after",
    tables.DIFFERENCES: "",
    "Pass@k": "pass-at-k",
    "reward through RL": "reward",
    "entropy through RL": "entropy",
    "length through RL": "length",
    "entropy of the priors": "pretraining-entropy",
}
CODE = """\
from pathlib import Path

from pgce_mini.evaluation import WHEN
from pgce_mini.figures import arm_differences
from pgce_mini.reports.html import Report

report = Report(Path({folder!r}))  # made by: {command}
figure = {figure}
figure
"""


def studies() -> list[str]:
    """The folders in runs/ that hold a study."""
    found = []
    for path in sorted(shell.RUNS.glob("*/config.json")):
        try:
            kind = Run(path.parent).config().get("kind")
        except RunError:
            continue
        if kind == "study":
            found.append(path.parent.name)
    return found


@st.cache_resource(max_entries=8, show_spinner="Reading the study …")
def report_of(name: str, stamp: float) -> tuple[Report, dict[str, tuple[str, go.Figure]]]:
    """The report of a study as it stood at `stamp`; a study that goes on has a new one."""
    report = Report(shell.RUNS / name)
    return report, report.figures()


def stamp_of(name: str) -> float:
    files = [*(shell.RUNS / name).glob("*/*/evaluation.json"), *(shell.RUNS / name).glob("rows/*/*.error.txt")]
    return max((file.stat().st_mtime for file in files), default=0.0)


def lines(figure: go.Figure) -> dict[str, list[Any]]:
    """The points of a chart's named lines."""
    named = [trace for trace in figure.data if trace.name and trace.x is not None and trace.x[0] is not None]
    points = [(trace.name, x, y) for trace in named for x, y in zip(trace.x, trace.y, strict=True)]
    columns = ("line", figure.layout.xaxis.title.text or "x", figure.layout.yaxis.title.text or "y")
    return tables.as_columns(columns, points)


def gaps(report: Report) -> dict[str, list[Any]]:
    rows = [
        (arm, "mean", found["avg_at_m"]["value"], found["avg_at_m"]["low"], found["avg_at_m"]["high"])
        for arm, found in report.differences.items()
    ]
    for arm, found in report.seed_gaps.items():
        rows += [(arm, "one seed", gap, "", "") for gap in found]
    return tables.as_columns(("arm", "of", f"minus {report.baseline}", "low", "high"), rows)


def before_after(report: Report) -> dict[str, list[Any]]:
    rows = [
        (arm, label, *report.summary[arm][when]["avg_at_m"].values())
        for arm in report.summary
        for when, label in WHEN.items()
    ]
    return tables.as_columns(("arm", "when", report.labels["avg_at_m"], "low", "high"), rows)


def takeaway_of(report: Report, kind: str) -> str:
    """One sentence for the pictures that have intervals; of the others `at_the_end` tells."""
    label = report.labels["avg_at_m"]
    if kind == tables.BEFORE_AFTER:
        return f"RL took {label} of {', of '.join(tables.told(report.summary, 'avg_at_m'))}."
    verdicts = []
    for arm, found in report.differences.items():
        seen = report.direction(arm)
        words = seen if seen == "no difference seen" else "clear, and in every seed"
        verdicts.append(f"{arm} {signed(found['avg_at_m']['value'] or 0.0)} ({words})")
    return f"{label} after RL, compared with {report.baseline}: {', '.join(verdicts)}."


def at_the_end(table: dict[str, list[Any]]) -> str:
    """Where the lines of a chart end, from the table of its points."""
    names, places, values = table.values()
    last = dict(zip(names, zip(places, values, strict=True), strict=True))
    x_title, y_title = list(table)[1:]
    told = ", ".join(f"{name} {value:.2f}" for name, (_, value) in last.items())
    return f"At {x_title.partition(',')[0]} {max(place for place, _ in last.values()):g}, {y_title}: {told}."


def paper_sentence(metric: PaperMetric) -> str:
    found = paper_differences(metric)
    best = {model: max(row, key=row.__getitem__) for model, row in found.items()}
    told = ", ".join(
        f"{best[model]} {row[best[model]]:+.2f} at {model}" if row[best[model]] > 0 else f"ce at {model}"
        for model, row in found.items()
    )
    return f"The paper's best arm, {metric}: {told} (points above its cross-entropy; single runs, no error bars)."


st.title("Diversity or precision?")
st.markdown(
    "Does a prior that was trained for precision, or for diversity, make the better start for RL? Here are small "
    f"models trained on this machine and, beside them, what the paper ({SOURCE}) reports for models of 4 to 20 "
    "billion parameters, five orders of magnitude larger: other tasks, other scales, no common axis."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with_table = tables.studies(shell.RUNS)
    reports = [name for name in studies() if name not in with_table]
    with controls:
        name = st.selectbox("Study", [*with_table, *reports], key="study", bind="query-params")
        if name in with_table:
            choice = tables.choose(with_table[name])
        else:
            kind = st.radio("Picture", list(PICTURES), key="picture", bind="query-params")
        metric: PaperMetric = st.radio(
            "The paper's numbers", get_args(PaperMetric), 1, key="paper", horizontal=True, bind="query-params"
        )
        title = f"The paper's {metric}, above its ce"
        sentence = paper_sentence(metric)
        figure = shell.drawn("paper", (metric,), lambda: paper_dots(paper_differences(metric), title))
        shell.chart("chart_paper", figure, sentence)
        st.markdown(sentence)
    if name in with_table:
        tables.present(picture, with_table[name], choice)
    else:
        present_report(picture, name, kind)
    tables.present_inventory()
    chosen = [row for row in PAPER_RESULTS if row.metric == metric]
    with st.expander("The paper's numbers"):
        columns = ("model", "arm", f"the paper's {metric}")
        numbers = tables.as_columns(columns, [(row.model, row.arm, row.value) for row in chosen])
        st.html(shell.as_html(numbers, "The paper's numbers"))


def present_report(picture: DeltaGenerator, study: str, kind: str) -> None:
    """A study of `make demo`, which has a report and intervals over problems."""
    try:
        report, pictures = report_of(study, stamp_of(study))
    except (RunError, ValueError, OSError) as error:
        shell.refuse(picture, f"Nothing to show: {shell.reason(error, shell.RUNS)}.")
        return
    takeaway = takeaway_of(report, kind)
    if kind == tables.DIFFERENCES:
        if not report.differences:
            shell.refuse(picture, "Only one arm is finished: there is nothing to compare it with yet.")
            return
        estimates = {arm: found["avg_at_m"] for arm, found in report.differences.items()}
        ours = arm_differences(
            estimates, report.seed_gaps, report.baseline, f"{report.labels['avg_at_m']} after RL, by arm"
        )
        made = (
            "arm_differences(\n    {arm: found['avg_at_m'] for arm, found in report.differences.items()},\n    "
            f"report.seed_gaps, report.baseline, {ours.layout.title.text!r},\n)"
        )
        table = gaps(report)
    else:
        _, ours = pictures[PICTURES[kind]]
        made = f"report.figures()[{PICTURES[kind]!r}][1]"
        if kind == tables.BEFORE_AFTER:
            table = before_after(report)
        else:
            table = lines(ours)
            takeaway = at_the_end(table)
    command = "make demo" if study == "demo" else "pgce study"
    code = CODE.format(folder=f"runs/{study}", command=command, figure=made)
    shell.present(picture, shell.as_json(ours), takeaway, table, code, "study")
    if study == "demo":
        st.markdown("This is what `make demo` left, a first look.")
    st.markdown(f"{report.takeaway()} {report.caveat()}".replace("->", "→"))
    if report.results.failed:
        reasons = "; ".join(f"{row}: {reason}" for row, reason in report.results.failed.items())
        shell.refuse(st, f"Failed and left out: {reasons}.")


view()
