"""What a study's tables say: differences, intervals, claims, predictions. No training is imported here."""

from pgce_mini.study.analysis.claims import (
    AFTER_RL,
    EXPLORED,
    FAMILIES,
    RL_STUDIES,
    Comparison,
    Decision,
    Evidence,
    Finding,
    Hypothesis,
    Seen,
    decide,
    decide_claims,
    precision_answer,
    samples,
)
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
from pgce_mini.study.analysis.formats import (
    format_difference,
    format_estimate,
    format_spread,
    signed,
    signed_interval,
)
from pgce_mini.study.analysis.nearest import Recorded, beside, nearest, recorded_settings
from pgce_mini.study.analysis.predictions import PREDICTED, TOLERANCES, check_predictions, largest_errors
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
    sign_flip_test,
    verdict,
)
from pgce_mini.study.analysis.views import (
    ORDER,
    arms,
    curves_of,
    learning_curves_of,
    over_seeds,
    paired_differences,
    phase,
    predicted,
    rows_of,
    variants,
)

__all__ = [
    "AFTER_RL", "EARLY", "EXPLORED", "FAMILIES", "LATER", "LEVEL", "ORDER", "PREDICTED", "RL_STUDIES",
    "TOLERANCES", "Comparison", "Decision", "Direction", "Evidence", "Finding", "Hypothesis",
    "PairedDifference", "Recorded", "Seen", "Summary", "arms", "as_text", "beside", "by_metric", "by_seed",
    "check_predictions", "compare", "curves_of", "decide", "decide_claims", "derived",
    "derived_column", "differences", "expanded_interval",
    "format_difference", "format_estimate", "format_spread", "heldout_means", "holm", "labels",
    "largest_errors", "learning_curves_of", "minimum_detectable", "nearest", "over_seeds", "paired_differences",
    "paired_over_seeds", "phase", "precision_answer", "predicted", "recorded_settings", "rows_of", "samples",
    "sign_flip_test", "signed", "signed_interval", "summarize", "variants", "verdict",
]  # fmt: skip
