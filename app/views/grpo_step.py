"""One GRPO step: a group of completions, what each earned, and what the step does to every token."""

from __future__ import annotations

from typing import Any, get_args

import plotly.graph_objects as go
import streamlit as st
import torch

import shell
from pgce_mini import GPT, PAPER_ARMS, TASKS, GRPOConfig
from pgce_mini.figures import completion_group
from pgce_mini.figures.grpo import Measure
from pgce_mini.shipped import priors
from pgce_mini.tasks import Corpus, Task
from pgce_mini.teaching.grpo_trace import TracedStep, trace_step
from pgce_mini.training import LossType, ScaleRewards

PROBLEMS = 8  # groups of the step
VERIFIABLE = [name for name, corpus in TASKS.items() if issubclass(corpus, Task)]
MEASURES: dict[str, Measure] = {
    "weight": "push",
    "ratio π / π old": "ratio",
    "probability when sampled": "probability",
}
QUESTIONS = {
    "Why is the loss (close to) 0 while the gradient is not?": "Before the first update every ratio is 1, so the "
    "loss is minus a mean of the advantages, and each group centres its own at 0. With `loss_type` *grpo*, which "
    "gives every completion the same weight, it is 0 to the last digit; with *dapo* every token weighs the same, "
    "and long completions more. The *gradient* is not the slope of that number over training: it is the policy "
    "gradient, −Σ A ∇log π. Watch the reward, not the loss.",
    "Where is the ratio, when there is one update a batch?": "At 1, everywhere, and the clip does nothing: that "
    "is REINFORCE with the group's mean as baseline. Only later updates on the same completions (here: raise "
    "*updates*) see a policy that differs from the one that sampled.",
    "What does the clip do?": "It takes the gradient away from tokens that have moved far enough in the "
    "direction of their advantage: above 1 + ε high for right answers, below 1 − ε for wrong ones. It does not "
    "push back. DAPO and the paper let ε high (0.28) be larger than ε (0.2), *clip-higher*, for the sake of rare "
    "tokens.",
    "Why (not) divide by the standard deviation?": "Divided by the *group's*, a lone right answer among sixteen "
    "has an advantage near 3.8, and a group of eight and eight only 1: very hard and very easy problems count "
    "more. *none* (Dr. GRPO) leaves reward minus mean; *batch* divides all groups by one number.",
    "What does a group learn from, if all its rewards are equal?": "Nothing: every advantage is 0. Training "
    "replaces such groups (*dynamic sampling*); here they stay, to be seen.",
}


@st.cache_resource(show_spinner="Loading the prior …")
def prior(task: str, arm: str) -> tuple[GPT, Corpus]:
    return priors.load(task, arm)


@st.cache_resource(max_entries=32, show_spinner=False)  # nobody changes it, so none needs a copy
def traced(task: str, arm: str, config: GRPOConfig) -> TracedStep:
    model, corpus = prior(task, arm)
    return trace_step(model, corpus, config)


def group_of_step(
    task: str, arm: str, problem: int, stage: int, measure: Measure, **settings: Any
) -> tuple[TracedStep, go.Figure]:
    """A step from a prior, and one of its groups as it is after `stage` updates."""
    config = GRPOConfig(prompts_per_step=PROBLEMS, **settings)
    corpus, step = prior(task, arm)[1], traced(task, arm, config)
    group, update = problem - 1, step.updates[min(stage, config.num_iterations - 1)]
    values = {
        "push": update.push,
        "ratio": step.ratio_after if stage == config.num_iterations else update.ratio,
        "probability": step.old_per_token_logps.exp(),
    }[measure]
    asked = step.problems[group]
    prompt = corpus.decode(asked.prompt)
    figure = completion_group(
        [[corpus.vocab[token] for token in ids] for ids in step.completions[group]],
        step.rewards[group].tolist(),
        step.advantages[group].tolist(),
        step.rows(values, group),
        step.rows(update.held_back, group),
        measure,
        f"{prompt} {asked.target}" if task == "chain-sum" else prompt.removesuffix(" :"),
    )
    return step, figure


def written(loss: float) -> str:
    return f"{round(loss, 4) + 0.0:.4f}"  # never -0.0000


def takeaway(step: TracedStep, group: int, shown: int) -> str:
    right, size = int(step.rewards[group].sum()), step.rewards.shape[1]
    if not step.teaches(group):
        verdict = "right" if right else "wrong"
        return f"All {size} completions are {verdict}: every advantage is 0, and the group teaches nothing."
    update = step.updates[min(shown, len(step.updates) - 1)]
    held, kept = int(update.held_back[group].sum()), sum(map(len, step.completions[group]))
    if shown == 0:
        return (
            f"{right} of {size} are right and made likelier, the others less likely. Every ratio is 1 and the "
            f"loss reads {written(update.loss)}, but the gradient has norm {update.grad_norm:.2f}."
        )
    if shown == len(step.updates):
        moved = step.ratio_after[group][step.ratio_after[group] > 0]
        return (
            f"{right} of {size} are right. After {len(step.updates)} updates their tokens are "
            f"{moved.min():.2f} to {moved.max():.2f} times as probable as when they were sampled."
        )
    return (
        f"{right} of {size} are right. Before update {shown + 1} the clip holds back {held} of {kept} tokens here."
    )


