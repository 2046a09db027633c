"""The arms of a study by name: the paper's, grids around them, and the controls that the paper lacks (ours).

ce precision diversity tail-penalty head-reward      the paper's five
precision-exponent diversity-exponent                the same with the other reading of Eq. 11
beta-0.75 beta+1 ...       (1 - pi)^beta alone; the sign belongs to the number, as in the next two
head+0.1 tail-1 ...        lambda_head or lambda_tail alone
temperature-0.75           ce, sampled at this temperature in RL and scored at the same
evaluation-temperature-0.75    ce, sampled at this temperature in the evaluation only
matched-precision ...      ce, sampled in RL and scored at the temperature at which its prior has the entropy of
                           that arm's prior of the same seed, on held-out documents
label-smoothing-0.1  focal-2    those losses in pre-training, and four of other papers (`loss.family`):
dynamic  gem-1.3  coverage-0.5  maxrl-4    dynamic fine-tuning, GEM with this beta, Direct Coverage of so many
                           samples, MaxRL's series of so many terms
steps-2                    ce with so many times the pre-training steps
predicted-precision ...    what theory predicts of that arm's prior from the prior of ce (`study.predicted`); no RL
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pgce_mini.reward import PAPER_ARMS, RewardShaping


@dataclass(frozen=True)
class Arm:
    """How an arm differs from plain cross-entropy at temperature 1."""

    name: str
    shaping: RewardShaping = field(default_factory=RewardShaping)
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    gem_beta: float = 0.0
    coverage_samples: float = 0.0
    maxrl_order: float = 0.0
    steps_factor: float = 1.0
    rl_temperature: float = 1.0
    evaluation_temperature: float = 1.0
    matched_to: str | None = None  # replaces both temperatures, see `study.rows`
    at_rest: RewardShaping | None = None  # maps the prior to where this reward would end, see `study.predicted`

    @property
    def prior(self) -> str:
        """The name of the arm whose prior this one uses: arms that differ in sampling alone use that of ce."""
        sampled = self.matched_to or self.rl_temperature != 1 or self.evaluation_temperature != 1
        return "ce" if sampled or self.at_rest else self.name

    @property
    def policy(self) -> str:
        """The name of the arm whose policy this one uses: arms that differ in evaluation alone use that of ce."""
        return self.name if self.matched_to or self.rl_temperature != 1 else self.prior


NAMED = {
    **{name: Arm(name, shaping) for name, shaping in PAPER_ARMS.items()},
    **{
        f"{name}-exponent": Arm(f"{name}-exponent", replace(PAPER_ARMS[name], form="exponent"))
        for name in ("precision", "diversity")
    },
    **{f"matched-{name}": Arm(f"matched-{name}", matched_to=name) for name in PAPER_ARMS if name != "ce"},
    "dynamic": Arm("dynamic", maxrl_order=1.0),
}
SIGNED: dict[str, Callable[[float], RewardShaping]] = {
    "beta": lambda value: RewardShaping(beta=value),
    "head": lambda value: RewardShaping(lambda_head=value),
    "tail": lambda value: RewardShaping(lambda_tail=value),
}
POSITIVE: dict[str, Callable[[str, float], Arm]] = {
    "temperature": lambda name, value: Arm(name, rl_temperature=value, evaluation_temperature=value),
    "evaluation-temperature": lambda name, value: Arm(name, evaluation_temperature=value),
    "label-smoothing": lambda name, value: Arm(name, label_smoothing=value),
    "focal": lambda name, value: Arm(name, focal_gamma=value),
    "gem": lambda name, value: Arm(name, gem_beta=value),
    "coverage": lambda name, value: Arm(name, coverage_samples=value),
    "maxrl": lambda name, value: Arm(name, maxrl_order=value),
    "steps": lambda name, value: Arm(name, steps_factor=value),
}
EXAMPLES = ("beta-0.75", "head+1", "tail-1", "temperature-0.75", "evaluation-temperature-0.75",
            "label-smoothing-0.1", "focal-2", "gem-1.3", "coverage-0.5", "maxrl-4", "steps-2",
            "predicted-precision")  # fmt: skip


def arm_named(name: str, top_k: int | None = None) -> Arm:
    """The arm of that name, with a head of `top_k` tokens in place of the paper's 100.

    Raises:
        ValueError: there is no such arm; the message names the nearest one.
    """
    arm = NAMED.get(name) or _with_a_number(name) or _predicted(name)
    if arm is None:
        known = [*NAMED, *EXAMPLES]
        nearest = difflib.get_close_matches(name, known, 1, cutoff=0.4)
        hint = (
            f"; did you mean {nearest[0]}?"
            if nearest
            else f": use one of {', '.join(known)}, with any number in place of theirs"
        )
        raise ValueError(f"there is no arm {name!r}{hint}")
    if top_k is None:
        return arm
    at_rest = arm.at_rest and replace(arm.at_rest, top_k=top_k)
    return replace(arm, shaping=replace(arm.shaping, top_k=top_k), at_rest=at_rest)


def _with_a_number(name: str) -> Arm | None:
    match = re.fullmatch(r"([a-z-]*[a-z])([+-])(\d+(?:\.\d+)?)", name)
    if match is None:
        return None
    kind, sign, value = match[1], match[2], float(match[3])
    if value == 0 or not math.isfinite(value):
        return None  # that is ce, which has a name
    if kind in SIGNED:
        return Arm(name, SIGNED[kind](value if sign == "+" else -value))
    return POSITIVE[kind](name, value) if kind in POSITIVE and sign == "-" else None


def _predicted(name: str) -> Arm | None:
    of = name.removeprefix("predicted-")
    arm = NAMED.get(of) or _with_a_number(of)
    if of == name or arm is None or arm == Arm(of) or arm != Arm(of, arm.shaping):
        return None  # a theory there is of rewards alone
    return Arm(name, at_rest=arm.shaping)
