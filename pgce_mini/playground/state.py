"""What the playground shows, as Python says it; `state.js` has the same names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np

from pgce_mini.checks import check_choice, check_finite, check_positive, check_whole, is_whole, plain_numbers
from pgce_mini.reward import Form, RewardShaping
from pgce_mini.theory import FloatArray, policy_flow
from pgce_mini.theory.group_rl import GroupScaling

Start = Literal["uniform", "labels"]
Axis = Literal["linear", "log"]
RLUpdate = Literal["sampled", "expected"]
RLStart = Literal["ce", "precision", "diversity", "temperature", "yours"]

MOST_TOKENS = 50
LIMITS = {
    "beta": (-1.5, 2.0), "lambda_head": (-1.0, 1.0), "lambda_tail": (-1.0, 1.0), "lr": (0.1, 5.0),
    "rl_lr": (0.1, 10.0), "temperature": (0.1, 3.0),
}  # fmt: skip
WHOLE_LIMITS = {
    "steps": (0, 500), "group_size": (2, 64), "rl_steps": (0, 200), "seed": (0, 999), "pass_k": (1, 64)
}  # fmt: skip
"""The least and the largest value, those of the sliders and of addresses (`state.js`)."""
CHOICES = {"start": Start, "axis": Axis, "scale_rewards": GroupScaling, "rl_update": RLUpdate, "rl_start": RLStart}
PRESETS: dict[str, dict[str, Any]] = json.loads((files(__package__) / "presets.json").read_text("utf-8"))
"""Made-up label distributions by name: a prompt, 50 tokens that may follow it, likeliest first, their weights."""


def preset(name: str, size: int = 8) -> dict[str, Any]:
    """`prompt`, `tokens` and `labels` of the first `size` tokens of a preset, for a `PlaygroundState`.

    Raises:
        ValueError: when there is no such preset, or not so many or so few tokens.
    """
    check_choice("preset", name, PRESETS)
    check_whole("size", size, 2, MOST_TOKENS)
    chosen = PRESETS[name]
    weights = chosen["weights"][:size]
    labels = tuple(weight / math.fsum(weights) for weight in weights)
    return {"prompt": chosen["prompt"], "tokens": tuple(chosen["tokens"][:size]), "labels": labels}


_DEFAULT = preset("peaked")


@dataclass(frozen=True)
class PlaygroundState:
    """Labels, reward and training of one state. The policy follows from it: `policy()`.

    Raises:
        ValueError: naming the argument, when a value makes no sense.
    """

    beta: float = 0.0
    """exponent of 1 - pi(x): below 0 precision, above 0 diversity"""
    lambda_head: float = 0.0
    """reward of a wrong token in the head"""
    lambda_tail: float = 0.0
    """reward of a wrong token in the tail"""
    top_k: int = 3
    """tokens in the head"""
    form: Form = "product"
    """which reading of Eq. 11"""
    lr: float = 1.0
    """step size of gradient descent on the logits"""
    start: Start = "uniform"
    """where training starts: at the uniform policy, or at the labels, where cross-entropy ends"""
    steps: int = 0
    """steps taken"""
    prompt: str = _DEFAULT["prompt"]
    """what the tokens may follow"""
    tokens: tuple[str, ...] = _DEFAULT["tokens"]
    """2 to 50 different tokens, in the order of their rows"""
    labels: tuple[float, ...] = _DEFAULT["labels"]
    """how often each is the true token: probabilities that sum to 1"""
    prediction: tuple[float, ...] | None = None
    """where the learner thinks training ends: the answer is hidden until there are steps"""
    axis: Axis = "linear"
    """scale of the probabilities"""
    rl: bool = False
    """whether RL is shown, in the place of pre-training"""
    right: tuple[int, ...] = (0,)
    """rows of the tokens that earn 1 in RL"""
    group_size: int = 8
    """tokens that are drawn in a step of RL"""
    scale_rewards: GroupScaling = "none"
    """whether advantages are divided by the standard deviation of their group"""
    rl_lr: float = 1.0
    """step size of RL"""
    rl_steps: int = 0
    """steps of RL taken"""
    seed: int = 0
    """of the random numbers, the same for every start"""
    rl_update: RLUpdate = "sampled"
    """whether a step follows the group that was drawn, or the mean over all groups"""
    temperature: float = 0.7
    """of the start q^(1/T)"""
    pass_k: int = 8
    """the k of Pass@k"""
    rl_start: RLStart = "ce"
    """the start whose policy the rows show"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        for name in ("beta", "lambda_head", "lambda_tail"):
            check_finite(name, getattr(self, name), *LIMITS[name])
        for name in ("lr", "rl_lr", "temperature"):
            check_positive(name, getattr(self, name), LIMITS[name][1], LIMITS[name][0])
        for name, (least, most) in WHOLE_LIMITS.items():
            check_whole(name, getattr(self, name), least, most)
        self.shaping  # noqa: B018 - refuses what makes no sense
        tokens = tuple(self.tokens) if isinstance(self.tokens, Iterable) else ()
        object.__setattr__(self, "tokens", tokens)
        if not all(isinstance(text, str) for text in (self.prompt, *self.tokens)):
            raise ValueError("prompt and tokens must be strings")
        different = len(set(self.tokens))
        if not 2 <= different == len(self.tokens) <= MOST_TOKENS:
            count = f"{len(self.tokens)}, {different} different"
            raise ValueError(f"tokens must be 2 to {MOST_TOKENS} different strings, got {count}")
        for name, kind in CHOICES.items():
            check_choice(name, getattr(self, name), get_args(kind))
        if not isinstance(self.rl, bool):
            raise ValueError(f"rl must be True or False, got {self.rl!r}")
        object.__setattr__(self, "right", self._rows())
        object.__setattr__(self, "labels", self._distribution("labels"))
        if self.prediction is not None:
            object.__setattr__(self, "prediction", self._distribution("prediction"))

    @property
    def shaping(self) -> RewardShaping:
        return RewardShaping(self.beta, self.lambda_head, self.lambda_tail, self.top_k, self.form)

    def policy(self) -> FloatArray:
        """The policy of pre-training after `steps` steps. (V,)

        Raises:
            ValueError: as `policy_flow`.
        """
        with np.errstate(divide="ignore"):  # log 0: a token that is never the label
            logits = np.log(self.labels) if self.start == "labels" else np.zeros(len(self.labels))
        path = policy_flow(logits, self.labels, self.shaping, self.steps, self.lr)
        return np.asarray(path[-1])

    def _rows(self) -> tuple[int, ...]:
        rows = tuple(self.right) if isinstance(self.right, Iterable) else (-1,)
        if not all(is_whole(row) and 0 <= row < len(self.tokens) for row in rows) or len(set(rows)) < len(rows):
            raise ValueError(
                f"right must hold different rows from 0 to {len(self.tokens) - 1}, got {self.right!r}"
            )
        return tuple(sorted(int(row) for row in rows))

    def _distribution(self, name: str) -> tuple[float, ...]:
        try:
            values = np.asarray(getattr(self, name), dtype=np.float64)
        except (TypeError, ValueError):  # nothing of it is a number
            values = np.array(np.nan)
        if values.shape != (len(self.tokens),):
            raise ValueError(f"{name} must hold a probability for each of {len(self.tokens)} tokens")
        if not (np.isfinite(values).all() and (values >= 0).all() and abs(values.sum() - 1) < 1e-5):
            raise ValueError(f"{name} must hold probabilities that sum to 1")
        return tuple((values / values.sum()).tolist())


def given_query(
    prompt: str,
    tokens: Sequence[str],
    labels: Sequence[float],
    marks: Mapping[str, Sequence[float]] | None = None,
    **settings: float | str,
) -> list[tuple[str, str]]:
    """What an address needs to open the playground on tokens of its own: keys and values, to be encoded.

    marks: name -> probabilities of another policy, up to six, drawn as small marks; settings: as in an address,
    such as beta=-0.25, k=6.

    Raises:
        ValueError: as `PlaygroundState`.
    """
    PlaygroundState(prompt=prompt, tokens=tuple(tokens), labels=tuple(labels))

    def written(probs: Sequence[float]) -> str:
        return ",".join(f"{prob:.6g}" for prob in probs)

    pairs = [("prompt", prompt), *(("token", token) for token in tokens), ("given", written(labels))]
    pairs += [("mark", f"{name}:{written(probs)}") for name, probs in (marks or {}).items()]
    return pairs + [(key, str(value)) for key, value in settings.items()]
