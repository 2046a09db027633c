"""Stories: every step names what is there, says what is true, and reaches the handouts."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from app_files import APP, app_on_the_path

from pgce_mini import PAPER_ARMS, RewardShaping, policy_flow, stationary_policy
from pgce_mini.playground import preset
from pgce_mini.study.analysis import Evidence, first_line
from pgce_mini.theory import HIDDEN_REWARDS, compare_gradients, tempered
from pgce_mini.theory.group_rl import group_run

ROOT = Path(__file__).parents[1]
STEP = '[[steps]]\npage = "simplex"\ntitle = "A"\nminutes = 1\nask = "Why?"\n'
STORY = f'title = "T"\nabout = "A"\n{STEP}'


@pytest.fixture(scope="module")
def app() -> Iterator[Callable[[str], ModuleType]]:
    with app_on_the_path() as imported:
        yield imported


@pytest.fixture(scope="module")
def steps(app: Callable[[str], ModuleType]) -> ModuleType:
    return app("steps")


@pytest.fixture(scope="module")
def handouts(app: Callable[[str], ModuleType]) -> ModuleType:
    return app("handouts")


def test_stories_take_their_time_and_the_lecture_ends_on_what_was_found(steps: ModuleType) -> None:
    stories = steps.stories()
    assert {name: story.minutes for name, story in stories.items()} == {
        "five-minutes": 5, "lecture": 50, "tour": 12,
    }  # fmt: skip
    lecture = stories["lecture"]
    assert lecture.times()[0].startswith("0 – ")
    assert lecture.times()[-1].endswith(" – 50")
    assert lecture.steps[0].page == "tiny-gpts"
    assert sum(bool(step.reveal) for step in lecture.steps[-3:]) <= 2  # no quiz in the last minutes
    assert all(step.reveal for step in stories["five-minutes"].steps)


def test_every_view_is_a_page_of_the_menu(steps: ModuleType) -> None:
    views = {path.stem for path in (APP / "views").glob("*.py")}
    assert {page.file for page in steps.PAGES.values()} == views - {steps.CLASS.file}
    assert [path for paths in steps.SECTIONS.values() for path in paths] == [*steps.PAGES, "class"]


def test_a_step_may_set_all_that_an_address_can(steps: ModuleType) -> None:
    bound = re.compile(r'key="(\w+)"(?=[^()]*(?:\([^()]*\)[^()]*)*bind=)|shell\.slider\(\s*f?"[^"]*",\s*"(\w+)"')
    for path, page in steps.PAGES.items():
        text = (APP / "views" / f"{page.file}.py").read_text(encoding="utf-8")
        if "import reward_controls" in text:
            text += (APP / "reward_controls.py").read_text(encoding="utf-8")
        found = {key or slider for key, slider in bound.findall(text)}
        assert found or path in ("one-token", "teach"), path
        assert found <= set(page.keys.split()), path
    address = (ROOT / "pgce_mini" / "playground" / "address.js").read_text(encoding="utf-8")
    lists = re.findall(r"^const (?:SAME_NAME|RL|KEYS) = \[(.*)\];", address, re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', " ".join(lists))) <= set(steps.PAGES["one-token"].keys.split())


@pytest.mark.parametrize("page", ["policy-gradient", "hidden-rewards", "simplex", "where-training-ends"])
def test_a_page_takes_the_state_of_every_step(steps: ModuleType, page: str) -> None:
    testing = importlib.import_module("streamlit.testing.v1")
    told = [step for story in steps.stories().values() for step in story.steps if step.page == page]
    assert told
    for step in told:
        view = testing.AppTest.from_file(APP / "views" / f"{steps.PAGES[page].file}.py", default_timeout=60)
        for key, value in step.state.items():
            view.query_params[key] = steps._text(value)
        view.run()
        assert not view.exception
        assert {key: view.session_state[key] for key in step.state} == step.state
        assert all(key in view.session_state for key in step.control)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'page = "simplex"',
            'page = "simplx"',
            "bad.toml, step 1: no page is called 'simplx'; there are grpo-step",
        ),
        ('ask = "Why?"', "", "bad.toml, step 1: ask is missing"),
        (
            'ask = "Why?"',
            'ask = "Why?"\nanswer = "So."',
            "answer is no part of a step; there are act, ask, control",
        ),
        (
            'ask = "Why?"',
            'ask = "?"\nstate = { n = 1 }',
            "page simplex has no n for the state; there are beta, form",
        ),
        ('ask = "Why?"', 'ask = "?"\ncontrol = ["x"]', "page simplex has no x for the control; there are"),
        ('about = "A"\n', "", "bad.toml has title, about and"),
        (
            STEP,
            f"{STEP}{STEP.replace('simplex', 'one-token')}state = {{ beta = 0.5 }}\n",
            "'A' sets beta, which Streamlit takes away on the way from 'A'",
        ),
    ],
)
def test_what_is_wrong_in_a_story_is_said(
    steps: ModuleType, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(STORY, encoding="utf-8")
    assert steps.read(path).steps[0].ask == "Why?"
    path.write_text(STORY.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(said)):
        steps.read(path)


@pytest.mark.parametrize(
    ("story", "step", "path"),
    [
        ("lecture", "0", "tiny-gpts"), ("lecture", "99", "tiny-gpts"), ("lecture", "1e0", "tiny-gpts"),
        ("lecture", "²", "tiny-gpts"), ("lecture", None, "tiny-gpts"), ("../lecture", "1", "tiny-gpts"),
        (None, "1", "tiny-gpts"), ("lecture", "1", "simplex"), ("\0", "-1", "hidden-rewards"),
    ],
)  # fmt: skip
def test_an_address_of_no_step_has_none(steps: ModuleType, story: str | None, step: str | None, path: str) -> None:
    assert steps.here(story, step, path) is None
    assert steps.here("lecture", "1", "tiny-gpts")[1] == 1


def test_address_has_the_state_and_for_a_projector_the_controls_in_play(steps: ModuleType) -> None:
    lecture = steps.stories()["lecture"]
    assert lecture.address(7) == "hidden-rewards?story=lecture&step=7&losses=cross-entropy&control=losses"
    assert lecture.address(2).startswith("?story=lecture&step=2&predict=0.125")
    assert lecture.address(7, presenting=True).endswith("&control=losses&present=1")


def test_what_the_lecture_reveals_is_so() -> None:
    errors = compare_gradients([0.6, 0.2, 0.1, 0.06, 0.03, 0.01], 0, 64, 0, 0.0, [64, 256]).expected
    assert errors == pytest.approx([0.10, 0.05], abs=0.003)  # "about 64, and then 256 for 5 %"
    unseen = compare_gradients([0.6, 0.2, 0.1, 0.06, 0.03, 0.01], 4, 64, 0, 0.0, [64])
    assert unseen.counts[4] == 0  # "none of these draws is fish"

    q = np.array(preset("peaked", 8)["labels"])
    assert np.flatnonzero(stationary_policy(q, PAPER_ARMS["precision"]) > q).tolist() == [0]

    def winner(tea: float, coffee: float) -> int:
        start = np.log([tea, coffee, 1 - tea - coffee])
        end = policy_flow(start, [0.45, 0.44, 0.11], [RewardShaping(-1.25)], 200, 0.5)[-1, 0]
        return int(np.argmax(end)) if np.max(end) > 0.99 else -1

    assert winner(0.3, 0.56) == 1  # coffee, which leads
    assert winner(0.5, 0.4) == 0  # tea, when it leads
    assert winner(0.1, 0.18) == 1  # not water, with 0.72


def test_every_right_answer_about_hidden_rewards_is_revealed(steps: ModuleType) -> None:
    (step,) = (step for step in steps.stories()["lecture"].steps if step.title == "Which reward hides in a loss?")
    sure, wrong = step.reveal.split("Wrong tokens: ")
    of_sure, of_wrong = {}, {}
    for name, hidden in HIDDEN_REWARDS.items():
        strengths = np.linspace(hidden.low, hidden.high, 37)
        larger = [s for s in strengths if hidden.push_at(0.9, s, 10) > 1 + 1e-9]
        if larger:
            neutral = 0 if name.startswith("shaped") else 1
            assert max(larger) < neutral or min(larger) > neutral
            of_sure[name] = "<" if max(larger) < neutral else ">"
        pays = np.array([hidden.wrong_reward_at([0.01, 0.1, 0.6], s, 10) for s in strengths])
        if (abs(pays) > 1e-9).any():
            of_wrong[name] = (bool((pays > 1e-9).any()), bool((pays < -1e-9).any()))
    assert of_sure == {"shaped (product)": "<", "shaped (exponent)": "<", "direct coverage": "<", "GEM": ">"}
    for words in ("shaped with β < 0", "direct coverage with N < 1", "GEM with τ > 1"):
        assert words in sure
    assert of_wrong == {"label smoothing": (True, False), "unlikelihood": (False, True), "GEM": (True, True)}
    for words in ("unlikelihood takes", "label smoothing pays", "GEM pays some and takes from others"):
        assert words in wrong


def test_from_diversity_rl_says_the_rare_token_first(steps: ModuleType) -> None:
    (step,) = (step for step in steps.stories()["lecture"].steps if step.title == "RL on one state")
    q, fish = np.array(preset("peaked", step.state["tokens"])["labels"]), step.state["right"]
    starts = {arm: stationary_policy(q, PAPER_ARMS[arm]) for arm in ("ce", "precision", "diversity")}
    starts["q at T = 0.7"] = tempered(q, 0.7)

    def order(seed: int) -> list[str]:
        """The starts from which "fish" comes to 0.9 within 200 steps, as they do so."""
        settings = {"group_size": 8, "steps": 200, "lr": step.state["rl_lr"], "seed": seed}
        runs = {name: group_run(np.log(start), [fish], **settings) for name, start in starts.items()}
        often = {name: run.policies[:, fish] >= 0.9 for name, run in runs.items()}
        return sorted((name for name in often if often[name].any()), key=lambda name: int(often[name].argmax()))

    assert order(0)[:2] == ["diversity", "ce"]  # what the class sees
    assert sum(order(seed)[:1] == ["diversity"] for seed in range(1, 21)) >= 18


def test_docs_have_the_plan_of_the_explorer(handouts: ModuleType) -> None:
    text = handouts.DOCUMENT.read_text(encoding="utf-8")
    assert handouts.with_plan(text) == text, "run: python app/handouts.py"


def test_handouts_ask_every_question_and_answer_it_afterwards(handouts: ModuleType, steps: ModuleType) -> None:
    lecture = steps.stories()["lecture"]
    sheet = unescape(handouts.sheet(lecture))
    asked, answers = sheet.split("The answers")
    addresses = [
        f"http://host/{lecture.address(number, presenting=True)}" for number in range(1, len(lecture.steps) + 1)
    ]
    slides = handouts.slides(lecture, addresses, "Not seen.", {"A <claim>": "holds"})
    assert "[[" not in re.sub(r"const PLAYGROUND.*", "", slides) + asked
    assert "A &lt;claim&gt;" in slides
    assert not re.search(r'(?:src|href)="(?!http://host/)', re.sub(r"const PLAYGROUND.*", "", slides))
    for address, step in zip(addresses, lecture.steps, strict=True):
        assert f'href="{address}"' in unescape(slides)
        assert step.said in unescape(slides)
        assert (step.ask in asked) == bool(step.reveal)
        assert step.reveal not in asked or not step.reveal
        assert step.reveal in answers


def test_slide_of_the_question_shows_both_studies_with_their_verdicts(
    handouts: ModuleType, steps: ModuleType
) -> None:
    lecture = steps.stories()["lecture"]
    slides = handouts.slides(lecture, [""] * len(lecture.steps), "Not seen.", {})
    (slide,) = (part for part in slides.split("<section>") if "<h2>Diversity or precision?</h2>" in part)
    (step,) = (step for step in lecture.steps if step.page == "results")
    assert step.state["study"] == "chain"
    assert step.state["beside"] == "confirm"
    assert slide.count("<svg") == 2
    evidence = Evidence()
    for part, variant in (("chain", ""), ("confirm", "reasoned_share=0.2,slip_rate=0.05")):
        assert first_line(evidence, part) in unescape(slide)
        verdict = evidence.verdict(part, "precision", "avg_at_m_after", "ce", variant)
        assert f"precision: {verdict.words}<" in unescape(slide)
    assert "at reasoned share 0.2 and slip rate 0.05" in slide


def test_slides_without_an_explorer_ask_for_no_control_that_is_not_there(
    handouts: ModuleType, steps: ModuleType
) -> None:
    lecture = steps.stories()["lecture"]
    addresses = ["there.html" if step.page == "tiny-gpts" else "" for step in lecture.steps]
    slides = unescape(re.sub(r"const PLAYGROUND.*", "", handouts.slides(lecture, addresses, "Not seen.", {})))
    assert slides.count('href="there.html"') == addresses.count("there.html") == 1
    for step in lecture.steps:
        here = step.page in ("tiny-gpts", "one-token")
        assert (not step.act) or (f"{step.ask} {step.act}" in slides) == here
        assert (f"In the explorer: {steps.PAGES[step.page].title} " in slides) or here
