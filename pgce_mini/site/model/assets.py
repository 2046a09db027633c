"""Writes the files of the page in which the shipped models run."""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from pgce_mini.atomic import write_atomic
from pgce_mini.figures.style import arm_style
from pgce_mini.gpt import GPT
from pgce_mini.playground.modules import join_as_function
from pgce_mini.playground.page import as_module, sources
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.shipped import policies, priors
from pgce_mini.tasks import ChainSum, Corpus, Task
from pgce_mini.teaching.reading import MAX_CHARACTERS
from pgce_mini.teaching.side_by_side import ABOUT, LEVELS, PROMPTS, SAMPLES, SHOWN, WRITTEN
from pgce_mini.training.optimizer import ADAM_BETAS

SCRIPT = "tiny-gpts.js"
# how every document of a task begins
USUAL = {"chain-sum": r"^([0-4] \+ ){7}[0-4] [=≡]( |$)", "countdown": r"^([1-9] ){3}-> \d+ :( |$)"}
BATCH_SIZE = 32  # documents a step of the training in the page, a third of a prior's: a phone waits for it
FRAGMENT = """<p>Five small language models, alike in all (data, its order, first weights) but the reward that they
were pre-trained with, which gives each <em>arm</em> its name. Give them a prompt: what do they expect next, how do
they go on, and how sure are they? Entropy is in <em>nats</em> (natural logarithms): 0 is certainty, 0.69 a fair
coin.</p>
<div class="pgce-tiny-gpts wide-page">
<noscript><p>The models run in your browser, and need JavaScript for it.</p></noscript></div>
<script src="{address}"></script>
"""


def write_model_page_assets(folder: Path) -> None:
    """Writes into `folder`, made if need be, all that `fragment` asks for: the script, and a script for each model
    of the paper's arms, the shipped file in base64, so that a page on a disk can load it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / SCRIPT, script().encode())
    for name, path in model_files():
        data = b64encode(path.read_bytes()).decode()
        write_atomic(folder / f"{name}.js", f'(self.pgceModels ??= {{}})["{name}"] = "{data}";\n'.encode())


def fragment(address: str = "") -> str:
    """The HTML for a page; address: of the folder of the files, as seen from the page, with "/" at its end."""
    return FRAGMENT.format(address=escape(address + SCRIPT))


def model_files() -> Iterator[tuple[str, Path]]:
    """The models of the page: name, file."""
    for stage, shipped in (("priors", priors), ("policies", policies)):
        for task in shipped.SETTINGS:
            yield from ((f"{stage}-{task}-{arm}", shipped.path(task, arm)) for arm in PAPER_ARMS)


@functools.cache
def script() -> str:
    """The page's script: the engine as a function, which a worker gets as text, and the page."""
    modules = all_modules()
    engine, page = (join_as_function(modules, entry) for entry in ("engine", "page"))
    return f'"use strict";\n({page})().mount(document.currentScript, {engine});\n'


def all_modules() -> dict[str, str]:
    """This folder's ES modules and the playground's, name -> text."""
    folder = files(__package__)
    own = {path.name.removesuffix(".js"): path for path in folder.iterdir() if path.name.endswith(".js")}
    given = as_module({"MODEL_STYLE": (folder / "style.css").read_text("utf-8"), **_constants()})
    return sources(**{name: own[name].read_text("utf-8") for name in sorted(own)}, of_models=given)


def _constants() -> dict[str, Any]:
    config, _ = priors.SETTINGS["chain-sum"]
    model = GPT(config.model.config(config.corpus), device=torch.device("meta"))
    return {
        "TASKS": {task: _describe(task, priors.load(task, "ce")[1]) for task in PROMPTS},
        "COLOURS": {arm: arm_style(arm, ())[0] for arm in PAPER_ARMS},
        "SHOWN": SHOWN,
        "SAMPLES": SAMPLES,
        "LEVELS": LEVELS,
        "MAX_CHARACTERS": MAX_CHARACTERS,
        "CHAIN_SUM": asdict(ChainSum()),
        "PRETRAINING": {
            "model": asdict(model.config),
            "shapes": {name: list(weight.shape) for name, weight in model.named_parameters()},
            "batch_size": BATCH_SIZE,
            "betas": ADAM_BETAS,
            **{name: getattr(config, name) for name in ("lr", "final_lr_share", "weight_decay", "max_grad_norm")},
        },
    }


def _describe(name: str, corpus: Corpus) -> dict[str, Any]:
    """What the page must know of a task that its models' files do not say."""
    is_task = isinstance(corpus, Task)
    stages = {"priors": list(priors.SETTINGS), "policies": list(policies.SETTINGS)}
    example = corpus.decode(corpus.problem(0, 0, "heldout").prompt) if isinstance(corpus, Task) else ""
    return {
        "name": name,
        "vocab": corpus.vocab if is_task else None,  # byte pairs are in the files
        "longest": corpus.max_document_length,
        "written": WRITTEN,
        "room": 1 if is_task else WRITTEN,  # tokens that must fit behind a prompt
        "example": example,
        "usual": USUAL.get(name),
        "characters": "" if is_task else priors.manifest()["characters"],
        "about": ABOUT[name],
        "prompts": PROMPTS[name],
        "stages": [stage for stage, tasks in stages.items() if name in tasks],
    }
