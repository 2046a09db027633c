"""How a model is judged, with intervals over problems."""

from pgce_mini.evaluation.config import EvaluationConfig
from pgce_mini.evaluation.documents import ReliabilityBin, calibration, evaluate_documents
from pgce_mini.evaluation.entropy import completion_entropy, token_entropy
from pgce_mini.evaluation.evaluate import Evaluation, PerProblem, evaluate, scored_name
from pgce_mini.evaluation.intervals import (
    Estimate,
    bootstrap_interval,
    estimate,
    paired_difference,
    percentile_interval,
)
from pgce_mini.evaluation.matching import matching_temperature
from pgce_mini.evaluation.metrics import (
    AREAS,
    CHANGES,
    LENGTH,
    LOGGED,
    METRICS,
    STEPS,
    STEPS_TO,
    WHEN,
    Logged,
    Metric,
    PerProblemValue,
    When,
    column_label,
    column_title,
    measured,
    metric_of,
    metrics,
    threshold_of,
)
from pgce_mini.evaluation.sampling import sample_completions, sample_records
from pgce_mini.evaluation.saved import evaluate_run, is_evaluated, load_evaluation
from pgce_mini.evaluation.scores import avg_at_m, cons_at_m, pass_at_k
from pgce_mini.evaluation.text_metrics import distinct, repetition, sample_text, sampled_length

__all__ = [
    "AREAS", "CHANGES", "LENGTH", "LOGGED", "METRICS", "STEPS", "STEPS_TO", "WHEN", "Estimate", "Evaluation",
    "EvaluationConfig", "Logged", "Metric", "PerProblem", "PerProblemValue", "ReliabilityBin", "When",
    "avg_at_m", "bootstrap_interval", "calibration", "column_label", "column_title", "completion_entropy",
    "cons_at_m", "distinct", "estimate", "evaluate", "evaluate_documents", "evaluate_run", "is_evaluated",
    "load_evaluation", "matching_temperature", "measured", "metric_of",
    "metrics", "paired_difference", "pass_at_k", "percentile_interval", "repetition", "sample_completions",
    "sample_records", "sample_text", "sampled_length", "scored_name", "threshold_of", "token_entropy",
]  # fmt: skip
