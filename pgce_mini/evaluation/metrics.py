"""Every number that is told about a model or a training: name, label, unit, and where it comes from.

Tables, pages and figures take names and labels from here: a new metric is one entry of METRICS (of an evaluation)
or LOGGED (of a training). A column of a study's table is METRIC_before or METRIC_after: before or after RL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from pgce_mini.evaluation.evaluate import Evaluation, PerProblem, scored_name
from pgce_mini.evaluation.scores import pass_at_k
from pgce_mini.theory import FloatArray

When = Literal["before", "after"]
WHEN: dict[When, str] = {"before": "before RL", "after": "after RL"}

PerProblemValue = Callable[[PerProblem, int], FloatArray]
"""(per_problem, samples m) -> a number for each problem, (P,)"""


class Metric(NamedTuple):
    """A number of an evaluation."""

    label: str
    """{m} stands for the samples of a problem, {k} for the k of Pass@k"""
    unit: str
    source: Literal["heldout", "completions", "samples", "text"]
    """where it stands in an evaluation; "completions": in "heldout", where documents have prompts; "text": what
    `sample_text` measures"""
    per_problem: PerProblemValue | None = None
    """of those that are compared problem by problem"""
    counts: PerProblemValue | None = None
    """where it is no mean over problems but a ratio, sum of `per_problem` / sum of `counts`"""
    key: str = ""
    """its name there, where it differs from that in tables"""


def _length(rows: PerProblem, m: int) -> FloatArray:
    return np.array(rows["completion_length"])


def _nats(rows: PerProblem, m: int) -> FloatArray:
    """Summed over the tokens of a completion: its ratio to the length is the mean over tokens."""
    return np.asarray(np.array(rows["entropy"]) * _length(rows, m))


METRICS = {
    "cross_entropy": Metric("held-out cross-entropy", "nats/token", "heldout"),
    "entropy": Metric("held-out entropy", "nats/token", "heldout"),
    "completion_cross_entropy": Metric("held-out completion cross-entropy", "nats/token", "completions"),
    "completion_entropy": Metric("held-out completion entropy", "nats/token", "completions"),
    "ece": Metric("ECE", "share", "heldout"),
    "repetition": Metric("repetition", "share", "text"),
    "distinct_1": Metric("distinct-1", "share", "text"),
    "distinct_2": Metric("distinct-2", "share", "text"),
    "distinct_3": Metric("distinct-3", "share", "text"),
    "avg_at_m": Metric("Avg@{m}", "share", "samples", lambda rows, m: np.array(rows["correct"]) / m),
    "avg_at_m_at_t": Metric("Avg@{m} at T = {t}", "share", "samples"),  # and one for each further temperature t
    "greedy": Metric("greedy accuracy", "share", "samples"),  # that at temperature 0
    "cons_at_m": Metric("Cons@{m}", "share", "samples", lambda rows, m: np.array(rows["consensus"])),
    "pass_at_k": Metric("Pass@{k}", "share", "samples"),  # `metrics` makes one for each k
    "sample_entropy": Metric("entropy", "nats/token", "samples", _nats, _length, "entropy"),
    "completion_length": Metric("length", "tokens", "samples", _length),
    "truncated_share": Metric("truncated", "share", "samples"),
    "reasoned_share": Metric("reasoned", "share", "samples", lambda rows, m: np.array(rows["reasoned_share"])),
    "accuracy_if_reasoned": Metric("accuracy if reasoned", "share", "samples"),
    "accuracy_if_direct": Metric("accuracy if direct", "share", "samples"),
}
"""by their names in tables, in the order of tables"""


def metrics(m: int | str, ks: Sequence[int], scored_at: Sequence[float] = ()) -> dict[str, Metric]:
    """METRICS of evaluations with `m` samples a problem, these k of Pass@k, of which Pass@1 is Avg@m, and accuracy
    at further temperatures."""
    found: dict[str, Metric] = {}
    for name, metric in METRICS.items():
        if name == "pass_at_k":
            found |= {f"pass_at_{k}": _pass_at(k) for k in ks if k > 1}
        elif name == "avg_at_m_at_t":
            found |= {
                scored_name(t): metric._replace(label=metric.label.format(m=m, t=f"{t:g}")) for t in scored_at if t
            }
        elif name != "greedy" or 0 in scored_at:
            found[name] = metric._replace(label=metric.label.format(m=m))
    return found


def _pass_at(k: int) -> Metric:
    return METRICS["pass_at_k"]._replace(
        label=METRICS["pass_at_k"].label.format(k=k),
        per_problem=lambda rows, m: pass_at_k(m, np.array(rows["correct"]), k),
    )


def measured(evaluation: Evaluation, of_text: Mapping[str, float]) -> dict[str, float | None]:
    """Every metric of an evaluation, by its name in tables.

    of_text: what `sample_text` found; empty for a task with a verifier.
    """
    config: dict[str, Any] = evaluation["config"]
    samples: dict[str, Any] = dict(evaluation["samples"] or {})
    samples |= {f"pass_at_{k}": estimate for k, estimate in samples.get("pass_at_k", {}).items()}
    samples |= samples.get("scored_at", {})
    sources: dict[str, Mapping[str, Any]] = {
        "heldout": evaluation["heldout"],
        "completions": evaluation["heldout"],
        "samples": {key: found["value"] for key, found in samples.items() if "value" in found},
        "text": of_text,
    }
    return {
        name: sources[metric.source][metric.key or name]
        for name, metric in metrics(config["samples"], config["ks"], config.get("scored_at", ())[1:]).items()
        if (metric.key or name) in sources[metric.source]
    }


class Logged(NamedTuple):
    """A number that a training writes to metrics.jsonl, under the trainer's name."""

    label: str
    unit: str
    title: str = ""
    """of a picture of it"""
    axis: str = ""
    """of such a picture; by default label and unit"""

    @property
    def axis_title(self) -> str:
        return self.axis or f"{self.label} ({self.unit})"


