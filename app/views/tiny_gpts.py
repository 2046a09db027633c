"""Tiny GPTs side by side: one prompt, read and continued by a prior of each arm."""

from __future__ import annotations

from html import escape, unescape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

import shell
from pgce_mini import PAPER_ARMS
from pgce_mini.figures import entropy_along, next_tokens, visible
from pgce_mini.gpt.stack import Stack
from pgce_mini.playground import given_query
from pgce_mini.shipped import priors
from pgce_mini.tasks import Corpus, Task
from pgce_mini.teaching.reading import MAX_CHARACTERS, Reading, encode_prompt, likeliest
from pgce_mini.teaching.side_by_side import (
    ABOUT,
    LEVELS,
    PROMPTS,
    SAMPLES,
    SHOWN,
    WRITTEN,
    Read,
    as_one_state,
    read_side_by_side,
)

ARMS = list(PAPER_ARMS)
STYLE = """<style>
.written {white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.8; margin: 0 0 0.4rem;
  padding-left: 0.7rem; border-left: 2px solid #8885; font-family: "Source Code Pro", monospace;
  font-size: 0.875rem}
.written sub {font-size: 0.68rem; margin-left: 1px}
.p0, .p1, .p2, .p3 {padding: 1px 0; border-bottom: 0 solid currentColor}
.p1 {background: #0072b22b; border-bottom-width: 1px}
.p2 {background: #0072b255; border-bottom-width: 2px}
.p3 {background: #0072b28c; border-bottom-width: 4px}
.legend {line-height: 2; margin: 0}
.legend span {margin-right: 0.3rem; padding: 1px 0.4rem; white-space: nowrap}
</style>"""
PICTURES = ("next token", "entropy along the text")

ARMS_HELP = (
    "A *prior* is a model after pre-training and before RL. An *arm* is the reward that it was pre-trained with: "
    "*ce*, cross-entropy; *precision*, β = −0.25; *diversity*, β = 0.5; *tail-penalty*, λ tail = −0.1; "
    "*head-reward*, λ head = 0.1."
)

Found = dict[str, Read]  # arm -> what it expects next, how it goes on


@st.cache_resource(show_spinner="Loading the priors …")
def models(task: str) -> tuple[Stack, Corpus]:
    loaded = [priors.load(task, arm) for arm in ARMS]
    return Stack([model for model, _ in loaded]), loaded[0][1]


@st.cache_resource(max_entries=64, show_spinner=False)  # nobody changes it, so none needs a copy
def read(task: str, prompt: tuple[int, ...], length: int, temperature: float, seed: int) -> Found:
    stack, corpus = models(task)
    top_k = priors.SETTINGS[task][1]
    # The samples of a call have the seeds from this one on: no two seeds of the page share one.
    found = read_side_by_side(
        stack, corpus, prompt, length, samples=SAMPLES, temperature=temperature, top_k=top_k, seed=seed * SAMPLES
    )
    return dict(zip(ARMS, found, strict=True))


def side_by_side(
    task: str, text: str, picture: str, log: bool, temperature: float, seed: int
) -> tuple[tuple[Found, list[int]], go.Figure]:
    """What each prior expects after the prompt and how it goes on; the next tokens that matter to any of them."""
    _, corpus = models(task)
    prompt = encode_prompt(corpus, text, 1 if isinstance(corpus, Task) else WRITTEN)
    length = min(WRITTEN, corpus.max_document_length - len(prompt))
    found = read(task, tuple(prompt), length, temperature, seed)
    tokens = likeliest({arm: expected.probs for arm, (expected, _) in found.items()}, SHOWN)
    if picture == "next token":
        probs = {arm: expected.probs[tokens].tolist() for arm, (expected, _) in found.items()}
        figure = next_tokens([corpus.vocab[token] for token in tokens], probs, "Next token", log=log)
    else:
        entropy = {arm: samples[0].entropy for arm, (_, samples) in found.items()}
        figure = entropy_along(entropy, len(prompt), "Entropy along the text")
    return (found, tokens), figure


def prompt_of(task: str) -> str:
    """The prompt: typed, or one of ours, which the buttons fill in."""
    key, prompts = f"prompt_{task}", PROMPTS[task]
    first = next(iter(prompts.values()))

    def take() -> None:
        if (name := st.session_state[f"{key}_pick"]) is not None:
            st.session_state[key], st.session_state[f"{key}_pick"] = prompts[name], None

    def check() -> None:  # what is too long is not kept: an address has no room for it
        if len(st.session_state[key]) > MAX_CHARACTERS:
            st.session_state.refused, st.session_state[key] = len(st.session_state[key]), first

    text = st.text_area("Prompt", first, key=key, height=80, on_change=check, bind="query-params")
    st.pills("Or one of these", list(prompts), key=f"{key}_pick", on_change=take, wrap=True)
    if length := st.session_state.pop("refused", None):
        shell.refuse(
            st, f"That prompt had {length:,} characters, and at most {MAX_CHARACTERS:,} are read: it was left out."
        )
    return text


def note_unseen(task: str, text: str) -> None:
    """Byte pairs can write any text, but not all of it was in the manual."""
    unseen = sorted(set(text) - set(priors.manifest()["characters"])) if task == "text" else []
    if unseen:
        names = " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in unseen[:8])
        more = " …" if len(unseen) > 8 else ""
        shell.refuse(
            st, f"Not in the text that the models have read: {names}{more} — to them, bytes without a meaning."
        )


