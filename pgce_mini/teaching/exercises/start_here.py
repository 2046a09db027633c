"""Notebook 00: the first contact with beta."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from pgce_mini.reward import RewardShaping
from pgce_mini.teaching.exercises import call, exercise, given, numbers, require, word
from pgce_mini.theory import stationary_policy, tempered

COLOURS = {"blue": 0.5, "green": 0.2, "red": 0.12, "grey": 0.09, "teal": 0.06, "gold": 0.03}
"""The frequencies q of the notebook."""


@exercise("00-1")
def beta_for_blue(answer: Any) -> str:
    beta = float(numbers(answer))
    require(beta > -1, "At -1 and below a token can take all, and no end is known in advance. Try beta above -1.")
    require(beta < 0, "From 0 on blue ends at 0.5 or below. Which sign sharpens?")
    blue = float(stationary_policy(list(COLOURS.values()), RewardShaping(beta))[0])
    near = abs(blue - 0.6)
    require(
        near < 0.0015, f"With this beta blue ends at {blue:.4f}{': two digits are asked for' * (near < 0.01)}."
    )
    return f"Blue ends at {blue:.3f}."


@exercise("00-2")
def beta_is_a_temperature(answer: Any) -> str:
    for beta in (-0.25, 0.0, -0.5, 0.5, 2.0):
        temperature = float(numbers(call(answer, beta)))
        require(temperature > 1e-3, f"At beta = {beta} it gives {temperature + 0:g}: a temperature is above 0.")
        end = stationary_policy([0.7, 0.3], RewardShaping(beta))[0]
        sampled = tempered([0.7, 0.3], temperature)[0]
        require(
            abs(sampled - end) < 1e-4,
            f"At beta = {beta} q = (0.7, 0.3) ends at {end:.4f}, and your temperature gives {sampled:.4f}.",
        )
    return "With two tokens beta is a temperature, whatever q is. Notebook 04 proves it."


@exercise("00-3")
def ratios_that_change(answer: Any) -> str:
    named = {answer} if isinstance(given(answer), str) else answer
    require(np.iterable(named), f"A list of names is asked for, and this is {type(answer).__name__}.")
    named = {word(name) or f"{name!r}" for name in islice(named, 1 + len(COLOURS))}
    unknown = sorted(named - set(COLOURS))
    require(not unknown, f"There is no colour {', '.join(unknown)}: they are {', '.join(COLOURS)}.")
    q = np.array(list(COLOURS.values()))
    end = stationary_policy(q, RewardShaping(beta=-0.6))
    change = (end / end[-1]) / (q / q[-1])
    right = {name for name, factor in zip(COLOURS, change, strict=True) if abs(factor - 1) > 0.2}
    require("gold" not in named, "Gold against gold is 1, before and after.")
    require(
        len(named) < len(COLOURS) - 1,
        "A temperature would change them all, but this is none. Print both ratios side by side.",
    )
    require(named >= right, "Some ratio has changed by more than a fifth and is not in your list.")
    require(named <= right, "Some ratio in your list has changed by less than a fifth.")
    return "The dominant token is sharpened; among the unlikely ones the ratios stay those of the data."