STEPS = {"pretrain": "pre-training step", "midtrain": "mid-training step", "rl": "RL step"}
_PRETRAIN = {
    "heldout_cross_entropy": Logged("cross-entropy", "nats/token", "Pre-training: held-out cross-entropy"),
    "heldout_entropy": Logged("entropy", "nats/token", "Pre-training: held-out entropy"),
    "grad_norm": Logged("gradient norm", "1"),
    "expert_load_max": Logged("largest load of an expert", "1: even"),  # of a mixture of experts alone
}
LENGTH = "completions/mean_length"  # TRL's name of what tables call completion_length
LOGGED: dict[str, dict[str, Logged]] = {
    "pretrain": _PRETRAIN,
    "midtrain": _PRETRAIN,
    "rl": {
        "reward": Logged("reward", "share", "Reward through RL", "mean reward (share right)"),
        "heldout_reward": Logged(
            "held-out reward at T = 1", "share", "Held-out reward through RL", "mean held-out reward (share right)"
        ),
        "entropy": Logged("entropy", "nats/token", "Entropy through RL"),
        LENGTH: Logged(
            METRICS["completion_length"].label, METRICS["completion_length"].unit, "Response length through RL"
        ),
        "reasoned_share": Logged(METRICS["reasoned_share"].label, METRICS["reasoned_share"].unit),
        "frac_reward_zero_std": Logged("groups whose rewards are all equal", "share"),
        "sampled_groups": Logged("groups drawn", "groups"),
        "grad_norm": Logged("gradient norm", "1"),
    },
}
"""training -> the trainer's name -> what it is; a study's curves hold these, of pre-training where it evaluates"""
TEMPERATURE_COLUMNS = {"temperature": "T", "rl_temperature": "T in RL"}
"""columns of a row: where the samples are drawn whose metrics the table has, and those that RL trains on"""
CHANGES = {"rl_entropy_change": "entropy", "rl_length_change": LENGTH}
"""columns that are derived from a curve of RL: its change early in RL"""
AREAS = {"rl_area": "reward", "rl_heldout_area": "heldout_reward"}
"""and its mean through RL; in proportion to the area under it"""
STEPS_TO = "rl_steps_to_"
"""begins those that say how soon the reward reaches a number, as rl_steps_to_0.7"""
NUMBER = r"\d+(\.\d+)?"  # in the name of a column


def threshold_of(column: str) -> float:
    """The reward X of a column rl_steps_to_X.

    Raises:
        ValueError: it is no such column.
    """
    number = column.removeprefix(STEPS_TO)
    if number == column or not re.fullmatch(NUMBER, number):
        raise ValueError(
            f"column must be {', '.join((*CHANGES, *AREAS))} or {STEPS_TO}X with a number, got {column!r}"
        )
    return float(number)


def column_label(column: str, m: int | str = "m") -> str:
    """What a column of a study's table is called: "Avg@64 after RL", "held-out entropy of the prior".

    Raises:
        ValueError: there is no such column.
    """
    if column in TEMPERATURE_COLUMNS:
        return TEMPERATURE_COLUMNS[column]
    if column in CHANGES:
        return f"change of {LOGGED['rl'][CHANGES[column]].label} early in RL"
    if column in AREAS:
        return f"mean {LOGGED['rl'][AREAS[column]].label} through RL"
    if column.startswith(STEPS_TO):
        return f"RL steps to a reward of {threshold_of(column):g}"
    metric, when = metric_of(column, m)
    if metric.source == "samples":
        return f"{metric.label} {WHEN[when]}"
    if metric.source in ("heldout", "completions"):
        return f"{metric.label} of the {'prior' if when == 'before' else 'policy'}"
    return metric.label


def column_title(column: str, m: int | str = "m") -> str:
    """`column_label` with the unit, if it has one, as an axis has it.

    Raises:
        ValueError: there is no such column.
    """
    if column in TEMPERATURE_COLUMNS:
        return column_label(column, m)
    of_curve = CHANGES.get(column) or AREAS.get(column)
    if column.startswith(STEPS_TO):
        unit = "steps"
    else:
        unit = LOGGED["rl"][of_curve].unit if of_curve else metric_of(column)[0].unit
    return f"{column_label(column, m)} ({unit})"


def metric_of(column: str, m: int | str = "m") -> tuple[Metric, When]:
    """The metric of a column METRIC_before or METRIC_after.

    Raises:
        ValueError: there is no such metric.
    """
    name, _, when = column.rpartition("_")
    k, t = name.removeprefix("pass_at_"), name.removeprefix("avg_at_m_at_")
    known = metrics(m, [int(k)] if k.isdigit() else [], [0, float(t)] if re.fullmatch(NUMBER, t) else [0])
    if when not in WHEN or name not in known:
        known_names = ", ".join(METRICS)
        raise ValueError(f"column must be METRIC_before or METRIC_after with one of {known_names}, got {column!r}")
    return known[name], when
