"""Train live: pre-training and RL in the background, with curves that grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

import shell
from live import SIZES, Recipe, Refused, Status, Trainer
from pgce_mini import PAPER_ARMS
from pgce_mini.figures import Trained, training_curves, trainings_overlaid
from pgce_mini.runs import Run, RunError
from pgce_mini.shipped import priors

REFRESH_SECONDS = 1.0


def curves(
    folder: Path, steps: int, rl_steps: int, title: str
) -> tuple[tuple[list[dict[str, Any]], list[dict[str, Any]]], go.Figure]:
    """The metrics of pre-training and of RL so far."""
    prior, policy = Run(folder / "prior").metrics(), Run(folder / "policy").metrics()
    return (prior, policy), training_curves(prior, policy, steps, rl_steps, title)


def overlaid(folder: Path, runs: dict[str, str], title: str) -> tuple[dict[str, Trained], go.Figure]:
    """The metrics of several trainings of a task so far. runs: "ARM, SIZE, seed N" -> a folder in `folder`."""
    found = {
        name: Trained(
            name.partition(",")[0], *(Run(folder / run / part).metrics() for part in ("prior", "policy"))
        )
        for name, run in runs.items()
    }
    return found, trainings_overlaid(found, title)


@st.cache_resource(show_spinner=False)
def trainer() -> Trainer:
    """The one of this server, whoever looks."""
    return Trainer(shell.RUNS / "live", present=get_instance().is_active_session, starts=shell.TRAINING)


def viewer() -> str:
    context = get_script_run_ctx()
    assert context is not None
    return context.session_id


def come_back() -> None:
    """Without settings in the address, a viewer who has a training sees it."""
    mine = trainer().owned(viewer())
    if mine is None or any(key.startswith("live_") for key in (*st.session_state, *st.query_params)):
        return
    for name in ("task", "arm", "size", "seed"):
        st.session_state[f"live_{name}"] = getattr(mine, name)


def told(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"


def takeaway(status: Status, prior: list[dict[str, Any]], policy: list[dict[str, Any]]) -> str:
    if not prior:
        return "It begins in a moment." if status.state == "running" else "Nothing is trained yet."
    first, last = prior[0], prior[-1]
    sentence = (
        f"Pre-training took cross-entropy from {first['cross_entropy']:.2f} to {last['cross_entropy']:.2f} nats a "
        f"token, entropy from {first['entropy']:.2f} to {last['entropy']:.2f}"
    )
    if policy:
        sentence += f"; RL took the reward from {policy[0]['reward']:.2f} to {policy[-1]['reward']:.2f}"
    return f"{sentence}."


def compared(found: dict[str, Trained]) -> str:
    """What RL made of each, or where it has not begun, how far pre-training has come."""
    told = []
    for name, (_, prior, policy) in found.items():
        if policy:
            told.append(f"{name} from {policy[0]['reward']:.2f} to {policy[-1]['reward']:.2f}")
        elif prior:
            told.append(f"{name} not yet (cross-entropy {prior[-1]['cross_entropy']:.2f} nats)")
    return f"RL took the reward of {'; '.join(told)}." if told else "Nothing is trained yet."


def describe(status: Status) -> str:
    match status.state:
        case "new":
            return "Not trained yet."
        case "waiting":
            return f"Waiting: {status.ahead} training{'s' if status.ahead != 1 else ''} before this one."
        case "running" if status.done == status.total:
            return "Saving."
        case "running":
            return f"Running{told(status.seconds)}."
        case "stopping":
            return "Stopping after the current step; what is done is saved."
        case "stopped":
            return "Stopped. What is done is saved, and another start goes on from there."
        case "failed":
            return f"Failed: {status.reason}."
    return "Finished."


def press(action: str, recipe: Recipe) -> None:
    try:
        getattr(trainer(), action)(recipe, viewer())
    except Refused as refusal:
        st.session_state.refusal = str(refusal)


def tables_of(found: dict[str, Trained]) -> dict[str, list[Any]]:
    """`table_of` each, one below the other."""
    tables = {name: table_of(prior, policy) for name, (_, prior, policy) in found.items()}
    names = [name for name, table in tables.items() for _ in table["step"]]
    columns = next(iter(tables.values()))
    return {"training": names} | {key: [v for table in tables.values() for v in table[key]] for key in columns}


def table_of(prior: list[dict[str, Any]], policy: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Both stages in one table, a row a step; empty where a stage has no such number."""
    columns = ("cross_entropy", "entropy", "grad_norm", "reward", "reasoned_share", "completions/mean_length")
    rows = [("pre-training", row) for row in prior] + [("RL", row) for row in policy]
    return {
        "stage": [stage for stage, _ in rows],
        "step": [row["step"] for _, row in rows],
        **{name: [row.get(name, "") for _, row in rows] for name in columns},
    }


