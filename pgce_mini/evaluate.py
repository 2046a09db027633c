"""How good, how diverse and how calibrated a model is, with intervals over problems.

`evaluate` reads held-out documents (cross-entropy, entropy, calibration) and, for a `Task`, samples m
completions of each of P held-out problems (Avg@m, Cons@m, Pass@k, lengths, entropy). Everything is drawn
from `EvaluationConfig.seed`, so two models are judged on the same documents and problems and their
`per_problem` numbers can be compared in pairs (`paired_difference`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import fmean
from typing import TypedDict, cast, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from pgce_mini.checkpoint import RunError, load_model, read_json, write_atomic, write_json
from pgce_mini.model import GPT
from pgce_mini.tasks import task_to_dict
from pgce_mini.tasks.base import EOS_ID, PAD_ID, Corpus, Problem, Task, check_seed, check_whole

Array = NDArray[np.float64]

LARGEST_EXPONENT = 700.0  # exp overflows a float a little above

# --- Metrics over samples --------------------------------------------------------------------------------


@overload
def pass_at_k(n: int, c: int, k: int) -> float: ...
@overload
def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> Array: ...
def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> Array | float:
    """Pass@k = 1 - C(n-c, k) / C(n, k): the chance that k of n samples, drawn without replacement, hold a
    right one when c of the n are right. Unbiased for the chance that k fresh samples do.

    Shapes:
        n, c: whole numbers that broadcast together (one entry a problem) -> the same shape; k: one number

    Raises:
        ValueError: unless 1 <= k <= n and 0 <= c <= n.

    Source: paper, metrics; Chen et al. 2021 (arXiv 2107.03374), Eq. 1.
    """
    total, right = np.broadcast_arrays(n, c)
    if not (np.issubdtype(total.dtype, np.integer) and np.issubdtype(right.dtype, np.integer)):
        raise ValueError(f"n and c must be whole numbers, got {total.dtype} and {right.dtype}")
    if ((right < 0) | (right > total)).any():
        raise ValueError("c must count some of the n samples: 0 <= c <= n")
    if k < 1 or (k > total).any():
        raise ValueError(f"k must lie between 1 and n, got k={k} and n={total.min()}: draw more samples")
    drawn = np.arange(k)
    # C(n-c, k) / C(n, k) as a product of k ratios in [0, 1]; one is 0 where fewer than k samples are wrong.
    all_wrong = ((total - right)[..., None] - drawn).clip(0) / (total[..., None] - drawn)  # (..., k)
    result: Array = 1.0 - all_wrong.prod(-1)
    return result if total.ndim else float(result)


def avg_at_m(rewards: ArrayLike) -> Array:
    """Avg@m of each problem, the mean of its m rewards: a row a problem, ready for `bootstrap_interval`;
    its mean over problems is the Avg@m of the set.

    Shapes:
        rewards: (P, m) -> (P,)

    Source: paper, metrics.
    """
    table = np.asarray(rewards, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"rewards must be (problems, samples), at least one sample each, got {table.shape}")
    return np.asarray(table.mean(axis=1))


def cons_at_m(answers: Sequence[Sequence[str | None]], correct: ArrayLike) -> Array:
    """Cons@m of each problem: is the most frequent of its m answers right?

    None is no answer and does not vote; without a vote the problem scores 0. Among tied answers one would be
    picked at random: the score is the expected value, whatever the order of the samples.

    Shapes:
        answers: P rows of m; correct: (P, m), nonzero where the sample is right -> (P,) in [0, 1]

    Source: paper, metrics; Wang et al. 2022 (arXiv 2203.11171); ties are ours.
    """
    right = np.asarray(correct) != 0
    if right.ndim != 2 or [len(row) for row in answers] != [right.shape[1]] * right.shape[0]:
        raise ValueError(f"answers must be as many rows and columns as correct, which is {right.shape}")
    scores = np.zeros(len(answers))
    for problem, row in enumerate(answers):
        votes = Counter(answer for answer in row if answer is not None)
        if votes:
            most = max(votes.values())
            # Tied answers have equally many samples: a mean over their samples is a mean over the answers.
            tied = [answer is not None and votes[answer] == most for answer in row]
            scores[problem] = right[problem, tied].mean()
    return scores


# --- Intervals -------------------------------------------------------------------------------------------


class Estimate(TypedDict):
    """A mean over problems and its 95 % bootstrap interval; all None when there was nothing to average.

    The interval is about these weights: it knows nothing of the spread over training seeds.
    """

    value: float | None
    low: float | None
    high: float | None


def bootstrap_interval(
    values: ArrayLike,
    seed: int,
    *,
    counts: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`, resampling problems.

    Problems, not samples, are the independent draws: resampling the m samples of a problem as if they were
    strangers would make the interval too narrow. With `counts`, problem i holds counts[i] items that sum to
    values[i], and the statistic is the mean over items, sum(values) / sum(counts); resamples without any
    item are dropped. Where all problems agree (Pass@k saturated at 1) the interval has no width.

    Shapes:
        values, counts: (P,) -> (low, high)

    Raises:
        ValueError: when values is not a non-empty row of finite numbers, counts do not match or are all 0,
            or confidence or resamples makes no sense.

    Source: Efron 1979; the cluster (ratio) form with `counts`.
    """
    total = np.asarray(values, dtype=np.float64)
    if total.ndim != 1 or total.size == 0 or not np.isfinite(total).all():
        raise ValueError(f"values must be a non-empty row of finite numbers, got shape {total.shape}")
    count = np.ones_like(total) if counts is None else np.asarray(counts, dtype=np.float64)
    if count.shape != total.shape or not (count >= 0).all() or not count.any():
        raise ValueError("counts must hold a number of at least 0 for each value, and not only zeros")

    def means(rows: NDArray[np.int64]) -> Array:
        totals, items = total[rows].sum(1), count[rows].sum(1)  # (resamples,)
        return np.asarray(totals[items > 0] / items[items > 0])

    return percentile_interval(means, total.size, seed, confidence, resamples)