def written(corpus: Corpus, reading: Reading, numbers: bool) -> str:
    """The completion as HTML, each token marked by its probability."""
    spans = []
    for token, prob in reading.completion:
        level = next(i for i, (least, _) in enumerate(LEVELS) if prob >= least)
        piece = corpus.vocab[token]
        shown = visible(piece) if isinstance(corpus, Task) else escape(piece).replace("\n", "↵\n")
        number = f"<sub>{prob:.2f}</sub>" if numbers else ""
        spans.append(f'<span class="p{level}" title="{prob:.4f}">{shown}{number}</span>')
    return (" " if isinstance(corpus, Task) else "").join(spans)


def mean_entropy(task: str, arm: str) -> float:
    """Nats a token over held-out documents: one prompt is only one prompt."""
    return float(priors.manifest()["priors"][f"{task}-{arm}"]["heldout"]["entropy"])


def takeaway(found: Found) -> str:
    entropy = {arm: expected.entropy for arm, (expected, _) in found.items()}
    sharp, flat = min(entropy, key=entropy.__getitem__), max(entropy, key=entropy.__getitem__)
    return (
        f"After this prompt {sharp} is surest about the next token (entropy {entropy[sharp]:.2f} nats) and {flat} "
        f"is least sure ({entropy[flat]:.2f}); ce has {entropy['ce']:.2f}."
    )


def along(corpus: Corpus, readings: dict[str, Reading]) -> dict[str, list[Any]]:
    """The table of entropy along the text: a row an arm and token."""
    rows = [(arm, reading, i) for arm, reading in readings.items() for i in range(len(reading.entropy))]
    return {
        "arm": [arm for arm, _, _ in rows],
        "place": [i + 2 for _, _, i in rows],
        "token": [corpus.vocab[reading.ids[i + 1]] for _, reading, i in rows],
        "probability": [reading.probs[i] for _, reading, i in rows],
        "entropy": [reading.entropy[i] for _, reading, i in rows],
        "head": [reading.head[i] for _, reading, i in rows],
    }


st.title("Tiny GPTs side by side")
st.markdown(
    "Five models, alike in all (data, its order, first weights) but the reward that they were pre-trained with, "
    "which gives each *arm* its name. Give them a prompt: what do they expect next, how do they go on, and how "
    "sure are they? Entropy is in *nats* (natural logarithms): 0 is certainty, 0.69 a fair coin."
)
st.html(STYLE)


@st.fragment
def view() -> None:
    picture, controls = shell.columns()
    with controls:
        task = st.radio("Priors of", list(PROMPTS), key="task", horizontal=True, help=ARMS_HELP,
                        bind="query-params")  # fmt: skip
        text = prompt_of(task)
        note_unseen(task, text)
        kind = st.radio("Picture", PICTURES, key="picture", horizontal=True, bind="query-params")
        log = st.toggle("Logarithmic probabilities, for the tail", key="log", bind="query-params")
        temperature = round(
            st.slider("Temperature of the samples", 0.1, 2.0, 1.0, 0.05, key="temperature", bind="query-params"), 2
        )
        seed = st.number_input("Seed of the samples", 0, 9999, 0, key="seed", bind="query-params")
        st.markdown(ABOUT[task])
    (_, corpus), top_k = models(task), priors.SETTINGS[task][1]
    settings = {"log": log, "temperature": temperature, "seed": seed}
    try:
        (found, tokens), figure, code = shell.made(side_by_side, task=task, text=text, picture=kind, **settings)
    except ValueError as error:
        shell.refuse(picture, f"Nothing to show: {error}.")
        return
    table: dict[str, list[Any]]
    if kind == "next token":
        table = {"token": [corpus.vocab[token] for token in tokens]}
        table |= {arm: expected.probs[tokens].tolist() for arm, (expected, _) in found.items()}
    else:
        table = along(corpus, {arm: samples[0] for arm, (_, samples) in found.items()})
    shell.present(picture, figure, takeaway(found), table, code, "tiny_gpts")
    with picture:
        expected = [expected for expected, _ in found.values()]
        by_arm = {
            "next token": ARMS,
            "entropy (nats)": [e.entropy for e in expected],
            f"head, k = {top_k}": [e.head for e in expected],
            "tail": [1 - e.head for e in expected],
            "entropy, held-out": [mean_entropy(task, arm) for arm in ARMS],
        }
        st.html(shell.as_html(by_arm, "Next token, by arm"))
        names = {token: unescape(visible(corpus.vocab[token])) for token in tokens}
        state = as_one_state(text, names, {arm: expected.probs for arm, (expected, _) in found.items()})
        head = {"k": top_k} if top_k < SHOWN else {}  # a longer one holds every token that is shown
        st.page_link(
            "views/one_token.py", label="Open this state in *One token*", icon=":material/tune:",
            query_params=given_query(**state, **head, beta=PAPER_ARMS["precision"].beta),
            help="The frequencies q are what ce expects here. Small marks show what all five priors expect, the "
            "triangles where theory says that training ends: with β = −0.25, precision. Tokens that are not in "
            "this picture share one row there.",
        )  # fmt: skip
    with st.container(key="place_written"):
        st.subheader("How each goes on")
        numbers = st.toggle("Write the probability after each token", key="numbers", bind="query-params")
        legend = " ".join(f'<span class="p{i}">{label}</span>' for i, (_, label) in enumerate(LEVELS))
        st.html(f'<p class="legend">Probability of a token, as the model sees it: {legend}</p>')
        for arm, (_, samples) in found.items():
            texts = (written(corpus, reading, numbers) for reading in samples)
            paragraphs = "".join(f'<p class="written">{text}</p>' for text in texts)
            st.markdown(f"**{arm}**")
            st.html(paragraphs)


view()