st.title("Train live")
st.markdown(
    "Pre-train a small GPT with the reward of an *arm*; this *prior* is then trained by RL (GRPO) on what the "
    "task's verifier says of its answers, right or wrong. One training at a time runs on this server, the others "
    "wait; look at other pages meanwhile. If you leave, yours goes on to its end. If the explorer is stopped, it "
    "is saved, and another start goes on from there. Text has no verifier, hence no RL."
)
come_back()
busy = trainer().busy


def view() -> None:
    picture, controls = shell.columns()
    with controls:
        recipe = ask()
        others = ask_for_others(recipe)
    status = trainer().status(recipe)
    folder = shell.RUNS / "live" / recipe.name
    commands = [
        f"  pgce {' '.join(recipe.command(stage, Path('runs/live') / recipe.name))}" for stage in recipe.steps
    ]
    note = "\n".join(["Trained by:", *commands]).replace(" --stop-with-stdin", "")
    settings = {"steps": recipe.steps["prior"], "rl_steps": recipe.steps.get("policy", 0), "title": recipe.title}
    try:
        if others:
            runs = {other.label: other.name for other in [recipe, *others]}
            title = f"Trainings on {recipe.task}"
            found, figure, code = shell.run(overlaid, note, folder=folder.parent, runs=runs, title=title)
            said, table = compared(found), tables_of(found)
        else:
            (prior, policy), figure, code = shell.run(curves, note, folder=folder, **settings)
            said, table = takeaway(status, prior, policy), table_of(prior, policy)
    except RunError as error:
        shell.refuse(picture, f"{shell.reason(error, shell.RUNS)}.")
        return
    with picture:
        st.progress(status.done / status.total, text=describe(status))
    shell.present(picture, figure, said, table, code, "training")
    if trainer().busy != busy:
        st.rerun()  # the whole page: it begins to refresh itself, or ends


def ask() -> Recipe:
    """The controls: what to train, and the buttons."""
    task = st.radio("Task", list(priors.SETTINGS), key="live_task", horizontal=True, bind="query-params")
    arm = st.radio(
        "Arm", list(PAPER_ARMS), key="live_arm", horizontal=True, bind="query-params",
        help="The reward of pre-training. *ce*: cross-entropy; *precision*: β = −0.25; *diversity*: β = 0.5; "
        "*tail-penalty*: λ tail = −0.1; *head-reward*: λ head = 0.1.",
    )  # fmt: skip
    size = st.radio(
        "Size", list(SIZES), list(SIZES).index("small"), key="live_size", horizontal=True, bind="query-params",
        help="*tiny* is done at once, but RL does little with it; *small* takes minutes; *full* is the study's.",
    )  # fmt: skip
    seed = st.number_input("Seed", 0, 9999, 0, key="live_seed", bind="query-params")
    recipe = Recipe(task, arm, size, int(seed))
    state = trainer().status(recipe).state
    start, stop = st.columns(2)
    start.button(
        "Start training", key="start_training", on_click=press, args=("submit", recipe), width="stretch",
        disabled=not shell.TRAINING or state in ("waiting", "running", "stopping", "finished"),
    )  # fmt: skip
    stop.button(
        "Stop training", on_click=press, args=("stop", recipe), width="stretch",
        disabled=state not in ("waiting", "running") or not trainer().may_stop(recipe, viewer()),
    )  # fmt: skip
    if not shell.TRAINING:
        st.markdown("This server shows trainings and starts none. On a machine of your own `pgce explore` does.")
    if refusal := st.session_state.pop("refusal", None):
        shell.refuse(st, f"Not now: {refusal}.")
    other = trainer().running
    if other is not None and other != recipe:
        st.markdown(f"Running now: {other.title}.")
    sizes = (f"*{name}*: width {s.hidden_size}, {s.steps} + {s.rl_steps} steps" for name, s in SIZES.items())
    st.markdown(f"Sizes, with the steps of pre-training and RL: {'; '.join(sizes)}.")
    return recipe


def ask_for_others(recipe: Recipe) -> list[Recipe]:
    """Trainings of the same task, run here before, to be drawn beside this one."""
    known = {other.label: other for other in trainer().trained() if other.task == recipe.task and other != recipe}
    if not known:
        return []
    picked = st.multiselect(
        "Draw beside it", list(known), key="live_beside", bind="query-params",
        help="Other arms, other seeds: what has been trained here of this task.",
    )  # fmt: skip
    return [known[label] for label in picked]


st.fragment(view, run_every=REFRESH_SECONDS if busy else None)()
