"""The tables of `pgce study` as the page "Diversity or precision?" shows them: those that come with the package,
and those that somebody's own studies left in the runs folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import shell
from pgce_mini import PAPER_ARMS
from pgce_mini.figures import before_after, learning_curves, paired_forest, pass_at_k_curves, phase_map
from pgce_mini.runs import RunError
from pgce_mini.shipped import RESULTS
from pgce_mini.study import Columns
from pgce_mini.study.analysis import (
    FAMILIES,
    STAGE_LABELS,
    Evidence,
    decide_claims,
    verdict,
    verdict_and_reasons,
)
from pgce_mini.study.analysis import views as shown

SPECS = Path(__file__).parents[1] / "studies"
BEFORE_AFTER, DIFFERENCES, PASS_AT_K, PHASE = (
    "before and after RL",
    "minus the baseline",
    "Pass@k",
    "phase diagram",
)
CURVES = {  # of a row: stage, metric, title, x title, y title
    "reward through RL": ("rl", "reward", "Reward through RL", "RL step", "mean reward (share right)"),
    "entropy through RL": ("rl", "entropy", "Entropy through RL", "RL step", "entropy (nats/token)"),
    "length through RL": (
        "rl", "completions/mean_length", "Response length through RL", "RL step", "length (tokens)",
    ),
    "entropy of the priors": (
        "pretrain", "heldout_entropy", "Pre-training: held-out entropy", "pre-training step",
        "entropy (nats/token)",
    ),
}  # fmt: skip
STATES = ("complete", "incomplete", "not run yet")  # of a part
METRICS = {
    "avg_at_m_after": "accuracy after RL (share)",
    "avg_at_m_before": "accuracy before RL (share)",
    "pass_at_64_after": "Pass@64 after RL (share)",
    "pass_at_64_before": "Pass@64 before RL (share)",
    "completion_length_after": "length after RL (tokens)",
    "cross_entropy_before": "held-out cross-entropy of the prior (nats/token)",
    "entropy_before": "held-out entropy of the prior (nats/token)",
    "ece_before": "calibration error of the prior (share)",
    "repetition_before": "repetition of the samples (share)",
    "distinct_2_before": "distinct pairs in the samples (share)",
}
CODE = """\
from pathlib import Path

from pgce_mini.figures import *
from pgce_mini.study.analysis import views as shown
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis import Evidence

