"""The hypotheses of docs/study-protocol.md as data, and what was added after its runs."""

from __future__ import annotations

from collections.abc import Sequence

from pgce_mini.evaluation import column_label
from pgce_mini.study.analysis.hypotheses import (
    OF_COUNTDOWN,
    Comparison,
    Expected,
    Family,
    Hypothesis,
    Protocol,
)

RL_STUDIES = ("chain", "trap", "countdown")  # in which the claims about RL are judged
PRIOR_STUDIES = ("chain", "countdown", "text")  # and those about priors
AFTER_RL = "avg_at_m_after"
EARLY_CHANGES = ("rl_entropy_change", "rl_length_change")
LOWER, RAISED = ("precision", "tail-penalty"), ("diversity", "head-reward")  # entropy, as the paper has it
UNEQUAL = "scored at 0.75, precision at 1"


def _in(studies: Sequence[str], arm: str, metric: str, expected: Expected, baseline: str = "ce") -> Hypothesis:
    return Hypothesis(
        f"{arm}: {column_label(metric, '{m}')} {expected} than {baseline}",
        tuple(
            Comparison(
                study, arm, metric, expected, baseline,
                within=OF_COUNTDOWN if (study, metric) == ("countdown", AFTER_RL) else 0.0,
            )
            for study in studies
        ),
    )  # fmt: skip


CLAIM_2 = tuple(_in(RL_STUDIES, arm, AFTER_RL, "higher") for arm in LOWER)
PLANNED = (
    Family("1a", "Perplexity converges to similar values in all arms (the paper's claim 1, first part).", (
        Hypothesis("held-out cross-entropy within 0.02 nats/token of ce", tuple(
            Comparison(study, arm, "cross_entropy_before", "similar")
            for study in PRIOR_STUDIES for arm in (*LOWER, *RAISED)
        )),
    ), of_paper=True),
    Family("1b", "... while entropy differs (claim 1, second part).", (
        Hypothesis("held-out entropy: precision and tail-penalty lower, diversity and head-reward higher", tuple(
            Comparison(study, arm, "entropy_before", "lower" if arm in LOWER else "higher")
            for study in PRIOR_STUDIES for arm in (*LOWER, *RAISED)
        )),
    ), of_paper=True),
    Family("2", "Precision and tail-penalty give the better space for RL (claim 2).", CLAIM_2, of_paper=True),
    Family("3", "Diversity loses entropy fast early in RL and its responses shorten (claim 3).", tuple(
        _in(RL_STUDIES, "diversity", metric, "lower") for metric in EARLY_CHANGES
    ), of_paper=True),
    Family("4", "A higher Pass@k before RL does not need higher entropy (claim 4).", tuple(
        Hypothesis(f"{arm} in {study}: Pass@8 before RL higher than ce, and entropy lower", (
            Comparison(study, arm, "pass_at_8_before", "higher"),
            Comparison(study, arm, "entropy_before", "lower"),
        ), joint=True)
        for arm in LOWER for study in RL_STUDIES
    ), of_paper=True),
    Family("5", "The precision prior is more than a temperature (ours).", tuple(
        _in(RL_STUDIES, "precision", AFTER_RL, "higher", baseline)
        for baseline in ("temperature-0.75", "matched-precision")
    )),
    Family("6", "Other controls differ from precision (ours).", tuple(
        Hypothesis(f"{arm}: {column_label(AFTER_RL, '{m}')} different from precision",
                   (Comparison("chain", arm, AFTER_RL, "different", "precision",
                               no_verdict=UNEQUAL if arm == "evaluation-temperature-0.75" else ""),))
        for arm in (
            "evaluation-temperature-0.75", "label-smoothing-0.1", "focal-2", "steps-2", "precision-exponent",
        )
    )),
    Family("7", "The prior's shape survives mid-training (ours).", tuple(
        Hypothesis(f"{arm}, mid-trained with {words}: {column_label(metric, '{m}')} different from ce",
                   (Comparison("midtraining", arm, metric, "different", variant=f"loss={loss}"),))
        for loss, words in (("arm", "its own loss"), ("ce", "cross-entropy")) for arm in ("precision", "diversity")
        for metric in ("entropy_before", AFTER_RL)
    )),
    Family("8", "Precision gives the better space for RL at other sizes (ours).", tuple(
        Hypothesis(f"precision at width {width}: {column_label(AFTER_RL, '{m}')} higher than ce", (
            Comparison("chain-sizes", "precision", AFTER_RL, "higher",
                       variant=f"hidden_size={width},intermediate_size={2 * width}"),
        ))
        for width in (32, 128)
    )),
)  # fmt: skip

WITHIN_DIVERSITY = Family(
    "3, within the arm",
    "Claim 3 says that entropy and length fall, not only that they fall further than with ce: the changes "
    "within diversity itself.",
    tuple(
        Hypothesis(
            f"diversity: {column_label(metric)} below 0",
            tuple(Comparison(study, "diversity", metric, "lower", baseline=None) for study in RL_STUDIES),
        )
        for metric in EARLY_CHANGES
    ),
    post_hoc=True,
    of_paper=True,
)

EXPLORED = (
    *(Comparison(study, "temperature-0.75", metric, "different")
      for metric in (AFTER_RL, "pass_at_64_after") for study in RL_STUDIES),
    Comparison("chain", "temperature-0.75", AFTER_RL, "different", "evaluation-temperature-0.75"),
    *(Comparison(study, arm, "pass_at_8_before", "different", baseline)
      for arm, baseline in (("matched-precision", "ce"), ("precision", "matched-precision"))
      for study in RL_STUDIES),
)  # fmt: skip

SEEDS = dict.fromkeys((*RL_STUDIES, "text", "midtraining", "chain-sizes"), 10)
PARTS = (*RL_STUDIES, "text", "chain-sizes", "countdown-sizes", "midtraining", "phase", "grids", "top-k")
STUDY_1 = Protocol(
    "study I", "study-protocol.md", PARTS, SEEDS, (*PLANNED, WITHIN_DIVERSITY), CLAIM_2[0], ("2",),
    frozenset({("trap", "")}), EXPLORED,
)  # fmt: skip
