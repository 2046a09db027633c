"""β over trained priors: one prompt, one set of random numbers, eight models that differ in β alone."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini.figures import Prior, answer_cells, longest_answer, priors_over_beta
from pgce_mini.gpt.stack import Stack
from pgce_mini.shipped import RESULTS, priors
from pgce_mini.study.analysis import Evidence, recorded_settings
from pgce_mini.tasks import ChainSum
from pgce_mini.teaching.reading import MAX_CHARACTERS, encode_prompt, likeliest
from pgce_mini.teaching.side_by_side import read_side_by_side
from pgce_mini.theory import predict_chain

TASK = "chain-sum"
BETAS = list(priors.OVER_BETA)
SHOWN = 5  # next tokens
ANSWERS = 5
BETA_HELP = (
    "In the reward of pre-training the true token earns (1/π)(1 − π)^β: below 0 is precision, above 0 diversity, "
    "0 is cross-entropy. A model was trained at each step of this slider."
)
PROMPTS = {
    "a sum": "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 =",
    "another": "2 + 2 + 0 + 4 + 1 + 3 + 3 + 2 =",
    "half an answer": "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 = 3 4 8",
}


@st.cache_resource(show_spinner="Loading the priors …")
def models() -> Stack:
    return Stack([priors.load(TASK, arm)[0] for arm in priors.OVER_BETA.values()])


@st.cache_resource(show_spinner="Reading the study …")
def study() -> dict[float, list[tuple[float, float]]]:
    """beta -> of each seed of the study's grid the share of reasoning before RL and the accuracy after it."""
    return {
        setting.beta: list(zip(setting.reasons, setting.right_after, strict=True))
        for setting in recorded_settings(Evidence(RESULTS), ["grids"])
    }


@st.cache_resource(show_spinner=False)
def predicted() -> list[float]:
    return [predict_chain(ChainSum(), priors.settings(TASK, arm).shaping).reasoned_share
            for arm in priors.OVER_BETA.values()]  # fmt: skip


def over_beta(text: str, seed: int, beta: float) -> tuple[dict[float, Prior], go.Figure]:
    """The priors along beta: what each expects after the prompt and writes with the same random numbers, of which
    no two seeds share any."""
    corpus = ChainSum()
    prompt = encode_prompt(corpus, text, 1)
    length = min(corpus.max_completion_length, corpus.max_document_length - len(prompt))
    top_k = priors.SETTINGS[TASK][1]
    found = read_side_by_side(
        models(), corpus, prompt, length, samples=ANSWERS, temperature=1.0, top_k=top_k, seed=seed * ANSWERS
    )
    tokens = likeliest({str(b): expected.probs for b, (expected, _) in zip(BETAS, found, strict=True)}, SHOWN)
    manifest = priors.manifest()["priors"]
    along = {
        beta: Prior(
            expected.probs[tokens].tolist(),
            expected.entropy,
            [[(corpus.vocab[token], prob) for token, prob in reading.completion] for reading in readings],
            manifest[f"{TASK}-{arm}"]["samples"]["reasoned_share"],
        )
        for (beta, arm), (expected, readings) in zip(priors.OVER_BETA.items(), found, strict=True)
    }
    return along, priors_over_beta(along, [corpus.vocab[token] for token in tokens], beta, predicted(), study())


@st.cache_resource(max_entries=64, show_spinner=False)  # nobody changes it
def picture_of(text: str, seed: int) -> tuple[bytes, dict[str, Any]]:
    """The picture at any β, and what its page's module needs to show the others."""
    along, figure = over_beta(text, seed, 0.0)
    longest = longest_answer(along.values())
    each = [
        {"beta": beta, "probs": prior.probs, "entropy": prior.entropy, "reasons": prior.reasons}
        | dict(zip(("texts", "cells"), answer_cells(prior, longest), strict=True))
        for beta, prior in along.items()
    ]
    return shell.as_json(figure), {"priors": each}


def table_of(along: dict[float, Prior]) -> dict[str, list[Any]]:
    return {
        "beta": list(along),
        "entropy (nats)": [prior.entropy for prior in along.values()],
        "reasons": [prior.reasons for prior in along.values()],
        "reasons, theory": predicted(),
        "first answer": [" ".join(token for token, _ in prior.completions[0]) for prior in along.values()],
        "accuracy after RL, mean of the study's seeds": [fmean(right for _, right in study()[b]) for b in along],
    }


st.title("β over trained priors")
st.markdown(
    "Eight models learnt sums from the same documents, with the same first weights; only β in their reward "
    "differs. Drag it. The five answers are drawn with the same random numbers at each β, so that what changes in "
    "them is β's doing: below 0 a *prior* (a model before RL) is surer and mostly guesses at once (“#” comes "
    "first), above 0 it writes running totals more often, and slips more often, too."
)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        beta = shell.slider("β", "beta", BETAS[0], BETAS[-1], 0.0, 0.25, help=BETA_HELP)
        name = st.radio("Prompt", list(PROMPTS), key="prompt", bind="query-params")
        typed = st.text_input(
            "Or a sum of yours", key="sum", max_chars=MAX_CHARACTERS, bind="query-params",
            help="Eight numbers from 0 to 4, as in 3+1+4+1+2+4+0+1=. Other prompts are read, too.",
        )  # fmt: skip
        seed = int(st.number_input("Seed of the random numbers", 0, 9999, 0, key="seed", bind="query-params"))
        st.markdown(
            "How often a prior *reasons* is counted over 64 answers to each of 96 held-out sums. *Theory* expects "
            "it from the documents alone, before any training. The *seeds of the study* (grids, 5 a β) were "
            "trained in the same way; at the bottom is their accuracy after 80 steps of RL (Avg@64, the share of "
            "right answers)."
        )
    text = typed.strip() or PROMPTS[name]
    try:
        figure, given = picture_of(text, seed)
    except ValueError as error:
        shell.refuse(picture, f"Nothing to show: {error}.")
        return
    settings = {"text": text, "seed": seed, "beta": beta}
    shell.present_moving(picture, "trained_beta", figure, ["beta"], given, over_beta, settings, table_of)


view()
