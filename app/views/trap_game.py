"""The trap: bet on what RL will make of a prior, then see what theory says and what the study's seeds did."""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini import ChainSum, RewardShaping
from pgce_mini.figures import Seeds, arm_style, trap_dots
from pgce_mini.shipped import RESULTS
from pgce_mini.study.analysis import Evidence, Recorded, beside, nearest, recorded_settings
from pgce_mini.theory import ChainPrediction, predict_chain
from pgce_mini.theory.chain_prediction import guesses

PLAIN = "cross-entropy"
STARTS = ("the documents", "what cross-entropy learnt")
WINNERS = ("the prior with β", PLAIN, "neither")
HELP = {
    "share": "Of the documents that a prior (a pre-trained model) learns from: how often they reason. All others "
    "guess at once.",
    "slip": "How often a running total in these documents is wrong. The error goes on to the answer.",
    "beta": "In the reward of pre-training the true token earns (1/π)(1 − π)^β. Below 0 (precision) what is "
    "likely becomes likelier, above 0 (diversity) less likely; 0 is cross-entropy.",
    "start": "Theory maps cross-entropy to a loss with β. It can start from the rates of the documents, or from "
    "those that priors of cross-entropy have learnt in the nearest setting that was run: training is finite, and "
    "they slip more often than the documents do.",
    "accuracy": "The share of right answers, 64 to each of 96 held-out problems: Avg@64.",
}


class Game(NamedTuple):
    """What theory says of a prior, by its name; by the name of the nearest setting that was run, which may have
    another beta, its seeds and what theory says of them. In one order."""

    theory: dict[str, ChainPrediction]
    recorded: dict[str, Recorded]
    theory_there: dict[str, ChainPrediction]


@st.cache_resource(show_spinner="Reading the study …")
def settings_that_were_run() -> list[Recorded]:
    return recorded_settings(Evidence(RESULTS))


def number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def name_of(beta: float) -> str:
    return f"β = {number(beta)}" if beta else PLAIN


def play(
    share: float, slip: float, beta: float, bet: tuple[float, float], shown: bool, learnt: bool = False
) -> tuple[Game, go.Figure]:
    """A bet on the share of reasoning and on the accuracy after RL; with `shown` theory and seeds beside it.

    learnt: theory starts from what the priors of cross-entropy do in the nearest setting that was run.
    """
    names = {name_of(value): value for value in (beta, 0.0)}
    game = Game({}, {}, {})
    if shown:
        settings = settings_that_were_run()
        found = nearest(settings, share, slip, beta)
        plain = beside(settings, found)
        there = ChainSum(reasoned_share=found.reasoned_share, slip_rate=found.slip_rate)
        asked = ChainSum(reasoned_share=share, slip_rate=slip)
        if learnt:
            there = asked = plain.learnt
        for name, value in names.items():
            seeds = found if value else plain
            game.theory[name] = predict_chain(asked, RewardShaping(beta=value))
            there_name = name_of(seeds.beta)
            game.recorded[there_name] = seeds
            game.theory_there[there_name] = predict_chain(there, RewardShaping(beta=seeds.beta))
    expected = {
        name: (t.reasoned_share, t.accuracy_if_reasoned, t.accuracy_if_direct, t.accuracy)
        for name, t in game.theory.items()
    }
    seen = {
        name: Seeds((r.reasons, r.if_reasoned, r.if_direct, r.right), (r.reasons_after, r.right_after), there_name)
        for name, (there_name, r) in zip(game.theory, game.recorded.items(), strict=True)
    }
    styles = {
        name: "ce" if value == 0 else "precision" if value < 0 else "diversity" for name, value in names.items()
    }
    return game, trap_dots(styles, expected, seen, bet, "Reason or guess?")


def guesses_of(task: ChainSum) -> list[dict[str, Any]]:
    """For the page's module; what is rounded away it does not show."""
    return [
        {"total": total, "count": count, "q": q.round(12).tolist()} for total, (count, q) in guesses(task).items()
    ]


KEYS = ("share", "slip", "beta", "bet_share", "bet_accuracy")


@st.cache_resource(show_spinner=False)
def picture_of(shown: bool, learnt: bool) -> tuple[bytes, dict[str, Any] | None]:
    """The picture at any values of the sliders, and what the page's module needs to show it at others."""
    _, figure = play(0.1, 0.2, -0.25, (0.5, 0.5), shown, learnt)
    if not shown:
        return shell.as_json(figure), None
    task = ChainSum()
    fixed = {"operands": task.num_operands, "totals": task.num_operands * task.max_operand + 1}
    fixed["guesses"] = guesses_of(task)
    looks = [(colour, marker) for colour, _, marker in (arm_style(arm, ()) for arm in ("precision", "diversity"))]
    settings = [asdict(setting) for setting in settings_that_were_run()]
    for setting, given in zip(settings_that_were_run(), settings, strict=True):
        if learnt and setting.beta == 0:
            found = setting.learnt
            rates = {"share": found.reasoned_share, "slip": found.slip_rate}
            given["learnt"] = {**rates, "guesses": guesses_of(found)}
    return shell.as_json(figure), {"settings": settings, "task": fixed, "looks": looks}


