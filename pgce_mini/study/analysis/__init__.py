"""What a study's tables say: differences, intervals, claims, predictions. No training is imported here."""

from pgce_mini.study.analysis.answers import advice, further_answers, precision_answer
from pgce_mini.study.analysis.claims import Decision, decide, decide_claims
from pgce_mini.study.analysis.compare import (
    Summary,
    as_text,
    by_metric,
    differences,
    heldout_means,
    labels,
    summarize,
)
from pgce_mini.study.analysis.derived import EARLY, LATER, derived, derived_column
from pgce_mini.study.analysis.evidence import Evidence, samples
from pgce_mini.study.analysis.formats import (
    format_difference,
    format_estimate,
    format_p,
    format_spread,
    signed,
    signed_interval,
)
from pgce_mini.study.analysis.hypotheses import (
    SMALLEST_EFFECTS,
    Comparison,
    Family,
    Hypothesis,
    Protocol,
    smallest_effect,
)
from pgce_mini.study.analysis.nearest import Recorded, beside, nearest, recorded_settings
from pgce_mini.study.analysis.parts import first_line, planned_in
from pgce_mini.study.analysis.predictions import PREDICTED, TOLERANCES, check_predictions, largest_errors
from pgce_mini.study.analysis.predictors import (
    PREDICTORS,
    PRIORS_ALONE,
    REGISTERED,
    Prediction,
    check_predictors,
)
from pgce_mini.study.analysis.protocol_1 import AFTER_RL, EXPLORED, RL_STUDIES
from pgce_mini.study.analysis.protocols import FAMILIES, ORDER, PROTOCOLS
from pgce_mini.study.analysis.statistics import (
    LEVEL,
    Direction,
    PairedDifference,
    by_seed,
    compare,
    expanded_interval,
    holm,
    minimum_detectable,
    paired_over_seeds,
    seeds_to_find,
    sign_flip_test,
    verdict,
)
from pgce_mini.study.analysis.verdicts import Finding, Verdict, jointly, listed
from pgce_mini.study.analysis.views import (
    Drawn,
    arms,
    curves_of,
    drawn_curves,
    learning_curves_of,
    over_seeds,
    paired_differences,
    phase,
    predicted,
    rows_of,
    variants,
)

__all__ = [
    "AFTER_RL", "EARLY", "EXPLORED", "FAMILIES", "LATER", "LEVEL", "ORDER", "PREDICTED", "PREDICTORS",
    "PRIORS_ALONE", "PROTOCOLS", "REGISTERED", "RL_STUDIES", "SMALLEST_EFFECTS", "TOLERANCES", "Comparison",
    "Decision", "Direction", "Drawn", "Evidence", "Family", "Finding", "Hypothesis", "PairedDifference",
    "Prediction", "Protocol", "Recorded", "Summary", "Verdict", "advice", "arms", "as_text", "beside",
    "by_metric", "by_seed", "check_predictions", "check_predictors", "compare", "curves_of", "decide",
    "decide_claims", "derived", "derived_column", "differences", "drawn_curves", "expanded_interval",
    "first_line", "format_difference", "format_estimate", "format_p", "format_spread", "further_answers",
    "heldout_means", "holm", "jointly", "labels", "largest_errors", "learning_curves_of", "listed",
    "minimum_detectable", "nearest", "over_seeds", "paired_differences", "paired_over_seeds", "phase",
    "planned_in", "precision_answer", "predicted", "recorded_settings", "rows_of", "samples", "seeds_to_find",
    "sign_flip_test", "signed", "signed_interval", "smallest_effect", "summarize", "variants", "verdict",
]  # fmt: skip
