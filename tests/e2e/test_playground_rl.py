"""RL on one state in a real browser: its numbers are the library's, and hands, keys and addresses reach it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import SCROLLS
from playground_pages import DEFAULT, LOAD, SERVED, Visit, downloaded, python_cell, slider, takeaway
from playwright.sync_api import Page, expect

from pgce_mini.playground import PlaygroundState, javascript, preset
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.theory import (
    FloatArray,
    entropy,
    expected_group_push,
    expected_group_run,
    group_push,
    group_run,
    right_in_k,
    sample_tokens,
    stationary_policy,
    tempered,
    uniforms,
)

RARE = PlaygroundState(beta=-1.25, steps=40, rl=True, right=(9,), rl_lr=1.5, rl_steps=200, **preset("peaked", 10))


def rl_policies(state: PlaygroundState) -> dict[str, FloatArray]:
    """The policy after each step of RL, the start included, by the start: (rl_steps + 1, V)."""
    ends = {
        name: stationary_policy(state.labels, replace(PAPER_ARMS[name], form=state.form))
        for name in ("precision", "diversity")
    }
    starts = {"ce": np.array(state.labels), **ends, "temperature": tempered(state.labels, state.temperature)}
    if state.steps:
        starts["yours"] = state.policy()
    settings: dict[str, Any] = {
        "group_size": state.group_size, "steps": state.rl_steps, "lr": state.rl_lr,
        "scale_rewards": state.scale_rewards,
    }  # fmt: skip
    found = {}
    for name, start in starts.items():
        with np.errstate(divide="ignore"):
            logits = np.log(start)
        if state.rl_update == "expected":
            found[name] = expected_group_run(logits, state.right, **settings)
        else:
            found[name] = group_run(logits, state.right, seed=state.seed, **settings).policies
    return found


def assert_shows_rl(page: Page, state: PlaygroundState) -> None:
    """The curves of the page are those of the library for this state."""
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "CSV", "one_token_rl").decode("utf-8-sig"))))
    runs = rl_policies(state)
    assert [row["start"] for row in rows] == [name for name in runs for _ in range(state.rl_steps + 1)]
    for name, policies in runs.items():
        ours = [row for row in rows if row["start"] == name]
        mass = policies[:, list(state.right)].sum(-1)
        expected = {
            "right": mass, "entropy": entropy(policies), f"Pass@{state.pass_k}": right_in_k(mass, state.pass_k)
        }  # fmt: skip
        for column, values in expected.items():
            found = np.array([float(row[column]) for row in ours])
            np.testing.assert_allclose(found, values, atol=1e-9, err_msg=f"{column} of {name}")


def table(page: Page, start: str) -> list[str]:
    return page.get_by_role("row", name=start).get_by_role("cell").all_inner_texts()


COMPUTE_RL = (
    f"async ([source, states]) => {{ {LOAD}"
    + """
    const { uniforms, sampleTokens, groupPush, expectedGroupPush, groupRun, expectedGroupRun, rightInK } = module;
    const results = states.map(({ logits, probs, right, size, seed, lr, scale, draws }) => {
        const is = logits.map((_, a) => right.includes(a));
        const settings = { size, steps: 20, lr, seed, scaleRewards: scale };
        const run = groupRun(logits, is, settings);
        const tokens = sampleTokens(probs, draws);
        return {
            uniforms: uniforms(seed, 50), tokens, push: groupPush(tokens, is, scale),
            expected: expectedGroupPush(probs, is, size, scale),
            policy: run.policies.at(-1), groups: run.tokens, teaches: run.teaches,
            path: expectedGroupRun(logits, is, settings).at(-1), pass: rightInK(probs[0], size),
        };
    });
    return JSON.stringify(results); // in one piece, which is quicker
}"""
)


def test_mathematics_of_rl_is_that_of_the_library_and_draws_the_same_tokens(play: Visit) -> None:
    rng = np.random.default_rng(1)
    states = []
    for i in range(300):
        size = int(rng.integers(2, 51))
        logits = rng.standard_normal(size) * rng.choice([1, 5, 40])
        weights = np.exp(logits - logits.max())
        states.append(
            {
                "logits": logits.tolist(),
                "probs": (weights / weights.sum()).tolist(),
                "right": sorted(rng.choice(size, rng.integers(0, size + 1), replace=False).tolist()),
                "size": int(rng.integers(2, 65)),
                "lr": float(rng.uniform(0.1, 10)),
                "seed": int(rng.choice([i, 2**32 - 1 - i])),
                "scale": ("none", "group")[i % 2],
                "draws": rng.random(9).tolist(),
            }
        )
    results = json.loads(play().evaluate(COMPUTE_RL, [javascript("group_rl"), states]))
    for state, ours in zip(states, results, strict=True):
        z, probs = np.array(state["logits"]), np.array(state["probs"])
        right, scale = state["right"], state["scale"]
        settings: dict[str, Any] = {"group_size": state["size"], "steps": 20, "lr": state["lr"]}
        run = group_run(z, right, seed=state["seed"], scale_rewards=scale, **settings)
        tokens = sample_tokens(probs, state["draws"])
        expected = {
            "uniforms": uniforms(state["seed"], 50),
            "tokens": tokens,
            "push": group_push(tokens, right, z.size, scale),
            "expected": expected_group_push(probs, right, state["size"], scale),
            "policy": run.policies[-1],
            "groups": run.tokens,
            "teaches": run.teaches,
            "path": expected_group_run(z, right, scale_rewards=scale, **settings)[-1],
            "pass": right_in_k(probs[0], state["size"]),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-9, err_msg=f"{name} of {state}")


@pytest.mark.parametrize(
    ("case", "state", "sentence"),
    [
        (
            "right token leads", replace(DEFAULT, rl=True, rl_lr=0.5, rl_steps=200),
            "Each arm came to be right with a probability of 0.9 or more: precision (from 0.805) at step 18",
        ),
        ("right token is rare", RARE, "of its 200 groups drew no right token, and such a group pushes nothing."),
        (
            "two are right", replace(DEFAULT, rl=True, right=(0, 1), rl_steps=200),
            "of the probability of the 2 right tokens, and entropy went from",
        ),
    ],
)  # fmt: skip
def test_prepared_case_shows_who_is_helped_and_who_is_hurt(
    play: Visit, case: str, state: PlaygroundState, sentence: str
) -> None:  # fmt: skip
    page = play()
    page.get_by_role("radio", name="Then RL").check()
    page.get_by_role("radio", name=case).check()
    expect(page.get_by_role("radio", name=case)).to_be_checked()
    page.get_by_role("button", name="To the end").click()
    expect(takeaway(page)).to_contain_text(sentence)
    expect(page.get_by_role("status").first).to_have_text(takeaway(page).inner_text())  # what is read out
    assert_shows_rl(page, state)
    for name, policies in rl_policies(state).items():
        mass = policies[:, list(state.right)].sum(-1)
        row = table(page, "T = 0.70" if name == "temperature" else name)
        assert row[:2] == [f"{mass[0]:.3f}", f"{mass[-1]:.3f}"]
    if case == "right token is rare":  # what the class is to see
        assert float(table(page, "diversity")[1]) > 0.9 > float(table(page, "precision")[1])
        assert table(page, "yours")[4] == "200/200"


def test_boxes_sliders_and_keys_change_what_rl_does_and_the_address_brings_it_back(play: Visit) -> None:
    page = play("rl=1")
    expect(takeaway(page)).to_contain_text("Before RL precision gives the right token most, 0.805")
    box = page.get_by_role("checkbox", name="“4” is right")
    expect(box).to_be_checked()
    box.focus()
    page.keyboard.press("Space")
    expect(takeaway(page)).to_have_text("Which tokens are right? Tick them in the rows.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.get_by_role("checkbox", name="“x” is right").click()
    expect(page.locator("[role=checkbox][tabindex='0']")).to_have_count(1)
    slider(page, "G, tokens").press("ArrowRight")
    slider(page, "Temperature T").press("PageUp")
    page.get_by_role("radio", name="divided by its std").check()
    page.get_by_role("radio", name="diversity", exact=True).check()
    page.get_by_role("button", name="Other draws").click()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for(timeout=SERVED)  # it ends by itself
    page.wait_for_function("() => location.hash.includes('rl_steps=200')")
    assert "right=1,7&group_size=9&scale_rewards=group" in page.url
    state = PlaygroundState(
        rl=True, right=(1, 7), group_size=9, scale_rewards="group", rl_steps=200, seed=1, temperature=1.0
    )
    assert_shows_rl(page, state)
    again = play(page.url.split("#")[1])
    assert_shows_rl(again, state)
    again.get_by_role("radio", name="the mean over all groups").check()
    again.wait_for_function("() => location.hash.includes('rl_update=expected')")
    assert_shows_rl(again, replace(state, rl_update="expected"))
    cell, _ = python_cell(again)
    ours = rl_policies(replace(state, rl_update="expected"))
    for name, mass in cell["results"].items():
        np.testing.assert_allclose(mass, ours[name][:, [1, 7]].sum(-1), atol=1e-12)
    np.testing.assert_allclose(cell["starts"]["temperature"], tempered(state.labels, 1.0), atol=1e-12)


def test_malformed_address_of_rl_is_as_if_it_were_not_there(play: Visit) -> None:
    page = play("rl=2&right=8&seed=-1&rl_steps=201&group_size=1&rl_start=__proto__&scale_rewards=&rl_lr=nan")
    expect(page.get_by_role("radio", name="Pre-train")).to_be_checked()
    page.evaluate("() => { location.hash = 'rl=1&right=-1,,&rl_steps=0.5&temperature=9&pass_k=0&rl_update=x'; }")
    page.get_by_role("button", name="To the end").wait_for()
    page.get_by_role("button", name="Step").click()
    page.wait_for_function("() => location.hash === '#rl=1&rl_steps=1'")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (360, "light")])
def test_rl_is_accessible_fits_and_jumps_to_its_end_where_motion_is_reduced(
    play: Visit, width: int, scheme: str, assert_accessible: Any
) -> None:  # fmt: skip
    query = "tokens=10&beta=-1.25&steps=40&rl=1&right=9&rl_lr=1.5"
    page = play(query, width=width, color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text("Step 200 of RL")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_text("Data", exact=True).click()
    page.wait_for_function(f"() => !({SCROLLS})()")
    assert_accessible(page)
    assert downloaded(page, "PNG", "one_token_rl")[:4] == b"\x89PNG"