def where(found: Recorded, share: float, slip: float, beta: float) -> str:
    asked = (share, slip, beta) == (found.reasoned_share, found.slip_rate, found.beta)
    return (
        f"**The seeds** are of {'this setting' if asked else 'the nearest setting that was run'}: reasoning "
        f"{found.reasoned_share:g}, slips {found.slip_rate:g}, β {number(found.beta)}; study *{found.study}*, "
        f"{len(found.seeds)} seeds, {found.rl_steps} steps of RL."
    )


def theory_against_seeds(name: str, theory: ChainPrediction, found: Recorded) -> str:
    """What theory says of a setting that was run, beside its seeds, and in how many of them it was wrong."""
    pays = theory.reasoning_pays
    wrong = len(found.seeds) - found.came_to_reason if pays else found.came_to_reason
    counted = f"**wrong in {wrong} of {len(found.seeds)}** seeds" if wrong else "right in all seeds"

    def both(expected: float, seen: tuple[float, ...]) -> str:
        return f"{expected:.0%} (the seeds: {fmean(seen):.0%})"

    return (
        f"**Theory for {name}**, there: this prior reasons in {both(theory.reasoned_share, found.reasons)} of its "
        f"answers. It is right in {both(theory.accuracy_if_reasoned, found.if_reasoned)} if it reasons, in "
        f"{both(theory.accuracy_if_direct, found.if_direct)} if it guesses. So RL should teach it to "
        f"{'reason' if pays else 'guess'}: {counted}."
    )


def judged(bet: tuple[float, float], winner: str, game: Game) -> str:
    (name, mine), *others = game.recorded.items()
    text = (
        f"**Your bet**: it reasons in {bet[0]:.0%} and is right in {bet[1]:.0%}. It came out at "
        f"{fmean(mine.reasons_after):.0%} and {mine.accuracy:.0%}, the means over seeds."
    )
    if not others:
        return text
    higher, count = mine.higher_than(others[0][1]), len(mine.seeds)
    return f"{text} You bet that {winner} ends ahead: the prior with {name} did in {higher} of {count} seeds."


def table_of(game: Game, bet: tuple[float, float]) -> dict[str, list[Any]]:
    """A row a measure, a column for theory and for each seed."""
    measures = ("reasons before", "right if it reasons", "right if it guesses", "right before")
    table: dict[str, list[Any]] = {"measure": [*measures, "reasons after", "right after"]}
    table["your bet"] = [None] * len(measures) + list(bet)
    for (name, t), (there_name, r) in zip(game.theory.items(), game.recorded.items(), strict=True):
        told = [t.reasoned_share, t.accuracy_if_reasoned, t.accuracy_if_direct, t.accuracy]
        table[f"{name}, theory"] = [*told, None, None]
        rows = (r.reasons, r.if_reasoned, r.if_direct, r.right, r.reasons_after, r.right_after)
        table |= {f"{there_name}, seed {seed}": [row[i] for row in rows] for i, seed in enumerate(r.seeds)}
    return table


st.title("The trap")
st.markdown(
    "A sum of eight numbers can be answered in two ways. *Reasoning* writes each running total, and one slip "
    "spoils the answer; *guessing* answers at once and is right about once in four. A *prior*, the model after "
    "pre-training, does both. RL then rewards right answers only. When does it find reasoning, and when is it "
    "trapped in guessing?"
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        share = shell.slider("Share of documents that reason", "share", 0.02, 0.4, 0.1, 0.01, help=HELP["share"])
        slip = shell.slider("Slip rate", "slip", 0.0, 0.3, 0.2, 0.01, help=HELP["slip"])
        beta = shell.slider("β of the prior", "beta", -0.75, 1.0, -0.25, help=HELP["beta"])
        st.markdown("**Your bet on this prior after RL**")
        bet = (
            shell.slider("It reasons in this share of its answers", "bet_share", 0.0, 1.0, 0.5),
            shell.slider("Its accuracy", "bet_accuracy", 0.0, 1.0, 0.5, help=HELP["accuracy"]),
        )
        winner = st.radio("Which prior ends ahead?", WINNERS, key="bet_winner", bind="query-params")
        shown = st.toggle("Show what happened", key="shown", bind="query-params")
        start = STARTS[0]
        if shown:
            start = st.radio("Theory starts from", STARTS, key="start", bind="query-params", help=HELP["start"])
    learnt = start == STARTS[1]
    figure, given = picture_of(shown, learnt)
    settings = {"share": share, "slip": slip, "beta": beta, "bet": bet, "shown": shown, "learnt": learnt}
    shell.present_moving(
        picture, "trap_game", figure, KEYS, given, play, settings, lambda game: table_of(game, bet)
    )
    if not shown:
        return
    with picture:
        game, _, _ = shell.made(play, **settings)
        found = next(iter(game.recorded.values()))
        lines = [where(found, share, slip, beta)]
        lines += [theory_against_seeds(n, game.theory_there[n], r) for n, r in game.recorded.items()]
        st.markdown("\n\n".join([*lines, judged(bet, winner, game)]))


view()
