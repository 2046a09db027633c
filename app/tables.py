"""The tables of `pgce study` as the page "Diversity or precision?" shows them: those that come with the package,
and those that somebody's own studies left in the runs folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import shell
from pgce_mini import PAPER_ARMS
from pgce_mini.evaluation import LENGTH, LOGGED, STEPS, WHEN, column_title, metric_of
from pgce_mini.runs import RunError
from pgce_mini.shipped import RESULTS
from pgce_mini.study import Columns
from pgce_mini.study.analysis import (
    AFTER_RL,
    ORDER,
    PREDICTORS,
    PRIORS_ALONE,
    REGISTERED,
    Evidence,
    PairedDifference,
    Summary,
    Verdict,
    format_difference,
    samples,
    views,
)
from pgce_mini.study.analysis.hypotheses import in_words
from study_pictures import accuracy, differences, pass_at_k, phase_diagram, predictions, training

OF = (
    "Avg@m: the share of right answers among m samples of each problem. Pass@k: the share of problems that at "
    "least one of k samples solves. Entropy: how undecided the model is, in nats (natural logarithm). ECE: how "
    "far confidence is from accuracy, on average."
)
ARMS = (
    "An arm is a reward with a name. precision: β = −0.25, diversity: β = +0.5; tail-penalty takes 0.1 from "
    "unlikely wrong tokens, head-reward pays 0.1 to likely ones. The others are controls: another temperature, "
    "another loss, more steps."
)
BEFORE_AFTER, DIFFERENCES, PASS_AT_K, PHASE, PREDICTIONS = (
    "before and after RL",
    "minus the baseline",
    "Pass@k",
    "phase diagram",
    "predicted and measured",
)
QUANTITIES = {  # of a prediction: what an axis says
    "accuracy if reasoned": "accuracy if reasoned (share)",
    "entropy by position": "entropy (nats) where it errs most",
}
FROM_CE = {measure: (predictor, tolerance) for (predictor, measure), tolerance in REGISTERED.items()}
HELD_OUT = "held-out reward through RL"
CURVES = {  # of a row: training, the trainer's name
    "reward through RL": ("rl", "reward"),
    HELD_OUT: ("rl", "heldout_reward"),
    "entropy through RL": ("rl", "entropy"),
    "length through RL": ("rl", LENGTH),
    "entropy of the priors": ("pretrain", "heldout_entropy"),
}


class Study(NamedTuple):
    """A study of the package, or (`own`) one of the runs folder."""

    folder: Path
    name: str
    own: bool


class Choice(NamedTuple):
    kind: str
    arms: list[str]
    variant: str
    metric: str


class Shown(NamedTuple):
    figure: bytes
    takeaway: str
    table: dict[str, list[Any]]
    code: str


def studies(runs: Path) -> dict[str, Study]:
    """What to call it -> where its table is, or will be; those of the protocols first, in their order."""
    names = dict.fromkeys([*ORDER, *stems(RESULTS)])
    found = {name: Study(RESULTS, name, False) for name in names}
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


def rows_to_show(study: Study) -> list[Columns]:
    """Nothing if there is no table, or it is damaged (`present` says why)."""
    try:
        return evidence_of(study.folder, stamp(study.folder)).rows(study.name)
    except RunError:
        return []


def choose(study: Study, wide: bool = False) -> Choice | None:
    """The controls of a study; None if no row can be shown."""
    rows = rows_to_show(study)
    if not rows:
        return None
    has_rl = any(AFTER_RL in row for row in rows)
    variants, arms = views.variants(rows), views.arms(rows)
    kinds = [DIFFERENCES, *list(CURVES)[-1:]]
    if has_rl:
        kinds = [BEFORE_AFTER, DIFFERENCES, PASS_AT_K, *CURVES]
        if all(row.get("rl_heldout_area") is None for row in rows):  # study I has no such curve
            kinds.remove(HELD_OUT)
    if has_rl and views.phase(rows, arms[-1], arms[0], AFTER_RL):
        kinds.append(PHASE)
    if study.name == PRIORS_ALONE:
        kinds.insert(0, PREDICTIONS)
    kind = st.radio("Picture", kinds, key="picture", horizontal=wide, bind="query-params")
    if kind == PREDICTIONS:
        measure = st.selectbox("Of", list(FROM_CE), key="predicted", bind="query-params")
        return Choice(kind, [], "", measure)
    metric = ""
    if kind in (DIFFERENCES, PHASE):
        known, m = views.measures(rows), samples(rows)
        metric = st.selectbox(
            "Of", known, format_func=lambda name: column_title(name, m), key="metric", bind="query-params", help=OF
        )
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
        help=ARMS,
    )
    return Choice(kind, [arm for arm in arms if arm in picked], variant, metric)


def follow(study: Study, choice: Choice) -> Choice | None:
    """The same choice in another study, which has a variant of its own."""
    rows = rows_to_show(study)
    if not rows:
        return None
    variants, there = views.variants(rows), views.arms(rows)
    variant = variants[0]
    if len(variants) > 1 and choice.kind != PHASE:
        variant = st.selectbox(
            "Variant of the part beside it", variants, key="variant_beside", bind="query-params"
        )
    return choice._replace(arms=[arm for arm in choice.arms if arm in there], variant=variant)


def present(picture: DeltaGenerator, study: Study, choice: Choice | None, name: str = "study") -> None:
    """The chosen picture, and which rows failed; `name` as in `shell.present`."""
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
        shell.present(picture, *found, name)
    failed = [row for row in all_rows if row["error"] is not None]
    if failed:
        reasons = (f"{row['variant']} {row['arm']}, seed {row['seed']}: {row['error']}".strip() for row in failed)
        shell.refuse(st, f"Failed and left out: {'; '.join(reasons)}.")


@st.cache_resource(max_entries=64, show_spinner=False)  # read only, so shared without a copy
def shown_of(study: Study, stamp: float, choice: Choice) -> Shown:
    """What was chosen, made once for the tables as they stood at `stamp`.

    Raises:
        ValueError: there is nothing to see yet, and why.
    """
    kind, arms, variant, metric = choice
    rows = evidence_of(study.folder, stamp).rows(study.name)
    m, baseline = samples(rows), views.arms(rows)[0]
    if kind == PREDICTIONS:
        return predictions_of(study, metric)
    if not arms:
        raise ValueError("no arm is picked")
    where = f", {in_words(variant)}" if variant else ""
    source: dict[str, Any] = {"study": study.name} | ({"folder": study.folder} if study.own else {})
    picked: dict[str, Any] = source | {"arms": arms, "variant": variant}
    if kind in (BEFORE_AFTER, PASS_AT_K):
        view, what = (accuracy, "Accuracy") if kind == BEFORE_AFTER else (pass_at_k, "Pass@k")
        summary, figure, code = shell.run(view, **picked, title=f"{what} before and after RL{where}")
        if not told(summary, "avg_at_m"):
            raise ValueError("no picked arm has a finished row here")
        last = "avg_at_m" if kind == BEFORE_AFTER else list(next(iter(summary.values()))["after"])[-1]
        label = metric_of(f"{last}_after", m)[0].label
        sentence = f"RL took {label} of {', of '.join(told(summary, last))}{seeds(rows, arms, variant)}."
        points = [
            (arm, label, name, *estimate.values())
            for arm, models in summary.items()
            for when, label in WHEN.items()
            for name, estimate in models[when].items()
            if kind == PASS_AT_K or name == "avg_at_m"
        ]
        table = as_columns(("arm", "when", "metric", "mean", "low", "high"), points)
    elif kind in CURVES:
        stage, name = CURVES[kind]
        logged = LOGGED[stage][name]
        curves, figure, code = shell.run(training, **picked, stage=stage, metric=name, title=logged.title + where)
        if not curves:
            raise ValueError("these arms share another's prior or policy, or have no such curve; pick others")
        points = [
            (arm, i, point["step"], point[name])
            for arm, of_seeds in curves.items()
            for i, of_seed in enumerate(of_seeds)
            for point in of_seed
        ]
        table = as_columns(("arm", "place of the seed", STEPS[stage], logged.axis_title), points)
        ends = {arm: [of_seed[-1][name] for of_seed in of_seeds] for arm, of_seeds in curves.items()}
        sentence = (
            f"At the last {STEPS[stage]}, {logged.axis_title}: "
            + ", ".join(f"{arm} {sum(values) / len(values):.2f}" for arm, values in ends.items())
            + f"{seeds(rows, arms, variant)}."
        )
    elif kind == PHASE:
        if views.phase(rows, arms[0], baseline, metric) is None:
            raise ValueError("not just two settings vary here, as a phase diagram needs")
        found, figure, code = shell.run(phase_diagram, **source, arm=arms[0], baseline=baseline, metric=metric)
        sentence, table = phase_words(found, f"{arms[0]} minus {baseline}", column_title(metric, m))
    else:
        gaps, figure, code = shell.run(
            differences, **picked, baseline=baseline, metric=metric, title=f"Each arm minus {baseline}{where}"
        )
        if not gaps:
            raise ValueError(f"no picked arm beside {baseline} shares two seeds with it yet")
        evidence = evidence_of(study.folder, stamp)
        found = {arm: evidence.verdict(study.name, arm, metric, baseline, variant) for arm in gaps}
        sentence = f"{column_title(metric, m)}, minus {baseline}: {verdicts(gaps, found)}."
        columns = ("n", "mean", "low", "high", "low_90", "high_90", "p")
        table = {
            "arm": list(gaps),
            "verdict": ["not planned" if verdict is None else str(verdict) for verdict in found.values()],
            **{name: [getattr(gap, name) for gap in gaps.values()] for name in columns},
        }
    return Shown(figure, sentence[0].upper() + sentence[1:], table, code)


def predictions_of(study: Study, measure: str) -> Shown:
    """
    Raises:
        ValueError: there is nothing to predict, or nothing yet.
    """
    if study.name != PRIORS_ALONE:
        raise ValueError(f"only {PRIORS_ALONE} has predictions that were registered")
    predictor, tolerance = FROM_CE[measure]
    points, figure, code = shell.run(
        predictions, study=study.name, measure=measure, quantity=QUANTITIES.get(measure, measure),
        title=f"{measure}: predicted by {predictor}, and measured",
        **({"folder": study.folder} if study.own else {}),
    )  # fmt: skip
    if not points:
        raise ValueError("no arm shares two seeds with ce yet")
    rows = [(arm, x, y, x - y) for arm, pairs in points.items() for x, y in pairs]
    right = sum(abs(error) <= tolerance for *_, error in rows)
    arm, *_, worst = max(rows, key=lambda row: abs(row[3]))
    sentence = (
        f"{measure}, predicted from {PREDICTORS[predictor]} ({predictor}), is right to within {tolerance:g} for "
        f"{right} of {len(rows)}; furthest off is {arm}, by {worst:+.3f}."
    )
    table = as_columns(("arm", "predicted", "measured", "error"), rows)
    return Shown(figure, sentence[0].upper() + sentence[1:], table, code)


def verdicts(gaps: dict[str, PairedDifference], found: dict[str, Verdict | None]) -> str:
    """The verdict of each planned comparison with its interval; of the others the one furthest from 0."""
    parts = [f"{arm} {format_difference(gaps[arm])} ({verdict})" for arm, verdict in found.items() if verdict]
    others = [arm for arm, verdict in found.items() if verdict is None]
    if others:
        arm = max(others, key=lambda name: abs(gaps[name].mean))
        which = "not planned, an estimate" if len(others) == 1 else f"furthest from 0 of {len(others)} not planned"
        parts.append(f"{which} and not a verdict: {arm} {format_difference(gaps[arm])}")
    return "; ".join(parts)


def phase_words(found: views.Phase, title: str, measure: str) -> tuple[str, dict[str, list[Any]]]:
    """The sentence and the table of a phase diagram.

    Raises:
        ValueError: no cell of it has a number yet.
    """
    x_title, y_title = (name.replace("_", " ") for name in found[:2])
    cells = [
        (x, y, value)
        for y, row in zip(found.ys, found.values, strict=True)
        for x, value in zip(found.xs, row, strict=True)
        if value is not None
    ]
    if not cells:
        raise ValueError("no pair of settings has two seeds of both arms yet")
    best = max(cells, key=lambda cell: abs(cell[2]))
    sentence = (
        f"{measure}, {title}: from {min(c[2] for c in cells):+.2f} to {max(c[2] for c in cells):+.2f}; "
        f"furthest from 0 at {x_title} {best[0]:g}, {y_title} {best[1]:g}. A map to look for directions, no test."
    )
    return sentence, as_columns((x_title, y_title, title), cells)


def told(summary: Summary, metric: str) -> list[str]:
    """ "ce from 0.27 to 0.88", where both are known."""
    values = {arm: [models[when][metric]["value"] for when in WHEN] for arm, models in summary.items()}
    return [f"{arm} from {found[0]:.2f} to {found[1]:.2f}" for arm, found in values.items() if None not in found]


def seeds(rows: Sequence[Columns], arms: Sequence[str], variant: str) -> str:
    """ "; means over 10 seeds" """
    counts = {sum((row["arm"], row["variant"]) == (arm, variant) for row in rows) for arm in arms}
    least, most = min(counts), max(counts)
    return f"; means over {least if least == most else f'{least} to {most}'} seeds"


def as_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
