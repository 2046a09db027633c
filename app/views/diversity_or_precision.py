"""Diversity or precision? What a study of ours found, beside what the paper reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import planned
import shell
import tables
from pgce_mini.evaluation import WHEN, Estimate
from pgce_mini.figures import arm_differences, paper_dots
from pgce_mini.reports.html import Report
from pgce_mini.runs import Run, RunError
from pgce_mini.shipped.paper import PAPER_RESULTS, SOURCE, PaperMetric, paper_differences
from pgce_mini.study.analysis import Summary, signed, signed_interval

PICTURES = {  # name on the page -> chart of the report; "" for two with functions of their own
    tables.BEFORE_AFTER: "",
    tables.DIFFERENCES: "",
    "Pass@k": "pass-at-k",
    "reward through RL": "reward",
    "entropy through RL": "entropy",
    "length through RL": "length",
    "entropy of the priors": "pretraining-entropy",
}
ALONE = "nothing"  # beside a part


def paper(metric: PaperMetric) -> tuple[dict[str, dict[str, float]], go.Figure]:
    """The paper's arms minus its cross-entropy."""
    found = paper_differences(metric)
    return found, paper_dots(found, f"The paper's {metric}, above its ce")


def lines(figure: go.Figure) -> dict[str, list[Any]]:
    """The points of a chart's named lines."""
    named = [trace for trace in figure.data if trace.name and trace.x is not None and trace.x[0] is not None]
    points = [(trace.name, x, y) for trace in named for x, y in zip(trace.x, trace.y, strict=True)]
    columns = ("line", figure.layout.xaxis.title.text or "x", figure.layout.yaxis.title.text or "y")
    return {column: [point[i] for point in points] for i, column in enumerate(columns)}


def of_the_report(folder: Path, picture: str) -> tuple[dict[str, list[Any]], go.Figure]:
    """A chart of a study's report."""
    figure = Report(folder).figures()[picture][1]
    return lines(figure), figure


def accuracy(folder: Path) -> tuple[Summary, go.Figure]:
    """Each arm before and after RL."""
    report = Report(folder)
    return report.summary, report.figures()["before-after"][1]


def minus_the_baseline(folder: Path) -> tuple[dict[str, Estimate], go.Figure]:
    """Each arm minus the baseline in Avg@m after RL."""
    report = Report(folder)
    found = {arm: differences["avg_at_m"] for arm, differences in report.differences.items()}
    title = f"{report.labels['avg_at_m']} after RL, by arm"
    return found, arm_differences(found, report.seed_gaps, report.baseline, title)


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
def report_of(folder: Path, stamp: float) -> Report:
    """The report of a study as it stood at `stamp`; a study that goes on has a new one."""
    return Report(folder)


@st.cache_resource(max_entries=64, show_spinner=False)
def shown_of(folder: Path, stamp: float, kind: str) -> tuple[Any, bytes, str]:
    """`shell.run`, once for the study as it stood at `stamp`."""
    note = "The study was made by: pgce demo"
    if picture := PICTURES[kind]:
        return shell.run(of_the_report, note, folder=folder, picture=picture)
    return shell.run(accuracy if kind == tables.BEFORE_AFTER else minus_the_baseline, note, folder=folder)


def stamp_of(folder: Path) -> float:
    kinds = ("*/*/evaluation.json", "*/*/model.safetensors", "rows/*/*.error.txt")
    files = [file for kind in kinds for file in folder.glob(kind)]
    return max((file.stat().st_mtime for file in files), default=0.0)


def gaps(report: Report) -> dict[str, list[Any]]:
    rows = [
        (arm, "mean", found["avg_at_m"]["value"], found["avg_at_m"]["low"], found["avg_at_m"]["high"])
        for arm, found in report.differences.items()
    ]
    for arm, found in report.seed_gaps.items():
        rows += [(arm, "one seed", gap, "", "") for gap in found]
    columns = ("arm", "of", f"minus {report.baseline}", "low", "high")
    return {column: [row[i] for row in rows] for i, column in enumerate(columns)}


def before_after(report: Report) -> dict[str, list[Any]]:
    rows = [
        (arm, label, *report.summary[arm][when]["avg_at_m"].values())
        for arm in report.summary
        for when, label in WHEN.items()
    ]
    return {
        column: [row[i] for row in rows]
        for i, column in enumerate(("arm", "when", report.labels["avg_at_m"], "low", "high"))
    }


def takeaway_of(report: Report, kind: str) -> str:
    """One sentence for a picture with intervals; `at_the_end` makes that of a chart of lines."""
    label = report.labels["avg_at_m"]
    if kind == tables.BEFORE_AFTER:
        return f"RL took {label} of {', of '.join(tables.told(report.summary, 'avg_at_m'))}."
    gaps = ", ".join(
        f"{arm} {signed(gap['value'] or 0.0)} {signed_interval(gap['low'] or 0.0, gap['high'] or 0.0)}"
        for arm, gap in ((arm, found["avg_at_m"]) for arm, found in report.differences.items())
    )
    what = "estimates with 95 % intervals over problems, no verdict"
    return f"{label} after RL, minus {report.baseline} ({what}): {gaps}."