def percentile_interval(
    statistic: Callable[[NDArray[np.int64]], Array],
    problems: int,
    seed: int,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of any statistic of problems, given the numbers of those drawn, a row a draw.

    Shapes:
        statistic: (resamples, problems) -> (resamples,)

    Raises:
        ValueError: confidence or resamples makes no sense.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples!r}")
    rows = np.random.default_rng(seed).integers(problems, size=(resamples, problems))
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(rows), (tail, 1 - tail))
    return float(low), float(high)


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int) -> Estimate:
    """Mean of a - b over the same problems, with its 95 % bootstrap interval: pairing takes out the spread
    that both arms share because some problems are hard.

    Shapes:
        a, b: (P,), row i of both about problem i
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"a and b must be about the same problems, got {left.shape} and {right.shape}")
    return estimate(left - right, seed)


def estimate(values: Array, seed: int, counts: Array | None = None) -> Estimate:
    """The mean of `values` (P,), or sum(values) / sum(counts), with its `bootstrap_interval`."""
    counts = np.ones_like(values) if counts is None else counts
    if values.size and not counts.any():
        return {"value": None, "low": None, "high": None}
    low, high = bootstrap_interval(values, seed, counts=counts)
    return {"value": float(values.sum() / counts.sum()), "low": low, "high": high}


# --- Entropy and calibration -----------------------------------------------------------------------------


def token_entropy(logits: Tensor) -> Tensor:
    """Entropy of softmax(logits) in nats, for measuring; a logit of -inf adds nothing.

    Shapes:
        logits: (..., V) -> (...)
    """
    entropy: Tensor = torch.special.entr(logits.softmax(-1)).sum(-1)
    return entropy


@torch.no_grad()
def completion_entropy(
    model: GPT, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], temperature: float
) -> list[Tensor]:
    """Entropy, in nats, of the distribution softmax(logits / temperature) that each token of each completion
    was drawn from (EOS included), by one forward pass over prompt + completion.

    Shapes:
        prompts, completions: B rows of ids, no prompt empty -> B rows, each as long as its completion
    """
    pairs = zip(prompts, completions, strict=True)
    ids = _pad([[*prompt, *completion] for prompt, completion in pairs], model)  # (B, T)
    lengths = torch.tensor([len(completion) for completion in completions], device="cpu")
    start = torch.tensor([len(prompt) - 1 for prompt in prompts], device="cpu")  # predicts the first token
    position = torch.arange(ids.shape[1] - 1, device="cpu")
    kept = (start[:, None] <= position) & (position < (start + lengths)[:, None])  # (B, T - 1)
    logits = model(ids[:, :-1])[kept.to(ids.device)]  # (sum of lengths, V), row after row
    return list(torch.split(token_entropy(logits / temperature).cpu(), lengths.tolist()))


def _pad(rows: Sequence[Sequence[int]], model: GPT) -> Tensor:
    """Right-padded rows, on the model's device: (B, T)."""
    on_cpu = [torch.tensor(row, device="cpu") for row in rows]
    ids = pad_sequence(on_cpu, batch_first=True, padding_value=PAD_ID)
    return ids.to(next(model.parameters()).device)


