"""What "Copy as Python" shows, run in every page of the explorer: it makes what the page shows."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[1]
STATES = {
    "policy_gradient": ["", "x=the&n=4&baseline=least+variance&seed=2", "x=22&n=1&baseline=mean+reward"],
    "hidden_rewards": ["", "losses=focal&losses=shaped+(exponent)&pi=0.5&gamma=1.8&beta=0.4"],
    "simplex": ["", "beta=-1.25&start=0.3&start_rest=0.8", "lambda_head=0.5&lambda_tail=-0.2&k=2&form=exponent"],
    "where_training_ends": [
        "",
        "labels=a+tie&over=λ+tail&beta=-0.9&lambda_tail=-0.5&k=3",
        "over=λ+head&form=exponent",
    ],
    "tiny_gpts": [
        "task=countdown&log=true",
        "task=chain-sum&picture=entropy+along+the+text&temperature=0.7&seed=3",
        "prompt_text='quoted'+\\\"<b>",
    ],
    "grpo_step": [
        "",
        "stage=after+all&colour=ratio+π+/+π+old&size=4&problem=2&scale_rewards=none&epsilon_high=0.05&seed=1",
        "task=countdown&arm=diversity&stage=before+2&updates=2&colour=probability+when+sampled&temperature=1.5",
    ],
    "train_live": [
        "live_size=tiny",
        "live_task=text&live_seed=7",
        "live_size=tiny&live_arm=precision&live_beside=ce,+tiny,+seed+0",
    ],
    "trained_beta": ["", "beta=-0.5&sum=1+0+0+0+2+0+0+1=&seed=3"],
    "trap_game": [
        "",
        "shown=true&share=0.2&slip=0.1&beta=1&bet_share=0.9",
        "shown=true&beta=0",
        "shown=true&start=what+cross-entropy+learnt&beta=0.5",
    ],
    "diversity_or_precision": [
        "",
        "study=chain&picture=minus+the+baseline",
        "study=chain&picture=Pass@k",
        "study=phase&picture=phase+diagram",
        "study=theory&predicted=entropy+by+position",
        "study=studies/chain&picture=entropy+through+RL",
        "study=demo",
        "study=demo&picture=minus+the+baseline",
        "study=demo&picture=Pass@k",
    ],
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The explorer's shell, over runs to show in the working directory, where a reader has them."""
    here = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for folder in ("app", "tests/e2e"):
            patch.syspath_prepend(ROOT / folder)
        studies = importlib.import_module("tiny_study")
        studies.write_study(here / "runs" / "demo")
        studies.write_tables(here / "runs" / "studies")
        for stage, row in (("prior", {"cross_entropy": 2.0, "entropy": 2.5}), ("policy", {"reward": 0.5})):
            metrics = here / "runs" / "live" / "chain-sum-ce-tiny-seed0" / stage / "metrics.jsonl"
            metrics.parent.mkdir(parents=True)
            metrics.write_text("".join(json.dumps({"step": i} | row) + "\n" for i in (1, 2)))
        shell = importlib.import_module("shell")
        patch.setattr(shell, "RUNS", here / "runs")
        yield shell


@pytest.mark.parametrize("file", STATES)
def test_shown_cell_makes_what_the_page_shows(
    shell: ModuleType, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    numbers: list[Any] = []
    shown: dict[str, bytes] = {}  # code -> figure
    run = shell.run

    def note_numbers(*args: Any, **settings: Any) -> Any:
        made = run(*args, **settings)
        numbers.append(made[0])
        return made

    def note_settings(picture: Any, page: Any, figure: Any, keys: Any, given: Any, *asked: Any, **_: Any) -> None:
        view, settings, table, *_ = asked
        made_numbers, figure, code = shell.made(view, **settings)
        assert len({len(column) for column in table(made_numbers).values()}) == 1
        shown[code] = figure

    monkeypatch.setattr(shell, "run", note_numbers)
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # a view run alone has no other page
    monkeypatch.setattr(shell, "present", lambda *args, **listeners: shown.update({args[4]: args[1]}))
    monkeypatch.setattr(shell, "present_moving", note_settings)
    st.cache_resource.clear()  # of what pages of other tests have made
    for count, query in enumerate(STATES[file], 1):
        page = AppTest.from_file(str(ROOT / "app" / "views" / f"{file}.py"), default_timeout=120)
        for name, values in parse_qs(query).items():
            page.query_params[name] = values
        page.run()
        assert not page.exception
        assert len(shown) == count  # the state is one of its own
        code, figure = list(shown.items())[-1]
        names: dict[str, Any] = {}
        exec(compile(code, "cell", "exec"), names)
        assert shell.as_json(names["figure"]) == figure
        assert repr(names["numbers"]) == repr(numbers[-1])


def test_every_page_with_a_picture_is_among_them() -> None:
    pages = {path.stem for path in (ROOT / "app" / "views").glob("*.py") if "shell.present" in path.read_text()}
    assert pages == STATES.keys()
