"""Stories: ways through the pages of the explorer, step by step, read from stories/*.toml. No Streamlit in here.

A step asks, the reader predicts, and what is revealed answers. The state of its page is that of the question.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

FOLDER = Path(__file__).parent / "stories"
SHAPED = "beta lambda_head lambda_tail k form"


class Page(NamedTuple):
    """A page of the explorer: its file in views/, its title, and the keys of its controls in an address."""

    file: str
    title: str
    keys: str


PAGES = {  # by the path in the address; "one-token" is the first page, whose path is empty
    "one-token": Page(
        "one_token",
        "One token",
        f"{SHAPED} labels tokens q start steps axis lr predict train rl right group_size scale_rewards rl_lr "
        "rl_steps seed rl_update temperature pass_k rl_start",
    ),
    "policy-gradient": Page("policy_gradient", "CE is a policy gradient", "x n baseline seed"),
    "hidden-rewards": Page(
        "hidden_rewards", "Hidden rewards", "losses pi beta gamma q epsilon alpha tau samples terms"
    ),
    "simplex": Page("simplex", "Three tokens", f"{SHAPED} labels labels_rest start start_rest"),
    "where-training-ends": Page("where_training_ends", "Where training ends", f"{SHAPED} labels over"),
    "tiny-gpts": Page(
        "tiny_gpts",
        "Tiny GPTs side by side",
        "task prompt_text prompt_text_pick prompt_chain-sum prompt_chain-sum_pick prompt_countdown "
        "prompt_countdown_pick picture log temperature seed numbers",
    ),
    "trained-beta": Page("trained_beta", "β over trained priors", "beta prompt sum seed"),
    "trap-game": Page("trap_game", "The trap", "share slip beta bet_share bet_accuracy bet_winner shown start"),
    "grpo-step": Page(
        "grpo_step",
        "One GRPO step",
        "task arm problem size updates stage colour temperature scale_rewards loss_type epsilon_high seed",
    ),
    "train-live": Page(
        "train_live", "Train live", "live_task live_arm live_size live_seed start_training live_beside"
    ),
    "results": Page(
        "diversity_or_precision",
        "Diversity or precision?",
        "study beside picture metric predicted variant variant_beside phase_arm paper",
    ),
    "teach": Page("teach", "Teach", ""),
}
CLASS = Page("classroom", "Class", "")  # path "class"; no step of a story: every room has a class of its own
SECTIONS = {  # of the menu
    "One state": ("one-token", "policy-gradient", "hidden-rewards", "simplex", "where-training-ends"),
    "Trained models": ("tiny-gpts", "trained-beta", "trap-game", "grpo-step", "train-live", "results"),
    "Classroom": ("teach", "class"),
}


@dataclass(frozen=True)
class Step:
    """A page in a state, and what is asked there."""

    page: str
    """its path in the address"""
    title: str
    minutes: int
    ask: str
    """the question, or what is said"""
    act: str = ""
    """what to do on the page to see the answer"""
    reveal: str = ""
    """the answer, hidden at first"""
    state: Mapping[str, Any] = field(default_factory=dict)
    """key of a control -> its value; all others are as the page has them"""
    control: tuple[str, ...] = ()
    """keys of the controls in play"""
    note: str = ""
    """for the teacher, in Markdown"""

    @property
    def said(self) -> str:
        """The question, and what to do."""
        return f"{self.ask} {self.act}".rstrip()

    @property
    def path(self) -> str:
        return "" if self.page == "one-token" else self.page


@dataclass(frozen=True)
class Story:
    name: str
    title: str
    about: str
    steps: tuple[Step, ...]

    @property
    def minutes(self) -> int:
        return sum(step.minutes for step in self.steps)

    def query(self, number: int, presenting: bool = False) -> dict[str, Any]:
        """What stands in the address of a step, counted from 1."""
        step = self.steps[number - 1]
        query = {"story": self.name, "step": str(number)} | {
            key: _text(value) for key, value in step.state.items()
        }
        if step.control:
            query["control"] = ",".join(step.control)
        if presenting:
            query["present"] = "1"
        return query

    def address(self, number: int, presenting: bool = False) -> str:
        """The same as a link, from the root of the explorer."""
        return f"{self.steps[number - 1].path}?{urlencode(self.query(number, presenting), doseq=True)}"

    def times(self) -> list[str]:
        """ "0 – 5", "5 – 8", ...: when each step is on the wall."""
        ends = [sum(step.minutes for step in self.steps[:i]) for i in range(len(self.steps) + 1)]
        return [f"{start} – {end}" for start, end in pairwise(ends)]


def _text(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list) else str(value)


@functools.cache
def stories() -> dict[str, Story]:
    """All of them, by name, which is that of the file."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.toml"))}


def read(path: Path) -> Story:
    """The story of a file.

    Raises:
        ValueError: what is wrong in it, in which step, and what would be right.
    """
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    if wrong := {"title", "about", "steps"} ^ told.keys():
        raise ValueError(f"{path.name} has title, about and [[steps]]: {_listed(wrong)} is missing or too much")
    steps = tuple(_step(f"{path.name}, step {number}", raw) for number, raw in enumerate(told["steps"], 1))
    for step, neighbour in (*pairwise(steps), *pairwise(steps[::-1])):
        shared = set(neighbour.state) & set(PAGES[step.page].keys.split())
        if step.page != neighbour.page == "one-token" and shared:
            raise ValueError(
                f"{path.name}: {neighbour.title!r} sets {_listed(shared)}, which Streamlit takes away on the way "
                f"from {step.title!r}; put a step on another page between them"
            )
    return Story(path.stem, told["title"], told["about"], steps)


def _step(where: str, raw: dict[str, Any]) -> Step:
    known = {field.name for field in fields(Step)}
    if unknown := raw.keys() - known:
        raise ValueError(f"{where}: {_listed(unknown)} is no part of a step; there are {_listed(known)}")
    if missing := {"page", "title", "minutes", "ask"} - raw.keys():
        raise ValueError(f"{where}: {_listed(missing)} is missing")
    if raw["page"] not in PAGES:
        raise ValueError(f"{where}: no page is called {raw['page']!r}; there are {_listed(PAGES)}")
    keys = PAGES[raw["page"]].keys.split()
    for part in ("state", "control"):
        if unknown := set(raw.get(part, ())) - set(keys):
            raise ValueError(
                f"{where}: page {raw['page']} has no {_listed(unknown)} for the {part}; "
                f"there are {_listed(keys) or 'none'}"
            )
    text = {
        name: re.sub(r"\s+", " ", raw[name]).strip() for name in ("ask", "act", "reveal", "note") if name in raw
    }
    return Step(**raw | text | {"control": tuple(raw.get("control", ()))})


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))


def here(story: str | None, step: str | None, path: str) -> tuple[Story, int] | None:
    """The step that an address names; None if there is no such step, or if it is one of another page."""
    found = stories().get(story or "")
    if found is None or not re.fullmatch(r"[1-9]\d?", step or ""):
        return None
    number = int(step or 0)
    if number > len(found.steps) or found.steps[number - 1].path != path:
        return None
    return found, number