class ReliabilityBin(TypedDict):
    """Predictions whose confidence lies in (low, high]; means are None in an empty bin."""

    low: float
    high: float
    confidence: float | None
    accuracy: float | None
    count: int


class Calibration(TypedDict):
    """Expected calibration error and the table it is the weighted mean gap of."""

    ece: float
    reliability: list[ReliabilityBin]


def calibration(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Calibration:
    """Expected calibration error, sum_b (n_b / n) |accuracy_b - confidence_b|, over equal-width bins
    (low, high] of [0, 1]; a confidence of 0 goes to the first.

    Shapes:
        confidence: (N,) in [0, 1]; correct: (N,), nonzero where the prediction is right

    Raises:
        ValueError: when the shapes differ or are empty, a confidence leaves [0, 1], or bins < 1.

    Source: Guo et al. 2017 (arXiv 1706.04599), Eq. 3.
    """
    predicted, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct) != 0
    if predicted.ndim != 1 or predicted.size == 0 or predicted.shape != right.shape:
        raise ValueError(
            f"confidence and correct must be rows of one length, got {predicted.shape} and {right.shape}"
        )
    if not ((predicted >= 0) & (predicted <= 1)).all():
        raise ValueError("confidence must lie in [0, 1]")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins!r}")
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], predicted)  # bin b holds edges[b] < confidence <= edges[b + 1]
    ece, reliability = 0.0, []
    for b, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = index == b
        row: ReliabilityBin = {"low": low, "high": high, "confidence": None, "accuracy": None, "count": 0}
        if inside.any():
            mean, accuracy = float(predicted[inside].mean()), float(right[inside].mean())
            row = {**row, "confidence": mean, "accuracy": accuracy, "count": int(inside.sum())}
            ece += row["count"] / predicted.size * abs(accuracy - mean)
        reliability.append(row)
    return {"ece": ece, "reliability": reliability}


# --- Settings --------------------------------------------------------------------------------------------


