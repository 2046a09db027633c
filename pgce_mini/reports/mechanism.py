"""The section of docs/study.md on theory: what it predicts of a prior, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from pgce_mini.reports.study_tables import table
from pgce_mini.study.analysis import (
    PREDICTORS,
    REGISTERED,
    TOLERANCES,
    Evidence,
    Prediction,
    check_predictions,
    check_predictors,
    largest_errors,
)

PREDICTED_IN = {
    "From what `ce` has learnt: new seeds": ("theory",),
    "From what `ce` has learnt: the first study, in which predictor C was found, so that it tests nothing": (
        "chain",
        "trap",
    ),
}
PREDICTORS_HEAD = """\
Training is finite, and `ce` does not quite learn the rates of its corpus. So predictors of an arm's prior may
start from other things: {names}. Errors are predicted minus measured, means over seeds, ± their standard
error; that of the entropy is at the position where it is largest (nats).
"""
LAST_APPROACH = """\
Where the corpus leaves no doubt, as at position 10, the copy of the answer after `#`, A and C predict no entropy.
Training does not get there. Near certainty the push on the true token's logit is (1 - pi)^(1 + beta): in one state
with a certain label, the way from 0.9 to 0.99 takes `diversity` longer than `ce`, and `precision` less long. After
equal time, where `ce` lacks d of certainty, an arm lacks about d^(1 / (1 + beta)). The stationary policy has that
power too, and B starts from `ce`'s d.
"""


def mechanism(evidence: Evidence) -> str:
    """The section, in Markdown; empty without a table of chain sums."""
    found = check_predictions(evidence)
    if not found:
        return ""
    rows = [
        [
            f"`{row.study}`", f"`{row.arm}`", str(row.seeds), f"{row.predicted_share:.3f}", f"{row.share:.3f}",
            f"{row.predicted_accuracy:.3f}", f"{row.accuracy:.3f}", f"{row.entropy_error:.3f}",
        ]
        for row in found
    ]  # fmt: skip
    head = [
        "part", "arm", "seeds", "reasoned: predicted", "measured", "accuracy if reasoned: predicted", "measured",
        "entropy by position: largest error (nats)",
    ]  # fmt: skip
    judged = [
        f"- {name}: {'**right**' if error <= TOLERANCES[name] else '**wrong**'}, the largest error is "
        f"{error:.3f}, {TOLERANCES[name]:.2f} was allowed"
        for name, error in largest_errors(found).items()
    ]
    return "\n".join([
        "## Mechanism: predicted and measured\n",
        "Where the shaped loss comes to rest (`stationary_policy`) gives three predictions of what a prior does, "
        "with no free parameter. Do they come true?\n",
        table(head, rows),
        "\n".join(judged) + "\n",
        _predictors(evidence),
    ])  # fmt: skip


def _predictors(evidence: Evidence) -> str:
    """Of the second protocol: in its own study and, after the fact, in the first one's."""
    parts = []
    for title, studies in PREDICTED_IN.items():
        found = [prediction for study in studies for prediction in check_predictors(evidence, study)]
        if found:
            columns = [
                c for m in TOLERANCES for c in dict.fromkeys((p.measure, p.predictor) for p in found) if c[0] == m
            ]
            arms: dict[tuple[str, ...], dict[tuple[str, str], str]] = {}
            for p in found:
                where = f"`{p.study} {p.variant}`".replace(" `", "`"), f"`{p.arm}`"
                arms.setdefault(where, {})[p.measure, p.predictor] = f"{p.error:+.3f} ± {p.standard_error:.3f}"
            lines = [[*where, *(errors.get(column, "") for column in columns)] for where, errors in arms.items()]
            head = ["part", "arm", *(f"{measure}: {predictor}" for measure, predictor in columns)]
            judged = [_registered(found, *registered) for registered in REGISTERED]
            parts += [f"### {title}\n", table(head, lines), "\n".join(filter(None, judged)) + "\n"]
    names = "; ".join(f"*{name}*: {words}" for name, words in PREDICTORS.items())
    return "\n".join([PREDICTORS_HEAD.format(names=names), *parts, LAST_APPROACH]) if parts else ""


def _registered(found: Sequence[Prediction], predictor: str, measure: str) -> str:
    """How often a predictor was right about a measure, and by how much it and the others erred."""
    errors: dict[str, list[Prediction]] = {}
    for prediction in found:
        if prediction.measure == measure:
            errors.setdefault(prediction.predictor, []).append(prediction)
    if predictor not in errors:
        return ""
    own, tolerance = errors[predictor], REGISTERED[predictor, measure]
    within = [
        f"{name} {sum(abs(p.error) <= tolerance for p in of)} (largest error {max(abs(p.error) for p in of):.3f})"
        for name, of in errors.items()
    ]
    return (
        f"- {measure}: {predictor} was to come within {tolerance:g}. Arms, of {len(own)}, in which that is so: "
        f"{', '.join(within)}. Errors of {predictor} less than two standard errors from {tolerance:g}, which "
        f"could lie on its other side: {sum(not p.sure for p in own)}."
    )
