"""The numbers of the playground are those of the library, on the page and in the Python that it copies."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from playground_pages import DEFAULT, LOAD, Visit, assert_shows, python_cell, readout, shown, takeaway
from playwright.sync_api import expect

from pgce_mini import RewardShaping, policy_flow, stationary_policy
from pgce_mini.playground import PlaygroundState, javascript, preset
from pgce_mini.playground.modules import join
from pgce_mini.theory import entropy, expected_gradient, expected_reward

MODULES = {
    "main": """// What it imports stands below it here and above it in what is joined.
import {
    count as total,
    Pair,
} from "./lower.js";
import { name } from "./other.js";
const own = "main";
export const values = () => [own, total(), name, new Pair().first];
export async function later() { return total(); }
export default function start() { return ` import { x } from "./y.js";`; }
""",
    "other": 'import { count } from "./lower.js";\nconst own = count();\nexport const name = `other ${own}`;\n',
    "lower": "let own = 0;\nexport function count() { return ++own; }\nexport class Pair { first = 1; }\n",
}


def test_joined_modules_keep_their_own_names(play: Visit) -> None:
    call = f"async (source) => {{ {LOAD} return [module.values(), await module.later(), module.default()]; }}"
    results = play().evaluate(call, join(MODULES, "main"))
    assert results == [["main", 2, "other 1", 1], 3, ' import { x } from "./y.js";']


COMPUTE = (
    f"async ([source, states]) => {{ {LOAD}"
    + """
    return states.map(({ logits, labels, shaping }) => ({
        gradient: module.expectedGradient(logits, labels, shaping),
        reward: module.expectedReward(logits, labels, shaping),
        step: module.softmax(module.descend(logits, labels, shaping, 1, 0.7)),
        far: module.softmax(module.descend(logits, labels, shaping, 60, 0.7)),
        entropy: module.entropy(labels),
        end: module.stationaryPolicy(labels, shaping).policy,
    }));
}"""
)


def random_states(count: int) -> list[dict[str, Any]]:
    """Ordinary and awkward ones: extreme or tied logits, equal or zero labels, k from 1 to V, any lambdas."""
    rng = np.random.default_rng(0)
    states = []
    for i in range(count):
        size = int(rng.integers(2, 51))
        labels = rng.dirichlet(np.full(size, rng.choice([0.1, 0.5, 3.0])))
        if i % 5 == 0:
            labels[rng.integers(size)] = 0
        if i % 7 == 0:
            labels = np.ones(size)
        logits = rng.standard_normal(size) * rng.choice([1, 10, 300])
        if i % 4 == 0:
            logits = np.round(logits)
        head, tail = rng.uniform(-1, 1, 2) if i % 3 else (0.0, 0.0)
        if i % 2:
            head, tail = max(head, tail), min(head, tail)  # where an end is the rule
        shaping = {
            "beta": float(rng.uniform(-1.2, 2)) if i % 6 else 0.0,
            "lambda_head": float(head),
            "lambda_tail": float(tail),
            "top_k": int(rng.choice([1, size, rng.integers(1, size + 1)])),
            "form": ("product", "exponent")[i // 2 % 2],
        }
        labels /= labels.sum()
        states.append({"labels": labels.tolist(), "logits": logits.tolist(), "shaping": shaping})
    return states


def test_mathematics_is_that_of_the_library_for_hundreds_of_states(play: Visit) -> None:
    states = random_states(500)
    results = play().evaluate(COMPUTE, [javascript("dynamics"), states])
    ends = 0
    for state, ours in zip(states, results, strict=True):
        z, q, shaping = state["logits"], state["labels"], RewardShaping(**state["shaping"])
        path = policy_flow(z, q, shaping, 60, 0.7)
        expected = {
            "gradient": expected_gradient(z, q, shaping),
            "reward": expected_reward(z, q, shaping),
            "step": path[1],
            "far": path[60],
            "entropy": entropy(q),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-9, err_msg=f"{name} of {state}")
        try:
            end = stationary_policy(q, shaping)
        except ValueError:
            assert ours["end"] is None, state
        else:
            ends += 1
            np.testing.assert_allclose(ours["end"], end, rtol=0, atol=1e-9, err_msg=f"end of {state}")
    assert 100 < ends < len(states) - 50  # both kinds are there


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Cross-entropy ends at the frequencies themselves, with their entropy of 1.057 nats."),
        ({"top_k": 8, "form": "exponent"}, "Cross-entropy ends at the frequencies themselves"),
        ({"beta": -0.25, "steps": 40}, "sharper than the frequencies: entropy falls from 1.057 to 0.845 nats"),
        ({"beta": 0.5}, "flatter than the frequencies: entropy rises from 1.057 to 1.319 nats"),
        ({"beta": -1.0, "steps": 3}, "No end is marked: below β = −1 a token that leads far enough takes all"),
        ({"beta": -1.5, "steps": 60}, "“4” takes all. Within 10⁻⁶ of 1 the loss lets its weight grow no further"),
        ({"lambda_head": -0.5}, "No end is marked: being in the head drives a token out of it"),
    ],
)
def test_page_shows_and_says_what_the_library_finds(play: Visit, changes: dict[str, Any], sentence: str) -> None:
    page = play(urlencode(changes).replace("top_k", "k"))
    assert_shows(page, replace(DEFAULT, **changes))
    expect(takeaway(page)).to_contain_text(sentence)
    expect(page.get_by_role("status").first).to_have_text(takeaway(page).inner_text())  # what is read out


def test_page_shows_the_numbers_of_other_presets(play: Visit) -> None:
    tie = PlaygroundState(1.5, form="exponent", start="labels", steps=9, **preset("two-way tie"))
    assert_shows(play("labels=two-way+tie&form=exponent&beta=1.5&start=labels&steps=9"), tie)
    flat = PlaygroundState(0.0, 0.3, -0.2, 7, lr=3.0, steps=500, **preset("flat", 50))
    assert_shows(play("labels=flat&tokens=50&k=7&lambda_head=0.3&lambda_tail=-0.2&steps=500&lr=3"), flat)


@pytest.mark.parametrize(
    "query", ["beta=-0.25&steps=33&lambda_tail=-0.1", "lambda_head=-0.5&start=labels&steps=5"]
)
def test_copied_python_runs_and_gives_the_numbers_that_are_shown(play: Visit, query: str) -> None:
    page = play(query)
    cell, printed = python_cell(page)
    columns = shown(page)
    assert cell["tokens"] == columns["token"]
    names = {"labels": "frequency q", "policy": "policy π", "cross_entropy": "cross-entropy"}
    for variable in (*names, "push", "end"):
        column = names.get(variable, variable)
        if cell[variable] is not None:
            np.testing.assert_allclose(cell[variable], columns[column], atol=1e-9)
    says = dict(re.findall(r"^(.*?) (\d\S*)$", printed, re.MULTILINE)[:3])
    for line, tile in (("entropy (nats)", "entropy"), ("mean reward",) * 2, ("mass of the head",) * 2):
        expect(readout(page, tile)).to_have_text(f"{float(says[line]):.3f}")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()


def test_copied_python_holds_any_token_and_any_label(play: Visit) -> None:
    tokens = ('"', "\\n", "🙂", "</script>", "a\nb", "a\ud800b")
    labels = (0.5, 0.2, 0.1, 0.1, 0.0, 0.1)
    state = PlaygroundState(tokens=tokens, labels=labels, start="labels", steps=4, prompt="“x”")
    page = play(state=state)
    cell, _ = python_cell(page)
    assert tuple(cell["tokens"]) == (*tokens[:-1], "a\ufffdb")
    np.testing.assert_allclose(cell["policy"], state.policy(), atol=1e-12)
    expect(page.get_by_role("radio", name="given")).to_be_checked()
    assert shown(page)["token"] == cell["tokens"]
