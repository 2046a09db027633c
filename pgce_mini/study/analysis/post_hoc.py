"""What was asked of the first study's tables after they were seen: estimates, no verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pgce_mini.evaluation import STEPS_TO
from pgce_mini.study.analysis.evidence import Evidence
from pgce_mini.study.analysis.hypotheses import Comparison
from pgce_mini.study.analysis.protocol_1 import LOWER, RAISED
from pgce_mini.study.analysis.protocol_2 import AREA, TEMPERATURES
from pgce_mini.study.analysis.statistics import PairedDifference
from pgce_mini.study.analysis.views import arms, variants
from pgce_mini.study.tables import Columns
from pgce_mini.tasks import Task, task_from_dict

TO_REACH = {"chain": 0.7, "trap": 0.3, "countdown": 0.1, "chain-sizes": 0.7, "midtraining": 0.7}
"""study -> a reward that plain cross-entropy comes to in most seeds"""


@dataclass(frozen=True)
class Speed:
    """How fast an arm learns beside another: means over RL of the reward, and steps until it is reached."""

    area: Comparison
    area_difference: PairedDifference
    ahead: int
    """seeds in which the arm has the larger area"""
    steps: Comparison
    steps_difference: PairedDifference


def speeds(evidence: Evidence) -> Iterator[Speed]:
    """Every arm of the paper and two temperatures against cross-entropy, and precision against its temperature."""
    for study, threshold in TO_REACH.items():
        rows = evidence.rows(study)
        for variant in variants(rows):
            pairs = [(arm, "ce") for arm in (*LOWER, *RAISED, *TEMPERATURES)] + [("precision", TEMPERATURES[0])]
            for arm, baseline in pairs:
                if {arm, baseline} <= set(arms(rows)):
                    area, steps = (
                        Comparison(study, arm, metric, "different", baseline, variant)
                        for metric in (AREA, f"{STEPS_TO}{threshold:g}")
                    )
                    found = [evidence.compare(comparison) for comparison in (area, steps)]
                    if found[0] and found[1]:
                        ahead = sum(gap > 0 for gap in evidence.gaps(area).values())
                        yield Speed(area, found[0], ahead, steps, found[1])


def tokens_per_completion_token(row: Columns) -> float:
    """Of the held-out documents that a row was scored on: predicted tokens over those that a completion has.

    The numbers of a prompt are drawn at random, and no arm can do better on them than another but by chance. Where
    arms are alike on prompts, their difference a token times this is their difference a completion token.

    Raises:
        ValueError: the row is of a text, which has no completions.
    """
    settings = json.loads(row["settings"])
    task, config = task_from_dict(settings["pretrain"]["corpus"]), settings["evaluation"]
    if not isinstance(task, Task):
        raise ValueError(f"row must be of a task with problems, got one of {task.name}")
    seed, prompt = config["seed"], len(task.problem(config["seed"], 0, "heldout").prompt)
    lengths = [len(task.document(seed, index, "heldout")) for index in range(config["documents"])]
    return sum(length - 1 for length in lengths) / sum(length - prompt for length in lengths)


def scaled(difference: PairedDifference, factor: float) -> PairedDifference:
    """The same differences in another unit, `factor` > 0 times as large."""
    lengths = ("mean", "low", "high", "deviation", "low_90", "high_90")
    return replace(difference, **{name: factor * getattr(difference, name) for name in lengths})