def at_the_end(table: dict[str, list[Any]]) -> str:
    """The last value of each line of a chart, from the table of its points."""
    names, places, values = table.values()
    last = dict(zip(names, zip(places, values, strict=True), strict=True))
    x_title, y_title = list(table)[1:]
    told = ", ".join(f"{name} {value:.2f}" for name, (_, value) in last.items())
    return f"At {x_title.partition(',')[0]} {max(place for place, _ in last.values()):g}, {y_title}: {told}."


def paper_sentence(metric: PaperMetric, found: dict[str, dict[str, float]]) -> str:
    best = {model: max(row, key=row.__getitem__) for model, row in found.items()}
    told = ", ".join(
        f"{best[model]} {row[best[model]]:+.2f} at {model}" if row[best[model]] > 0 else f"ce at {model}"
        for model, row in found.items()
    )
    return f"The paper's best arm, {metric}: {told} (points above its cross-entropy; single runs, no error bars)."


st.title("Diversity or precision?")
planned.present_answer()
st.markdown(
    "A *prior* is a pre-trained model, an *arm* the reward that it was trained with; *Avg@m* is the share of "
    "right answers among m samples of each problem. Here are small models trained on a laptop's processor and, "
    f"beside them, what the paper ({SOURCE}) reports for models of 4 to 20 billion parameters, four to five "
    "orders of magnitude larger: other tasks, other scales, no common axis."
)


@st.fragment
def view() -> None:
    """A part by itself, or two beside one another, and what belongs to the whole study."""
    of_tables = tables.studies(shell.RUNS)
    reports = [name for name in studies() if name not in of_tables]
    here, there = st.columns(2)
    name = here.selectbox("Part", [*of_tables, *reports], key="study", bind="query-params")
    beside = there.selectbox("Beside it", [ALONE, *of_tables], key="beside", bind="query-params")
    if beside == ALONE or name not in of_tables:
        alone(name, of_tables.get(name))
    else:
        pair(name, of_tables[name], beside, of_tables[beside])
    if name in of_tables:
        planned.judge(of_tables[name])
    planned.present_inventory()


def alone(name: str, study: tables.Study | None) -> None:
    """One part, with the paper's numbers; without `study` it is the report of that name."""
    has_table = study is not None and planned.say_line(study)
    picture, controls = shell.columns()
    with controls:
        if study is None:
            kind = st.radio("Picture", list(PICTURES), key="picture", bind="query-params")
        elif has_table:
            choice = tables.choose(study)
        present_paper()
    if study is None:
        present_report(picture, name, kind)
    elif has_table:
        tables.present(picture, study, choice)
        planned.present_planned(study, "planned")


def pair(name: str, study: tables.Study, beside: str, other: tables.Study) -> None:
    """Two parts in the same picture, the second to the right or, on a phone, below."""
    with st.container(key="place_controls"):
        choice = tables.choose(study, wide=True)
        followed = tables.follow(other, choice) if choice else tables.choose(other, wide=True)
    left, right = st.columns(2, gap="large")
    with left:
        side(name, study, choice, "study", "place_left")
    with right:
        side(beside, other, followed, "study_beside", "place_right")


def side(title: str, study: tables.Study, choice: tables.Choice | None, name: str, place: str) -> None:
    """One of two parts; `name` as in `shell.present`, `place` the key of its picture's (presenting.css)."""
    picture = st.container(key=place)
    with picture:
        st.subheader(title)
        has_table = planned.say_line(study)
    if has_table:
        tables.present(picture, study, choice, name)
        planned.present_planned(study, f"planned_{name}")


def present_paper() -> None:
    metric: PaperMetric = st.radio(
        "The paper's numbers", get_args(PaperMetric), 1, key="paper", horizontal=True, bind="query-params"
    )
    differences, figure, _ = shell.made(paper, metric=metric)
    sentence = paper_sentence(metric, differences)
    shell.chart("chart_paper", figure, sentence)
    st.markdown(sentence)
    chosen = [row for row in PAPER_RESULTS if row.metric == metric]
    with st.expander("The paper's numbers"):
        columns = {
            "model": [row.model for row in chosen],
            "arm": [row.arm for row in chosen],
            f"the paper's {metric}": [row.value for row in chosen],
        }
        st.html(shell.as_html(columns, "The paper's numbers"))


def present_report(picture: DeltaGenerator, study: str, kind: str) -> None:
    """A study of `pgce demo`, which has a report and intervals over problems."""
    folder = shell.RUNS / study
    stamp = stamp_of(folder)
    try:
        report = report_of(folder, stamp)
        if kind == tables.DIFFERENCES and not report.differences:
            shell.refuse(picture, "Only one arm is finished: there is nothing to compare it with yet.")
            return
        table, figure, code = shown_of(folder, stamp, kind)
    except (RunError, ValueError, OSError) as error:
        shell.refuse(picture, f"Nothing to show: {shell.reason(error, shell.RUNS)}.")
        return
    if PICTURES[kind]:
        takeaway = at_the_end(table)
    else:
        takeaway = takeaway_of(report, kind)
        table = before_after(report) if kind == tables.BEFORE_AFTER else gaps(report)
    shell.present(picture, figure, takeaway, table, code, "study")
    if study == "demo":
        st.markdown("This is what `pgce demo` left, a first look.")
    st.markdown(f"{report.takeaway()} {report.caveat()}".replace("->", "→"))
    if report.results.failed:
        reasons = "; ".join(f"{row}: {reason}" for row, reason in report.results.failed.items())
        shell.refuse(st, f"Failed and left out: {reasons}.")


view()