def table_of(step: TracedStep, group: int, shown: int, vocab: list[str]) -> dict[str, list[Any]]:
    """A row a token of the group."""
    completions = step.completions[group]
    update = step.updates[min(shown, len(step.updates) - 1)]
    ratio = step.ratio_after if shown == len(step.updates) else update.ratio

    def column(values: torch.Tensor) -> list[Any]:
        return [value for row in step.rows(values, group) for value in row]

    return {
        "completion": [i for i, ids in enumerate(completions, 1) for _ in ids],
        "reward": [step.rewards[group, i].item() for i, ids in enumerate(completions) for _ in ids],
        "advantage": [step.advantages[group, i].item() for i, ids in enumerate(completions) for _ in ids],
        "place": [place for ids in completions for place, _ in enumerate(ids, 1)],
        "token": [vocab[token] for ids in completions for token in ids],
        "probability when sampled": column(step.old_per_token_logps.exp()),
        "ratio": column(ratio),
        "weight": column(update.push),
        "held back": [str(held) for held in column(update.held_back)],
    }


st.title("One GRPO step")
st.markdown(
    "The model answers each problem several times (a *group*); a verifier gives 1 or 0; an answer's *advantage* "
    "A is how much better it did than its group. With the ratio ρ it makes the *weight* ρ A on ∇ log π of every "
    "token: above 0 the token is made likelier. A column is a completion, read downwards; “end” (on a phone ■)"
    " ends it."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        left, right = st.columns(2)
        task = left.radio("Task", VERIFIABLE, key="task", bind="query-params")
        arm = right.selectbox("Prior", list(PAPER_ARMS), key="arm", bind="query-params")
        problem = st.slider(
            f"Problem, one of the step's {PROBLEMS}", 1, PROBLEMS, 4, key="problem", bind="query-params"
        )
        rights = st.container()
        left, right = st.columns(2)
        size = left.select_slider("Group size", [4, 8, 16], 16, key="size", bind="query-params")
        updates = right.slider("Updates", 1, 6, 4, key="updates", bind="query-params")
        stages = [*(f"before {i}" for i in range(1, updates + 1)), "after all"]
        if st.session_state.get("stage") not in (None, *stages):
            del st.session_state["stage"]  # of an update that is no longer taken
        stage = st.select_slider("Which update", stages, key="stage", bind="query-params")
        name = st.radio("Colour of a token", list(MEASURES), key="colour", horizontal=True, bind="query-params")
        with st.expander("Temperature, advantages, loss, clip, seed"):
            temperature = round(
                st.slider("Temperature", 0.5, 2.0, 1.0, 0.05, key="temperature", bind="query-params"), 2
            )
            scale = st.radio(
                "scale_rewards: divide by the standard deviation of the",
                get_args(ScaleRewards), key="scale_rewards", horizontal=True, bind="query-params",
            )  # fmt: skip
            loss = st.radio("loss_type", get_args(LossType), key="loss_type", horizontal=True, bind="query-params")
            epsilon_high = round(
                st.slider("ε high, with ε = 0.2", 0.05, 1.0, 0.28, 0.01, key="epsilon_high", bind="query-params"),
                2,
            )
            seed = st.number_input("Seed of problems and samples", 0, 9999, 0, key="seed", bind="query-params")

    settings = {
        "num_generations": size,
        "num_iterations": updates,
        "temperature": temperature,
        "scale_rewards": scale,
        "loss_type": loss,
        "epsilon_high": epsilon_high,
        "seed": seed,
    }
    group, shown = problem - 1, stages.index(stage)
    step, figure, code = shell.made(
        group_of_step, task=task, arm=arm, problem=problem, stage=shown, measure=MEASURES[name], **settings
    )
    counts = ", ".join(f"**{int(r)}**" if i == group else f"{int(r)}" for i, r in enumerate(step.rewards.sum(1)))
    rights.markdown(f"Right answers of {size}, by problem: {counts}")
    table = table_of(step, group, shown, prior(task, arm)[1].vocab)
    shell.present(picture, figure, takeaway(step, group, shown), table, code, "grpo_step")
    with picture:
        st.html(
            shell.as_html(
                {
                    "update": list(range(1, updates + 1)),
                    "loss": [written(u.loss) for u in step.updates],
                    "gradient norm": [u.grad_norm for u in step.updates],
                    "largest ratio": [u.ratio.max().item() for u in step.updates],
                    "tokens held back": [int(u.held_back.sum()) for u in step.updates],
                },
                "Updates",
            )
        )


view()
st.subheader("Asked again and again")
for question, answer in QUESTIONS.items():
    with st.expander(question):
        st.markdown(answer)