evidence = Evidence({folder})
rows, arms = evidence.rows({study!r}), {arms}
figure = {figure}
figure
"""


class Study(NamedTuple):
    """A study with a table: of the package, or (`own`) of the runs folder."""

    folder: Path
    name: str
    own: bool


class Choice(NamedTuple):
    kind: str
    arms: list[str]
    variant: str
    metric: str


class Shown(NamedTuple):
    figure: go.Figure
    takeaway: str
    table: dict[str, list[Any]]
    code: str


def studies(runs: Path) -> dict[str, Study]:
    """What to call it -> where it is; those of the package first, in the order of the study."""
    shipped = sorted(stems(RESULTS), key=lambda name: [*shown.ORDER, name].index(name))
    found = {name: Study(RESULTS, name, False) for name in shipped}
    return found | {f"studies/{name}": Study(runs / "studies", name, True) for name in stems(runs / "studies")}


def stems(folder: Path) -> list[str]:
    """The names of the tables of a folder."""
    return sorted(path.stem for path in folder.glob("*.parquet") if not path.stem.endswith("-curves"))


def stamp(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.glob("*.parquet")), default=0.0)


@st.cache_resource(max_entries=4, show_spinner="Reading the study …")
def evidence_of(folder: Path, stamp: float) -> Evidence:
    """The tables of a folder as they stood at `stamp`."""
    return Evidence(folder)


def choose(study: Study) -> Choice | None:
    """The controls of a study with a table; None where there is nothing to choose, and `present` says why."""
    try:
        rows = evidence_of(study.folder, stamp(study.folder)).rows(study.name)
    except RunError:
        return None
    if not rows:
        return None
    has_rl = any("avg_at_m_after" in row for row in rows)
    variants, arms = shown.variants(rows), shown.arms(rows)
    kinds = [DIFFERENCES, *list(CURVES)[-1:]]
    if has_rl:
        kinds = [BEFORE_AFTER, DIFFERENCES, PASS_AT_K, *CURVES]
    if has_rl and shown.phase(rows, arms[-1], arms[0], "avg_at_m_after"):
        kinds.append(PHASE)
    kind = st.radio("Picture", kinds, key="picture", bind="query-params")
    metric = ""
    if kind in (DIFFERENCES, PHASE):
        known = [name for name in METRICS if any(row.get(name) is not None for row in rows)]
        metric = st.selectbox("Of", known, format_func=METRICS.__getitem__, key="metric", bind="query-params")
    if kind == PHASE:
        return Choice(kind, [st.selectbox("Arm", arms[1:], key="phase_arm", bind="query-params")], "", metric)
    variant = variants[0]
    if len(variants) > 1:
        variant = st.selectbox("Variant", variants, key="variant", bind="query-params")
    usual = arms if kind == DIFFERENCES else [arm for arm in arms if arm in PAPER_ARMS]
    picked = st.pills(
        "Arms",
        arms,
        selection_mode="multi",
        default=usual,
        key=f"arms_{study.name}_{kind}",
        wrap=True,
        bind="query-params",
    )
    return Choice(kind, [arm for arm in arms if arm in picked], variant, metric)


def present(picture: DeltaGenerator, study: Study, choice: Choice | None) -> None:
    now = stamp(study.folder)
    evidence = evidence_of(study.folder, now)
    try:
        all_rows = evidence.all_rows(study.name)
        if choice is None:
            raise ValueError("no row of it is finished")
        found = shown_of(study, now, choice)
    except RunError as error:
        shell.refuse(picture, f"Nothing to show: {shell.reason(error, study.folder)}.")
        return
    except ValueError as error:
        shell.refuse(picture, f"Nothing to show: {error}.")
    else:
        shell.present(picture, shell.as_json(found.figure), found.takeaway, found.table, found.code, "study")
    failed = [row for row in all_rows if row["error"] is not None]
    if failed:
        reasons = (f"{row['variant']} {row['arm']}, seed {row['seed']}: {row['error']}".strip() for row in failed)
        shell.refuse(st, f"Failed and left out: {'; '.join(reasons)}.")
    try:
        if any(evidence.rows(name) for name in shown.ORDER):
            present_claims(evidence)
    except RunError as error:  # of the table of another part
        shell.refuse(st, f"The paper's claims cannot be judged: {shell.reason(error, study.folder)}.")


@st.cache_resource(max_entries=64, show_spinner=False)  # nobody changes it, so none needs a copy
def shown_of(study: Study, stamp: float, choice: Choice) -> Shown:
    """`show`, made once for the tables as they stood at `stamp`."""
    return show(evidence_of(study.folder, stamp), study, choice)


def show(evidence: Evidence, study: Study, choice: Choice) -> Shown:
    """
    Raises:
        ValueError: there is nothing to see yet, and why.
    """
    kind, arms, variant, metric = choice
    rows = evidence.rows(study.name)
    m, baseline = shown.samples(rows), shown.arms(rows)[0]
    if not arms:
        raise ValueError("no arm is picked")
    where = f", {variant}" if variant else ""
    if kind in (BEFORE_AFTER, PASS_AT_K):
        summary = shown.over_seeds(rows, arms, variant)
        if not told(summary, "avg_at_m"):
            raise ValueError("no picked arm has a finished row here")
        if kind == BEFORE_AFTER:
            title = f"Accuracy before and after RL{where}"
            figure = before_after(summary, "avg_at_m", title, f"Avg@{m} (share)")
            made = f'before_after(summary, "avg_at_m", {title!r}, "Avg@{m} (share)")'
            sentence = f"RL took Avg@{m} of {', of '.join(told(summary, 'avg_at_m'))}{seeds(rows, arms, variant)}."
        else:
            figure = pass_at_k_curves(summary, f"Pass@k before and after RL{where}")
            made = f"pass_at_k_curves(summary, {figure.layout.title.text!r})"
            last = list(next(iter(summary.values()))["policy"])[-1]
            label = f"Pass@{last[8:]}" if last.startswith("pass") else f"Avg@{m}"
            sentence = f"RL took {label} of {', of '.join(told(summary, last))}{seeds(rows, arms, variant)}."
        points = [
            (arm, label, name, *estimate.values())
            for arm, stages in summary.items()
            for stage, label in STAGE_LABELS.items()
            for name, estimate in stages[stage].items()
            if kind == PASS_AT_K or name == "avg_at_m"
        ]
        table = as_columns(("arm", "stage", "metric", "mean", "low", "high"), points)
        made = made.replace("summary", f"shown.over_seeds(rows, arms, {variant!r})")
    elif kind in CURVES:
        stage, name, title, x_title, y_title = CURVES[kind]
        curves = shown.through(evidence.curves(study.name), arms, stage, name, variant)
        if not curves:
            raise ValueError("these arms share another's prior or policy, or have no such curve; pick others")
        figure = learning_curves(curves, name, title + where, x_title, y_title)
        points = [
            (arm, i, point["step"], point[name])
            for arm, of_seeds in curves.items()
            for i, of_seed in enumerate(of_seeds)
            for point in of_seed
        ]
        table = as_columns(("arm", "place of the seed", x_title, y_title), points)
        ends = {arm: [of_seed[-1][name] for of_seed in of_seeds] for arm, of_seeds in curves.items()}
        sentence = (
            f"At the last {x_title}, {y_title}: "
            + ", ".join(f"{arm} {sum(values) / len(values):.2f}" for arm, values in ends.items())
            + f"{seeds(rows, arms, variant)}."
        )
        made = (
            f"learning_curves(\n    shown.through(evidence.curves({study.name!r}), arms, {stage!r}, {name!r}, "
            f"{variant!r}),\n    {name!r}, {title + where!r}, {x_title!r}, {y_title!r},\n)"
        )
    elif kind == PHASE:
        return _phase(rows, study, arms[0], baseline, metric)
    else:
        found = shown.against(rows, arms, baseline, metric, variant)
        if not found:
            raise ValueError(f"no picked arm beside {baseline} shares two seeds with it yet")
        title, x_title = f"Each arm minus {baseline}{where}", METRICS[metric]
        figure = paired_forest(found, title, x_title)
        made = (
            f"paired_forest(\n    shown.against(rows, arms, {baseline!r}, {metric!r}, {variant!r}), {title!r}, "
            f"{x_title!r}\n)"
        )
        seen: dict[str, list[str]] = {}
        for arm, gap in found.items():
            seen.setdefault(verdict(gap), []).append(f"{arm} {gap.mean:+.3f}")
        verdicts = "; ".join(f"{words}: {', '.join(seen[words])}" for words in sorted(seen))
        sentence = f"{x_title}, minus {baseline}: {verdicts} (95 % intervals over seeds, each by itself)."
        table = {
            "arm": list(found),
            **{
                column: [getattr(gap, column) for gap in found.values()]
                for column in ("n", "mean", "low", "high", "p", "detectable")
            },
        }
    return Shown(figure, sentence[0].upper() + sentence[1:], table, code_of(study, arms, made))


def _phase(rows: Sequence[Columns], study: Study, arm: str, baseline: str, metric: str) -> Shown:
    found = shown.phase(rows, arm, baseline, metric)
    assert found is not None  # it is not offered otherwise
    cells = [
        (x, y, value)
        for y, row in zip(found.ys, found.values, strict=True)
        for x, value in zip(found.xs, row, strict=True)
        if value is not None
    ]
    if not cells:
        raise ValueError("no pair of settings has two seeds of both arms yet")
    best = max(cells, key=lambda cell: abs(cell[2]))
    title, x_title, y_title = f"{arm} minus {baseline}", *(n.replace("_", " ") for n in found[:2])
    figure = phase_map(found.xs, found.ys, found.values, title, x_title, y_title, METRICS[metric])
    sentence = (
        f"{METRICS[metric]}, {title}: from {min(c[2] for c in cells):+.2f} to {max(c[2] for c in cells):+.2f}; "
        f"furthest from 0 at {x_title} {best[0]:g}, {y_title} {best[1]:g}. A map to look for directions, no test."
    )
    made = (
        f"(lambda found: phase_map(\n    found.xs, found.ys, found.values, {title!r}, {x_title!r}, {y_title!r}, "
        f"{METRICS[metric]!r}\n))(shown.phase(rows, {arm!r}, {baseline!r}, {metric!r}))"
    )
    table = as_columns((x_title, y_title, title), cells)
    return Shown(figure, sentence[0].upper() + sentence[1:], table, code_of(study, [arm], made))


def told(summary: Any, metric: str) -> list[str]:
    return [
        f"{arm} from {stages['prior'][metric]['value']:.2f} to {stages['policy'][metric]['value']:.2f}"
        for arm, stages in summary.items()
        if None not in (stages["prior"][metric]["value"], stages["policy"][metric]["value"])
    ]


def seeds(rows: Sequence[Columns], arms: Sequence[str], variant: str) -> str:
    """ "; means over 10 seeds" """
    counts = {sum((row["arm"], row["variant"]) == (arm, variant) for row in rows) for arm in arms}
    least, most = min(counts), max(counts)
    return f"; means over {least if least == most else f'{least} to {most}'} seeds"


def as_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def code_of(study: Study, arms: list[str], figure: str) -> str:
    folder = 'Path("runs/studies")' if study.own else "RESULTS"
    return CODE.format(folder=folder, study=study.name, arms=arms, figure=figure)


def progress(found: Sequence[shown.Part]) -> str:
    """Which parts of the full study there are, in one sentence or two."""
    names = {
        state: [
            f"{part.name} ({part.finished} of {part.planned} rows)" if state == "incomplete" else part.name
            for part in found
            if part.state == state
        ]
        for state in STATES
    }
    said = "; ".join(f"{state}: {', '.join(names[state])}" for state in STATES if names[state])
    return f"The full study has {len(found)} parts. {said[0].upper()}{said[1:]}."


def present_claims(evidence: Evidence) -> None:
    """The paper's claims and every planned comparison, as far as these tables go."""
    st.subheader("The paper's claims, one by one")
    decided = decide_claims(evidence)
    lines = ["\n- ".join(verdict_and_reasons(decision)) for decision in decided.values()]
    columns = {"the paper's claim": list(decided), "at this scale, on these tasks (ours)": lines}
    st.html(shell.as_html(columns, "The paper's claims"))
    if (every := st.expander("Every planned comparison", key="comparisons", on_change="rerun")).open:
        findings = [(family, evidence.findings[family.name, c]) for family in FAMILIES for c in family.comparisons]
        gaps = [finding.difference for _, finding in findings]
        every.html(
            shell.as_html(
                {
                    "family": [family.name for family, _ in findings],
                    "part": [" ".join((f.comparison.study, f.comparison.variant)) for _, f in findings],
                    "comparison": [f.comparison.words for _, f in findings],
                    "seeds": [None if gap is None else gap.n for gap in gaps],
                    "difference": [None if gap is None else gap.mean for gap in gaps],
                    "low": [None if gap is None else gap.low for gap in gaps],
                    "high": [None if gap is None else gap.high for gap in gaps],
                    "Holm's p": [f.adjusted_p if f.difference else None for _, f in findings],
                    "expected": [f.comparison.expected for _, f in findings],
                    "seen": [f.seen for _, f in findings],
                },
                "Every planned comparison",
            )
        )


@st.cache_data(max_entries=2, show_spinner=False)
def parts_of(folder: Path, stamp: float) -> list[shown.Part]:
    return shown.parts(evidence_of(folder, stamp), SPECS)


def present_parts() -> None:
    """What there is of the study that comes with the package, and what not."""
    found = parts_of(RESULTS, stamp(RESULTS))
    st.markdown(progress(found))
    if (table := st.expander("Parts of the full study", key="parts", on_change="rerun")).open:
        table.html(
            shell.as_html(
                {
                    "part": [part.name for part in found],
                    "question": [part.question for part in found],
                    "rows": [f"{part.finished} of {part.planned}" for part in found],
                    "state": [part.state for part in found],
                },
                "Parts of the full study",
            )
        )
