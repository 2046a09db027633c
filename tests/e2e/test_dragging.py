"""Pages of one state follow a slider while it is dragged, with Python's numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from pages import Visit, close, dragged, open_page, python_of

from pgce_mini.figures.simplex import arrow_lines
from pgce_mini.theory import simplex_xy


def same_curves(seen: Mapping[str, Any], figure: Any) -> None:
    assert len(seen["data"]) == len(figure.data)
    for ours, theirs in zip(seen["data"], figure.data, strict=True):
        close(ours["y"], theirs.y)
        close(ours["x"], theirs.x)
    assert seen["mark"] == pytest.approx(figure.layout.shapes[0].x0)


def estimates(python: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    samples = python["SAMPLES"][int(seen["values"]["n"])]
    found, figure = python["three_gradients"](token="22", samples=samples, baseline="mean reward", seed=3)
    for ours, theirs in zip(seen["data"][:3], figure.data[:3], strict=True):
        close(ours["x"], theirs.x)  # the bars
    close(seen["data"][5]["x"] + seen["data"][5]["y"], [samples, found.error or None])
    return f"off by {found.error:.1%} here"


def losses(python: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    values = seen["values"]
    keys = {"β": "beta", "γ": "gamma", "q": "q", "ε": "epsilon", "α": "alpha", "τ": "tau", "N": "samples",
            "T": "terms"}  # fmt: skip
    strengths = {
        name: values[keys[hidden.parameter]] if hidden.parameter else 0.0
        for name, hidden in python["HIDDEN_REWARDS"].items()
    }
    same_curves(seen, python["what_losses_pay"](strengths, values["pi"])[1])
    hidden = python["HIDDEN_REWARDS"]["unlikelihood"]
    paid = hidden.wrong_reward_at(values["pi"], strengths["unlikelihood"])
    return f"pays {-paid:.2f} under unlikelihood" if paid else f"At π = {values['pi']:.2f}"


def triangle(python: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    values = seen["values"]

    def three(first: float, share: float) -> list[float]:
        return [first, (1 - first) * share, (1 - first) * (1 - share)]

    labels, start = three(values["labels"], values["labels_rest"]), three(values["start"], values["start_rest"])
    frames = python["all_frames"](
        labels, start, values["lambda_head"], values["lambda_tail"], int(values["k"]), "product"
    )
    frame = frames[python["BETAS"].index(values["beta"])]
    arrows, path, end, begin, q = ([*zip(trace["x"], trace["y"], strict=True)] for trace in seen["data"][2:])
    close(arrows, arrow_lines(simplex_xy(frame.points), simplex_xy(frame.velocities)))
    close(path, simplex_xy(frame.path))
    close(end, [None, None] if frame.end is None else simplex_xy(frame.end))
    close(begin, simplex_xy(start))
    close(q, simplex_xy(labels))
    return "no end is marked" if values["beta"] <= -1 else f"At β = {values['beta']:.2f}"


def endings(python: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    values = seen["values"]
    shaping = python["RewardShaping"](
        values["beta"], values["lambda_head"], values["lambda_tail"], int(values["k"]), "exponent"
    )
    labels = {"heads": 0.45, "tails": 0.45, "edge": 0.06, "why": 0.04}
    _, figure = python["endings_around"](labels, "λ head", shaping)
    same_curves(seen, figure)
    here = python["endings"](list(labels.values()), [shaping])[0]
    return "Nothing is at rest" if here is None else f"→ {here.entropy:.3f} nats"


PAGES = {
    "policy-gradient?x=22&baseline=mean+reward&seed=3": (["n"], estimates),
    "hidden-rewards?" + "&".join(
        f"losses={name}" for name in (
            "cross-entropy", "shaped+(product)", "shaped+(exponent)", "focal", "generalised+cross-entropy",
            "dynamic+fine-tuning", "label+smoothing", "unlikelihood", "GEM", "direct+coverage", "MaxRL",
        )
    ): (["pi", "beta", "gamma", "q", "epsilon", "alpha", "tau", "samples", "terms"], losses),
    "simplex": (
        ["start", "start_rest", "labels", "labels_rest", "beta", "lambda_head", "k", "lambda_tail", "beta"],
        triangle,
    ),
    "where-training-ends?labels=a+tie&over=λ+head&form=exponent": (
        ["beta", "lambda_head", "k", "lambda_tail", "beta"], endings
    ),
}  # fmt: skip


@pytest.mark.parametrize("address", PAGES, ids=[address.partition("?")[0] for address in PAGES])
def test_a_dragged_slider_draws_pythons_numbers(explorer: str, visit: Visit, address: str) -> None:
    keys, check = PAGES[address]
    page = open_page(visit, explorer + address)
    python = python_of(page)
    draws = random.Random(address)
    sentences = set()
    for seen in dragged(page, keys, draws):
        assert check(python, seen) in seen["words"], seen["values"]
        assert seen["alt"] == seen["words"]
        sentences.add(seen["words"])
    assert len(sentences) > len(keys)