KS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class EvaluationConfig:
    """What to evaluate on; two evaluations compare when these agree.

    Raises:
        ValueError: naming the argument, when a value makes no sense.
    """

    problems: int = 96
    """held-out problems"""
    samples: int = 64
    """completions of each problem"""
    ks: tuple[int, ...] = KS
    """the k of Pass@k, none above samples (the defaults above it are left out)"""
    temperature: float = 1.0
    """of the samples"""
    documents: int = 512
    """held-out documents for cross-entropy, entropy and calibration"""
    batch_size: int = 256
    """sequences in one forward pass: memory, and as it orders the random draws, samples depend on it"""
    seed: int = 0
    """of the samples"""

    def __post_init__(self) -> None:
        for name in ("problems", "samples", "documents", "batch_size"):
            check_whole(name, getattr(self, name), least=1)
        check_seed(self.seed)
        if self.ks == KS:
            object.__setattr__(self, "ks", tuple(k for k in KS if k <= self.samples))
        if not self.ks or not all(isinstance(k, int) and 1 <= k <= self.samples for k in self.ks):
            raise ValueError(
                f"ks must be whole numbers between 1 and samples={self.samples}, got {self.ks!r}: "
                "leave out the larger k or draw more samples"
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be a positive number, got {self.temperature!r}")


# --- Sampling --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampledCompletion:
    """One sample, judged; `logps` and `entropy` are those of the sampling distribution, a number a token."""

    ids: list[int]  # EOS included, nothing after it
    logps: list[float]
    entropy: list[float]
    reward: float
    reasoned: bool
    answer: str | None

    @property
    def truncated(self) -> bool:
        return EOS_ID not in self.ids


@torch.no_grad()
def sample_completions(
    model: GPT,
    task: Task,
    problems: Sequence[Problem],
    config: EvaluationConfig,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[SampledCompletion]]:
    """`config.samples` completions of each problem at `config.temperature`, drawn from `config.seed`; a row a
    problem. `progress(done, total)` counts problems, a batch at a time."""
    generator = torch.Generator(next(model.parameters()).device).manual_seed(config.seed)
    problems_at_once = max(1, config.batch_size // config.samples)
    groups: list[list[SampledCompletion]] = []
    for first in range(0, len(problems), problems_at_once):
        batch = problems[first : first + problems_at_once]
        generation = model.generate(
            [problem.prompt for problem in batch],
            task.max_completion_length,
            temperature=config.temperature,
            generator=generator,
            num_generations=config.samples,
        )
        lengths = generation.completion_mask.sum(1).tolist()
        completions = [row[:n] for row, n in zip(generation.completions.tolist(), lengths, strict=True)]
        logps = [row[:n] for row, n in zip(generation.logps.tolist(), lengths, strict=True)]
        asked = [problem for problem in batch for _ in range(config.samples)]  # prompt-major, as generated
        entropy = completion_entropy(model, [p.prompt for p in asked], completions, config.temperature)
        judged = [
            SampledCompletion(
                ids=ids,
                logps=row,
                entropy=e.tolist(),
                reward=task.reward(problem, ids),
                reasoned=task.reasoned(problem, ids),
                answer=task.answer(problem, ids),
            )
            for problem, ids, row, e in zip(asked, completions, logps, entropy, strict=True)
        ]
        groups += (judged[i : i + config.samples] for i in range(0, len(judged), config.samples))
        if progress is not None:
            progress(len(groups), len(problems))
    return groups


def _heldout_problems(task: Task, config: EvaluationConfig) -> list[Problem]:
    return [task.problem(config.seed, index, "heldout") for index in range(config.problems)]


def sample_records(
    model: GPT, task: Task, config: EvaluationConfig, *, problems: int = 8, samples: int = 4
) -> list[dict[str, object]]:
    """A few samples of the first held-out problems to read, a JSON-ready record each; drawn for this purpose,
    so they are not among the samples that `evaluate` counts."""
    config = replace(config, problems=problems, samples=samples, ks=(1,))
    asked = _heldout_problems(task, config)
    return [
        {
            "problem": index,
            "sample": number,
            "prompt": task.decode(problem.prompt),
            "completion": task.decode(sample.ids),
            "tokens": [task.vocab[token] for token in sample.ids],
            "logps": sample.logps,
            "entropy": sample.entropy,
            "reward": sample.reward,
            "reasoned": sample.reasoned,
            "truncated": sample.truncated,
        }
        for index, (problem, group) in enumerate(
            zip(asked, sample_completions(model, task, asked, config), strict=True)
        )
        for number, sample in enumerate(group)
    ]


# --- The whole evaluation --------------------------------------------------------------------------------


class Heldout(Calibration):
    """Next-token prediction on held-out documents; means over tokens, logarithms in nats."""

    documents: int
    tokens: int
    cross_entropy: float | None  # plain, whatever loss the model was trained with; None when infinite
    perplexity: float | None
    entropy: float  # of the model's own next-token distribution


class Samples(TypedDict):
    """Sampled completions of held-out problems; intervals are over problems."""

    avg_at_m: Estimate
    cons_at_m: Estimate
    pass_at_k: dict[str, Estimate]
    completion_length: Estimate  # tokens, EOS included
    truncated_share: Estimate  # of completions without EOS
    reasoned_share: Estimate
    accuracy_if_reasoned: Estimate  # over all completions that reason, not a mean of means
    accuracy_if_direct: Estimate
    entropy: Estimate  # mean over all completion tokens, under the sampling temperature
    entropy_by_position: list[float]  # over the completions that reach the position


class PerProblem(TypedDict):
    """A row a problem, for paired comparisons: `pass_at_k(m, correct, k)`, `correct / m` for Avg@m."""

    correct: list[int]  # of the m samples
    consensus: list[float]  # Cons@m
    completion_length: list[float]
    entropy: list[float]  # mean over the problem's tokens
    reasoned_share: list[float]


class Evaluation(TypedDict):
    """What `evaluate` found, ready for JSON; no `samples` and `per_problem` for a corpus without problems."""

    corpus: dict[str, object]
    config: dict[str, object]
    heldout: Heldout
    samples: Samples | None
    per_problem: PerProblem | None


@torch.no_grad()
def evaluate(
    model: GPT,
    corpus: Corpus,
    config: EvaluationConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate `model` on the held-out split of `corpus`: the same model, corpus and config give the same
    numbers. `progress(done, total)` is told, after each batch, how many problems are sampled.

    Raises:
        ValueError: when the model's logits are not numbers (its training diverged).
    """
    documents = [corpus.document(config.seed, index, "heldout") for index in range(config.documents)]
    evaluation: Evaluation = {
        "corpus": task_to_dict(corpus),
        "config": _settings(config),
        "heldout": evaluate_documents(model, documents, config.batch_size),
        "samples": None,
        "per_problem": None,
    }
    if isinstance(corpus, Task):
        groups = sample_completions(model, corpus, _heldout_problems(corpus, config), config, progress)
        evaluation["samples"], evaluation["per_problem"] = _evaluate_samples(groups, config)
    return evaluation


def _settings(config: EvaluationConfig) -> dict[str, object]:
    return {**asdict(config), "ks": list(config.ks)}  # JSON has no tuple


@torch.no_grad()
def evaluate_documents(model: GPT, documents: Sequence[Sequence[int]], batch_size: int) -> Heldout:
    """Cross-entropy, entropy and calibration of the next token over all tokens of `documents` but the first.

    Raises:
        ValueError: when the model's logits are not numbers (its training diverged).
    """
    columns = []
    for start in range(0, len(documents), batch_size):
        ids = _pad(documents[start : start + batch_size], model)  # (B, T)
        kept = ids[:, 1:] != PAD_ID
        logits, target = model(ids[:, :-1])[kept], ids[:, 1:][kept]  # (N, V), (N,)
        loss = F.cross_entropy(logits, target, reduction="none")
        if loss.isnan().any():
            raise ValueError("model gives logits that are not numbers: its training diverged")
        confidence, top = logits.softmax(-1).max(-1)
        columns.append(torch.stack([loss, token_entropy(logits), confidence, top == target]))  # (4, N)
    loss, entropy, confidence, correct = torch.cat(columns, dim=1).cpu().double().numpy()  # MPS has no float64
    cross_entropy = float(loss.mean())
    return {
        "documents": len(documents),
        "tokens": len(loss),
        "cross_entropy": cross_entropy if math.isfinite(cross_entropy) else None,
        "perplexity": math.exp(cross_entropy) if cross_entropy < LARGEST_EXPONENT else None,
        "entropy": float(entropy.mean()),
        **calibration(confidence, correct),
    }


def _evaluate_samples(
    groups: Sequence[Sequence[SampledCompletion]], config: EvaluationConfig
) -> tuple[Samples, PerProblem]:
    def table(measure: Callable[[SampledCompletion], float]) -> Array:
        return np.array([[measure(sample) for sample in group] for group in groups], dtype=np.float64)

    def mean(values: Array, counts: Array | None = None) -> Estimate:
        return estimate(values, config.seed, counts)

    right = table(lambda sample: sample.reward == 1)  # (P, m), as all below
    length = table(lambda sample: len(sample.ids))
    reasoned = table(lambda sample: sample.reasoned)
    entropy = table(lambda sample: sum(sample.entropy))
    consensus = cons_at_m([[sample.answer for sample in group] for group in groups], right)  # (P,)
    correct = right.sum(1).astype(int)  # (P,)
    positions = zip_longest(*(sample.entropy for group in groups for sample in group))
    samples: Samples = {
        "avg_at_m": mean(avg_at_m(right)),
        "cons_at_m": mean(consensus),
        "pass_at_k": {str(k): mean(pass_at_k(config.samples, correct, k)) for k in config.ks},
        "completion_length": mean(length.mean(1)),
        "truncated_share": mean(table(lambda sample: sample.truncated).mean(1)),
        "reasoned_share": mean(reasoned.mean(1)),
        "accuracy_if_reasoned": mean((right * reasoned).sum(1), reasoned.sum(1)),
        "accuracy_if_direct": mean((right * (1 - reasoned)).sum(1), (1 - reasoned).sum(1)),
        "entropy": mean(entropy.sum(1), length.sum(1)),
        "entropy_by_position": [fmean(e for e in column if e is not None) for column in positions],
    }
    per_problem: PerProblem = {
        "correct": correct.tolist(),
        "consensus": consensus.tolist(),
        "completion_length": length.mean(1).tolist(),
        "entropy": (entropy.sum(1) / length.sum(1)).tolist(),
        "reasoned_share": reasoned.mean(1).tolist(),
    }
    return samples, per_problem


# --- On disk ---------------------------------------------------------------------------------------------


def evaluate_run(path: Path, config: EvaluationConfig, *, progress: bool = True) -> Evaluation:
    """Evaluates a finished run and leaves evaluation.json and samples.jsonl in its folder; what is there already
    with the same settings is not made again. Where `path` is the file of a model, nothing is written.

    Raises:
        RunError: naming the file, when the run is not finished or a file is damaged.
    """
    target = path / "evaluation.json"
    if target.exists() and (found := load_evaluation(path))["config"] == _settings(config):
        return found
    model, corpus = load_model(path)
    silent = not progress or not isinstance(corpus, Task)  # a text has no problems
    with tqdm(total=config.problems, desc=f"evaluate {path}", unit="problem", disable=silent) as bar:

        def advance(done: int, total: int) -> None:
            bar.update(done - bar.n)

        evaluation = evaluate(model, corpus, config, advance)
    if path.is_file():
        return evaluation
    if isinstance(corpus, Task):
        records = [json.dumps(record).encode() + b"\n" for record in sample_records(model, corpus, config)]
        write_atomic(path / "samples.jsonl", b"".join(records))
    write_json(target, evaluation)
    return evaluation


def load_evaluation(path: Path) -> Evaluation:
    """The evaluation of a run's folder.

    Raises:
        RunError: naming the file, when it is missing or damaged.
    """
    if path.is_file():
        raise RunError(f"{path} is a file: name the folder of a run that has been evaluated")
    if path.is_dir() and not (path / "evaluation.json").exists():
        raise RunError(f"{path} has not been evaluated: pgce evaluate {path}")
    return cast(Evaluation, read_json(path / "evaluation.json"))
